"""A Kafka topic in memory with one consumer group's view of it: a fake ``Source``."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from consumer.ports import Record, SourceHealth

Partition = tuple[str, int]


class Log:
    """What a broker keeps: records and committed offsets, shared by successive sources."""

    def __init__(self) -> None:
        self.records: dict[Partition, list[Record]] = defaultdict(list)
        self.committed: dict[Partition, int] = {}
        self.appended = asyncio.Event()

    def append(
        self,
        value: bytes | None,
        *,
        topic: str = "lago.webhooks",
        partition: int = 0,
        key: bytes | None = None,
        headers: tuple[tuple[str, bytes | None], ...] = (),
        timestamp: int = 1_767_225_600_000,
    ) -> Record:
        """Append one record; ``timestamp`` in milliseconds since 1970."""
        kept = self.records[topic, partition]
        record = Record(topic, partition, len(kept), timestamp, key, value, headers)
        kept.append(record)
        self.appended.set()
        return record


class FakeSource:
    """``Source`` over a ``Log``; ``rebalance`` and ``fail_commits`` make the bad news."""

    def __init__(self, log: Log, *, max_poll_records: int = 500) -> None:
        self._log = log
        self._max = max_poll_records
        self._position: dict[Partition, int] = {}
        self._offsets: dict[Partition, int] = {}
        self._joined = False
        self.fail_commits = 0
        self.held = 0

    async def start(self) -> None:
        """Join the group."""
        self.rebalance()

    def rebalance(self) -> None:
        """Everything is revoked and assigned again: back to the committed offsets."""
        self._joined = True
        self._position = dict(self._log.committed)
        self._offsets = {}

    async def poll(self, timeout: float) -> Sequence[Record]:
        """The next batch, in partition order."""
        if not (batch := self._take()):
            self._log.appended.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._log.appended.wait()
            except TimeoutError:
                return []
            batch = self._take()
        return batch

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        for partition, records in self._log.records.items():
            start = self._position.get(partition, 0)
            taken = records[start : start + self._max - len(batch)]
            if taken:
                self._position[partition] = self._offsets[partition] = start + len(taken)
                batch += taken
        return batch

    async def hold(self, timeout: float) -> None:
        """Take nothing; time does not pass in the fake."""
        self.held += 1
        await asyncio.sleep(0)

    async def commit(self) -> None:
        """Commit what was polled since the last rebalance."""
        if self.fail_commits:
            self.fail_commits -= 1
            return
        self._log.committed.update(self._offsets)
        self._offsets = {}

    def health(self) -> SourceHealth:
        """Always well."""
        return SourceHealth(assigned=self._joined, poll_age=0.0, stuck_age=0.0)

    async def stop(self) -> None:
        """Leave the group."""
        self._joined = False
        self._offsets = {}
