"""Payments: invoices and an amount in; Lago's payment, receipt and payment request webhooks out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.messages import envelope

Json = dict[str, Any]


def payment(
    choices: Choices,
    invoices: Sequence[Json],
    *,
    amount_cents: int | None = None,
    at: str = "2026-05-03T22:30:00Z",
    status: str = "succeeded",
    **facts: Any,
) -> Json:
    """Money on one invoice or several; by default all that they owe."""
    owed = sum(invoice["total_due_amount_cents"] for invoice in invoices)
    return {
        "lago_id": choices.uuid(),
        "lago_customer_id": invoices[0]["customer"]["lago_id"],
        "external_customer_id": invoices[0]["customer"]["external_id"],
        "invoice_ids": [invoice["lago_id"] for invoice in invoices],
        "invoice_numbers": [invoice["number"] for invoice in invoices],
        "lago_payable_id": invoices[0]["lago_id"],
        "payable_type": "Invoice",
        "amount_cents": owed if amount_cents is None else amount_cents,
        "amount_currency": invoices[0]["currency"],
        "status": status,
        "payment_status": status,
        "type": "provider",
        "reference": None,
        "payment_provider_code": "stripe",
        "payment_provider_type": "stripe",
        "external_payment_id": "pi_1",
        "created_at": at,
        **facts,
    }


def payment_event(paid: Json, organization_id: str) -> Json:
    """A provider's success."""
    return envelope("payment.succeeded", "payment", organization_id, paid)


def receipt_event(choices: Choices, paid: Json, organization_id: str) -> Json:
    """The receipt of a payment."""
    receipt = {
        "lago_id": choices.uuid(),
        "number": "RCT-1",
        "payment": paid,
        "created_at": paid["created_at"],
    }
    return envelope("payment_receipt.created", "payment_receipt", organization_id, receipt)


def payment_request(
    choices: Choices, invoices: Sequence[Json], *, status: str = "succeeded"
) -> Json:
    """A dunning request over all that these invoices owe; they are shown without relations."""
    customer = {k: v for k, v in invoices[0]["customer"].items() if k != "integration_customers"}
    hidden = ("customer", "fees", "credits", "applied_taxes", "subscriptions", "billing_periods")
    return {
        "lago_id": choices.uuid(),
        "email": customer.get("email"),
        "amount_cents": sum(invoice["total_due_amount_cents"] for invoice in invoices),
        "amount_currency": invoices[0]["currency"],
        "payment_status": status,
        "customer": customer,
        "invoices": [{k: v for k, v in one.items() if k not in hidden} for one in invoices],
        "created_at": "2026-05-03T22:00:00Z",
    }


def payment_request_event(request: Json, organization_id: str) -> Json:
    """Its status has changed."""
    return envelope(
        "payment_request.payment_status_updated", "payment_request", organization_id, request
    )
