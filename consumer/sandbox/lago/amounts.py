"""Lago's arithmetic, written a second time: prices and rates in, subunits and Lago's texts out.

Nothing is shared with the consumer's own money module: a generator that shares its arithmetic
would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

# Wide enough for sums of large amounts with 15 decimals.
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)

_UNUSUAL = {
    1: "BIF CLP DJF GNF HUF ISK JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF",
    5: "MRO",
    1000: "BHD JOD KWD",
    10000: "CLF",
}
_SUBUNITS = {code: factor for factor, codes in _UNUSUAL.items() for code in codes.split()}


def subunits(currency: str) -> int:
    """Subunits per unit as Lago counts them (the Ruby money gem's, not ISO 4217's)."""
    return _SUBUNITS.get(currency, 100)


def rounded(amount: Decimal, places: int = 0) -> Decimal:
    """Half away from zero to ``places`` decimals, as Ruby rounds."""
    return amount.quantize(Decimal(1).scaleb(-places), context=_WIDE)


def whole(amount: Decimal) -> int:
    """Half away from zero to an integer."""
    return int(rounded(amount))


def divided(amount: Decimal, by: Decimal | int, places: int = 15) -> Decimal:
    """A quotient with the number of decimals that Lago's column keeps."""
    return rounded(_WIDE.divide(amount, Decimal(by)), places)


def text(amount: Decimal | int) -> str:
    """A decimal as Lago's JSON shows it: never an exponent, at least one decimal ("0.0")."""
    plain = f"{Decimal(amount):f}"
    whole_part, _, decimals = plain.partition(".")
    return f"{whole_part}.{decimals.rstrip('0') or '0'}"


def shares(amount: int, weights: Sequence[Decimal]) -> list[Decimal]:
    """``amount`` divided by ``weights`` to five decimals, the scale of Lago's discount column.

    The shares may miss ``amount`` by some hundred-thousandths; Lago does not correct that.
    """
    total = sum(weights, Decimal(0))
    if not total:
        return [Decimal(0) for _ in weights]
    return [divided(amount * weight, total, 5) for weight in weights]
