"""What every ``Publisher`` promises, shown on the fake and on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.publisher import KafkaPublisher
from consumer.ports import Message, MessageTooLarge, Publisher
from consumer.sandbox.services import KafkaService
from tests.fakes.publisher import FakePublisher

LIMIT = 4_000
"""Bytes that the topic takes in one batch."""


class World(Protocol):
    """A topic that takes at most LIMIT bytes a record."""

    topic: str
    publisher: Publisher

    async def published(self, count: int) -> list[Message]:
        """The first ``count`` records of the topic."""


class FakeWorld:
    def __init__(self) -> None:
        self.topic = "dlq"
        self.fake = FakePublisher(limit=LIMIT)
        self.publisher: Publisher = self.fake

    async def published(self, count: int) -> list[Message]:
        assert len(self.fake.published) == count
        return self.fake.published


class KafkaWorld:
    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.topic = topic
        self.publisher: Publisher = KafkaPublisher(Cluster(bootstrap_servers))

    async def published(self, count: int) -> list[Message]:
        consumer = AIOKafkaConsumer(
            self.topic,
            bootstrap_servers=self.bootstrap_servers,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await consumer.start()
        try:
            async with asyncio.timeout(20):
                records = [await consumer.getone() for _ in range(count)]
        finally:
            await consumer.stop()
        return [Message(r.topic, r.key, r.value, tuple(r.headers)) for r in records]


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
    topic = f"publisher-{uuid4().hex[:12]}"
    await service.create_topic(topic, config={"max.message.bytes": str(LIMIT)})
    world = KafkaWorld(service.bootstrap_servers, topic)
    await world.publisher.start()
    yield world
    await world.publisher.stop()


def kinds(outcomes: Sequence[Exception | None]) -> list[type | None]:
    return [None if o is None else type(o) for o in outcomes]


def noise(size: int) -> bytes:
    """Bytes that do not compress."""
    return b"".join(uuid4().bytes for _ in range(size // 16))


async def test_bytes_and_headers_untouched(world: World) -> None:
    message = Message(world.topic, b"\xfe", b"\xff\x00", (("a", b"1"), ("a", b"\xff"), ("b", b"")))
    assert list(await world.publisher.publish([message])) == [None]
    assert await world.published(1) == [message]


async def test_a_key_alone_and_a_value_alone(world: World) -> None:
    messages = [Message(world.topic, b"k", None), Message(world.topic, None, b"v")]
    assert list(await world.publisher.publish(messages)) == [None, None]
    assert await world.published(2) == messages


async def test_nothing_to_publish(world: World) -> None:
    assert list(await world.publisher.publish([])) == []


async def test_one_too_large_does_not_take_the_others_along(world: World) -> None:
    small = [Message(world.topic, b"%d" % n, b"small") for n in range(4)]
    large = Message(world.topic, b"large", noise(2 * LIMIT))
    outcomes = await world.publisher.publish([*small[:2], large, *small[2:]])
    assert kinds(outcomes) == [None, None, MessageTooLarge, None, None]
    assert {m.key for m in await world.published(4)} == {b"0", b"1", b"2", b"3"}


async def test_publishing_goes_on_after_a_refusal(world: World) -> None:
    large = Message(world.topic, b"large", noise(2 * LIMIT))
    assert kinds(await world.publisher.publish([large])) == [MessageTooLarge]
    after = Message(world.topic, b"after", b"v")
    assert list(await world.publisher.publish([after])) == [None]
    assert await world.published(1) == [after]


async def test_far_beyond_any_limit(world: World) -> None:
    huge = Message(world.topic, b"k", b"x" * 3_000_000)
    assert kinds(await world.publisher.publish([huge])) == [MessageTooLarge]
