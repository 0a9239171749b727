"""Events: one record's bytes in, what it says about Lago's objects out.

ACCOUNTING.md 2 says which message defines what. A webhook and an activity log of the same type say
the same of the same object, each with the relations that it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from consumer.domain.contributions import (
    Telling,
    of_credit_note,
    of_customer,
    of_invoice,
    of_payment,
    of_payment_request,
    of_payment_state,
    of_refund_failure,
)
from consumer.domain.decoding import Message, open_message
from consumer.domain.objects import Contribution, ObjectKey
from schemas import lago

API = "lago_api."
"""Begins the types of what Lago's API answered: the whole object, as it was when we asked."""
DEFINING = frozenset({f"{API}invoice"}) | frozenset(
    f"invoice.{name}"
    for name in ("created", "one_off_created", "paid_credit_added", "resynced", "voided", "drafted")
)
"""Messages that may define an invoice's content."""
POORER = frozenset(
    f"invoice.{name}"
    for name in (
        "payment_status_updated",
        "payment_overdue",
        "generated",
        "ready_to_finalize",
        "deleted",
    )
)
"""Messages that move an invoice's state only."""
DISPUTE_LOST = "invoice.payment_dispute_lost"
"""Changes no balance: told to people (ACCOUNTING.md 2)."""
POORER_LOGS = POORER | {"invoice.failed", "invoice.regenerated", "invoice.payment_failure"}
"""The last one's webhook shows an error, its log the invoice."""
CUSTOMERS = frozenset({f"{API}customer"}) | frozenset(
    f"customer.{name}" for name in ("created", "updated", "accounting_provider_created")
)
CREDIT_NOTES = frozenset({"credit_note.created", "credit_note.generated", f"{API}credit_note"})
REFUND_FAILURES = frozenset({"credit_note.refund_failure", "credit_note.provider_refund_failure"})
PAYMENTS = frozenset({"payment.succeeded", "payment.recorded", f"{API}payment"})
RECEIPTS = frozenset({"payment_receipt.created", "payment_receipt.generated"})
PAYMENT_REQUESTS = frozenset({"payment_request.created", "payment_request.payment_status_updated"})


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded message."""

    type: str
    organization_id: UUID
    key: ObjectKey
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A well-formed message of a type that says nothing to us."""

    type: str


def decode(value: bytes | None, *, appended: int, digest: str) -> Event | Ignored:
    """Decode a record's value; ``appended`` is its Kafka timestamp in milliseconds.

    Raises:
        Undecodable: with the path of the field at fault; the sentence never quotes a value.
    """
    message = open_message(value)
    telling = Telling(message.organization_id, appended, digest)
    contributions = _contributions(message, telling)
    if not contributions:
        return Ignored(message.kind[:100])
    key = contributions[-1].key
    return Event(message.kind, message.organization_id, key, tuple(contributions))


def _contributions(message: Message, telling: Telling) -> list[Contribution]:
    """What a message says, its own object last; nothing for a type that says nothing to us."""
    kind, is_log = message.kind, message.format == "activity_log"
    if kind in CUSTOMERS:
        return [of_customer(telling, message.read(lago.Customer), message.payload)]
    if kind in DEFINING or kind in (POORER_LOGS if is_log else POORER):
        invoice = message.read(lago.Invoice)
        status = {"invoice.voided": "voided", "invoice.deleted": "deleted"}.get(
            kind, invoice.status
        )
        told = of_invoice(telling, invoice, status=status, defining=kind in DEFINING)
        return [*_nested(telling, invoice.customer, message.payload), told]
    if kind == DISPUTE_LOST:
        read = message.read
        lost = read(lago.Invoice) if is_log else read(lago.PaymentDisputeLost).invoice
        return [of_invoice(telling, lost, status=lost.status, defining=False, disputed=True)]
    if kind in REFUND_FAILURES and not is_log:
        return [of_refund_failure(telling, message.read(lago.RefundFailure))]
    if kind in CREDIT_NOTES or kind in REFUND_FAILURES:
        note = message.read(lago.CreditNote)
        refund = "failed" if kind in REFUND_FAILURES else None
        own = of_credit_note(telling, note, refund=refund)
        return [*_nested(telling, note.customer, message.payload), own]
    if kind in PAYMENTS:
        return [of_payment(telling, message.read(lago.Payment))]
    if kind == "payment.requires_action":
        state = of_payment_state(telling, message.read(lago.PaymentState))
        return [] if state is None else [state]
    if kind in RECEIPTS:
        return [of_payment(telling, message.read(lago.PaymentReceipt).payment)]
    if kind in PAYMENT_REQUESTS:
        request = message.read(lago.PaymentRequest)
        invoices = [
            of_invoice(telling, invoice, status=invoice.status, defining=False)
            for invoice in request.invoices or ()
        ]
        asked = of_payment_request(telling, request)
        return [*_nested(telling, request.customer, message.payload), *invoices, asked]
    return []


def _nested(
    telling: Telling, customer: lago.Customer | None, payload: Mapping[str, Any]
) -> list[Contribution]:
    """The customer inside another object."""
    if customer is None:
        return []
    return [of_customer(telling, customer, payload.get("customer") or {})]
