"""Xero's arithmetic: quantities, prices, discounts and rates in, rounded amounts or complaints out.

Amounts are major units in Decimal. Lines and taxes are rounded half up to two decimals each and
then summed; a unit price is rounded to two decimals, or to four with ``unitdp=4``, before use.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal

ZERO = Decimal("0.00")
CENT = Decimal("0.01")
FOUR = Decimal("0.0001")
PLACES = {2: CENT, 4: FOUR}


def cents(value: Decimal) -> Decimal:
    """Two decimals, half up (away from zero)."""
    return value.quantize(CENT, ROUND_HALF_UP)


def four(value: Decimal) -> Decimal:
    """Four decimals, half up."""
    return value.quantize(FOUR, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a line as sent; None where the caller left one out."""

    quantity: Decimal | None
    unit_amount: Decimal | None
    line_amount: Decimal | None = None
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Priced:
    """A line as stored, and what Xero says against it."""

    quantity: Decimal
    unit_amount: Decimal
    line_amount: Decimal
    discount_rate: Decimal | None
    discount_amount: Decimal | None
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """How this organisation counts; see SimulatorSettings for what is unproven."""

    unit_places: int = 2
    tolerance: Decimal = ZERO
    discounted_rounding: Literal["half_up", "truncate"] = "half_up"
    zero_discounted_refused: bool = True


def _mismatch(given: Decimal, expected: Decimal) -> str:
    return f"The line total {given:.2f} does not match the expected line total {expected:.2f}"


def price(figures: Figures, rules: Rules) -> Priced:
    """Fill in what was left out and check what was given twice."""
    given = None if figures.line_amount is None else cents(figures.line_amount)
    quantity = None if figures.quantity is None else four(figures.quantity)
    unit = figures.unit_amount
    if unit is not None:
        unit = unit.quantize(PLACES[rules.unit_places], ROUND_HALF_UP)
    derived = quantity is None or unit is None
    rate = None if figures.discount_rate is None else cents(figures.discount_rate)
    discount = figures.discount_amount
    if given is not None and derived:
        gross = given + (discount or ZERO) if rate is None else _gross(given, rate)
        if quantity is None and unit:
            quantity = four(gross / unit)
        quantity = Decimal(1) if quantity is None else quantity
        if unit is None:
            unit = four(gross / quantity) if quantity else ZERO
    else:
        quantity = Decimal(1) if quantity is None else quantity
        unit = ZERO if unit is None else unit
        gross = quantity * unit
    complaints: list[str] = []
    if rate is not None:
        discount = gross * rate / 100
    elif discount is not None and gross:
        rate = cents(discount / gross * 100)
    if discount is not None and discount > gross:
        shown = discount if rate is None else rate
        complaints.append(
            f"The discount rate '{shown:.2f}' is invalid. "
            "Discount must not be greater than the line total."
        )
    rounding = ROUND_HALF_UP
    if discount and rules.discounted_rounding == "truncate":
        rounding = ROUND_DOWN
    expected = (gross - (discount or ZERO)).quantize(CENT, rounding)
    if given is not None and not complaints:
        if discount and given == 0 and rules.zero_discounted_refused:
            complaints.append(_mismatch(given, given - cents(discount)))
        elif not derived and abs(given - expected) > rules.tolerance:
            complaints.append(_mismatch(given, expected))
    return Priced(
        quantity,
        unit,
        expected if given is None else given,
        rate,
        None if discount is None else cents(discount),
        tuple(complaints),
    )


def _gross(net: Decimal, rate: Decimal) -> Decimal:
    return net if rate >= 100 else net * 100 / (100 - rate)


def tax(line_amount: Decimal, rate: Decimal, line_amount_types: str) -> Decimal:
    """The tax of one line; ``rate`` in per cent."""
    if line_amount_types == "NoTax":
        return ZERO
    if line_amount_types == "Inclusive":
        return cents(line_amount * rate / (100 + rate))
    return cents(line_amount * rate / 100)
