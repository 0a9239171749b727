"""Fees with their whole-unit amounts in, Xero's line items out (ACCOUNTING.md 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from consumer.domain.money import ZERO
from consumer.domain.translate.descriptions import fee_description
from consumer.domain.translate.places import Place
from schemas import lago, xero

ONE = Decimal(1)
_FOUR = Decimal("0.0001")
_HALF_CENT = Decimal("0.005")
_MOST_DIGITS = 15
"""A JSON number carries no more (schemas.xero)."""


@dataclass(frozen=True, slots=True)
class FeeAmounts:
    """A fee's amounts in major units, two decimals."""

    amount: Decimal
    discount: Decimal
    tax: Decimal

    @property
    def net(self) -> Decimal:
        """What the line comes to before tax."""
        return self.amount - self.discount


def fee_order(fee: lago.Fee) -> tuple[datetime, str]:
    """``created_at``, then lago_id; a fee without a stamp comes last."""
    created = fee.created_at or datetime.max.replace(tzinfo=UTC)
    return created if created.tzinfo else created.replace(tzinfo=UTC), str(fee.lago_id)


def fee_line(
    fee: lago.Fee,
    amounts: FeeAmounts,
    place: Place,
    tax_type: str,
    *,
    currency: str,
    billed_before: str | None = None,
) -> xero.LineItem:
    """One fee's line.

    Quantity × UnitAmount are the fee's own where Xero's arithmetic gives the line from them. A
    LineAmount of 0.00 is never sent: Xero compares it with the undiscounted line (xero.md 11).
    """
    quantity, unit_amount = _factors(fee, amounts)
    if amounts.amount == 0:
        price = fee.precise_unit_amount
        shown = bool(price) or not fee.units
    else:
        shown = (quantity, unit_amount) == (ONE, amounts.amount) and not _says_itself(fee, amounts)
    return xero.LineItem(
        description=fee_description(
            fee, currency=currency, figures=shown, billed_before=billed_before
        ),
        quantity=quantity,
        unit_amount=unit_amount,
        line_amount=amounts.net if amounts.net > 0 else None,
        discount_amount=amounts.discount if amounts.discount > 0 else None,
        item_code=place.item,
        account_code=place.account,
        tax_type=tax_type,
        tax_amount=amounts.tax,
    )


def deduction_line(
    description: str, amount: Decimal, place: Place, tax_type: str, tax: Decimal = ZERO
) -> xero.LineItem:
    """A negative line of ``amount`` > 0 that takes ``tax`` with it.

    Xero takes no discount on it, not even 0.
    """
    return xero.LineItem(
        description=description,
        quantity=ONE,
        unit_amount=-amount,
        line_amount=-amount,
        item_code=place.item,
        account_code=place.account,
        tax_type=tax_type,
        tax_amount=-tax,
    )


def _factors(fee: lago.Fee, amounts: FeeAmounts) -> tuple[Decimal, Decimal]:
    """Quantity and UnitAmount."""
    quantity = _four(fee.units)
    if amounts.amount == 0:
        return (quantity if quantity > 0 and _fits(quantity) else ONE), ZERO
    price = _four(fee.precise_unit_amount)
    if quantity > 0 and price > 0 and _fits(quantity) and _fits(price):
        product = quantity * price
        # Below half a cent every way of rounding ends at the amount; a discount needs it exact,
        # since one user saw a discounted line cut off instead of rounded (xero.md 5).
        same = abs(product - amounts.amount) < _HALF_CENT
        if product == amounts.amount or (same and amounts.discount == 0):
            return quantity, price
    return ONE, amounts.amount


def _says_itself(fee: lago.Fee, amounts: FeeAmounts) -> bool:
    """Whether "1 × amount" is the fee's own units and price."""
    return fee.units == 1 and fee.precise_unit_amount in (None, amounts.amount)


def _four(value: Decimal | None) -> Decimal:
    return ZERO if value is None else value.quantize(_FOUR, ROUND_HALF_UP)


def _fits(value: Decimal) -> bool:
    return len(value.normalize().as_tuple().digits) <= _MOST_DIGITS and value < 10**14
