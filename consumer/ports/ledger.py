"""The ledger: documents and the requests that carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from consumer.domain.answers import Reply, Saved, Verdict
from consumer.domain.errors import Unauthorised
from consumer.domain.merging import Traced
from consumer.domain.operations import Method
from consumer.domain.translate.types import Note
from consumer.ports.identity import Authorisation


@dataclass(frozen=True, slots=True)
class Frozen:
    """A request as it was written down before its call: these bytes, this key, these documents."""

    request_id: UUID
    tenant_id: UUID
    authorisation_id: int
    purpose: str
    method: Method
    path: str
    body: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one document, or ``noticed``: what else is announced of it.

    ``accepted_after`` is in seconds since Kafka got its record.
    """

    kind: str
    state: str
    code: str | None = None
    accepted_after: float | None = None


@dataclass(frozen=True, slots=True)
class Freezing:
    """What looking for a tenant's work gave: a request or None, and what failed on the way."""

    frozen: Frozen | None = None
    fates: tuple[Fate, ...] = ()
    notes: tuple[Note, ...] = ()
    more: bool = False
    """There is more that may be sent at once."""
    busy: bool = False
    """Another pod is at it."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An open request whose outcome is to be found out."""

    frozen: Frozen
    started_at: datetime
    resend: bool
    """No answer at all came and the key still lives: send it again, unchanged."""
    why: str = "no_answer"
    members: tuple[Sent, ...] = ()
    final_in: float = 0.0
    """Seconds until nothing of it can arrive at Xero any more: what is not there will not come."""
    looks: int = 0
    """Look-ups so far that told nothing."""

    @property
    def final(self) -> bool:
        """What is not in Xero now will not come."""
        return self.final_in <= 0


@dataclass(frozen=True, slots=True)
class Sent:
    """One document of an open request: its number in Lago's or our marker, and its frozen JSON."""

    position: int
    lago_id: UUID
    number: str | None
    element: bytes
    xero_id: UUID | None = None
    """Xero's, where it was known before."""
    refused: str | None = None
    """The code that Xero refused it with, if that is why it is looked up."""
    own_day: date | None = None
    """Of money: Lago's day, where a lock date had it sent with another."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Xero does not have it."""


@dataclass(frozen=True, slots=True)
class Other:
    """Xero has something else under its number."""

    sentence: str


@dataclass(frozen=True, slots=True)
class ByHand:
    """Money that somebody may have entered in its place, the likeliest first; ``others``, of other
    amounts, may have it in them."""

    payments: tuple[Saved, ...]
    others: tuple[Saved, ...] = ()


Sighting = Saved | Absent | Other | ByHand | Traced
"""What a look-up shows of one document; ``Traced``: of its contact."""


class Ledger(Protocol):
    """Documents and the requests that carry them; each method is one short transaction."""

    async def due(self, limit: int) -> tuple[Sequence[tuple[UUID, int]], float]:
        """Tenants with work as (tenant, authorisation), and seconds until the next has some."""

    async def freeze(self, tenant_id: UUID) -> Freezing:
        """Write down the tenant's next request, if its budget allows one."""

    async def settle(
        self, request_id: UUID, verdict: Verdict | None, reply: Reply | None
    ) -> Sequence[Fate]:
        """Record an answer, exactly once: to a closed request it changes nothing.

        A verdict of None says that the request was certainly not executed.
        """

    async def doubtful(
        self, limit: int, each: int, without: Sequence[UUID]
    ) -> Sequence[tuple[UUID, UUID]]:
        """Open requests that are due to be looked at, each with its tenant: at most ``each`` of a
        tenant, none of the tenants in ``without``."""

    async def take_doubt(self, request_id: UUID) -> Doubtful | None:
        """Claim one for a while; None if another pod has it or it is closed."""

    async def resolve(self, request_id: UUID, sightings: Mapping[int, Sighting]) -> Sequence[Fate]:
        """Record what a look-up showed, by position."""

    async def take_audit(self) -> Doubtful | None:
        """Claim one that was once in doubt and carries what Xero does not keep apart, to look whether
        Xero has more of it than the ledger; None if none is due."""

    async def audited(
        self, request_id: UUID, found: Mapping[int, Sequence[Saved]]
    ) -> Sequence[Fate]:
        """Record all that Xero has of it, by position: what the ledger does not know is removed."""

    async def postpone(self, request_id: UUID, seconds: float) -> None:
        """Look again later."""

    async def look_failed(self, request_id: UUID, why: str, wait: float) -> int:
        """A look-up told nothing: look again after ``wait`` seconds. After many its documents are
        announced, once; returns how many were now."""

    async def park(
        self, tenant_id: UUID, error: Unauthorised, authorisation: Authorisation | None
    ) -> bool:
        """Stop the tenant, or all that the given authorisation reaches, unless it was applied anew
        since it was read; True if this call was the one that stopped them."""

    async def block(self, tenant_id: UUID, seconds: float, why: str) -> None:
        """Nothing of this tenant is sent for a while."""

    async def release(self, limit: int) -> int:
        """Release documents whose cause has gone; returns how many causes were worked on."""

    async def expire(self, limit: int) -> Sequence[Fate]:
        """Fail what waited too long for something unknown."""

    async def end_patience(self, limit: int) -> int:
        """Plan again what waited long enough for a home or a payment; returns how many documents."""
