"""Records that Kafka takes from anybody and clients stumble over: none stops the consumer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.source import GroupSettings, KafkaSource
from consumer.metrics import Metrics
from consumer.ports import Incoming, Record
from consumer.sandbox.services import KafkaService

NOW = 1_777_636_800_000
PLAIN, GZIP, LZ4 = 0, 1, 3


class Raw(str):
    """A header's name that goes out as these bytes."""

    def __new__(cls, name: bytes) -> Raw:
        made = super().__new__(cls, name.decode("latin-1"))
        made.name = name
        return made

    name: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.name


@dataclass(frozen=True)
class Sent:
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = NOW


async def send_batch(kafka: KafkaService, topic: str, sent: Sequence[Sent], codec: int) -> None:
    """All of them in one batch: a client fetches and reads it as a whole."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
    await producer.start()
    try:
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, 0, 1 << 20)
        for one in sent:
            batch.append(
                timestamp=one.timestamp, key=b"k", value=one.value, headers=list(one.headers)
            )
        await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()


async def read(kafka: KafkaService, topic: str, count: int, at_once: int = 500) -> list[Record]:
    """What a source gives, committing as it goes; nothing may be left behind."""
    source = KafkaSource(
        Cluster(kafka.bootstrap_servers),
        [topic],
        f"group-{topic}",
        Metrics(),
        GroupSettings(session_timeout=6.0, heartbeat_interval=0.2, max_poll_records=at_once),
    )
    await source.start()
    records: list[Record] = []
    try:
        async with asyncio.timeout(20):
            while len(records) < count:
                records += await source.poll(0.2)
                await source.commit()
        assert list(await source.poll(0.2)) == []
    finally:
        await source.stop()
    return records


@pytest.mark.parametrize("codec", [PLAIN, GZIP, LZ4])
@pytest.mark.parametrize("at_once", [1, 500])
async def test_a_headers_name_that_is_not_utf_8_hides_no_record(
    kafka_service: KafkaService, topic: str, codec: int, at_once: int
) -> None:
    odd = ((Raw(b"\xff\xfe"), b"x"), ("X-Lago-Unique-Key", b"u"), ("none", None))
    sent = [Sent(b"before"), Sent(b"odd", odd), Sent(None, odd), Sent(b"after", (("a", b"b"),))]
    await send_batch(kafka_service, topic, sent, codec)
    await send_batch(kafka_service, topic, [Sent(b"next")], codec)
    records = await read(kafka_service, topic, 5, at_once)
    assert [(r.offset, r.value) for r in records] == [
        (0, b"before"), (1, b"odd"), (2, None), (3, b"after"), (4, b"next"),
    ]  # fmt: skip
    assert {(r.key, r.timestamp) for r in records} == {(b"k", NOW)}
    assert records[1].headers == (("\\xff\\xfe", b"x"), *odd[1:])
    assert records[3].headers == (("a", b"b"),)


async def test_a_timestamp_beyond_the_calendar_is_taken_to_its_edge(
    kafka_service: KafkaService, topic: str
) -> None:
    """A producer says when a record was made, and Kafka believes it."""
    sent = [Sent(b"%d" % at, timestamp=at) for at in (-(10**15), -1, NOW)]
    await send_batch(kafka_service, topic, sent, PLAIN)
    records = await read(kafka_service, topic, 3)
    assert [r.timestamp for r in records] == [-(10**15), -1, NOW]
    assert [Incoming(r, b"").appended_at for r in records] == [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 5, 1, 12, tzinfo=UTC),
    ]


async def test_a_brokers_timestamp_is_kept(kafka_service: KafkaService, topic: str) -> None:
    by_broker = f"{topic}.by-broker"
    await kafka_service.create_topic(by_broker, config={"message.timestamp.type": "LogAppendTime"})
    await send_batch(kafka_service, by_broker, [Sent(b"a", ((Raw(b"\xff"), b""),), NOW)], PLAIN)
    [record] = await read(kafka_service, by_broker, 1)
    assert abs(record.timestamp / 1000 - time.time()) < 60


async def test_what_a_transaction_took_back_is_not_read(
    kafka_service: KafkaService, topic: str
) -> None:
    servers = kafka_service.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"taken back")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept")
    assert [r.value for r in await read(kafka_service, topic, 1)] == [b"kept"]
