"""What translation returns: the request element, the totals it stands for, and facts for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from uuid import UUID

from schemas import xero


@dataclass(frozen=True, slots=True)
class Totals:
    """Major units, two decimals; what Xero must answer."""

    net: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Note:
    """What translation noticed, to be counted: ``fallback_used``, ``tax_override``, ``subcent``, …

    ``subject`` names the mapping or line concerned; ``amount`` is in major units.
    """

    kind: Literal[
        "fallback_used",
        "tax_override",
        "prepaid_unsplit",
        "prepaid_on_fallback",
        "subcent",
        "timezone_unknown",
    ]
    subject: str = ""
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TranslatedInvoice:
    """An invoice to create and what Xero must make of it."""

    payload: xero.Invoice
    totals: Totals
    notes: tuple[Note, ...] = ()
    cleared: Mapping[UUID, Decimal] = field(default_factory=dict)
    """By credit, the amounts of the lines on the clearing account."""


@dataclass(frozen=True, slots=True)
class TranslatedCreditNote:
    """A credit note to create and what Xero must make of it."""

    payload: xero.CreditNote
    totals: Totals
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """What of one document's payments, allocations and refunds is posted already.

    In Lago's subunits as Lago tells them, and in Xero's cents as they were sent.
    """

    subunits: int = 0
    cents: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """The next amount on a document: in major units, and in Xero's cents for the next ``Posted``."""

    amount: Decimal
    cents: int
    notes: tuple[Note, ...] = ()
