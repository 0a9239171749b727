"""The consumer group: records of the subscribed topics out, one batch at a time.

What aiokafka does not promise is held here (kafka.md 3): every await has an end, polling goes on
while nothing is taken (or the member silently leaves its group), and a batch from before a
rebalance cannot commit.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.reading import read_any_header
from consumer.adapters.kafka.watch import Watch
from consumer.domain.errors import Halt
from consumer.metrics import Metrics
from consumer.ports import Record, SourceHealth

log = structlog.get_logger(__name__)

GRACE = 1.0
"""Seconds beyond its timeout after which a poll is given up: a rebalance is under way."""
NOWHERE = TopicPartition("", 0)
"""Polling only this waits for the assignment, takes nothing, keeps what was prefetched, counts."""


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Times of group membership, in seconds, and the size of a batch."""

    max_poll_records: int = 500
    session_timeout: float = 45.0
    heartbeat_interval: float = 3.0
    rebalance_timeout: float = 30.0
    """Below aiokafka's request timeout of 40 s, by which it waits for the group."""
    max_poll_interval: float = 300.0
    fetch_wait: float = 0.25
    start_timeout: float = 120.0
    commit_timeout: float = 10.0
    stop_timeout: float = 10.0
    watch_interval: float = 10.0


class KafkaSource:
    """``Source`` on a Kafka consumer group.

    Offsets are committed only by ``commit``; a group without offsets starts at the earliest record.
    """

    def __init__(
        self,
        cluster: Cluster,
        topics: Iterable[str],
        group_id: str,
        metrics: Metrics,
        settings: GroupSettings | None = None,
    ) -> None:
        self._cluster = cluster
        self._topics = tuple(topics)
        self._group_id = group_id
        self._metrics = metrics
        self._settings = settings or GroupSettings()
        self._consumer: Any = None
        self._watch: Watch | None = None
        self._watching: asyncio.Task[None] | None = None
        self._joined = False
        self._polled_at = time.monotonic()
        self._offsets: dict[TopicPartition, int] = {}
        self._begun: dict[TopicPartition, int] = {}
        """Where what is polled but not committed begins."""
        self._committing: asyncio.Timeout | None = None
        self._show_assigned(())

    async def start(self) -> None:
        """Join the group.

        Raises:
            Halt: Kafka cannot be reached, refuses us, or a topic does not exist.
        """
        s = self._settings
        read_any_header()
        consumer = AIOKafkaConsumer(
            **self._cluster.options(),
            group_id=self._group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            max_poll_records=s.max_poll_records,
            max_poll_interval_ms=_ms(s.max_poll_interval),
            session_timeout_ms=_ms(s.session_timeout),
            heartbeat_interval_ms=_ms(s.heartbeat_interval),
            rebalance_timeout_ms=_ms(s.rebalance_timeout),
            fetch_max_wait_ms=_ms(s.fetch_wait),
            fetch_min_bytes=1,
        )
        self._consumer = consumer
        try:
            async with asyncio.timeout(s.start_timeout):
                await consumer.start()
                missing = set(self._topics) - await consumer.topics()
                if missing:
                    raise self._cluster.topics_missing(missing)
                consumer.subscribe(self._topics, listener=_Listener(self))
                await consumer.getmany(NOWHERE)
        except Halt:
            await self.stop()
            raise
        except (KafkaError, TimeoutError, OSError) as error:
            await self.stop()
            raise self._cluster.unusable(error) from error
        self._polled_at = time.monotonic()
        self._watch = Watch(consumer, self._metrics, self._begun)
        self._watching = asyncio.create_task(self._watch.run(s.watch_interval))

    async def poll(self, timeout: float) -> Sequence[Record]:
        """The next batch; empty when ``timeout`` seconds brought none, or during a rebalance.

        Raises:
            Halt: the client is broken for good or its rights were taken; a restart may mend it.
        """
        fetched = await self._fetch(timeout)
        batch: list[Record] = []
        for partition, records in fetched.items():
            self._offsets[partition] = records[-1].offset + 1
            self._begun.setdefault(partition, records[0].offset)
            batch += map(record_of, records)
        return batch

    async def hold(self, timeout: float) -> None:
        """Stay in the group for up to ``timeout`` seconds without taking records.

        Nothing is paused: a pause would throw the prefetched records away (kafka.md 3).
        """
        await self._fetch(timeout, NOWHERE)
        if self._watch is not None:
            self._watch.forgive()

    async def _fetch(
        self, timeout: float, *only: TopicPartition
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        fetched: Mapping[TopicPartition, Sequence[Any]] = {}
        try:
            # During a rebalance getmany waits for the new assignment without end. Giving up
            # leaves aiokafka's idle clock at zero for good: from then on only our own watchdog
            # notices a consumer that has stopped polling.
            async with asyncio.timeout(timeout + GRACE):
                fetched = await self._consumer.getmany(*only, timeout_ms=_ms(timeout))
        except TimeoutError:
            return fetched
        except KafkaError as error:
            if not error.retriable:
                raise self._cluster.unusable(error) from error
            log.warning("poll_failed", error=type(error).__name__)
            await asyncio.sleep(min(timeout, 1.0))
            return fetched
        self._polled_at = time.monotonic()
        return fetched

    async def commit(self) -> None:
        """Commit the offsets after the last batch, unless a rebalance came in between.

        A failure is counted and logged, never raised: the records would come again and change
        nothing. What was not committed goes along with the next commit.
        """
        offsets = dict(self._offsets)
        if not offsets:
            return
        try:
            # aiokafka retries without end and would carry old offsets into a new generation.
            async with asyncio.timeout(self._settings.commit_timeout) as self._committing:
                await self._consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            self._metrics.commit_failures.inc()
            log.warning("commit_failed", error=type(error).__name__, partitions=len(offsets))
            return
        finally:
            self._committing = None
        for partition, offset in offsets.items():
            if self._offsets.get(partition) == offset:
                del self._offsets[partition]
                self._begun.pop(partition, None)

    def health(self) -> SourceHealth:
        """What the watchdog and the readiness probe look at."""
        return SourceHealth(
            assigned=self._joined,
            poll_age=time.monotonic() - self._polled_at,
            stuck_age=self._watch.stuck_age() if self._watch is not None else 0.0,
        )

    async def stop(self) -> None:
        """Leave the group; bounded in time, never raises."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            self._watching = None
        consumer, self._consumer = self._consumer, None
        self._joined = False
        self._offsets.clear()
        self._begun.clear()
        self._show_assigned(())
        if consumer is None:
            return
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                await consumer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("leave_failed", error=type(error).__name__)
            await _let_go(consumer)

    def revoked(self) -> None:
        """The assignment ends: nothing read under it can be committed any more.

        All assignors of aiokafka are eager, so every partition is revoked, also one that comes back
        at once; its records are then read again from the committed offset.
        """
        self._joined = False
        self._offsets.clear()
        self._begun.clear()
        self._show_assigned(())
        if self._committing is not None and not self._committing.expired():
            self._committing.reschedule(0)
        if self._watch is not None:
            self._watch.forget()

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """A new assignment begins; it may be empty."""
        self._joined = True
        mine = list(partitions)
        self._metrics.rebalances.inc()
        self._show_assigned(mine)
        log.info("assigned", partitions=sorted(f"{p.topic}/{p.partition}" for p in mine))

    def _show_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        held = Counter(partition.topic for partition in partitions)
        for topic in self._topics:
            self._metrics.assigned_partitions.labels(topic).set(held[topic])


async def _let_go(consumer: Any) -> None:
    """End what a stop that was cut off leaves running: its heartbeats would keep the member, and its
    partitions, in the group without anybody reading."""
    coordinator = consumer._coordinator
    left = {
        task
        for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
        if (task := getattr(coordinator, name, None)) is not None
    }
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka demands a subclass of its own."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._source.revoked()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._source.assigned(assigned)


def record_of(one: Any) -> Record:
    """aiokafka's record as ours."""
    return Record(
        topic=one.topic,
        partition=one.partition,
        offset=one.offset,
        timestamp=one.timestamp,
        key=one.key,
        value=one.value,
        headers=tuple(one.headers),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
