"""What ``Rereading`` promises, on a real Kafka: the range that was asked for, and no group is touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.rereading import KafkaRereading
from consumer.domain.errors import Halt
from consumer.ports import Span
from consumer.sandbox.services import KafkaService

T0 = datetime(2026, 5, 1, tzinfo=UTC)


@asynccontextmanager
async def rereading(kafka: KafkaService, most: int = 3) -> AsyncIterator[KafkaRereading]:
    made = KafkaRereading(Cluster(kafka.bootstrap_servers), most=most)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def fill(kafka: KafkaService, topic: str, partition: int, count: int) -> None:
    """A record a minute from T0 on."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for n in range(count):
            await producer.send_and_wait(
                topic,
                f"{partition}/{n}".encode(),
                partition=partition,
                timestamp_ms=int((T0 + timedelta(minutes=n)).timestamp() * 1000),
            )


def transactional(kafka: KafkaService, topic: str) -> AIOKafkaProducer:
    """A producer, not started, whose records count once their transaction has ended."""
    return AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic)


@pytest.fixture
async def admin(kafka_service: KafkaService) -> AsyncIterator[AIOKafkaAdminClient]:
    started = AIOKafkaAdminClient(bootstrap_servers=kafka_service.bootstrap_servers)
    await started.start()
    try:
        yield started
    finally:
        await started.close()


async def values(of: KafkaRereading, topic: str, spans: dict[int, Span]) -> list[str]:
    found = []
    reached: dict[int, int] = {}
    async for passage in of.read(topic, spans):
        assert len(passage.records) <= 3
        found += [(one.value or b"").decode() for one in passage.records]
        reached |= passage.read_to
    assert reached == {n: span.end for n, span in spans.items() if len(span)}
    return sorted(found)


@pytest.mark.parametrize("topic", [2], indirect=True)
async def test_ranges_by_offset_and_by_time(kafka_service: KafkaService, topic: str) -> None:
    await fill(kafka_service, topic, 0, 10)
    await fill(kafka_service, topic, 1, 4)
    async with rereading(kafka_service) as made:
        assert await made.spans(topic, 0, None, None) == {0: Span(0, 10), 1: Span(0, 4)}
        assert await made.spans(topic, 2, 8, None) == {0: Span(2, 8), 1: Span(2, 4)}
        assert await made.spans(topic, 7, None, 1) == {1: Span(4, 4)}
        since, until = T0 + timedelta(seconds=61), T0 + timedelta(minutes=6)
        timed = dict(await made.spans(topic, since, until, None))
        assert timed == {0: Span(2, 6), 1: Span(2, 4)}
        assert await values(made, topic, timed) == ["0/2", "0/3", "0/4", "0/5", "1/2", "1/3"]
        assert await values(made, topic, {1: Span(4, 4)}) == []
        assert len(await values(made, topic, {0: Span(0, 10), 1: Span(0, 4)})) == 14


async def test_what_is_not_there_is_said(kafka_service: KafkaService, topic: str) -> None:
    async with rereading(kafka_service) as made:
        with pytest.raises(Halt, match="no topic nowhere"):
            await made.spans("nowhere", 0, None, None)
        with pytest.raises(Halt, match="no partition 7"):
            await made.spans(topic, 0, None, 7)


async def test_deleted_records_are_passed_over(
    kafka_service: KafkaService, topic: str, admin: AIOKafkaAdminClient
) -> None:
    """By Kafka, also between the look for the range and the reading of it."""
    await fill(kafka_service, topic, 0, 6)
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(4)})
    async with rereading(kafka_service) as made:
        assert await made.spans(topic, 0, None, None) == {0: Span(4, 6)}
        assert await values(made, topic, {0: Span(1, 6)}) == ["0/4", "0/5"]


async def test_the_end_of_a_transaction_is_passed_over(
    kafka_service: KafkaService, topic: str
) -> None:
    """Its marker has an offset, and is no record."""
    async with transactional(kafka_service, topic) as producer, producer.transaction():
        await producer.send_and_wait(topic, b"told", partition=0)
    async with rereading(kafka_service) as made:
        assert await values(made, topic, dict(await made.spans(topic, 0, None, None))) == ["told"]


async def test_no_group_is_made(
    kafka_service: KafkaService, topic: str, admin: AIOKafkaAdminClient
) -> None:
    await fill(kafka_service, topic, 0, 3)
    before = await admin.list_consumer_groups()
    async with rereading(kafka_service) as made:
        assert len(await values(made, topic, {0: Span(0, 3)})) == 3
        assert await admin.list_consumer_groups() == before


async def test_a_log_that_gives_nothing_is_given_up(
    kafka_service: KafkaService, topic: str
) -> None:
    """A transaction that is never ended holds up whoever reads what is committed."""
    async with transactional(kafka_service, topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", partition=0)
        made = KafkaRereading(Cluster(kafka_service.bootstrap_servers), timeout=3.0)
        await made.start()
        try:
            with pytest.raises(Halt, match="gives no records"):
                async for _ in made.read(topic, {0: Span(0, 1)}):
                    pass
        finally:
            await made.stop()
        await producer.abort_transaction()
