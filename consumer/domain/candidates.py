"""Candidates: what a ready document is to be made of, and the element of a request made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID

from consumer.domain.documents import Stands
from consumer.domain.objects import Money
from consumer.domain.translate.portions import NOTHING
from consumer.domain.translate.types import Posted, Totals
from schemas import lago


@dataclass(frozen=True, slots=True)
class PaymentPart:
    """What one invoice gets of a payment; ids are Lago's but for ``invoice_id``, which is Xero's."""

    lago_id: UUID
    target: UUID
    amount_cents: int
    money: Money
    invoice_currency: str | None
    invoice_id: UUID | None
    invoice_number: str | None = None
    """In Xero."""
    due_cents: int | None = None
    """The invoice's total, where what is beyond it is to be sent."""


@dataclass(frozen=True, slots=True)
class AllocationPart:
    """What an invoice takes from a credit note; ``invoice_id`` is Xero's."""

    amount_cents: int
    currency: str
    note_date: date
    invoice_date: date
    invoice_id: UUID | None


@dataclass(frozen=True, slots=True)
class ClearingPart:
    """A line of an invoice on the clearing account: the credit's Lago id and the amount as it was sent."""

    credit_id: UUID
    line: Decimal | None
    note_date: date | None
    invoice_date: date | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready document and the facts it is to be made of."""

    id: int
    connection_id: int
    wanted: bytes | None
    customer: lago.Customer | None = None
    invoice: lago.Invoice | None = None
    allocated: frozenset[UUID] = frozenset()
    """The credits of the invoice that are allocated to it and need no line."""
    cleared: frozenset[UUID] = frozenset()
    """The credits of the invoice that are lines on the clearing account."""
    there: frozenset[UUID] = frozenset()
    """The credits that the invoice consumes of notes that Xero has, or may have."""
    consumes: bool = False
    """Whether it is how an invoice has a credit that it consumes."""
    note: lago.CreditNote | None = None
    payment: PaymentPart | None = None
    allocation: AllocationPart | None = None
    clearing: ClearingPart | None = None
    amount_cents: int | None = None
    settled: Posted = NOTHING
    """What settles the same invoice already."""
    taken: Posted = NOTHING
    """What is taken from the same credit note already."""
    source_id: UUID | None = None
    """The Xero id of the credit note that it takes from."""
    source_total: Decimal | None = None
    """That note's total in Xero."""
    synced: bytes | None = None
    xero_id: UUID | None = None
    xero_status: str | None = None
    contact_id: UUID | None = None
    """The Xero id of the contact that the document goes to."""
    dated: date | None = None
    suffix: str = ""
    batch_limit: int | None = None
    linked: bool = False
    """Of a contact: a person made it."""

    @property
    def stands(self) -> Stands:
        """As far as it matters here."""
        return Stands("ready", None, self.wanted, self.synced, self.xero_id, self.xero_status)


@dataclass(frozen=True, slots=True)
class Element:
    """One document of a request: its JSON and the totals that Xero must answer."""

    document_id: int
    wanted: bytes | None
    body: bytes
    suffix: str = ""
    number: str | None = None
    totals: Totals | None = None
    allocated: frozenset[UUID] | None = frozenset()
    """The credits that an invoice leaves to allocations; None: that is not decided yet."""
    cleared: Mapping[UUID, Decimal] = field(default_factory=dict)
    """Those that it has as lines on the clearing account, and the lines' amounts."""
    dated: date | None = None
    """The day on which Xero takes it out."""
    own_day: date | None = None
    """Of money: its own day, from which a lock date may have moved it."""
    contact_id: UUID | None = None
    """The contact that it goes to, of what goes to one."""
