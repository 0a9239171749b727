"""Money: Lago subunits and currencies in, exact decimals in major units out.

Lago counts in the subunits of the Ruby money gem, which differ from ISO 4217 (HUF has one subunit
per unit there). A currency that is not listed has no guessed factor: it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor
from typing import Any

from consumer.domain.errors import Inconsistent

CENT = Decimal("0.01")
ZERO = Decimal(0)

_SUBUNITS = {
    1: "BIF CLP DJF GNF HUF ISK JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF",
    5: "MRO",
    1000: "BHD JOD KWD",
    10000: "CLF",
    100: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD "
        "CAD CDF CHF CNY COP CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
        "GYD HKD HNL HRK HTG IDR ILS INR IRR JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL "
        "MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN "
        "QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLL SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS "
        "UAH USD UYU UZS WST XCD YER ZAR ZMW"
    ),
}
SUBUNITS: dict[str, int] = {code: n for n, codes in _SUBUNITS.items() for code in codes.split()}
"""Lago subunits per unit, by currency code (lago.md 3.7)."""


def subunits(currency: str) -> int:
    """Lago subunits per unit of ``currency``.

    Raises:
        Inconsistent: an unknown currency; nothing is guessed.
    """
    try:
        return SUBUNITS[currency]
    except KeyError:
        raise Inconsistent(
            "unknown_currency",
            f"Lago's subunits of the currency {currency!r} are not known.",
            "Report the currency; amounts are never converted with a guessed factor.",
        ) from None


def major(amount: int | Decimal, currency: str) -> Decimal:
    """Subunits to major units, exact (never rounded)."""
    return Decimal(amount) / subunits(currency)


def in_cents(amount: int, currency: str) -> int:
    """Subunits to Xero's cents, half up (ACCOUNTING.md 7)."""
    return int((major(amount, currency) * 100).to_integral_value(ROUND_HALF_UP))


def major_text(amount: Decimal) -> str:
    """For people: plain digits, no exponent, no idle zeros."""
    return format(amount.normalize() if amount else ZERO, "f")


def largest_remainder(shares: Sequence[Fraction], ties: Sequence[Any] | None = None) -> list[int]:
    """Round ``shares`` (≥ 0, with a whole sum) to whole numbers that keep the sum.

    Each is rounded down; the missing units go to the largest fractions, on a tie to the lowest of
    ``ties`` (the position, where none are given).
    """
    parts = [floor(share) for share in shares]
    missing = int(sum(shares, Fraction(0))) - sum(parts)
    order = range(len(shares)) if ties is None else ties
    by_fraction = sorted(range(len(shares)), key=lambda i: (parts[i] - shares[i], order[i]))
    for i in by_fraction[:missing]:
        parts[i] += 1
    return parts


def apportion(
    total: int, weights: Sequence[Decimal | int], ties: Sequence[Any] | None = None
) -> list[int]:
    """Split ``total`` ≥ 0 over ``weights`` (≥ 0, not all 0 unless ``total`` is) in whole units."""
    if total == 0:
        return [0] * len(weights)
    whole = sum(map(Fraction, weights), Fraction(0))
    return largest_remainder([total * Fraction(weight) / whole for weight in weights], ties)
