"""Charts as they were last read: a tenant to read next, or its chart, in; stored, judged, released out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from pydantic_core import to_json

from consumer.adapters.postgres.alarms import judge
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.mending import raise_revision, release_mended
from consumer.adapters.postgres.snapshots import load_snapshot, store_chart
from consumer.adapters.postgres.sql import statements
from consumer.domain.chart import Chart
from consumer.domain.redrawing import changes, mended
from consumer.ports import Alarm, Redrawn, Sink, Whose

SQL = statements("charts")
CONNECTIONS = statements("connections")


class PostgresCharts:
    """Implements ``Charts``."""

    def __init__(self, database: Database, sinks: Sequence[Sink]) -> None:
        self.database = database
        self.sinks = list(sinks)

    async def claim(self, every: float, lease: float) -> tuple[UUID, int] | None:
        """The tenant whose chart is oldest, if it is due: no other pod gets it for ``lease`` s."""
        every_, lease_ = timedelta(seconds=every), timedelta(seconds=lease)

        async def work(conn: Conn) -> tuple[UUID, int] | None:
            row = await conn.fetchrow(SQL["claim"], every_, lease_)
            return None if row is None else (row["id"], row["authorisation_id"])

        return await self.database.run(work)

    async def postpone(self, tenant_id: UUID, seconds: float) -> None:
        """It could not be read now."""
        await self.database.execute(SQL["postpone"], tenant_id, timedelta(seconds=seconds))

    async def whose(self, codes: Sequence[str] | None) -> Sequence[Whose]:
        """The connections of these codes, or all, with the tenants whose charts they use."""
        rows = await self.database.fetch(SQL["whose"], codes)
        return [
            Whose(row["code"], row["tenant_id"], row["authorisation_id"], row["parked"])
            for row in rows
        ]

    async def keep(self, tenant_id: UUID, chart: Chart, who: str) -> Redrawn:
        """Store it; what it breaks is announced, what it mends released."""
        same = await self.database.run(lambda conn: self._same(conn, tenant_id, chart))
        if same is not None:
            return same
        return await self.database.run(
            lambda conn: self._redraw(conn, tenant_id, chart, who), configuring=True
        )

    async def _same(self, conn: Conn, tenant_id: UUID, chart: Chart) -> Redrawn | None:
        """Where nothing changed in Xero, nobody has to wait; but Lago's rates may have changed."""
        if (await load_snapshot(conn, tenant_id)).charts.get(tenant_id) != chart:
            return None
        await self._mark_read(conn, tenant_id, chart)
        return Redrawn((), await self._judge(conn, tenant_id, chart))

    async def _redraw(self, conn: Conn, tenant_id: UUID, chart: Chart, who: str) -> Redrawn:
        old = (await load_snapshot(conn, tenant_id)).charts.get(tenant_id, Chart())
        await store_chart(conn, tenant_id, chart)
        await self._mark_read(conn, tenant_id, chart)
        lines = changes(old, chart)
        await raise_revision(conn)
        await release_mended(conn, tenant_id, mended(old, chart))
        said = "\n".join(lines)[:10_000]
        await conn.execute(CONNECTIONS["audit"], who, "chart", str(tenant_id), said)
        return Redrawn(lines, await self._judge(conn, tenant_id, chart))

    async def _mark_read(self, conn: Conn, tenant_id: UUID, chart: Chart) -> None:
        await conn.execute(SQL["read"], tenant_id, to_json(asdict(chart.organisation)).decode())

    async def _judge(self, conn: Conn, tenant_id: UUID, chart: Chart) -> tuple[Alarm, ...]:
        snapshot = await load_snapshot(conn, tenant_id)
        alarms: list[Alarm] = []
        for connection in sorted(snapshot.connections.values(), key=lambda one: one.id):
            alarms += await judge(conn, connection, chart, self.sinks)
        return tuple(alarms)
