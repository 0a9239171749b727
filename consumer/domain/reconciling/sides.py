"""The two sides of a reconciliation: documents as the ledger has them, and as Xero shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from consumer.domain.answers import GONE
from consumer.domain.documents import DRAFTS, State
from consumer.domain.money import SUBUNITS, major
from consumer.domain.operations import DocumentKind

MirrorKind = Literal["invoice", "credit_note", "payment", "overpayment"]
"""What Xero is asked for; its payments are those on invoices and the refunds of credit notes."""
ZERO = Decimal(0)


def mirror_kind(kind: DocumentKind) -> MirrorKind | None:
    """Where a document of the ledger is found in Xero; None: within another one, or not compared."""
    match kind:
        case "invoice" | "credit_note" | "payment" | "overpayment":
            return kind
        case "refund":
            return "payment"
    return None


@dataclass(frozen=True, slots=True)
class Allocated:
    """What a credit note shows of an allocation: Xero's id of it, where lists tell it."""

    invoice_id: UUID | None
    amount: Decimal
    xero_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A document as Xero shows it; amounts in its own currency.

    ``number`` of a payment or an overpayment is our marker; None: a person entered it. ``due`` is an
    invoice's AmountDue, a credit note's RemainingCredit. ``account`` is a payment's. ``holder``: the
    ledger's document that has it, in whatever connection of the tenant. ``ours``: it belongs to a customer
    of the connection.
    """

    kind: MirrorKind
    xero_id: UUID
    number: str | None = None
    contact_id: UUID | None = None
    target_id: UUID | None = None
    account: str | None = None
    status: str | None = None
    currency: str | None = None
    dated: date | None = None
    due_on: date | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    paid: Decimal | None = None
    credited: Decimal | None = None
    due: Decimal | None = None
    allocations: tuple[Allocated, ...] = ()
    updated_at: datetime | None = None
    holder: int | None = None
    ours: bool = False

    @property
    def gone(self) -> bool:
        """Whether it is voided or deleted."""
        return self.status in GONE


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as the ledger has it.

    ``wanted``: Lago asks for it; ``posted``: it was sent and accepted, and not removed since. ``net``,
    ``tax`` and ``total`` are what was sent, ``xero_…`` what Xero answered then; ``lago_cents`` is Lago's
    total, in subunits. ``moved``: it was sent or
    removed after reading Xero began. ``due_on`` is Lago's. ``fallback`` is the amount that the fallback
    item took.
    """

    id: int
    kind: DocumentKind
    state: State
    lago_id: UUID | None = None
    part: str = ""
    target: UUID | None = None
    source: UUID | None = None
    customer_id: UUID | None = None
    number: str | None = None
    cause: str | None = None
    code: str | None = None
    said: str | None = None
    hint: str | None = None
    wanted: bool = True
    posted: bool = False
    drift: bool = False
    xero_id: UUID | None = None
    by_hand: UUID | None = None
    status: str | None = None
    currency: str | None = None
    dated: date | None = None
    due_on: date | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    lago_cents: int | None = None
    xero_net: Decimal | None = None
    xero_tax: Decimal | None = None
    xero_total: Decimal | None = None
    moved: bool = False
    fallback: Decimal | None = None
    failed_at: datetime | None = None
    appended_at: datetime | None = None

    @property
    def shown_as(self) -> UUID | None:
        """Xero's id of what it is there: its own, or of the payment that a person entered for it."""
        return self.by_hand or self.xero_id

    @property
    def in_xero(self) -> bool:
        """Whether Xero is to have it."""
        return self.posted and self.shown_as is not None

    @property
    def asked(self) -> Decimal | None:
        """What it is about, in major units: what was sent, else Lago's total."""
        if self.total is not None or self.lago_cents is None or self.currency not in SUBUNITS:
            return self.total
        return major(self.lago_cents, self.currency)

    @property
    def to_come(self) -> bool:
        """Whether it is to be in Xero, and is not there."""
        return self.state in ("waiting", "ready", "sending", "failed") and self.xero_id is None

    @property
    def draft(self) -> bool:
        """Whether it was left a draft there."""
        return self.xero_id is not None and self.status in DRAFTS


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of one connection and period.

    ``entries`` are dated in the period, by the ledger or by Xero; ``around`` are the others that belong to
    their invoices and credit notes. ``shown`` is what Xero shows of all these and whatever else it has in
    the period. ``contacts`` are all contacts in Xero that have been a customer's. ``accounts`` are those
    that payments have ever been sent to.
    """

    entries: tuple[Entry, ...]
    shown: Mapping[tuple[MirrorKind, UUID], Shown]
    around: tuple[Entry, ...] = ()
    contacts: Mapping[UUID, frozenset[UUID]] = field(default_factory=dict)
    accounts: frozenset[str] = frozenset()
    unsent: frozenset[tuple[str, str]] = frozenset()
    """Kinds and numbers of the tenant's documents that are not in Xero, in lower case."""

    def of(self, entry: Entry) -> Shown | None:
        """What Xero shows of it."""
        kind, xero_id = mirror_kind(entry.kind), entry.shown_as
        return None if kind is None or xero_id is None else self.shown.get((kind, xero_id))
