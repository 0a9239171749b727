"""Contributions: one of Lago's objects as a message shows it in, what it says about our objects out.

ACCOUNTING.md 2 says which message defines what. Nothing in a webhook tells when it happened but the
object's own ``updated_at``; payments have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consumer.domain.errors import Undecodable
from consumer.domain.objects import FINAL, Contribution, Facet, ObjectKey, Stamp
from schemas import lago

STATUS_RANK = {
    "generating": 0,
    "open": 0,
    "pending": 1,
    "draft": 1,
    "failed": 1,
    "finalized": 2,
    "closed": 2,
    "deleted": 3,
    "voided": 3,
}
"""Terminal statuses outrank stamps: a late ``created`` never un-voids."""
INVOICE_PAYMENT_RANK = {"pending": 0, "failed": 1, "succeeded": 2}
PAYMENT_RANK = {"pending": 0, "processing": 0, "requires_action": 0, "succeeded": 1, "failed": 1,
                "refunded": 2, "reversed": 2}  # fmt: skip
"""Of success and failure the one told last holds: a payment that failed after it succeeded is
taken back, and a payment request that failed is paid by the link Lago then sends the customer."""
CREDIT_RANK = {"available": 0, "consumed": 1, "voided": 2}
REFUND_RANK = {"pending": 0, "succeeded": 1, "failed": 2}

_STATE_ONLY = {"status", "payment_status", "customer", "credits", "applied_taxes", "voided_at",
               "payment_dispute_lost_at", "total_due_amount_cents", "total_paid_amount_cents",
               "total_offsetted_credit_note_amount_cents"}  # fmt: skip
_NOTE_STATE = {
    "credit_status",
    "refund_status",
    "balance_amount_cents",
    "customer",
    "applied_taxes",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """The message that speaks: its organization and what breaks ties between equal stamps.

    ``appended`` is Kafka's timestamp in milliseconds, ``digest`` that of the value.
    """

    organization_id: UUID
    appended: int
    digest: str

    def stamp(self, rank: int, at: datetime | None) -> Stamp:
        """Rank first, then Lago's second."""
        second = 0 if at is None else int(at.timestamp())
        return Stamp(rank, second, self.appended, self.digest)


def of_customer(
    telling: Telling, customer: lago.Customer, payload: Mapping[str, Any]
) -> Contribution:
    """Content from any message; links only from one that lists them.

    A customer nested in a webhook does not; in an activity log he does.
    """
    stamp = telling.stamp(0, customer.updated_at)
    facets = {
        "content": Facet(
            stamp,
            customer.model_dump(mode="json", exclude={"integration_customers"}, exclude_unset=True),
        )
    }
    if "integration_customers" in payload:
        facets["links"] = Facet(stamp, _dumped(customer.integration_customers or ()))
    return Contribution(
        ObjectKey("customer", customer.lago_id),
        telling.organization_id,
        facets,
        customer.lago_id,
    )


def of_invoice(
    telling: Telling,
    invoice: lago.Invoice,
    *,
    status: str | None,
    defining: bool,
    disputed: bool = False,
) -> Contribution:
    """State from any message; content only from a ``defining`` one that has the fees.

    Args:
        disputed: the message is about a dispute over its payment that was lost.
    """
    final = STATUS_RANK.get(status or "", 0) >= STATUS_RANK["finalized"]
    at = invoice.updated_at
    facets: dict[str, Facet] = {}
    if status is not None:
        facets["status"] = Facet(telling.stamp(STATUS_RANK.get(status, 0), at), status)
    if disputed or invoice.payment_dispute_lost_at is not None:
        facets["dispute"] = Facet(Stamp(0), "lost")
    if invoice.payment_status in INVOICE_PAYMENT_RANK:
        rank = INVOICE_PAYMENT_RANK[invoice.payment_status]
        facets["payment"] = Facet(Stamp(rank), invoice.payment_status)
    for name, figure in (
        ("paid", invoice.total_paid_amount_cents),
        ("due", invoice.total_due_amount_cents),
        ("offset", invoice.total_offsetted_credit_note_amount_cents),
    ):
        if figure is not None:
            facets[name] = Facet(telling.stamp(0, at), figure)
    if defining and invoice.fees is not None:
        if invoice.customer is None:
            raise Undecodable("missing_field", "invoice.customer: is missing.")
        sums = sum(fee.amount_cents for fee in invoice.fees) == invoice.fees_amount_cents
        # Fees that do not add up define the content only until a message comes whose fees do.
        facets["content"] = Facet(
            telling.stamp(FINAL * final + sums, at),
            invoice.model_dump(mode="json", exclude=_STATE_ONLY, exclude_unset=True),
        )
    if defining:
        facets |= _fee_taxes(telling.stamp(final, at), invoice.fees or ())
    for name in ("credits", "applied_taxes"):
        parts = getattr(invoice, name)
        if parts is not None:
            facets[name] = Facet(telling.stamp(final, at), _dumped(parts))
    customer_id = invoice.customer.lago_id if invoice.customer is not None else None
    return Contribution(
        ObjectKey("invoice", invoice.lago_id), telling.organization_id, facets, customer_id
    )


def of_credit_note(
    telling: Telling, note: lago.CreditNote, *, refund: str | None = None
) -> Contribution:
    """Content from a message with its items, state from any; ``refund`` is what its type says."""
    facets: dict[str, Facet] = {}
    stamp = telling.stamp(0, note.updated_at)
    if note.items is not None:
        facets["content"] = Facet(
            stamp, note.model_dump(mode="json", exclude=_NOTE_STATE, exclude_unset=True)
        )
        facets |= _fee_taxes(stamp, [item.fee for item in note.items])
    if note.credit_status in CREDIT_RANK:
        facets["credit"] = Facet(Stamp(CREDIT_RANK[note.credit_status]), note.credit_status)
    refund = refund or note.refund_status
    if refund in REFUND_RANK:
        facets["refund"] = Facet(Stamp(REFUND_RANK[refund]), refund)
    if note.balance_amount_cents is not None:
        facets["balance"] = Facet(stamp, note.balance_amount_cents)
    if note.applied_taxes is not None:
        facets["applied_taxes"] = Facet(stamp, _dumped(note.applied_taxes))
    return Contribution(
        ObjectKey("credit_note", note.lago_id),
        telling.organization_id,
        facets,
        note.customer.lago_id if note.customer is not None else None,
        (note.lago_invoice_id,) if note.lago_invoice_id is not None else (),
    )


def of_refund_failure(telling: Telling, failure: lago.RefundFailure) -> Contribution:
    """The provider could not pay a credit note's refund."""
    return Contribution(
        ObjectKey("credit_note", failure.lago_credit_note_id),
        telling.organization_id,
        {"refund": Facet(Stamp(REFUND_RANK["failed"]), "failed")},
    )


def of_payment(telling: Telling, payment: lago.Payment) -> Contribution:
    """Money received. A payment request's payment is known by the request: both tell of it."""
    content = _payment_content(
        payment.amount_cents,
        payment.amount_currency,
        payment.created_at,
        payment.invoice_ids,
        payment.reference,
        payment.type,
    )
    return Contribution(
        ObjectKey("payment", payment_id(payment) or payment.lago_id),
        telling.organization_id,
        {
            "content": Facet(telling.stamp(1, None), content),
            # Lago tells only of money that came; where it does not say so, it did.
            **_payment_status(telling, payment.payment_status or "succeeded"),
        },
        payment.lago_customer_id,
        payment.invoice_ids,
    )


def of_payment_state(telling: Telling, state: lago.PaymentState) -> Contribution | None:
    """How a payment goes; None where the message does not say which payment."""
    id = payment_id(state)
    if id is None:
        return None
    return Contribution(
        ObjectKey("payment", id),
        telling.organization_id,
        _payment_status(telling, state.payment_status or "requires_action"),
        state.lago_customer_id,
    )


def of_payment_request(telling: Telling, request: lago.PaymentRequest) -> Contribution:
    """Paid, a request paid what each of its invoices had open; a payment tells more exactly."""
    invoices = request.invoices or ()
    ids = tuple(invoice.lago_id for invoice in invoices)
    facets = dict(_payment_status(telling, request.payment_status))
    if request.invoices is not None:
        content = _payment_content(
            request.amount_cents, request.amount_currency, request.created_at, ids
        )
        facets["content"] = Facet(telling.stamp(0, None), content)
    shares = _shares(request.amount_cents, invoices)
    if shares is not None:
        facets["shares"] = Facet(telling.stamp(0, None), shares)
    return Contribution(
        ObjectKey("payment", request.lago_id),
        telling.organization_id,
        facets,
        request.customer.lago_id if request.customer is not None else None,
        ids,
    )


def payment_id(payment: lago.Payment | lago.PaymentState) -> UUID | None:
    """A payment request's payment goes by the request's id."""
    return payment.lago_payable_id if payment.payable_type == "PaymentRequest" else payment.lago_id


def _payment_status(telling: Telling, status: str | None) -> Mapping[str, Facet]:
    if status not in PAYMENT_RANK:
        return {}
    return {"status": Facet(telling.stamp(PAYMENT_RANK[status], None), status)}


def _payment_content(
    amount_cents: int,
    currency: str,
    created_at: datetime | None,
    invoice_ids: tuple[UUID, ...],
    reference: str | None = None,
    type: str | None = None,
) -> dict[str, Any]:
    return {
        "amount_cents": amount_cents,
        "currency": currency,
        "created_at": created_at.isoformat() if created_at is not None else None,
        "invoice_ids": [str(id) for id in invoice_ids],
        "reference": reference,
        "type": type,
    }


def _shares(amount_cents: int, invoices: tuple[lago.Invoice, ...]) -> dict[str, int] | None:
    """What a payment request of that amount gives each invoice, where the message proves it.

    Lago writes what was paid invoice by invoice, after it asked for the message (lago.md 7): a
    figure may be from before or after. From before are all if what is open sums to the amount;
    from after, if nothing is open and all that was ever paid sums to it.
    """
    if len(invoices) == 1:
        return {str(invoices[0].lago_id): amount_cents}
    due = [invoice.total_due_amount_cents for invoice in invoices]
    paid = [invoice.total_paid_amount_cents for invoice in invoices]
    for figures in (due, paid if not any(due) else []):
        known = [figure for figure in figures if figure is not None]
        if invoices and len(known) == len(invoices) and sum(known) == amount_cents:
            return {str(i.lago_id): cents for i, cents in zip(invoices, known, strict=True)}
    return None


def _fee_taxes(stamp: Stamp, fees: Iterable[lago.Fee]) -> dict[str, Facet]:
    """The taxes of each fee by its id, where the message has them: a facet of its own, for webhooks
    do not, and a later one must not take away what the API told."""
    told = {
        str(fee.lago_id): sorted(
            _dumped(fee.applied_taxes), key=lambda tax: str(tax.get("tax_code"))
        )
        for fee in fees
        if fee.applied_taxes is not None
    }
    return {"fee_taxes": Facet(stamp, told)} if told else {}


def _dumped(parts: tuple[lago.LagoModel, ...]) -> list[dict[str, Any]]:
    return [part.model_dump(mode="json", exclude_unset=True) for part in parts]
