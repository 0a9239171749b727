"""Invoices that nobody has thought of: choices in, payloads whose figures add up out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from consumer.sandbox.lago.catalogue import REGIMES, Organization, Regime
from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.clock import instant, iso
from consumer.sandbox.lago.customers import generate_customer
from consumer.sandbox.lago.fees import TYPES_OF_INVOICE, generate_fee
from consumer.sandbox.lago.invoices import InvoiceFacts, invoice
from consumer.sandbox.lago.totals import COUPONS_BEFORE_TAX, Money, compute, coupon_room

Json = dict[str, Any]

CURRENCIES = ("EUR", "NZD", "USD", "GBP", "JPY", "HUF", "KWD", "CLF")
"""Two, no, three and four decimals by Lago's count (lago.md 3.7)."""
INVOICE_TYPES = tuple(TYPES_OF_INVOICE)
_DISCOUNTED_TYPES = ("subscription", "progressive_billing", "add_on")
"""One-off invoices and top-ups never carry coupons, credit notes or prepaid credits."""


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
