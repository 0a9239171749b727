"""What must come of a story's events, by Lago's own figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class ExpectedInvoice:
    """An invoice that must reach Xero; amounts in currency units, by Lago's figures.

    ``total`` is net of prepaid credit, which becomes a line, but not of ``allocated``: consumed
    credit notes that are allocated to it.
    """

    customer_id: str
    number: str
    entity: str
    currency: str
    total: Decimal
    tax: Decimal
    paid: Decimal
    allocated: Decimal = Decimal(0)

    @property
    def owed(self) -> Decimal:
        """What the customer still owes for it in Lago."""
        return self.total - self.paid - self.allocated

    @property
    def owed_in_cents(self) -> Decimal:
        """The same as Xero keeps it: a third or fourth decimal is the named exception ``subcent``."""
        return cents(self.total) - cents(self.paid) - cents(self.allocated)


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of the events.

    Args:
        notes: how many records bear each note.
        customers: name by Lago id.
        credits: what credit notes still have open, by customer's Lago id and currency.
        failed: invoices that are refused, by the consumer's code for it.
        dead: undecodable records.
        skipped: invoices that must not be posted, or no longer, by their note.
    """

    notes: Mapping[str, int]
    customers: Mapping[str, str]
    invoices: tuple[ExpectedInvoice, ...]
    credits: Mapping[tuple[str, str], Decimal]
    failed: Mapping[str, int]
    dead: int
    skipped: Mapping[str, int]

    @property
    def contacts(self) -> int:
        """The distinct customers."""
        return len(self.customers)


def cents(amount: Decimal) -> Decimal:
    """As Xero keeps it, with two decimals."""
    return amount.quantize(CENT, ROUND_HALF_UP)
