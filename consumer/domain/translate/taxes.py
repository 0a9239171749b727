"""The fees' taxes as Lago states them in, a tax amount a line that sums to the invoice's tax out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from consumer.domain.errors import Inconsistent
from consumer.domain.money import CENT, ZERO, apportion
from consumer.domain.translate.totals import Unit
from consumer.domain.translate.types import Note
from schemas import lago

_OVERRIDE = 2 * CENT


def fee_rate(fee: lago.Fee) -> Decimal | None:
    """The fee's tax rate in percent; None where Lago does not say."""
    if fee.taxes_rate is not None:
        # A sum of binary floats: 14.975000000000001 is 14.975.
        return round(fee.taxes_rate, 5)
    if fee.applied_taxes is not None:
        return sum((tax.tax_rate or ZERO for tax in fee.applied_taxes), ZERO)
    return None if fee.taxes_amount_cents else ZERO


def is_taxed(fee: lago.Fee) -> bool:
    """Whether the fee bears a tax of more than 0 %."""
    return fee_rate(fee) != 0


def tax_amounts(
    invoice_tax: int, fees: Sequence[lago.Fee], nets: Sequence[int], total: int, unit: Unit
) -> list[int]:
    """The tax of each fee in units; they sum to ``total``.

    Args:
        invoice_tax: the invoice's tax in Lago subunits.
        nets: the lines' amounts in units, discounts taken off.
        total: the invoice's tax in units.

    Raises:
        Inconsistent: ``lago_taxes_disagree``; more than one subunit a taxed line is missing.
    """
    taxes = _corrected(invoice_tax, fees, nets)
    if not unit.coarse:
        return taxes
    # Tax on a line that became 0.00 in Xero's cents would stand alone there.
    weights = [tax if net > 0 else 0 for tax, net in zip(taxes, nets, strict=True)]
    return apportion(total, weights if any(weights) else taxes, [str(fee.lago_id) for fee in fees])


def override_notes(
    subject: str, net: Decimal, tax: Decimal, rate: Decimal | None, unit: Unit
) -> list[Note]:
    """Whether Xero would have computed another tax than ``tax`` on ``net`` at its ``rate``."""
    difference = tax - (rate or ZERO) * net / 100
    # In a whole-unit currency Lago's tax is whole, and rounding alone may take half a unit.
    if abs(difference) > max(_OVERRIDE, unit.major(1) if unit.per_major < 100 else ZERO):
        return [Note("tax_override", subject, difference.quantize(CENT))]
    return []


def _corrected(invoice_tax: int, fees: Sequence[lago.Fee], nets: Sequence[int]) -> list[int]:
    """Lago's fee taxes in subunits, made to sum to the invoice's: one subunit a taxed line."""
    taxes = [fee.taxes_amount_cents for fee in fees]
    for fee in fees:
        if fee.taxes_amount_cents and not is_taxed(fee):
            raise Inconsistent(
                "lago_taxes_disagree",
                f"Fee {fee.lago_id} has a tax of {fee.taxes_amount_cents} at a rate of 0 %.",
                "Compare the invoice in Lago.",
            )
    difference = invoice_tax - sum(taxes)
    step = 1 if difference > 0 else -1
    able = [i for i, fee in enumerate(fees) if is_taxed(fee) and (step > 0 or taxes[i] > 0)]
    if abs(difference) > len(able):
        raise Inconsistent(
            "lago_taxes_disagree",
            f"The fees' taxes sum to {sum(taxes)}, but the invoice's tax is {invoice_tax}; with "
            f"{len(able)} taxed fees that is more than rounding.",
            "Compare the invoice in Lago.",
        )
    # Rounded down furthest is raised first, rounded up furthest is lowered first; a line that
    # a discount made 0 comes last.
    able.sort(key=lambda i: (nets[i] == 0, -step * _remainder(fees[i]), str(fees[i].lago_id)))
    for i in able[: abs(difference)]:
        taxes[i] += step
    return taxes


def _remainder(fee: lago.Fee) -> Decimal:
    """What rounding took from the fee's exact tax, in Lago subunits."""
    net = fee.amount_cents - (fee.precise_coupons_amount_cents or ZERO)
    return net * (fee_rate(fee) or ZERO) / 100 - fee.taxes_amount_cents
