"""aiokafka's traps (kafka.md 3) on a real Kafka: what the contract suites cannot show on a fake."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.publisher import KafkaPublisher
from consumer.adapters.kafka.source import GroupSettings, KafkaSource
from consumer.adapters.kafka.watch import Watch
from consumer.domain.errors import Halt
from consumer.metrics import Metrics
from consumer.ports import Message, Record
from consumer.sandbox.services import KafkaService

SETTINGS = GroupSettings(
    session_timeout=6.0, heartbeat_interval=0.2, commit_timeout=1.0, stop_timeout=2.0
)


@dataclass(frozen=True)
class Topic:
    """A topic of one partition and a group on it."""

    name: str
    cluster: Cluster
    metrics: Metrics

    def source(self, settings: GroupSettings = SETTINGS) -> KafkaSource:
        return KafkaSource(self.cluster, [self.name], f"group-{self.name}", self.metrics, settings)

    async def append(self, *values: bytes) -> None:
        publisher = KafkaPublisher(self.cluster)
        await publisher.start()
        outcomes = await publisher.publish([Message(self.name, b"k", v) for v in values])
        await publisher.stop()
        assert list(outcomes) == [None] * len(values)

    def commit_failures(self) -> float:
        return self.metrics.registry.get_sample_value("lago_xero_commit_failures_total") or 0.0


@pytest.fixture
async def topic(kafka_service: KafkaService) -> Topic:
    name = f"kafka-{uuid4().hex[:12]}"
    await kafka_service.create_topic(name)
    return Topic(name, Cluster(kafka_service.bootstrap_servers), Metrics())


async def read(source: KafkaSource, count: int) -> list[Record]:
    records: list[Record] = []
    async with asyncio.timeout(30):
        while len(records) < count:
            records += await source.poll(0.2)
    return records


async def test_holding_beyond_the_poll_interval_keeps_the_membership(topic: Topic) -> None:
    await topic.append(b"a")
    source = topic.source(replace(SETTINGS, max_poll_interval=1.0))
    await source.start()
    await read(source, 1)
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        await source.hold(0.25)
    await source.commit()
    await source.stop()
    assert topic.commit_failures() == 0

    again = topic.source()
    await again.start()
    try:
        assert list(await again.poll(0.5)) == []
    finally:
        await again.stop()


async def test_a_missing_topic_is_said_at_once(topic: Topic) -> None:
    source = replace(topic, name="no-such-topic").source()
    with pytest.raises(Halt, match="no topic no-such-topic"):
        await source.start()


async def test_no_broker_is_said_in_one_sentence(kafka_service: KafkaService) -> None:
    nowhere = Cluster("127.0.0.1:1")
    with pytest.raises(Halt, match=r"Kafka at 127\.0\.0\.1:1 cannot be used"):
        await KafkaSource(nowhere, ["t"], "g", Metrics(), SETTINGS).start()
    with pytest.raises(Halt, match=r"Kafka at 127\.0\.0\.1:1 cannot be used"):
        await KafkaPublisher(nowhere).start()


async def test_every_await_ends_while_the_broker_is_frozen(
    topic: Topic, kafka_service: KafkaService
) -> None:
    await topic.append(b"a")
    source = topic.source()
    publisher = KafkaPublisher(topic.cluster, timeout=1.0, stop_timeout=2.0)
    await source.start()
    await publisher.start()
    await read(source, 1)
    await kafka_service.pause_broker()
    try:
        async with asyncio.timeout(10):
            await source.commit()
            assert topic.commit_failures() == 1
            assert list(await source.poll(0.1)) == []
            await source.hold(0.1)
            [outcome] = await publisher.publish([Message(topic.name, b"k", b"b")])
            assert isinstance(outcome, TimeoutError)
            await source.stop()
            await publisher.stop()
    finally:
        await kafka_service.resume_broker()

    await topic.append(b"c")
    again = topic.source()
    await again.start()
    try:
        async with asyncio.timeout(30):
            while b"c" not in [r.value for r in await again.poll(0.2)]:
                pass
    finally:
        await again.stop()


async def test_a_stop_that_is_cut_off_leaves_no_member_behind(topic: Topic) -> None:
    """Its heartbeats would hold the partition until the rebalance gives it up, after 30 s."""
    source = topic.source(replace(SETTINGS, stop_timeout=0.0))
    await topic.append(b"a")
    await source.start()
    await read(source, 1)
    await source.stop()
    again = topic.source()
    async with asyncio.timeout(20):
        await again.start()
        await read(again, 1)
    await again.stop()


async def test_a_commit_that_failed_goes_along_with_the_next(
    topic: Topic, kafka_service: KafkaService
) -> None:
    await topic.append(b"a")
    source = topic.source()
    await source.start()
    await read(source, 1)
    await kafka_service.pause_broker()
    try:
        await source.commit()
    finally:
        await kafka_service.resume_broker()
    assert topic.commit_failures() == 1
    await source.commit()
    await source.stop()

    again = topic.source()
    await again.start()
    try:
        assert list(await again.poll(0.5)) == []
    finally:
        await again.stop()


async def test_the_watch_sees_a_position_that_stands_still(topic: Topic) -> None:
    await topic.append(b"a", b"b")
    source = topic.source(replace(SETTINGS, max_poll_records=1, watch_interval=0.05))
    await source.start()
    try:
        async with asyncio.timeout(10):
            while source.health().stuck_age <= 0.2:
                await asyncio.sleep(0.05)
        await source.hold(0.05)
        assert source.health().stuck_age < 0.2
        await read(source, 2)
        async with asyncio.timeout(10):
            while source.health().stuck_age > 0:
                await asyncio.sleep(0.05)
    finally:
        await source.stop()


def test_a_watch_without_knowledge_is_content() -> None:
    assert Watch(None, Metrics(), {}).stuck_age() == 0


async def test_lag_counts_until_it_is_committed(topic: Topic) -> None:
    await topic.append(b"a", b"b", b"c")
    source = topic.source(replace(SETTINGS, max_poll_records=2, watch_interval=0.05))
    partition = {"topic": topic.name, "partition": "0"}
    value = topic.metrics.registry.get_sample_value

    async def shows(lag: float | None, position: float | None) -> None:
        async with asyncio.timeout(10):
            while (
                value("lago_xero_consumer_lag_records", partition),
                value("lago_xero_consumer_position", partition),
            ) != (lag, position):
                await asyncio.sleep(0.02)

    assert value("lago_xero_assigned_partitions", {"topic": topic.name}) == 0
    await source.start()
    try:
        await read(source, 2)
        assert value("lago_xero_assigned_partitions", {"topic": topic.name}) == 1
        assert value("lago_xero_rebalances_total") == 1
        await shows(3, 0)  # polled is not stored
        await source.commit()
        await shows(1, 2)
        await read(source, 1)
        await source.commit()
        await shows(0, 3)
        source.revoked()
        assert value("lago_xero_consumer_lag_records", partition) is None
        assert value("lago_xero_assigned_partitions", {"topic": topic.name}) == 0
    finally:
        await source.stop()
