"""Does the position follow the end of the log? A consumer in, the age of a standstill out.

aiokafka shows no such thing, and it has stood still silently after broker restarts (kafka.md 3).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.metrics import Metrics

log = structlog.get_logger(__name__)

TIMEOUT = 10.0


class Watch:
    """Compares position and end of each assigned partition from time to time.

    ``begun`` is where what was polled but not committed begins: that lags behind, too.
    """

    def __init__(
        self, consumer: Any, metrics: Metrics, begun: Mapping[TopicPartition, int]
    ) -> None:
        self._consumer = consumer
        self._metrics = metrics
        self._begun = begun
        self._behind: dict[TopicPartition, tuple[int, float]] = {}
        """Partitions with records ahead: the position, and since when it has been that."""
        self._forgiven = time.monotonic()

    async def run(self, interval: float) -> None:
        """Look every ``interval`` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval)
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self.look()
            except (KafkaError, TimeoutError) as error:
                # Kafka is away or a rebalance goes on: nothing is learnt, old knowledge stays.
                log.debug("watch_failed", error=type(error).__name__)

    async def look(self) -> None:
        """One comparison. The end comes from the broker: a stuck fetcher's own would be stale."""
        partitions = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(partitions) if partitions else {}
        positions = {one: await self._consumer.position(one) for one in ends}
        if set(partitions) != self._consumer.assignment():
            return  # a rebalance came in between: these are somebody else's by now
        behind = {}
        for partition, position in positions.items():
            if position < ends[partition]:
                known, since = self._behind.get(partition, (None, 0.0))
                behind[partition] = (position, since if known == position else time.monotonic())
        self._behind = behind
        self._show(positions, ends)

    def _show(
        self, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        self._metrics.position.clear()
        self._metrics.lag.clear()
        for partition, polled in positions.items():
            labels = partition.topic, str(partition.partition)
            position = min(polled, self._begun.get(partition, polled))
            self._metrics.position.labels(*labels).set(position)
            self._metrics.lag.labels(*labels).set(max(0, ends[partition] - position))

    def stuck_age(self) -> float:
        """Seconds since the position of some partition last moved although more lies ahead."""
        if not self._behind:
            return 0.0
        first = min(since for _, since in self._behind.values())
        return max(0.0, time.monotonic() - max(first, self._forgiven))

    def forgive(self) -> None:
        """Nothing was meant to move until now."""
        self._forgiven = time.monotonic()

    def forget(self) -> None:
        """The assignment ended."""
        self._behind = {}
        self._show({}, {})
        self.forgive()
