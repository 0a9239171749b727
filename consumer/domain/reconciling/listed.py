"""Lists of Lago's: one of its objects as its API lists it in, what is compared with the ledger out.

Lists show no fees and no split of a payment: they tell that the ledger lacks something, not all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from consumer.domain.contributions import payment_id
from consumer.domain.money import SUBUNITS, major
from schemas import lago

ListedKind = Literal["invoice", "credit_note", "payment"]
LISTED: tuple[ListedKind, ...] = ("invoice", "credit_note", "payment")
"""In the order in which they are read: notes and payments are of invoices."""
FINAL_STATUSES = ("finalized", "voided")
"""Of an invoice that Xero is to have, or was to have."""
SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as Lago lists it; amounts in its subunits.

    ``status`` is an invoice's or a payment's; a note has none, but ``credit`` and ``refund``. ``paid`` is
    what was paid on an invoice. ``invoice_ids``: what a payment pays or a note corrects. ``changed_at``: when
    Lago changed it last, as far as it says; ``updated_at``: where it says so exactly. ``by_request``: the
    payment is known by its payment request, of which there may have been several attempts.
    """

    kind: ListedKind
    lago_id: UUID
    number: str | None = None
    status: str | None = None
    credit: str | None = None
    refund: str | None = None
    currency: str | None = None
    dated: date | None = None
    total: int | None = None
    tax: int | None = None
    paid: int | None = None
    customer: lago.Customer | None = None
    customer_id: UUID | None = None
    invoice_ids: tuple[UUID, ...] = ()
    changed_at: datetime | None = None
    updated_at: datetime | None = None
    self_billed: bool = False
    by_request: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is something that the ledger is to know: drafts and what never came are not."""
        match self.kind:
            case "invoice":
                return self.status in FINAL_STATUSES and not self.self_billed
            case "credit_note":
                return not self.self_billed
            case "payment":
                return self.status == SUCCEEDED or not self.by_request


def listed(kind: ListedKind, shown: Mapping[str, Any]) -> Listed:
    """One of the objects on a page.

    Raises:
        ValueError: it is no object of Lago's.
    """
    match kind:
        case "invoice":
            return _invoice(lago.Invoice.model_validate(shown))
        case "credit_note":
            return _credit_note(lago.CreditNote.model_validate(shown))
        case "payment":
            return _payment(lago.Payment.model_validate(shown))


def _invoice(one: lago.Invoice) -> Listed:
    return replace(
        _document("invoice", one),
        status=one.status,
        paid=one.total_paid_amount_cents,
        customer=one.customer,
    )


def _credit_note(one: lago.CreditNote) -> Listed:
    return replace(
        _document("credit_note", one),
        credit=one.credit_status,
        refund=one.refund_status,
        invoice_ids=() if one.lago_invoice_id is None else (one.lago_invoice_id,),
    )


def _document(kind: ListedKind, one: lago.Invoice | lago.CreditNote) -> Listed:
    """What both show."""
    return Listed(
        kind,
        one.lago_id,
        number=one.number,
        currency=one.currency,
        dated=one.issuing_date,
        total=one.total_amount_cents,
        tax=one.taxes_amount_cents,
        customer_id=None if one.customer is None else one.customer.lago_id,
        changed_at=one.updated_at or one.created_at,
        updated_at=one.updated_at,
        self_billed=one.self_billed,
    )


def _payment(one: lago.Payment) -> Listed:
    return Listed(
        "payment",
        payment_id(one) or one.lago_id,
        status=one.payment_status or SUCCEEDED,
        currency=one.amount_currency,
        dated=None if one.created_at is None else one.created_at.astimezone(UTC).date(),
        total=one.amount_cents,
        customer_id=one.lago_customer_id,
        invoice_ids=one.invoice_ids,
        changed_at=one.created_at,
        by_request=one.payable_type == "PaymentRequest",
    )


def amount(cents: int | None, currency: str | None) -> Decimal | None:
    """In major units; None where there is none, or nobody knows the currency's subunits."""
    if cents is None or currency not in SUBUNITS:
        return None
    return major(cents, currency)
