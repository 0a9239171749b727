"""A world's topics: records in; what its group has committed and the dead letters, out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from consumer.sandbox.lago import Record
from consumer.sandbox.services import KafkaService

PATIENCE = 30.0


class Topics:
    """A topic of Lago's, one of dead letters, and a group."""

    def __init__(self, kafka: KafkaService) -> None:
        name = secrets.token_hex(6)
        self.kafka = kafka
        self.topic, self.dead_letters, self.group = f"lago.{name}", f"dlq.{name}", f"group.{name}"
        self.ends: dict[TopicPartition, int] = {}

    async def produce(self, records: Iterable[Record]) -> None:
        """Append them in this order, each to its key's partition."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers, linger_ms=5, acks="all"
        )
        await producer.start()
        try:
            sent = [
                await producer.send(self.topic, r.value, key=r.key, headers=list(r.headers))
                for r in records
            ]
            for future in sent:
                told = await future
                self.ends[TopicPartition(told.topic, told.partition)] = told.offset + 1
        finally:
            await producer.stop()

    async def offsets(self) -> dict[TopicPartition, int]:
        """What the group has committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(self.group)
        finally:
            await admin.close()
        return {part: one.offset for part, one in committed.items()}

    async def ingested(self) -> bool:
        """Whether the group has committed all that was produced."""
        try:
            offsets = await self.offsets()
        except KafkaError:  # the group has no coordinator yet
            return False
        return all(part in offsets and offsets[part] >= end for part, end in self.ends.items())

    async def dead_letter_records(self) -> list[Any]:
        """All records of the dead-letter topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap_servers, auto_offset_reset="earliest"
        )
        part = TopicPartition(self.dead_letters, 0)
        records: list[Any] = []
        async with asyncio.timeout(PATIENCE):
            await consumer.start()
            try:
                consumer.assign([part])
                end = (await consumer.end_offsets([part]))[part]
                while await consumer.position(part) < end:
                    records += (await consumer.getmany(timeout_ms=500)).get(part, [])
            finally:
                await consumer.stop()
        return records
