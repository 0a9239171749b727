"""What translation returns: the request element, the totals it stands for, and facts for people."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from schemas import xero


@dataclass(frozen=True, slots=True)
class Totals:
    """Major units, two decimals; what Xero must answer."""

    net: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Note:
    """A recorded fact: ``fallback_used``, ``tax_override``, ``subcent``, …

    ``subject`` names the mapping or line concerned; ``amount`` is in major units.
    """

    kind: Literal[
        "fallback_used", "tax_override", "prepaid_unsplit", "prepaid_on_fallback", "subcent"
    ]
    subject: str = ""
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TranslatedInvoice:
    """An invoice to create and what Xero must make of it."""

    payload: xero.Invoice
    totals: Totals
    notes: tuple[Note, ...] = ()
