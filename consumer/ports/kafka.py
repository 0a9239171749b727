"""Kafka: records in by a consumer group or from a range of a topic, messages out by a producer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
"""The last timestamp that we take, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record, bytes as received. ``timestamp`` in milliseconds since 1970, or what its
    producer took for that."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def appended(self) -> int:
        """``timestamp`` within the calendar: Kafka believes a producer any number."""
        return min(max(self.timestamp, 0), LAST)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What the watchdog and the readiness probe look at. Ages in seconds."""

    assigned: bool
    """Partitions are assigned (or the group has more members than partitions)."""
    poll_age: float
    """Since the client last came back from a poll."""
    stuck_age: float
    """Since the position last moved although the end of a partition lies ahead; 0 if none does."""


class Source(Protocol):
    """The consumer group's side of Kafka, one batch at a time."""

    async def start(self) -> None:
        """Join the group."""

    async def poll(self, timeout: float) -> Sequence[Record]:
        """The next batch, in partition order; empty when ``timeout`` seconds brought none."""

    async def hold(self, timeout: float) -> None:
        """Stay in the group for up to ``timeout`` seconds without taking records."""

    async def commit(self) -> None:
        """Commit the offsets after the last batch, but only of partitions still held since then."""

    def health(self) -> SourceHealth:
        """Never blocks."""

    async def stop(self) -> None:
        """Leave the group; bounded in time, never raises."""


Bound = datetime | int
"""Where a range of a topic begins or ends: an instant by Kafka's clock, or an offset of each partition."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition, the last one exclusive."""

    start: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Passage:
    """Records in partition order, and by partition the offset up to which all has been read by now."""

    records: Sequence[Record]
    read_to: Mapping[int, int]


class Rereading(Protocol):
    """Reads a range of a topic once more, without a group: nobody's offsets move."""

    async def start(self) -> None:
        """Connect."""

    async def spans(
        self, topic: str, since: Bound, until: Bound | None, partition: int | None
    ) -> Mapping[int, Span]:
        """What Kafka still has of the range, by partition; ``until`` None: up to what is there now.

        Raises:
            Halt: there is no such topic or partition.
        """

    def read(self, topic: str, spans: Mapping[int, Span]) -> AsyncGenerator[Passage, None]:
        """All of it.

        Raises:
            Halt: Kafka cannot be reached any more, or has stopped giving records.
        """

    async def stop(self) -> None:
        """Disconnect; bounded in time, never raises."""


@dataclass(frozen=True, slots=True)
class Message:
    """One record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Appends to a topic, acknowledged by all in-sync replicas."""

    async def start(self) -> None:
        """Connect."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """One outcome a message, in order: None where the broker acknowledged it.

        A message that is too large for the topic gives ``MessageTooLarge``.
        """

    async def stop(self) -> None:
        """Flush and disconnect; bounded in time, never raises."""


class MessageTooLarge(Exception):
    """The topic does not take a message of this size."""
