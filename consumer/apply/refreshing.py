"""Refreshing: a tenant whose chart is due in; its chart read, what it breaks told, what it mends sent out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from consumer.apply.charts import ChartReader, Closed, Token
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Halt
from consumer.metrics import Metrics
from consumer.ports import Charts, Redrawn

log = structlog.get_logger()

LEASE = 1800.0
"""Seconds that a reading pod has: five calls and what it waits for each at most."""
AGAIN = 900.0
"""Seconds until a chart is tried again that could not be read."""
SERVICE = "lago-xero run"
"""Who reads charts without being asked, for the audit."""


class Refresh:
    """Reads a tenant's chart and keeps it."""

    def __init__(self, charts: Charts, reader: ChartReader) -> None:
        self.charts = charts
        self.reader = reader

    async def run(self, tenant_id: UUID, token: Token, who: str) -> Redrawn:
        """What changed.

        Raises:
            Halt: Xero cannot be asked now, or does not show it to this client (``chart_closed``).
        """
        try:
            chart = await self.reader.read(tenant_id, token)
        except Closed as closed:
            raise Halt("chart_closed", f"{closed.said}.", closed.hint) from None
        return await self.charts.keep(tenant_id, chart, who)


class ChartWatch:
    """Refreshes one chart after another as they fall due, each on one pod.

    ``token`` gives a tenant's token, or None if it must wait or is parked.
    """

    def __init__(
        self,
        charts: Charts,
        reader: ChartReader,
        token: Callable[[UUID, int], Awaitable[str | None]],
        metrics: Metrics,
        clocks: Clocks,
    ) -> None:
        self.charts = charts
        self.refresh = Refresh(charts, reader)
        self.token = token
        self.metrics = metrics
        self.clocks = clocks

    async def run_once(self) -> int:
        """Refresh the chart that is longest due; how many there were, 0 or 1."""
        claimed = await self.charts.claim(self.clocks.chart_refresh, self.clocks.stretched(LEASE))
        if claimed is None:
            return 0
        tenant_id, authorisation_id = claimed
        try:
            redrawn = await self.refresh.run(
                tenant_id, self._token(tenant_id, authorisation_id), SERVICE
            )
        except Halt as error:
            self.metrics.charts.labels("failed").inc()
            log.warning("chart_unread", tenant=str(tenant_id), code=error.code, why=error.sentence)
            await self.charts.postpone(tenant_id, self.clocks.stretched(AGAIN))
            return 1
        self.metrics.charts.labels("changed" if redrawn.changes else "same").inc()
        for alarm in redrawn.alarms:
            self.metrics.failures.labels(alarm.code).inc()
            log.warning("mapping_alarm", code=alarm.code, said=alarm.sentence)
        return 1

    def _token(self, tenant_id: UUID, authorisation_id: int) -> Token:
        async def token() -> str:
            found = await self.token(tenant_id, authorisation_id)
            if found is None:
                raise Halt("no_token", "There is no token for this tenant now.")
            return found

        return token
