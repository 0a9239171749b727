"""Announcements: failures recorded in the ledger in, told on a sink out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

Sink = Literal["dead_letter", "webhook"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One failure to announce on one sink, with what is needed to say it.

    ``key`` to ``headers`` are those of the record that made the failing version; None where no
    record did (a parked authorisation).
    """

    id: int
    sink: Sink
    error_class: str
    code: str
    sentence: str
    hint: str
    created_at: datetime
    attempts: int
    failing_attempts: int = 1
    """How often the document was tried before it failed."""
    event_key: str | None = None
    """The event's digest in hex."""
    document_id: int | None = None
    document_kind: str | None = None
    lago_id: UUID | None = None
    number: str | None = None
    organization_id: UUID | None = None
    connection_code: str | None = None
    connection_name: str | None = None
    customer_id: UUID | None = None
    external_customer_id: str | None = None
    appended_at: datetime | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    pruned: bool = False
    """Key, value and headers are not kept any more."""


class Outbox(Protocol):
    """Failures recorded in the transaction that made them, waiting to be announced."""

    async def claim(self, sink: Sink, limit: int, lease: float) -> Sequence[Notice]:
        """The oldest due notices, hidden from other claimers for ``lease`` seconds."""

    async def done(self, ids: Sequence[int]) -> None:
        """They are announced."""

    async def later(self, failures: Sequence[tuple[int, float, str]]) -> None:
        """(id, seconds to wait, why): counted as an attempt, claimable again after the wait."""


class Webhook(Protocol):
    """The outbound webhook."""

    async def post(self, message_id: str, body: bytes) -> None:
        """Sign and post one message.

        Raises:
            Throttled: not taken now (network, 5xx, 429, any non-2xx); try again later.
        """
