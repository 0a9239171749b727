"""An invoice's facts in; its discounts, taxes and totals out, in the order in which Lago computes.

Progressive-billing credit and coupons come off the fees before tax; taxes are computed precisely
and rounded once for each fee, each tax and the invoice, so the three may differ by some subunits;
credit notes and prepaid credit come off the total (lago.md 1, 3.7, 7). Up to ``version_number`` 2
coupons come after tax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumer.sandbox.lago.amounts import rounded, shares, whole
from consumer.sandbox.lago.catalogue import Tax
from consumer.sandbox.lago.fees import FeeFacts, TaxedFee

COUPONS_BEFORE_TAX = 3
"""The first ``version_number`` whose coupons reduce the taxed amount."""


@dataclass(frozen=True, slots=True)
class Money:
    """The facts from which an invoice's totals follow; amounts in subunits.

    Args:
        overlap: by how much the fees' progressive discounts exceed the invoice's credit; above 1
            after a coupon on the progressive invoice.
        granted: the granted part of ``prepaid``; None on old invoices, which tell no parts.
        offset: what credit notes settled directly.
    """

    currency: str
    fees: tuple[FeeFacts, ...]
    version: int = 4
    progressive: int = 0
    overlap: Decimal = Decimal(1)
    coupons: tuple[int, ...] = ()
    credit_notes: tuple[int, ...] = ()
    prepaid: int = 0
    granted: int | None = 0
    paid: int = 0
    offset: int = 0
    sums_fee_taxes: bool = False


@dataclass(frozen=True, slots=True)
class AppliedTax:
    """One tax of the invoice over all its fees, in subunits."""

    tax: Tax
    amount_cents: int
    fees_amount_cents: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What Lago shows, in subunits."""

    fees: tuple[TaxedFee, ...]
    applied_taxes: tuple[AppliedTax, ...]
    fees_amount: int
    taxes: int
    excluding_taxes: int
    including_taxes: int
    total: int
    due: int


def compute(money: Money) -> Totals:
    """The totals; amounts are taken as given, so that a caller can also make impossible ones."""
    fees = _discounted(money)
    before_tax = money.version >= COUPONS_BEFORE_TAX
    coupons = sum(money.coupons)
    fees_amount = sum(fee.amount_cents for fee in fees)
    taxes = (
        sum(fee.taxes_amount_cents for fee in fees)
        if money.sums_fee_taxes
        else whole(sum((fee.precise_taxes for fee in fees), Decimal(0)))
    )
    excluding = fees_amount - money.progressive - (coupons if before_tax else 0)
    including = excluding + taxes
    total = including - (0 if before_tax else coupons) - sum(money.credit_notes) - money.prepaid
    return Totals(
        fees=tuple(fees),
        applied_taxes=tuple(_applied(fees)),
        fees_amount=fees_amount,
        taxes=taxes,
        excluding_taxes=excluding,
        including_taxes=including,
        total=total,
        due=total - money.paid - money.offset,
    )


def coupon_room(money: Money) -> int:
    """The most that a further coupon can take off, in subunits."""
    totals = compute(money)
    if money.version < COUPONS_BEFORE_TAX:
        return totals.total
    reached = (fee.net for fee in totals.fees if fee.facts.discounted)
    return max(0, min(totals.excluding_taxes, int(sum(reached, Decimal(0)))))


def _discounted(money: Money) -> list[TaxedFee]:
    amounts = [fee.amount_cents(money.currency) for fee in money.fees]
    discounts = [Decimal(0)] * len(amounts)

    def take(amount: int, reached: Sequence[bool], overlap: Decimal = Decimal(1)) -> None:
        weights = [
            gross - discount if reach else Decimal(0)
            for gross, discount, reach in zip(amounts, discounts, reached, strict=True)
        ]
        for i, share in enumerate(shares(amount, weights)):
            discounts[i] = min(Decimal(amounts[i]), discounts[i] + rounded(share * overlap, 5))

    take(money.progressive, [fee.type == "charge" for fee in money.fees], money.overlap)
    if money.version >= COUPONS_BEFORE_TAX:
        for coupon in money.coupons:
            take(coupon, [fee.discounted for fee in money.fees])
    return [
        TaxedFee(facts, amount, discount)
        for facts, amount, discount in zip(money.fees, amounts, discounts, strict=True)
    ]


def _applied(fees: Sequence[TaxedFee]) -> list[AppliedTax]:
    taxes = dict.fromkeys(tax for fee in fees for tax in fee.facts.taxes)
    return [_over(tax, [fee.net for fee in fees if tax in fee.facts.taxes]) for tax in taxes]


def _over(tax: Tax, nets: Sequence[Decimal]) -> AppliedTax:
    base = sum(nets, Decimal(0))
    # Lago's column for the base is an integer: Rails cuts the fraction, it does not round.
    return AppliedTax(tax, whole(base * tax.rate / 100), int(base))
