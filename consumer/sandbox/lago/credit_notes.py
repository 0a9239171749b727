"""Credit notes: an invoice and some of its fees in; Lago's credit note webhooks out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.messages import envelope

Json = dict[str, Any]


def credit_note(
    choices: Choices,
    invoice: Json,
    fees: Sequence[Json] | None = None,
    *,
    number: int = 1,
    offset: int = 0,
    refund: int = 0,
    **facts: Any,
) -> Json:
    """Fees given back whole, all of them by default; what is neither offset nor refunded is credit.

    The fees must be undiscounted and bear one tax at most, so that their own figures are the note's.
    """
    credited = list(invoice["fees"] if fees is None else fees)
    net = sum(fee["amount_cents"] for fee in credited)
    tax = sum(fee["taxes_amount_cents"] for fee in credited)
    credit = net + tax - offset - refund
    taxes = [
        {**one, "base_amount_cents": sum(f["amount_cents"] for f in credited if _bears(f, one))}
        for one in invoice["applied_taxes"]
        if any(_bears(fee, one) for fee in credited)
    ]
    return {
        "lago_id": choices.uuid(),
        "billing_entity_code": invoice["billing_entity_code"],
        "sequential_id": number,
        "number": f"{invoice['number']}-CN{number:03}",
        "lago_invoice_id": invoice["lago_id"],
        "invoice_number": invoice["number"],
        "purchase_order_number": None,
        "issuing_date": "2026-05-04",
        "credit_status": "available" if credit else None,
        "refund_status": "pending" if refund else None,
        "reason": "other",
        "description": None,
        "currency": invoice["currency"],
        "total_amount_cents": net + tax,
        "taxes_amount_cents": tax,
        "sub_total_excluding_taxes_amount_cents": net,
        "balance_amount_cents": credit,
        "credit_amount_cents": credit,
        "refund_amount_cents": refund,
        "offset_amount_cents": offset,
        "coupons_adjustment_amount_cents": 0,
        "taxes_rate": 0.0,
        "self_billed": False,
        "items": [
            {
                "lago_id": choices.uuid(),
                "amount_cents": fee["amount_cents"],
                "precise_amount_cents": str(fee["amount_cents"]),
                "amount_currency": invoice["currency"],
                "fee": fee,
            }
            for fee in credited
        ],
        "applied_taxes": taxes,
        "customer": {k: v for k, v in invoice["customer"].items() if k != "integration_customers"},
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": "2026-05-04T09:00:00Z",
        **facts,
    }


def credit_note_event(note: Json, organization_id: str) -> Json:
    """It was created."""
    return envelope("credit_note.created", "credit_note", organization_id, note)


def refund_failure_event(note: Json, organization_id: str) -> Json:
    """The provider could not pay its refund."""
    failure = {
        "lago_credit_note_id": note["lago_id"],
        "lago_customer_id": note["customer"]["lago_id"],
        "external_customer_id": note["customer"]["external_id"],
        "provider_error": {"message": "No such charge", "error_code": "resource_missing"},
    }
    kind = "credit_note_payment_provider_refund_error"
    return envelope("credit_note.refund_failure", kind, organization_id, failure)


def consuming(choices: Choices, invoice: Json, notes: Sequence[tuple[Json, int]]) -> Json:
    """The invoice with amounts of these notes consumed; it must not have consumed any before."""
    taken = sum(amount for _, amount in notes)
    due = invoice["total_amount_cents"] - taken
    return {
        **invoice,
        "credits": [
            *invoice["credits"],
            *(
                {
                    "lago_id": choices.uuid(),
                    "amount_cents": amount,
                    "amount_currency": invoice["currency"],
                    "before_taxes": False,
                    "item": {
                        "lago_item_id": note["lago_id"],
                        "type": "credit_note",
                        "code": note["number"],
                        "name": note["invoice_number"],
                    },
                    "invoice": {"lago_id": invoice["lago_id"], "payment_status": "pending"},
                }
                for note, amount in notes
            ),
        ],
        "credit_notes_amount_cents": taken,
        "total_amount_cents": due,
        "total_due_amount_cents": due,
    }


def _bears(fee: Json, tax: Json) -> bool:
    return bool(fee["taxes_rate"] == tax["tax_rate"])
