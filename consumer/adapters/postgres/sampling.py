"""Sampling: the ledger in, gauges out."""

from __future__ import annotations

from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.sql import statements
from consumer.metrics import Metrics

SQL = statements("sampling")


async def sample(database: Database, metrics: Metrics) -> None:
    """Documents by state, the oldest ready one by what keeps it, and what is not announced yet."""
    metrics.waiting.clear()
    for row in await database.fetch(SQL["documents"]):
        metrics.waiting.labels(row["kind"], row["state"]).set(row["count"])
    metrics.oldest_ready_seconds.clear()
    for row in await database.fetch(SQL["oldest_ready"]):
        metrics.oldest_ready_seconds.labels(row["reason"]).set(row["age"])
    [row] = await database.fetch(SQL["paused"])
    metrics.paused.set(row["count"])
    for row in await database.fetch(SQL["outbox"]):
        metrics.outbox.labels(row["sink"]).set(row["count"])
