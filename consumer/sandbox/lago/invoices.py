"""Invoices as Lago serializes them: facts in, payloads with every relation and computed totals out.

Which relations a message shows is ``messages``' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from consumer.sandbox.lago.catalogue import PLANS, stable_id
from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.clock import later
from consumer.sandbox.lago.customers import nested
from consumer.sandbox.lago.fees import Place, serialize
from consumer.sandbox.lago.totals import COUPONS_BEFORE_TAX, Money, Totals, compute

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """What an invoice is besides its money; ``number`` None is drawn from the customer's slug."""

    customer: Json
    money: Money
    issuing_date: date
    at: str
    invoice_type: str = "subscription"
    number: str | None = None
    status: str = "finalized"
    payment_status: str | None = None
    self_billed: bool = False
    net_payment_term: int = 0
    purchase_order_number: str | None = None
    web_url: str | None = None


def invoice(choices: Choices, facts: InvoiceFacts) -> Json:
    """The payload with all relations; ``choices`` gives ids and the order of the fees."""
    money, totals = facts.money, compute(facts.money)
    lago_id, sequential_id = choices.uuid(), choices.integer(1, 999)
    slug = facts.customer["slug"]
    if facts.status == "draft":
        number = f"{slug.split('-')[0]}-DRAFT"
    else:
        number = facts.number or f"{slug}-{sequential_id:03}"
    settled = totals.total == 0 or money.paid >= totals.total or totals.due == 0
    payment_status = facts.payment_status or ("succeeded" if settled else "pending")
    due = facts.issuing_date + timedelta(days=facts.net_payment_term)
    place = _place(facts, lago_id, choices)
    coupons, credit_notes = sum(money.coupons), sum(money.credit_notes)
    told = money.granted is not None
    return {
        "lago_id": lago_id,
        "billing_entity_code": facts.customer["billing_entity_code"],
        "sequential_id": sequential_id,
        "number": number,
        "purchase_order_number": facts.purchase_order_number,
        "issuing_date": facts.issuing_date.isoformat(),
        "payment_due_date": due.isoformat(),
        "net_payment_term": facts.net_payment_term,
        "invoice_type": facts.invoice_type,
        "status": facts.status,
        "payment_status": payment_status,
        "payment_dispute_lost_at": None,
        "payment_overdue": False,
        "currency": money.currency,
        "fees_amount_cents": totals.fees_amount,
        "taxes_amount_cents": totals.taxes,
        "progressive_billing_credit_amount_cents": money.progressive,
        "coupons_amount_cents": coupons,
        "credit_notes_amount_cents": credit_notes,
        "sub_total_excluding_taxes_amount_cents": totals.excluding_taxes,
        "sub_total_including_taxes_amount_cents": totals.including_taxes,
        "total_amount_cents": totals.total,
        "total_due_amount_cents": totals.due,
        "total_paid_amount_cents": money.paid,
        "total_offsetted_credit_note_amount_cents": money.offset,
        "prepaid_credit_amount_cents": money.prepaid,
        "prepaid_granted_credit_amount_cents": money.granted,
        "prepaid_purchased_credit_amount_cents": money.prepaid - (money.granted or 0)
        if told
        else None,
        "file_url": None,
        "xml_url": None,
        "web_url": facts.web_url,
        "version_number": money.version,
        "self_billed": facts.self_billed,
        "created_at": facts.at,
        "updated_at": facts.at,
        "voided_at": facts.at if facts.status == "voided" else None,
        "customer": nested(facts.customer),
        **_subscription(facts, place),
        "fees": choices.shuffle(_fees(choices, totals, place, facts.at)),
        "credits": _credits(choices, facts, lago_id, payment_status),
        "applied_taxes": _applied_taxes(choices, facts, totals, lago_id),
        "applied_invoice_custom_sections": [],
        "error_details": [],
    }


def _place(facts: InvoiceFacts, invoice_id: str, choices: Choices) -> Place:
    first = facts.issuing_date.replace(day=1)
    external_id = facts.customer["external_id"]
    return Place(
        invoice_id=invoice_id,
        customer_id=facts.customer["lago_id"],
        external_customer_id=external_id,
        subscription_id=choices.uuid(),
        external_subscription_id=f"sub_{external_id}",
        currency=facts.money.currency,
        from_date=f"{(first - timedelta(days=1)).replace(day=1)}T00:00:00+00:00",
        to_date=f"{first - timedelta(days=1)}T23:59:59+00:00",
        paid=facts.invoice_type == "advance_charges",
        self_billed=facts.self_billed,
        in_advance=facts.invoice_type == "advance_charges",
    )


def _fees(choices: Choices, totals: Totals, place: Place, at: str) -> list[Json]:
    """Fees are created one after another, several within a second."""
    return [
        serialize(choices, fee, place, later(at, i // 3 - len(totals.fees)))
        for i, fee in enumerate(totals.fees)
    ]


def _subscription(facts: InvoiceFacts, place: Place) -> Json:
    if facts.invoice_type in ("one_off", "credit", "add_on"):
        return {"subscriptions": [], "billing_periods": []}
    plan = PLANS[0]
    return {
        "subscriptions": [
            {
                "lago_id": place.subscription_id,
                "external_id": place.external_subscription_id,
                "lago_customer_id": place.customer_id,
                "external_customer_id": place.external_customer_id,
                "plan_code": plan.code,
                "plan_amount_cents": 0,
                "plan_amount_currency": place.currency,
                "status": "active",
                "billing_time": "calendar",
                "started_at": place.from_date,
                "created_at": place.from_date,
            }
        ],
        "billing_periods": [
            {
                "lago_subscription_id": place.subscription_id,
                "external_subscription_id": place.external_subscription_id,
                "lago_plan_id": plan.lago_id,
                "subscription_from_datetime": place.from_date,
                "subscription_to_datetime": place.to_date,
                "charges_from_datetime": place.from_date,
                "charges_to_datetime": place.to_date,
                "invoicing_reason": "subscription_periodic",
            }
        ],
    }


def _credits(
    choices: Choices, facts: InvoiceFacts, invoice_id: str, payment_status: str
) -> list[Json]:
    money, slug = facts.money, facts.customer["slug"]

    def credit(amount: int, before_taxes: bool, kind: str, code: str, name: str) -> Json:
        return {
            "lago_id": choices.uuid(),
            "amount_cents": amount,
            "amount_currency": money.currency,
            "before_taxes": before_taxes,
            "item": {
                "lago_item_id": choices.uuid(),
                "type": kind,
                "code": code,
                "name": name,
                "description": None,
            },
            "invoice": {"lago_id": invoice_id, "payment_status": payment_status},
        }

    before = money.version >= COUPONS_BEFORE_TAX
    progressive = [money.progressive] if money.progressive else []
    return [
        *(credit(a, True, "invoice", f"{slug}-000", f"{slug}-000") for a in progressive),
        *(credit(a, before, "coupon", "welcome", "Welcome <10 %>") for a in money.coupons),
        *(
            credit(a, False, "credit_note", f"{slug}-900-CN{i + 1:03}", f"{slug}-900")
            for i, a in enumerate(money.credit_notes)
        ),
    ]


def _applied_taxes(
    choices: Choices, facts: InvoiceFacts, totals: Totals, invoice_id: str
) -> list[Json]:
    return [
        {
            "lago_id": choices.uuid(),
            "lago_invoice_id": invoice_id,
            "lago_tax_id": stable_id("tax", applied.tax.code),
            "tax_name": applied.tax.name,
            "tax_code": applied.tax.code,
            "tax_rate": float(applied.tax.rate),
            "tax_description": None,
            "amount_cents": applied.amount_cents,
            "amount_currency": facts.money.currency,
            "fees_amount_cents": applied.fees_amount_cents,
            "created_at": facts.at,
        }
        for applied in totals.applied_taxes
    ]
