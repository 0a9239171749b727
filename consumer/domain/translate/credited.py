"""A credit note's figures in, checked; what each line comes to in the units Xero can keep, out.

Lago rounds a credit note's items, coupons, subtotal, taxes and total one by one, so they may miss
each other by a subunit; the total and the tax are what counts (ACCOUNTING.md 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor

from consumer.domain.errors import Inconsistent, Refused
from consumer.domain.money import ZERO, largest_remainder
from consumer.domain.translate.taxes import fee_rate
from consumer.domain.translate.totals import Unit, require
from schemas import lago


@dataclass(frozen=True, slots=True)
class Credited:
    """One item unrounded, in Lago subunits: before its coupons, and the coupons' part.

    Both taxes are Lago's tax on what is left, split: ``tax`` − ``coupon_tax`` is the item's.
    """

    item: lago.CreditNoteItem
    amount: Fraction
    coupon: Fraction
    tax: Fraction
    coupon_tax: Fraction

    @property
    def net(self) -> Decimal:
        """What a credit note's taxes are computed on."""
        left = self.amount - self.coupon
        return Decimal(left.numerator) / left.denominator


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one line comes to and its tax, in major units; both without a sign."""

    amount: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class NoteFigures:
    """The lines' figures: items − coupons + their taxes are the credit note's total."""

    items: tuple[Amounts, ...]
    coupons: tuple[Amounts, ...]


def check_note(note: lago.CreditNote) -> None:
    """Lago's own figures add up, but for the rounding of its parts.

    Raises:
        Inconsistent: ``lago_totals_missing`` or ``lago_totals_disagree``, with the figures.
        Refused: ``negative_total``.
    """
    require(
        "credit note",
        note,
        "currency",
        "items",
        "sub_total_excluding_taxes_amount_cents",
        "taxes_amount_cents",
        "total_amount_cents",
    )
    items, coupons = note.items or (), note.coupons_adjustment_amount_cents
    subtotal = note.sub_total_excluding_taxes_amount_cents or 0
    taxes, total = note.taxes_amount_cents or 0, note.total_amount_cents or 0
    if total < 0:
        raise Refused(
            "negative_total",
            f"The credit note's total is negative: {total}.",
            "Xero takes no negative credit note; correct it in Lago.",
        )
    parts = {
        "coupons_adjustment_amount_cents": coupons,
        "sub_total_excluding_taxes_amount_cents": subtotal,
        "taxes_amount_cents": taxes,
        "total_amount_cents − taxes_amount_cents": total - taxes,
        **{f"the amount of item {item.lago_id}": item.amount_cents for item in items},
    }
    for name, amount in parts.items():
        if amount < ZERO:
            raise Inconsistent(
                "negative_amount",
                f"Lago says {name} is {amount}, where only amounts from 0 up make sense.",
                "Correct the credit note in Lago.",
            )
    # Half a subunit each: every item, the coupons, the subtotal and, in old versions, the total.
    net = sum(item.amount_cents for item in items) - coupons
    _near(
        "items − coupons", net, "sub_total_excluding_taxes_amount_cents", subtotal, len(items) + 3
    )
    _near("the subtotal + taxes", subtotal + taxes, "total_amount_cents", total, 2)


def _near(what: str, found: int, name: str, said: int, halves: int) -> None:
    if abs(found - said) * 2 > halves:
        raise Inconsistent(
            "lago_totals_disagree",
            f"Lago's own figures do not add up: {what} is {found}, but {name} is {said}.",
            "Compare the credit note in Lago; nothing is posted until a consistent message arrives.",
        )


def credited(note: lago.CreditNote, items: Sequence[lago.CreditNoteItem]) -> list[Credited]:
    """The items of a checked note, in their order."""
    amounts = [_precise(item) for item in items]
    coupons = _coupons(note.coupons_adjustment_amount_cents, items, amounts)
    return [
        _taxed(item, amount, coupon)
        for item, amount, coupon in zip(items, amounts, coupons, strict=True)
    ]


def _precise(item: lago.CreditNoteItem) -> Fraction:
    """The item before Lago rounded it; versions that did not keep that say 0."""
    precise = item.precise_amount_cents
    if precise is None or abs(precise - item.amount_cents) > 1:
        return Fraction(item.amount_cents)
    return Fraction(precise)


def _coupons(
    total: int, items: Sequence[lago.CreditNoteItem], amounts: Sequence[Fraction]
) -> list[Fraction]:
    """Each item's part of the note's coupons: of the fee's discount as much as of the fee.

    The fees' figures are weights only: Lago once split coupons by amount, as is done without them.
    """
    parts = [
        amount * _discount(item.fee) / item.fee.amount_cents
        if item.fee.amount_cents
        else Fraction(0)
        for item, amount in zip(items, amounts, strict=True)
    ]
    weights = parts if any(parts) else amounts
    whole = sum(weights)
    return [total * weight / whole for weight in weights] if whole else parts


def _discount(fee: lago.Fee) -> Fraction:
    """Coupons and progressive billing credit on the whole fee."""
    return Fraction(fee.precise_coupons_amount_cents or ZERO)


def _taxed(item: lago.CreditNoteItem, amount: Fraction, coupon: Fraction) -> Credited:
    fee = item.fee
    net, booked = fee.amount_cents - _discount(fee), Fraction(fee.taxes_amount_cents)
    rate = _rate(fee, net, booked)
    tax = rate * (amount - coupon)
    # A provider may have taxed less than the whole fee: then what it booked tells, if we know it.
    if booked and abs(rate * net - booked) > 1 and fee.amount_cents:
        tax = booked * amount / fee.amount_cents
    return Credited(item, amount, coupon, tax + rate * coupon, rate * coupon)


def _rate(fee: lago.Fee, net: Fraction, booked: Fraction) -> Fraction:
    """Of 1; where Lago does not say it, what it booked."""
    stated = fee_rate(fee)
    if stated is not None:
        return Fraction(stated) / 100
    return booked / net if net > 0 else Fraction(0)


def line_figures(
    parts: Sequence[Credited], coupon_of: Sequence[int], net: int, tax: int, unit: Unit
) -> NoteFigures:
    """The lines' figures, such that items − coupons are ``net`` units and their taxes ``tax``.

    Args:
        coupon_of: the coupon line that each item's coupons go to.

    Raises:
        Inconsistent: ``lago_totals_disagree`` or ``lago_taxes_disagree``; there is no line to bear
            the amount or the tax.
    """
    scale = Fraction(unit.per_major, unit.subunits)
    lines = range(max(coupon_of, default=-1) + 1)
    ties = [str(part.item.lago_id) for part in parts]

    def summed(values: Sequence[Fraction]) -> list[Fraction]:
        return [
            sum((v for v, at in zip(values, coupon_of, strict=True) if at == line), Fraction(0))
            for line in lines
        ]

    amounts = [part.amount * scale for part in parts]
    coupons = summed([part.coupon * scale for part in parts])
    if net and not any(amounts):
        raise Inconsistent(
            "lago_totals_disagree",
            f"The credit note's net amount is {net}, but its items are all 0.",
            "Compare the credit note in Lago.",
        )
    items, taken = _difference(net, amounts, coupons, ties)
    taxes = [part.tax * scale for part in parts]
    coupon_taxes = summed([part.coupon_tax * scale for part in parts])
    if tax and not any(taxes):
        raise Inconsistent(
            "lago_taxes_disagree",
            f"The credit note's tax is {tax}, but none of its items is taxed.",
            "Compare the credit note in Lago.",
        )
    # Tax on a line that became 0.00 in Xero's cents would stand alone there.
    bearing = [one if items[i] else Fraction(0) for i, one in enumerate(taxes)]
    lowering = [one if taken[i] else Fraction(0) for i, one in enumerate(coupon_taxes)]
    item_taxes, taken_taxes = _difference(tax, bearing if any(bearing) else taxes, lowering, ties)
    return NoteFigures(
        _amounts(items, item_taxes, unit),
        _amounts(taken, taken_taxes, unit),
    )


def _amounts(lines: Sequence[int], taxes: Sequence[int], unit: Unit) -> tuple[Amounts, ...]:
    return tuple(map(Amounts, map(unit.major, lines), map(unit.major, taxes)))


def _difference(
    target: int, plus: Sequence[Fraction], minus: Sequence[Fraction], ties: Sequence[str]
) -> tuple[list[int], list[int]]:
    """``plus`` and ``minus`` in whole units whose sums differ by ``target``.

    Cents go to the largest remainders of ``plus``; what its rounding misses goes to ``minus``.
    """
    above = max(floor(sum(plus) + Fraction(1, 2)), target) if any(minus) else target
    return _to_sum(above, plus, ties), _to_sum(above - target, minus, range(len(minus)))


def _to_sum(total: int, shares: Sequence[Fraction], ties: Sequence[str] | range) -> list[int]:
    """``shares`` in whole units that sum to ``total``; whole shares stay where that can be."""
    parts = [floor(share) for share in shares]
    missing = total - sum(parts)
    if 0 <= missing <= sum(1 for share in shares if share.denominator > 1):
        order = sorted(range(len(shares)), key=lambda i: (parts[i] - shares[i], ties[i]))
        for i in order[:missing]:
            parts[i] += 1
        return parts
    whole = sum(shares)
    return largest_remainder([total * share / whole for share in shares], ties)
