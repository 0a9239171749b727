"""Rewinding: where a consumer group without members is to read from in, its committed offsets out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, KafkaError, UnknownMemberIdError

from consumer.adapters.kafka.cluster import Cluster
from consumer.domain.errors import Halt
from consumer.ports import EPOCH

TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Rewound:
    """A partition's offset; ``before`` None: none was committed, and reading begins at the first record.

    ``gone`` is the first offset that is needed and that Kafka has no more, None: it has all.
    """

    topic: str
    partition: int
    before: int | None
    after: int | None
    gone: int | None = None


async def rewind(
    cluster: Cluster,
    group: str,
    topics: Sequence[str],
    at: datetime,
    read_to: Mapping[tuple[str, int], int],
    *,
    dry_run: bool = False,
) -> Sequence[Rewound]:
    """Set the group back to the records of ``at``, and to those that the ledger does not know; never forward.

    Args:
        read_to: by topic and partition the offset behind the last record that the ledger knows; what it
            knows nothing of is read from the first record.

    Raises:
        Halt: ``group_has_members``: somebody reads; or Kafka cannot be used.
    """
    options = cluster.options()
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=30_000)
    consumer = AIOKafkaConsumer(
        **options, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            await admin.start()
            await _must_be_idle(admin, group)
            await consumer.start()
            plan = await _plan(consumer, cluster, topics, at, read_to)
            offsets = {
                TopicPartition(one.topic, one.partition): one.after
                for one in plan
                if one.after != one.before
            }
            if offsets and not dry_run:
                consumer.assign(list(offsets))
                await consumer.commit(offsets)
            return plan
    except (CommitFailedError, UnknownMemberIdError) as error:  # it began to read meanwhile
        raise _busy(group, "members") from error
    except (KafkaError, TimeoutError, OSError) as error:
        raise cluster.unusable(error) from error
    finally:
        await consumer.stop()
        await admin.close()


async def _must_be_idle(admin: AIOKafkaAdminClient, group: str) -> None:
    for described in await admin.describe_consumer_groups([group]):
        for one in described.groups:
            members = one[5]
            if members:
                raise _busy(group, "1 member" if len(members) == 1 else f"{len(members)} members")


def _busy(group: str, members: str) -> Halt:
    return Halt(
        "group_has_members",
        f"The consumer group {group} has {members}: somebody is reading.",
        "Stop all replicas, wait until the group is empty (a killed one is in it for 45 s), try again.",
    )


async def _plan(
    consumer: AIOKafkaConsumer,
    cluster: Cluster,
    topics: Sequence[str],
    at: datetime,
    read_to: Mapping[tuple[str, int], int],
) -> Sequence[Rewound]:
    metadata = await consumer._client.fetch_all_metadata()
    missing = [topic for topic in topics if not metadata.partitions_for_topic(topic)]
    if missing:
        raise cluster.topics_missing(missing)
    parts = [
        TopicPartition(topic, n)
        for topic in topics
        for n in sorted(metadata.partitions_for_topic(topic))
    ]
    first = await consumer.beginning_offsets(parts)
    milliseconds = max(0, (at - EPOCH) // timedelta(milliseconds=1))
    since = await consumer.offsets_for_times(dict.fromkeys(parts, milliseconds))
    plan = []
    for part in parts:
        committed = await consumer.committed(part)
        wanted = read_to.get((part.topic, part.partition), 0)
        if since.get(part) is not None:
            wanted = min(wanted, since[part].offset)
        after = committed
        if committed is not None and wanted < committed:
            after = max(wanted, first[part])
        known = (part.topic, part.partition) in read_to
        gone = wanted if known and wanted < first[part] else None
        plan.append(Rewound(part.topic, part.partition, committed, after, gone))
    return plan
