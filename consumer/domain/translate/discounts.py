"""An invoice's discount and its fees in, each fee's whole-unit share of the discount out."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from consumer.domain.money import largest_remainder
from schemas import lago


def discounts(total: int, fees: Sequence[lago.Fee], amounts: Sequence[int]) -> list[int]:
    """Split ``total`` units over ``fees`` of ``amounts`` units (whose sum is not less).

    The fees' own coupon figures are weights only: progressive billing adds its credit to them and
    they can sum to more than was taken off (lago.md 7). Scaled to ``total``, capped at the fee,
    largest remainder, ties by lago_id; what the weights cannot hold goes by amount.
    """
    weights = [max(fee.precise_coupons_amount_cents or 0, 0) for fee in fees]
    shares = [Fraction(0)] * len(fees)
    left = Fraction(total)
    for measure in ([Fraction(weight) for weight in weights], [Fraction(a) for a in amounts]):
        left = _fill(left, shares, measure, amounts)
    return largest_remainder(shares, [str(fee.lago_id) for fee in fees])


def _fill(
    left: Fraction, shares: list[Fraction], measure: Sequence[Fraction], caps: Sequence[int]
) -> Fraction:
    """Give ``left`` to the shares below their caps in proportion to ``measure``; what is left."""
    while left > 0:
        below = [i for i, cap in enumerate(caps) if measure[i] > 0 and shares[i] < cap]
        if not below:
            break
        scale = left / sum(measure[i] for i in below)
        full = [i for i in below if shares[i] + scale * measure[i] >= caps[i]]
        for i in full:
            left -= caps[i] - shares[i]
            shares[i] = Fraction(caps[i])
        if not full:
            for i in below:
                shares[i] += scale * measure[i]
            left = Fraction(0)
    return left
