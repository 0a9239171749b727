"""Retiring: a person's word on a connection that is used no more in; it no longer counts, and what only it
needed is forgotten, out. What was posted through it stays in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.mending import raise_revision
from consumer.adapters.postgres.sql import statements
from consumer.domain import causes
from consumer.domain.errors import Halt

SQL = statements("retiring")


@dataclass(frozen=True, slots=True)
class Retired:
    """``changed``: whether it was in use until now; ``left``: documents that waited and are set aside;
    ``forgotten``: whether the client's secret goes too."""

    connection: str
    changed: bool
    left: int = 0
    forgotten: bool = False


async def retire(
    database: Database,
    code: str,
    *,
    who: str,
    reason: str,
    encrypt: Callable[[bytes], bytes],
    leave_waiting: bool = False,
    dry_run: bool = False,
) -> Retired:
    """Retire the connection of that code; audited.

    Args:
        leave_waiting: set aside what waits, which may be for what never comes.

    Raises:
        Halt: ``not_found``; ``still_connected`` where nobody else uses its organisation and we still have
            access to it; ``documents_open`` where something of it is not at its end.
    """

    async def work(conn: Conn) -> Retired:
        row = await conn.fetchrow(SQL["lock_connection"], code)
        if row is None:
            hint = "lago-xero connections lists connections"
            raise Halt("not_found", f"There is no connection {code}.", hint)
        if row["retired"]:
            return Retired(code, changed=False)
        if not (row["disconnected"] or row["shares_tenant"]):
            raise Halt(
                "still_connected",
                f"{code} has access to its Xero organisation, and no other connection uses that.",
                f"run first: lago-xero disconnect {code}",
            )
        rows = await conn.fetch(SQL["open_documents"], row["id"])
        left = sum(one["count"] for one in rows if one["state"] == "waiting")
        if len(rows) > bool(left) or (left and not leave_waiting):
            counts = ", ".join(f"{one['count']} {one['state']}" for one in rows)
            raise Halt(
                "documents_open",
                f"Documents of {code} are open: {counts}.",
                "let them go out before it is disconnected; set failed ones aside by lago-xero dead-letters "
                "discard, waiting ones by --leave-waiting",
            )
        forgotten = not row["shares_client"]
        if not dry_run:
            await conn.execute(SQL["retire"], row["id"])
            await conn.execute(SQL["close_alarms"], row["id"])
            if forgotten:
                await conn.execute(SQL["forget_client"], row["authorisation_id"], encrypt(b""))
            await raise_revision(conn)
            audit = await conn.fetchval(SQL["audit"], who, code, reason)
            await conn.execute(SQL["leave_waiting"], row["id"], causes.ignored(audit))
        return Retired(code, changed=True, left=left, forgotten=forgotten)

    return await database.run(work, configuring=True)
