"""Exceptions of a reconciliation: their classes, and what one of them says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, get_args
from uuid import UUID

from consumer.domain.matching import Difference
from consumer.domain.operations import DocumentKind

ExceptionClass = Literal[
    "missing_in_xero",
    "extra_in_xero",
    "duplicate",
    "amount",
    "tax",
    "date",
    "currency",
    "contact",
    "status",
    "unallocated_credit",
    "payment_missing",
    "payment_account",
    "edited",
    "fallback",
    "locked",
    "in_flight",
    "missing_in_ledger",
    "ledger_behind",
    "unknown_to_lago",
]
CLASSES: tuple[ExceptionClass, ...] = get_args(ExceptionClass)
PERSISTED: frozenset[ExceptionClass] = frozenset(CLASSES) - {"fallback", "locked", "in_flight"}
"""Those whose first sight is kept as a finding; of the others the ledger knows since when by itself."""
NOTED: frozenset[ExceptionClass] = frozenset({"fallback", "in_flight"})
"""Those in which both sides agree: told, but no reason for an alarm."""
AGAINST_LAGO: frozenset[ExceptionClass] = frozenset(
    {"missing_in_ledger", "ledger_behind", "unknown_to_lago"}
)
"""Those in which the ledger differs from Lago, of which Xero says nothing."""
Safety = Literal["automatic", "needs_approval", "accountant_only", "nothing_to_do"]
Action = Literal["retry", "refresh", "take_in"]
"""What a safe repair does: have a failed document tried again, note Xero's figures as they are now, or take
in what Lago's API says of the object."""

MEANING: Mapping[ExceptionClass, str] = {
    "missing_in_xero": "Lago asks for it, and Xero does not have it",
    "extra_in_xero": "Xero has it on a customer of ours, and the ledger does not know it",
    "duplicate": "Xero has it twice",
    "amount": "net or total differ",
    "tax": "the tax differs",
    "date": "the dates differ",
    "currency": "the currencies differ",
    "contact": "it is on another contact",
    "status": "voided, deleted, approved or settled by a person",
    "unallocated_credit": "an allocation of ours is gone",
    "payment_missing": "a payment of ours is gone",
    "payment_account": "a payment is on an account that payments are not sent to",
    "edited": "number, due date or what it is set against was changed by a person",
    "fallback": "the fallback item took lines, for want of a mapping",
    "locked": "a lock date of Xero's holds it",
    "in_flight": "it is on its way",
    "missing_in_ledger": "Lago has it, and the ledger does not know it, or only poorly",
    "ledger_behind": "Lago shows it otherwise than the ledger knows it",
    "unknown_to_lago": "the ledger has it, and Lago does not",
}


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One exception: what it is about, what differs, why, and what is proposed.

    ``since`` is when the ledger knows it from; None: when it was first seen by a reconciliation.
    ``against_lago``: the differences are Lago's, not Xero's; ``invoice_id`` is the invoice in Lago that a
    payment or a note is of. ``on`` is the number of the invoice or the credit note that money or an
    allocation is on, as far as the ledger knows it.
    """

    name: ExceptionClass
    kind: DocumentKind
    cause: str
    repair: str
    safety: Safety = "accountant_only"
    action: Action | None = None
    document_id: int | None = None
    lago_id: UUID | None = None
    xero_id: UUID | None = None
    number: str | None = None
    on: str | None = None
    dated: date | None = None
    currency: str | None = None
    amount: Decimal | None = None
    differences: tuple[Difference, ...] = field(default=())
    since: datetime | None = None
    against_lago: bool = False
    invoice_id: UUID | None = None

    @property
    def key(self) -> tuple[ExceptionClass, int | None, UUID | None]:
        """What it is known by from one run to the next: a document, else Xero's id, else Lago's."""
        alone = self.document_id is None
        return self.name, self.document_id, (self.xero_id or self.lago_id) if alone else None
