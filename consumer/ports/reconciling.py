"""Reconciling: a mirror of Xero's books, kept page by page, the ledger's side of a period, Lago's lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from consumer.domain.mapping import Connection
from consumer.domain.objects import Object, ObjectKind
from consumer.domain.reconciling import (
    Discrepancy,
    ExceptionClass,
    Held,
    ListedKind,
    MirrorKind,
    Period,
    Shown,
    Sides,
)
from consumer.ports.asking import LagoApi

Key = tuple[ExceptionClass, int | None, UUID | None]
"""``Discrepancy.key``."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A connection to reconcile, and the tenant behind it. ``kinds`` are those that its client may read
    and the tenant has."""

    code: str
    connection_id: int
    tenant_id: UUID
    authorisation_id: int
    organisation: str
    short_code: str | None
    parked: bool
    kinds: tuple[MirrorKind, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Pages being read: what changed since ``since``, else all that is dated from ``covers`` on.

    ``items`` is how many elements the pages had when one was last read.
    """

    tenant_id: UUID
    kind: MirrorKind
    since: datetime | None
    covers: date
    page: int
    started_at: datetime
    items: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was written down; ``started_at`` by the database's clock."""

    id: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """Since when an exception is known; ``tried``: a safe repair of it was made before."""

    first_seen: datetime
    tried: bool = False


class Mirror(Protocol):
    """Each method is one short transaction, or some that may be repeated."""

    async def subject(self, code: str) -> Subject | None:
        """The connection of that code."""

    async def begin(self, subject: Subject, period: Period) -> Run:
        """Write the run down; one of the same connection and period that was cut off goes on."""

    async def reading(
        self, subject: Subject, kind: MirrorKind, first: date, *, full: bool, as_of: datetime
    ) -> Reading | None:
        """The next page to read so that the mirror has all that is dated from ``first`` on, as of
        ``as_of``; None if it has. ``full``: whatever was read before ``as_of`` does not count."""

    async def keep(self, reading: Reading, shown: Sequence[Shown], pages: int, items: int) -> None:
        """Keep a page; after the last one the reading is complete. Pages that have become fewer are read
        again from the first on."""

    async def seen(self, tenant_id: UUID, shown: Sequence[Shown]) -> None:
        """Keep what was looked up singly."""

    async def read_at(self, tenant_id: UUID) -> Mapping[MirrorKind, datetime]:
        """As of when each kind is mirrored."""

    async def sides(self, subject: Subject, period: Period, since: datetime) -> Sides:
        """Both sides; what was sent after ``since`` has moved."""

    async def note(
        self,
        subject: Subject,
        period: Period,
        found: Sequence[Discrepancy],
        looked_for: Collection[ExceptionClass],
    ) -> Mapping[Key, Noted]:
        """Keep what is new, close what is gone of the period and the classes that were looked for; since
        when each is known."""

    async def repair(self, subject: Subject, found: Sequence[Discrepancy], who: str) -> None:
        """Do what these propose; audited."""

    async def end(self, run: Run, result: Mapping[str, Any]) -> None:
        """Write down what came of it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of one of Lago's lists; ``following`` is the number of the next one."""

    objects: tuple[Mapping[str, Any], ...]
    following: int | None
    pages: int


class LagoLists(LagoApi, Protocol):
    """Lago's API with its lists; raises as it does."""

    async def page(self, kind: ListedKind, period: Period, number: int) -> Listing:
        """Of the finalized and voided invoices issued in the period, of its credit notes, or of all payments,
        the newest first."""


class Holdings(Protocol):
    """What the ledger knows of Lago's objects."""

    async def connections(self) -> Sequence[Connection]:
        """All that are in use."""

    async def held(self, kind: ObjectKind, lago_ids: Collection[UUID]) -> Mapping[UUID, Held]:
        """Those of these that have a row."""

    async def paying(self, invoice_ids: Collection[UUID]) -> Sequence[Object]:
        """The payments on these invoices."""
