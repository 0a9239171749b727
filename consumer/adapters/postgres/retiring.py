"""Retiring: a person's word on a connection that is used no more in; it no longer counts, and what only it
needed is forgotten, out. What was posted through it stays in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.mending import raise_revision
from consumer.adapters.postgres.sql import statements
from consumer.domain import causes
from consumer.domain.errors import Halt

SQL = statements("retiring")


PAGE = 500
"""Documents in one transaction."""


@dataclass(frozen=True, slots=True)
class Retired:
    """``changed``: whether it was in use until now; ``left``: documents that waited and are set aside;
    ``forgotten``: whether the client's secret goes too."""

    connection: str
    changed: bool
    left: int = 0
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """What is to be retired."""

    id: int
    authorisation_id: int
    waiting: int
    forgotten: bool


async def retire(
    database: Database,
    code: str,
    *,
    who: str,
    reason: str,
    encrypt: Callable[[bytes], bytes],
    leave_waiting: bool = False,
    dry_run: bool = False,
    page: int = PAGE,
) -> Retired:
    """Retire the connection of that code; audited. Who is interrupted has set aside some of what waits; the
    same once more goes on.

    Args:
        leave_waiting: set aside what waits, which may be for what never comes, a transaction each page.

    Raises:
        Halt: ``not_found``; ``still_connected`` where nobody else uses its organisation and we still have
            access to it; ``documents_open`` where something of it is not at its end.
    """

    async def check(conn: Conn) -> _Found | None:
        return await _found(conn, code, leave_waiting=leave_waiting)

    left = 0

    async def work(conn: Conn) -> Retired:
        found = await check(conn)
        if found is None:
            return Retired(code, changed=False)
        if dry_run:
            return Retired(code, changed=True, left=found.waiting, forgotten=found.forgotten)
        come_since = await _leave(conn, found.id, who, reason)
        await conn.execute(SQL["retire"], found.id)
        await conn.execute(SQL["close_alarms"], found.id)
        if found.forgotten:
            await conn.execute(SQL["forget_client"], found.authorisation_id, encrypt(b""))
        await raise_revision(conn)
        await conn.execute(SQL["audit"], who, code, reason)
        return Retired(code, changed=True, left=left + len(come_since), forgotten=found.forgotten)

    if leave_waiting and not dry_run and (found := await database.run(check)) is not None:
        leave = partial(_leave, connection_id=found.id, who=who, reason=reason, most=page)
        after = 0
        while ids := await database.run(partial(leave, after=after)):
            left, after = left + len(ids), ids[-1]
    return await database.run(work, configuring=True)


async def _found(conn: Conn, code: str, *, leave_waiting: bool) -> _Found | None:
    """What may be retired, held; None if it is retired already."""
    row = await conn.fetchrow(SQL["lock_connection"], code)
    if row is None:
        hint = "lago-xero connections lists connections"
        raise Halt("not_found", f"There is no connection {code}.", hint)
    if row["retired"]:
        return None
    if not (row["disconnected"] or row["shares_tenant"]):
        raise Halt(
            "still_connected",
            f"{code} has access to its Xero organisation, and no other connection uses that.",
            f"run first: lago-xero disconnect {code}",
        )
    rows = await conn.fetch(SQL["open_documents"], row["id"])
    waiting = sum(one["count"] for one in rows if one["state"] == "waiting")
    if len(rows) > bool(waiting) or (waiting and not leave_waiting):
        counts = ", ".join(f"{one['count']} {one['state']}" for one in rows)
        raise Halt(
            "documents_open",
            f"Documents of {code} are open: {counts}.",
            "let them go out before it is disconnected; set failed ones aside by lago-xero dead-letters "
            "discard, waiting ones by --leave-waiting",
        )
    return _Found(row["id"], row["authorisation_id"], waiting, not row["shares_client"])


async def _leave(
    conn: Conn,
    connection_id: int,
    who: str,
    reason: str,
    after: int = 0,
    most: int | None = None,
) -> list[int]:
    """Set aside what waits, the first ``most`` of them behind ``after``, audited; which."""
    ids = [row["id"] for row in await conn.fetch(SQL["waiting"], connection_id, after, most)]
    if ids:
        said = f"documents {', '.join(map(str, ids))}"
        audit = await conn.fetchval(SQL["audit"], who, said, reason)
        await conn.execute(SQL["leave_waiting"], ids, causes.ignored(audit))
    return ids
