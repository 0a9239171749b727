"""Rereading: a range of a topic in, its records out once more, without a group and without a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.reading import read_any_header
from consumer.adapters.kafka.source import record_of
from consumer.domain.errors import Halt
from consumer.ports import EPOCH, Bound, Passage, Span

log = structlog.get_logger(__name__)

POLL = 1.0
TIMEOUT = 30.0
"""Seconds without any progress until reading is given up."""
STOP = 10.0


class KafkaRereading:
    """``Rereading`` with a consumer that belongs to no group. ``most`` records a passage."""

    def __init__(self, cluster: Cluster, *, most: int = 200, timeout: float = TIMEOUT) -> None:
        self._cluster = cluster
        self._most = most
        self._timeout = timeout
        self._consumer: Any = None

    async def start(self) -> None:
        """Connect.

        Raises:
            Halt: Kafka cannot be reached or refuses us.
        """
        read_any_header()
        self._consumer = AIOKafkaConsumer(
            **self._cluster.options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=self._most,
        )
        try:
            async with asyncio.timeout(self._timeout):
                await self._consumer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await self.stop()
            raise self._cluster.unusable(error) from error

    async def spans(
        self, topic: str, since: Bound, until: Bound | None, partition: int | None
    ) -> Mapping[int, Span]:
        """What Kafka still has of the range; bounds beyond what is there are drawn in."""
        consumer = self._consumer
        try:
            async with asyncio.timeout(self._timeout):
                cluster = await consumer._client.fetch_all_metadata()  # as its ``topics`` does
                there = sorted(cluster.partitions_for_topic(topic) or ())
                if not there:
                    raise self._cluster.topics_missing([topic])
                chosen = [n for n in there if partition in (None, n)]
                if not chosen:
                    sentence = f"The topic {topic} has no partition {partition}."
                    raise Halt("not_found", sentence, f"it has {', '.join(map(str, there))}")
                parts = [TopicPartition(topic, n) for n in chosen]
                first = await consumer.beginning_offsets(parts)
                last = await consumer.end_offsets(parts)
                starts = await self._offsets(parts, since, last)
                ends = last if until is None else await self._offsets(parts, until, last)
        except (KafkaError, TimeoutError, OSError) as error:
            raise self._cluster.unusable(error) from error
        return {
            part.partition: Span(
                min(max(starts[part], first[part]), last[part]), min(ends[part], last[part])
            )
            for part in parts
        }

    async def _offsets(
        self, parts: list[TopicPartition], bound: Bound, last: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        """By partition; behind the last record where none is as young as that."""
        if not isinstance(bound, datetime):
            return dict.fromkeys(parts, bound)
        at = max(0, (bound - EPOCH) // timedelta(milliseconds=1))
        found = await self._consumer.offsets_for_times(dict.fromkeys(parts, at))
        return {p: last[p] if found.get(p) is None else found[p].offset for p in parts}

    async def read(self, topic: str, spans: Mapping[int, Span]) -> AsyncGenerator[Passage, None]:
        """All of it; offsets without a record (control records, compacted ones) are passed over."""
        consumer = self._consumer
        left = {TopicPartition(topic, n): span for n, span in spans.items() if len(span)}
        reached = {part: span.start for part, span in left.items()}
        clock = asyncio.get_running_loop().time
        moved = clock()
        try:
            consumer.assign(list(left))
            for part, span in left.items():
                consumer.seek(part, span.start)
            while left:
                fetched = {}
                async with asyncio.timeout(POLL + self._timeout):
                    fetched = await consumer.getmany(*left, timeout_ms=int(POLL * 1000))
                records = [
                    record_of(one)
                    for part, found in fetched.items()
                    for one in found
                    if one.offset < left[part].end
                ]
                before = dict(reached)
                for part, span in [*left.items()]:
                    async with asyncio.timeout(self._timeout):
                        position = await consumer.position(part)
                    reached[part] = max(reached[part], min(position, span.end))
                    if reached[part] >= span.end:
                        del left[part]
                if reached != before:
                    moved = clock()
                    yield Passage(records, {p.partition: at for p, at in reached.items()})
                elif clock() - moved > self._timeout:
                    raise self._stuck(reached, left)
        except (KafkaError, TimeoutError, OSError) as error:
            raise self._cluster.unusable(error) from error

    def _stuck(
        self, reached: Mapping[TopicPartition, int], left: Mapping[TopicPartition, Span]
    ) -> Halt:
        part = next(iter(left))
        return Halt(
            "kafka_unusable",
            f"Kafka gives no records of {part.topic}, partition {part.partition}, from offset "
            f"{reached[part]} on, though the log goes on.",
            "A transaction that was never ended, or a broker that is away: look at the topic, then go on.",
        )

    async def stop(self) -> None:
        """Disconnect; bounded in time, never raises."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        try:
            async with asyncio.timeout(STOP):
                await consumer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("leave_failed", error=type(error).__name__)
