"""Sampling: the ledger in, gauges out.

All replicas share the ledger, so that each of them shows the same figures: rules and dashboards take their
maximum, not their sum. Of tenants and connections only sums, the worst and counts by state leave Postgres.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import Gauge
from pydantic_core import from_json

from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.sql import statements
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.metrics import HOLDS, KINDS, SINKS, Metrics
from consumer.ports import Unavailable

SQL = statements("sampling")

PATIENCE = 10.0
"""Seconds that Postgres may take to answer before it counts as away."""

Samples = Mapping[str, float] | Mapping[tuple[str, str], float]
"""Values by label or by pair of labels."""


class Sampler:
    """Reads the gauges that cost a query. What was read last stays while Postgres is away."""

    def __init__(
        self, database: Database, metrics: Metrics, limits: Limits, clocks: Clocks
    ) -> None:
        self.database = database
        self.metrics = metrics
        self.limits = limits
        self.clocks = clocks

    async def sample(self) -> None:
        """All of them once.

        Raises:
            Unavailable: Postgres is away.
        """
        up = self.metrics.ledger_up
        try:
            async with asyncio.timeout(PATIENCE):
                await self.database.fetch(SQL["alive"])
        except (Unavailable, TimeoutError) as error:
            up.set(0)
            raise Unavailable(str(error) or type(error).__name__) from error
        up.set(1)
        await self._documents()
        await self._tenants()
        await self._budgets()
        await self._announcements()
        await self._reconciled()
        self.metrics.sampled_at.set(time.time())

    async def _documents(self) -> None:
        m = self.metrics
        rows = await self.database.fetch(SQL["documents"])
        states = ("waiting", "ready", "sending", "failed")
        none = {(kind, state): 0.0 for kind in KINDS for state in states}
        _show(m.waiting, none | {(row["kind"], row["state"]): row["count"] for row in rows})
        for gauge, statement, label in (
            (m.failed, "failed", "code"),
            (m.dead, "dead", "code"),
            (m.findings, "findings", "class"),
        ):
            rows = await self.database.fetch(SQL[statement])
            _show(gauge, {row[label]: row["count"] for row in rows})

    async def _tenants(self) -> None:
        m = self.metrics
        rows = await self.database.fetch(SQL["tenants"])
        none = dict.fromkeys(HOLDS, 0.0)
        _show(m.tenants, {"open": 0.0} | none | {row["state"]: row["tenants"] for row in rows})
        reasons = {"ready" if row["state"] == "open" else row["state"]: row for row in rows}
        due = {reason: float(row["due"]) for reason, row in reasons.items()}
        later = float(sum(row["later"] for row in rows))
        _show(m.ready, {"ready": 0.0, "backoff": later} | none | due)
        ages = {reason: row["age"] for reason, row in reasons.items()}
        _show(m.oldest_ready_seconds, {"ready": 0.0} | none | ages)
        rows = await self.database.fetch(SQL["connections"])
        none = dict.fromkeys(("open", "paused", "unconnected", "parked"), 0.0)
        _show(m.connections, none | {row["state"]: row["count"] for row in rows})

    async def _budgets(self) -> None:
        m = self.metrics
        limits, clocks = self.limits, self.clocks
        [row] = await self.database.fetch(
            SQL["budgets"], timedelta(seconds=clocks.minute), timedelta(seconds=clocks.day),
            limits.minute, limits.day, limits.app_minute,
        )  # fmt: skip
        m.day_left.set(row["day"])
        m.day_spent.set(row["spent"])
        m.minute_left.set(row["minute"])
        m.client_minute_left.set(row["client_minute"])
        m.in_flight.set(row["in_flight"])
        [row] = await self.database.fetch(SQL["doubts"])
        m.in_doubt.set(row["count"])
        m.oldest_doubt_seconds.set(row["age"])

    async def _announcements(self) -> None:
        rows = await self.database.fetch(SQL["outbox"])
        none = dict.fromkeys(SINKS, 0.0)
        _show(self.metrics.outbox, none | {row["sink"]: row["count"] for row in rows})
        ages = {row["sink"]: row["age"] for row in rows}
        _show(self.metrics.oldest_announcement_seconds, none | ages)

    async def _reconciled(self) -> None:
        rows = await self.database.fetch(SQL["reconciled"])
        runs = [row for row in rows if row["age"] is not None]
        exceptions: dict[str, float] = {}
        for row in runs:
            for name, count in from_json(row["exceptions"]).items():
                exceptions[name] = exceptions.get(name, 0.0) + count
        _show(self.metrics.exceptions, exceptions)
        self.metrics.reconcile_age.set(max((row["age"] for row in runs), default=0.0))
        self.metrics.unreconciled.set(len(rows) - len(runs))


def _show(gauge: Gauge, samples: Samples) -> None:
    """All of a gauge's samples at once: a scrape between two of them would miss some."""
    gauge.clear()
    for labels, value in samples.items():
        gauge.labels(*((labels,) if isinstance(labels, str) else labels)).set(value)
