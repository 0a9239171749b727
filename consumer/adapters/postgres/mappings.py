"""Mappings of one connection: a change in, stored with its history and what it mends released; rows out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

from consumer.adapters.postgres.alarms import judge
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.mending import raise_revision, release_all
from consumer.adapters.postgres.snapshots import load_snapshot, store_mappings
from consumer.adapters.postgres.sql import statements
from consumer.domain.chart import Chart
from consumer.domain.coverage import SeenFee, SeenTax
from consumer.domain.mapping import Connection, MappingKey
from consumer.domain.wishes import differences

SQL = statements("mappings")
CONNECTIONS = statements("connections")

PAGE = 1_000
"""Invoices that one statement looks into."""
_FIRST = UUID(int=0)

Change = Callable[[Connection, Chart | None], Connection]
"""The connection as it shall be; raises to leave it as it is."""


async def change(
    database: Database, code: str, to: Change, who: str, *, dry_run: bool = False
) -> tuple[str, ...] | None:
    """Change the connection's mappings as ``apply`` does; a line for each change, None: no such one.

    ``to`` must be quick and pure: everybody else waits. What it raises leaves everything as it was.
    """

    async def work(conn: Conn) -> tuple[str, ...] | None:
        found = await _connection(conn, code)
        if found is None:
            return None
        connection, chart = found
        wanted = to(connection, chart)
        lines = tuple(map(str, differences(connection, wanted)))
        if lines and not dry_run:
            await store_mappings(conn, connection.id, connection.mappings, wanted.mappings, who)
            await raise_revision(conn)
            await release_all(conn, [wanted], remapped=[connection.id])
            if chart is not None:
                await judge(conn, wanted, chart)
            said = "\n".join(lines)[:10_000]
            await conn.execute(CONNECTIONS["audit"], who, "mappings", code, said)
        return lines

    return await database.run(work, configuring=True)


async def read(database: Database, code: str) -> tuple[Connection, Chart | None] | None:
    """The connection with its mappings, and its tenant's chart; None: there is no such connection."""
    return await database.run(lambda conn: _connection(conn, code))


async def _connection(conn: Conn, code: str) -> tuple[Connection, Chart | None] | None:
    tenant_id = await conn.fetchval(SQL["tenant_of"], code)
    if tenant_id is None:
        return None
    snapshot = await load_snapshot(conn, tenant_id)
    [connection] = (one for one in snapshot.connections.values() if one.code == code)
    return connection, snapshot.charts.get(tenant_id)


async def rows(database: Database, code: str, *, history: bool) -> list[dict[str, Any]]:
    """Mappings by their path in the file: who set them when, and what does not fit; with ``history``
    also what is no longer so."""
    problems: dict[str, list[str]] = {}
    for row in await database.fetch(SQL["problems"], code):
        problems.setdefault(row["path"], []).append(row["said"])
    found = []
    for row in await database.fetch(SQL["history"], code, history):
        path = MappingKey(row["entity"], row["kind"], row["key"]).path
        parts = [path, *(f"{path}.{part}" for part in ("item", "account", "tax_type"))]
        wrong = [said for part in parts for said in problems.get(part, [])]
        kept = ("item", "account", "tax_type", "set_by", "set_at", "unset_at")
        current = row["unset_at"] is None
        found.append(
            {
                "path": path.removeprefix("mappings."),
                **{name: row[name] for name in kept},
                "problem": "; ".join(wrong) if wrong and current else None,
            }
        )
    return found


async def seen(
    database: Database, connection_id: int, page: int = PAGE
) -> AsyncIterator[tuple[Sequence[SeenFee], Sequence[SeenTax]]]:
    """What the connection's invoices are made of, some invoices at a time."""
    after = _FIRST
    while ids := [
        row["lago_id"] for row in await database.fetch(SQL["invoices"], connection_id, after, page)
    ]:
        fees = await database.fetch(SQL["fees"], connection_id, ids)
        taxes = await database.fetch(SQL["taxes"], connection_id, ids)
        yield [SeenFee(**row) for row in fees], [SeenTax(**row) for row in taxes]
        after = ids[-1]
