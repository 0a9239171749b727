"""The inbox: decoded records in, what a batch has changed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from consumer.domain.errors import Undecodable
from consumer.domain.events import Event
from consumer.domain.objects import as_of
from consumer.ports.kafka import EPOCH, Record


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record on its way into the inbox: its event, or why it is dead.

    ``digest`` is the SHA-256 of the value's bytes, the event's key.
    """

    record: Record
    digest: bytes
    event: Event | None = None
    error: Undecodable | None = None

    @property
    def appended_at(self) -> datetime:
        """When Kafka got it."""
        return EPOCH + timedelta(milliseconds=self.record.appended)

    def as_of(self, first: datetime) -> Incoming:
        """As if its record had been appended at ``first``, when the same value came already."""
        appended = (first - EPOCH) // timedelta(milliseconds=1)
        told = self.event
        if told is not None:
            contributions = tuple(as_of(news, appended) for news in told.contributions)
            told = replace(told, contributions=contributions)
        return replace(self, record=replace(self.record, timestamp=appended), event=told)

    @property
    def lago_key(self) -> str | None:
        """Lago's own unique key of the message, for people."""
        for name, value in self.record.headers:
            if name.lower() == "x-lago-unique-key" and value is not None:
                return value.decode("ascii", "replace").replace("\0", "?")[:200]
        return None


@dataclass(frozen=True, slots=True)
class Ingested:
    """How many events of one batch were merged, how many are dead, and with which codes.

    ``still_dead`` were so before, which people were told then; they are not among the ``dead``.
    """

    merged: int = 0
    dead: int = 0
    codes: tuple[str, ...] = ()
    still_dead: int = 0


class Inbox(Protocol):
    """Where events become objects and documents, a batch a transaction."""

    async def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those that need no decoding: seen before, and not dead."""

    async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
        """Store a batch, all or nothing; what is known is left alone. Digests must differ within it.

        Raises:
            Unstorable: halve the batch to find the record.
        """
