"""Invoices as Lago serializes them, with every relation: facts or choices in, payloads out.

``invoice`` computes the totals of given facts; ``generate_invoice`` draws the facts. Which
relations a message shows is ``messages``' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from consumer.sandbox.lago.catalogue import PLANS, REGIMES, Organization, Regime, stable_id
from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.clock import instant, iso, later
from consumer.sandbox.lago.customers import generate_customer, nested
from consumer.sandbox.lago.fees import TYPES_OF_INVOICE, Place, generate_fee, serialize
from consumer.sandbox.lago.totals import COUPONS_BEFORE_TAX, Money, Totals, compute, coupon_room

Json = dict[str, Any]

CURRENCIES = ("EUR", "NZD", "USD", "GBP", "JPY", "HUF", "KWD", "CLF")
"""Two, no, three and four decimals by Lago's count (lago.md 3.7)."""
INVOICE_TYPES = tuple(TYPES_OF_INVOICE)
_DISCOUNTED_TYPES = ("subscription", "progressive_billing", "add_on")
"""One-off invoices and top-ups never carry coupons, credit notes or prepaid credits."""


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


def generate_invoice(
    choices: Choices,
    *,
    organization: Organization | None = None,
    customer: Json | None = None,
    currency: str | None = None,
    invoice_type: str | None = None,
    status: str = "finalized",
    version: int | None = None,
    regime: Regime | None = None,
    regimes: Sequence[Regime] = REGIMES,
    most_fees: int = 8,
    discounts: bool = True,
    deductions: bool = True,
    notes: bool = True,
    payments: bool = True,
    offsets: bool = True,
    self_billed: bool = False,
    number: str | None = None,
) -> Json:
    """An invoice whose figures add up; what is not given is drawn.

    Args:
        regime: the tax sets its fees may have; one of ``regimes`` when None.
        discounts: whether coupons and progressive-billing credit may be drawn.
        deductions: whether consumed credit notes and prepaid credit may be drawn.
        notes: whether credit notes may be consumed that nobody was told of.
        payments: whether part or all of it may be paid already, or offset.
        offsets: whether credit notes that nobody was told of may have settled a part.
    """
    customer = customer or generate_customer(choices, organization=organization)
    currency = currency or choices.choose(CURRENCIES)
    kind = invoice_type or choices.choose(INVOICE_TYPES)
    discountable = kind in _DISCOUNTED_TYPES
    if version is None:
        old = kind in ("subscription", "add_on") and choices.chance(8)
        version = 2 if old else choices.choose((4, 4, 4, 3))
    taxes = regime or choices.choose(regimes)
    count = 1 if kind == "credit" else choices.integer(1, most_fees)
    fees = tuple(
        generate_fee(choices, choices.choose(TYPES_OF_INVOICE[kind]), currency, taxes)
        for _ in range(count)
    )
    money = Money(currency, fees, version=version, sums_fee_taxes=kind == "advance_charges")
    if discounts and discountable:
        money = _with_discounts(choices, money)
    if deductions and discountable:
        money = _with_deductions(choices, money, notes=notes)
    if payments and status != "draft" and kind != "advance_charges":
        money = _with_payments(choices, money, offsets=offsets)
    at = instant(choices)
    return invoice(
        choices,
        InvoiceFacts(
            customer=customer,
            money=money,
            issuing_date=_local_day(choices, at),
            at=iso(at),
            invoice_type=kind,
            number=number,
            status=status,
            # Its fees were paid in advance; the payment itself is recorded later (lago.md 7).
            payment_status="succeeded" if kind == "advance_charges" else None,
            self_billed=self_billed,
            net_payment_term=choices.choose((0, 14, 30)),
            purchase_order_number=choices.choose((None, "PO-4711")),
            web_url=choices.choose((None, "https://app.getlago.test/invoice")),
        ),
    )


def _local_day(choices: Choices, at: datetime) -> date:
    """The issuing date is local to the customer, so it may be a day off the UTC one."""
    return at.date() + timedelta(days=choices.choose((0, 0, 1)))


def _part(choices: Choices, limit: int) -> int:
    """More than nothing and at most ``limit``; often all of it."""
    return limit if choices.chance(20) else choices.integer(1, limit)


def _with_discounts(choices: Choices, money: Money) -> Money:
    charges = sum(f.amount_cents(money.currency) for f in money.fees if f.type == "charge")
    if charges and money.version >= COUPONS_BEFORE_TAX and choices.chance(20):
        overlap = Decimal(choices.choose(("1", "1", "1.1", "1.25")))
        money = replace(money, progressive=_part(choices, charges), overlap=overlap)
    while len(money.coupons) < 2 and choices.chance(25):
        room = coupon_room(money)
        if not room:
            break
        money = replace(money, coupons=(*money.coupons, _part(choices, room)))
    return money


def _with_deductions(choices: Choices, money: Money, *, notes: bool) -> Money:
    while notes and len(money.credit_notes) < 2 and choices.chance(15):
        room = compute(money).total
        if not room:
            break
        money = replace(money, credit_notes=(*money.credit_notes, _part(choices, room)))
    room = compute(money).total
    if room and choices.chance(25):
        prepaid = _part(choices, room)
        granted = None if choices.chance(20) else choices.integer(0, prepaid)
        return replace(money, prepaid=prepaid, granted=granted)
    # Invoices older than the split tell no parts, whether credit was used or not.
    return replace(money, granted=None) if choices.chance(10) else money


def _with_payments(choices: Choices, money: Money, *, offsets: bool) -> Money:
    total = compute(money).total
    if not total or not choices.chance(25):
        return money
    if offsets and choices.chance(20):
        return replace(money, offset=_part(choices, total))
    return replace(money, paid=_part(choices, total))
