"""Money: Lago subunits and currencies in, exact decimals in major units out.

Lago counts in the subunits of the Ruby money gem, which differ from ISO 4217 (HUF has one subunit
per unit there). A currency that is not listed has no guessed factor: it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

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


def round_cent(amount: Decimal) -> Decimal:
    """Half up (away from zero) to two decimals, the unit in which Xero keeps its books."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def spread(total: Decimal, weights: Sequence[Decimal], unit: Decimal = CENT) -> list[Decimal]:
    """Split ``total`` (a multiple of ``unit``, ≥ 0) over ``weights`` (≥ 0, not all 0).

    Largest remainder: each part is its exact share floored to ``unit``, the missing units go to the
    largest fractions, earlier ones first on a tie. The parts add up to ``total``.
    """
    whole = sum(weights, ZERO)
    shares = [total * weight / whole for weight in weights]
    parts = [share.quantize(unit, ROUND_FLOOR) for share in shares]
    missing = int((total - sum(parts, ZERO)) / unit)
    by_fraction = sorted(range(len(parts)), key=lambda i: (parts[i] - shares[i], i))
    for i in by_fraction[:missing]:
        parts[i] += unit
    return parts
