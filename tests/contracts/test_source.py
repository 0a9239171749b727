"""What every ``Source`` promises, shown on the fake and on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.source import GroupSettings, KafkaSource
from consumer.metrics import Metrics
from consumer.ports import Record, Source
from consumer.sandbox.services import KafkaService
from tests.fakes.source import FakeSource, Log

Headers = tuple[tuple[str, bytes | None], ...]


class World(Protocol):
    """One topic of two partitions and a consumer group on it."""

    topic: str

    async def append(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        headers: Headers = (),
    ) -> None: ...

    def source(self, max_poll_records: int = 500) -> Source: ...

    async def rebalance(self, source: Source) -> None:
        """Everything is taken from ``source`` and given back."""


class FakeWorld:
    def __init__(self) -> None:
        self.topic = "lago.webhooks"
        self.log = Log()

    async def append(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        headers: Headers = (),
    ) -> None:
        self.log.append(value, key=key, partition=partition, headers=headers)

    def source(self, max_poll_records: int = 500) -> Source:
        return FakeSource(self.log, max_poll_records=max_poll_records)

    async def rebalance(self, source: Source) -> None:
        assert isinstance(source, FakeSource)
        source.rebalance()


class KafkaWorld:
    def __init__(self, bootstrap_servers: str, topic: str, producer: AIOKafkaProducer) -> None:
        self.cluster = Cluster(bootstrap_servers)
        self.topic = topic
        self.group = f"group-{topic}"
        self.producer = producer

    async def append(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        headers: Headers = (),
    ) -> None:
        await self.producer.send_and_wait(
            self.topic, value, key, partition=partition, headers=list(headers)
        )

    def source(self, max_poll_records: int = 500) -> KafkaSource:
        settings = GroupSettings(
            max_poll_records=max_poll_records, session_timeout=6.0, heartbeat_interval=0.2
        )
        return KafkaSource(self.cluster, [self.topic], self.group, Metrics(), settings)

    async def rebalance(self, source: Source) -> None:
        other = self.source()
        await other.start()
        await other.stop()
        admin = AIOKafkaAdminClient(bootstrap_servers=self.cluster.bootstrap_servers)
        await admin.start()
        try:
            async with asyncio.timeout(20):
                while await self._members(admin) != ("Stable", 1):
                    await asyncio.sleep(0.02)
        finally:
            await admin.close()

    async def _members(self, admin: AIOKafkaAdminClient) -> tuple[str, int]:
        [answer] = await admin.describe_consumer_groups([self.group])
        [(_, _, state, _, _, members, *_)] = answer.groups
        return state, len(members)


@pytest.fixture(params=["fake", "kafka"])
def service(request: pytest.FixtureRequest) -> KafkaService | None:
    """None is the fake; a real Kafka is asked for only where it is needed."""
    if request.param == "fake":
        return None
    kafka: KafkaService = request.getfixturevalue("kafka_service")
    return kafka


@pytest.fixture
async def world(service: KafkaService | None) -> AsyncIterator[World]:
    if service is None:
        yield FakeWorld()
        return
    topic = f"source-{uuid4().hex[:12]}"
    await service.create_topic(topic, partitions=2)
    producer = AIOKafkaProducer(bootstrap_servers=service.bootstrap_servers, acks="all")
    await producer.start()
    try:
        yield KafkaWorld(service.bootstrap_servers, topic, producer)
    finally:
        await producer.stop()


async def read(source: Source, count: int) -> list[Record]:
    """Poll until ``count`` records are there."""
    records: list[Record] = []
    async with asyncio.timeout(30):
        while len(records) < count:
            records += await source.poll(0.2)
    return records


async def test_bytes_as_received(world: World) -> None:
    headers: Headers = (("X-Lago-Unique-Key", b"k"), ("empty", b""), ("null", None))
    await world.append(b"\xff\x00not utf-8", key=b"\xfe", headers=headers)
    await world.append(None, key=b"tombstone")
    await world.append(b"", key=None)
    source = world.source()
    await source.start()
    try:
        first, second, third = await read(source, 3)
    finally:
        await source.stop()
    assert (first.key, first.value, first.headers) == (b"\xfe", b"\xff\x00not utf-8", headers)
    assert (first.topic, first.partition, first.offset) == (world.topic, 0, 0)
    assert first.timestamp > 1_700_000_000_000
    assert (second.key, second.value) == (b"tombstone", None)
    assert (third.key, third.value) == (None, b"")


async def test_batches_are_bounded_and_ordered_by_partition(world: World) -> None:
    for n in range(6):
        await world.append(b"%d" % n, partition=n % 2)
    source = world.source(max_poll_records=2)
    await source.start()
    try:
        seen: list[Record] = []
        async with asyncio.timeout(30):
            while len(seen) < 6:
                batch = await source.poll(0.2)
                assert len(batch) <= 2
                seen += batch
    finally:
        await source.stop()
    for partition in (0, 1):
        assert [r.offset for r in seen if r.partition == partition] == [0, 1, 2]


async def test_nothing_there_is_an_empty_batch(world: World) -> None:
    source = world.source()
    await source.start()
    try:
        assert list(await source.poll(0.05)) == []
    finally:
        await source.stop()


async def test_uncommitted_records_come_again_and_committed_ones_do_not(world: World) -> None:
    await world.append(b"a")
    await world.append(b"b", partition=1)
    source = world.source()
    await source.start()
    await read(source, 2)
    await source.commit()
    await world.append(b"c")
    assert [r.value for r in await read(source, 1)] == [b"c"]
    await source.stop()

    source = world.source()
    await source.start()
    try:
        assert [r.value for r in await read(source, 1)] == [b"c"]
        assert list(await source.poll(0.2)) == []
    finally:
        await source.stop()


async def test_after_a_rebalance_uncommitted_records_come_again(world: World) -> None:
    await world.append(b"done")
    source = world.source()
    await source.start()
    try:
        await read(source, 1)
        await source.commit()
        await world.append(b"open")
        assert [r.value for r in await read(source, 1)] == [b"open"]
        await world.rebalance(source)
        assert [r.value for r in await read(source, 1)] == [b"open"]
    finally:
        await source.stop()


async def test_a_batch_from_before_a_rebalance_cannot_commit(world: World) -> None:
    await world.append(b"a")
    source = world.source()
    await source.start()
    await read(source, 1)
    await world.rebalance(source)
    await source.commit()
    await source.stop()

    source = world.source()
    await source.start()
    try:
        assert [r.value for r in await read(source, 1)] == [b"a"]
    finally:
        await source.stop()


async def test_holding_takes_nothing_and_loses_nothing(world: World) -> None:
    source = world.source()
    await source.start()
    try:
        await world.append(b"a")
        await source.hold(0.5)
        await world.append(b"b", partition=1)
        await source.hold(0.1)
        assert sorted(r.value or b"" for r in await read(source, 2)) == [b"a", b"b"]
    finally:
        await source.stop()


async def test_a_rebalance_while_holding_loses_nothing(world: World) -> None:
    await world.append(b"a")
    source = world.source()
    await source.start()
    try:
        await read(source, 1)
        await world.append(b"b")
        holding = asyncio.create_task(source.hold(3))
        await world.rebalance(source)
        await holding
        assert [r.value for r in await read(source, 2)] == [b"a", b"b"]
    finally:
        await source.stop()


async def test_health_follows_the_assignment(world: World) -> None:
    source = world.source()
    assert not source.health().assigned
    await source.start()
    await source.poll(0.05)
    health = source.health()
    assert health.assigned
    assert health.poll_age < 5
    assert health.stuck_age == 0
    await source.stop()
    assert not source.health().assigned


async def test_stopping_is_always_allowed(world: World) -> None:
    source = world.source()
    await source.stop()
    await source.start()
    await source.stop()
    await source.stop()
