"""Checks of Kafka: the settings in; whether brokers, topics and group are as they have to be out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from consumer.cli.doctor.findings import Finding, ok, problem, warning
from consumer.cli.output import many
from consumer.config import Settings

LIMIT = "max.message.bytes"
BEHIND = 10_000
"""Records that nobody has read yet, from which on it is told."""


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[Any]:
    cluster = settings.cluster()
    admin = AIOKafkaAdminClient(**cluster.options())
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        raise cluster.unusable(error) from error
    finally:
        await admin.close()


async def broker(settings: Settings) -> Sequence[Finding]:
    """Does it answer, and who?"""
    async with _admin(settings) as admin:
        cluster = await admin.describe_cluster()
    return [ok("broker", f"Kafka answers; {many(len(cluster['brokers']), 'broker')}.")]


async def topics(settings: Settings) -> Sequence[Finding]:
    """Are they there, and does the dead-letter topic take what we send?"""
    names = [*settings.kafka_topics, settings.dead_letter_topic]
    found: list[Finding] = []
    async with _admin(settings) as admin:
        for told in await admin.describe_topics(names):
            name, partitions = told["topic"], len(told["partitions"])
            if told["error_code"]:
                fix = "Create it, or allow us to describe it; or correct the settings."
                found.append(problem("topics", f"Kafka shows us no topic {name}.", fix))
                continue
            found.append(ok("topics", f"{name} has {many(partitions, 'partition')}."))
            if name == settings.dead_letter_topic:
                found += await _takes(admin, name, settings.dead_letter_max_bytes)
    return found


async def _takes(admin: Any, name: str, most: int) -> Sequence[Finding]:
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    [answer] = await admin.describe_configs([resource])
    entries = {entry[0]: entry[1] for told in answer.resources for entry in told[4]}
    limit = int(entries.get(LIMIT) or 0)
    if limit >= most:
        return [ok("topics", f"{name} takes messages of {limit} bytes.")]
    said = f"{name} takes {limit} bytes, but LAGO_XERO_DEAD_LETTER_MAX_BYTES is {most}."
    fix = f"Raise its {LIMIT}, or lower the setting: larger records fail to be announced."
    return [problem("topics", said, fix)]


async def group(settings: Settings) -> Sequence[Finding]:
    """Does anybody read, and how far behind is he?"""
    name = settings.kafka_group_id
    async with _admin(settings) as admin:
        committed = await _committed(admin, name)
        [told] = await admin.describe_consumer_groups([name])
        members = sum(len(group[5]) for group in told.groups)
    consumer = AIOKafkaConsumer(**settings.cluster().options())
    await consumer.start()
    try:
        parts = [
            TopicPartition(topic, part)
            for topic in settings.kafka_topics
            for part in await _partitions(consumer, topic)
        ]
        ends = await consumer.end_offsets(parts)
        firsts = await consumer.beginning_offsets(parts)
    finally:
        await consumer.stop()
    behind = 0
    for part, end in ends.items():
        at = committed[part].offset if part in committed else firsts[part]
        behind += max(0, end - max(at, firsts[part]))
    said = f"Group {name} has {many(members, 'member')} and {many(behind, 'record')} ahead."
    if not members:
        return [warning("group", f"Nobody reads: {said}", "Start lago-xero run.")]
    if behind > BEHIND:
        return [warning("group", said, "Wait; or add replicas, up to the number of partitions.")]
    return [ok("group", said)]


async def _committed(admin: Any, group: str) -> Any:
    """Its offsets; a broker that has never had a group makes itself ready for one first."""
    while True:
        try:
            return await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(0.2)


async def _partitions(consumer: Any, topic: str) -> Sequence[int]:
    await consumer.topics()  # metadata of all topics
    return sorted(consumer.partitions_for_topic(topic) or ())
