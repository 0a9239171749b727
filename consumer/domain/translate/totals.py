"""Lago's totals of an invoice in, checked; the same totals in the units Xero can keep out.

A *unit* is a Lago subunit where Xero can express it (2 and fewer decimals, MRO's fifths), else
Xero's cent. Everything after this module counts in whole units, so sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from consumer.domain.errors import Inconsistent, Refused
from consumer.domain.money import ZERO, subunits
from schemas import lago

COUPON_BEFORE_TAX_VERSION = 3
"""Lago's first ``version_number`` that takes coupons off before tax."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest amount of a currency that Lago and Xero can both express."""

    currency: str
    subunits: int
    """Lago subunits per major unit."""

    @classmethod
    def of(cls, currency: str) -> Unit:
        """Raises Inconsistent for a currency whose subunits are unknown."""
        return cls(currency, subunits(currency))

    @property
    def per_major(self) -> int:
        """Units per major unit; at most 100."""
        return min(self.subunits, 100)

    @property
    def coarse(self) -> bool:
        """Whether Xero's cent is larger than Lago's subunit (3- and 4-decimal currencies)."""
        return self.subunits > self.per_major

    def round(self, amount_cents: int | Decimal) -> int:
        """Lago subunits to units, half up."""
        units = Decimal(amount_cents) * self.per_major / self.subunits
        return int(units.to_integral_value(ROUND_HALF_UP))

    def major(self, units: int) -> Decimal:
        """Units to major units with two decimals, exact."""
        return (Decimal(units) / self.per_major).quantize(Decimal("0.01"))


@dataclass(frozen=True, slots=True)
class Figures:
    """An invoice's totals in units: fees − discount + tax − deductions = total."""

    fees: int
    discount: int
    tax: int
    deductions: int
    total: int


def require(document: str, facts: lago.LagoModel, *names: str) -> None:
    """Raises Inconsistent ``lago_totals_missing`` if a field is None; ``document`` is its name."""
    missing = [name for name in names if getattr(facts, name) is None]
    if missing:
        raise Inconsistent(
            "lago_totals_missing",
            f"The {document} lacks {', '.join(missing)}.",
            f"Ask Lago to send the {document} again (its webhook can be re-sent by hand).",
        )


def check_totals(invoice: lago.Invoice) -> None:
    """Lago's own figures add up (ACCOUNTING.md 1).

    Raises:
        Inconsistent: ``lago_totals_missing`` or ``lago_totals_disagree``, with the figures.
        Refused: ``negative_total``; Xero takes no negative invoice.
    """
    require(
        "invoice",
        invoice,
        "currency",
        "fees",
        "fees_amount_cents",
        "taxes_amount_cents",
        "sub_total_excluding_taxes_amount_cents",
        "sub_total_including_taxes_amount_cents",
        "total_amount_cents",
    )
    fees = sum(fee.amount_cents for fee in invoice.fees or ())
    _equal("the sum of the fees", fees, "fees_amount_cents", invoice.fees_amount_cents)
    before, after = _coupons(invoice)
    net = fees - invoice.progressive_billing_credit_amount_cents - before
    _equal(
        "fees − progressive billing credit − coupons" if before else "fees − progressive credit",
        net,
        "sub_total_excluding_taxes_amount_cents",
        invoice.sub_total_excluding_taxes_amount_cents,
    )
    gross = net + (invoice.taxes_amount_cents or 0)
    _equal(
        "the subtotal + taxes",
        gross,
        "sub_total_including_taxes_amount_cents",
        invoice.sub_total_including_taxes_amount_cents,
    )
    deductions = invoice.credit_notes_amount_cents + invoice.prepaid_credit_amount_cents + after
    _equal(
        "the subtotal with taxes − credit notes − prepaid credit" + (" − coupons" * bool(after)),
        gross - deductions,
        "total_amount_cents",
        invoice.total_amount_cents,
    )
    _no_negatives(invoice)


def figures(invoice: lago.Invoice, unit: Unit) -> Figures:
    """The totals of a checked invoice in units.

    Where Xero's cent is the coarser one the total comes first, then the tax; the net amount is the
    difference (ACCOUNTING.md 7). Rounding keeps order, so that no part becomes negative.
    """
    total = unit.round(invoice.total_amount_cents or 0)
    gross = unit.round(invoice.sub_total_including_taxes_amount_cents or 0)
    tax = unit.round(invoice.taxes_amount_cents or 0)
    net = gross - tax
    discounted = (invoice.fees_amount_cents or 0) - (
        invoice.sub_total_excluding_taxes_amount_cents or 0
    )
    discount = max(0, unit.round(invoice.fees_amount_cents or 0) - net) if discounted else 0
    return Figures(net + discount, discount, tax, gross - total, total)


def late_coupons(invoice: lago.Invoice) -> int:
    """Coupons taken off after tax, in Lago subunits: only in invoices of old versions."""
    return _coupons(invoice)[1]


def _coupons(invoice: lago.Invoice) -> tuple[int, int]:
    """Coupons before and after tax."""
    if invoice.version_number < COUPON_BEFORE_TAX_VERSION:
        return 0, invoice.coupons_amount_cents
    return invoice.coupons_amount_cents, 0


def _equal(what: str, found: int, name: str, said: int | None) -> None:
    if found != said:
        raise Inconsistent(
            "lago_totals_disagree",
            f"Lago's own figures do not add up: {what} is {found}, but {name} is {said}.",
            "Compare the invoice in Lago; nothing is posted until a consistent message arrives.",
        )


def _no_negatives(invoice: lago.Invoice) -> None:
    if (invoice.total_amount_cents or 0) < 0:
        raise Refused(
            "negative_total",
            f"The invoice's total is negative: {invoice.total_amount_cents}.",
            "Xero takes no negative invoice; correct it in Lago.",
        )
    parts = {
        "taxes_amount_cents": invoice.taxes_amount_cents or 0,
        "sub_total_excluding_taxes_amount_cents": (
            invoice.sub_total_excluding_taxes_amount_cents or 0
        ),
        "coupons_amount_cents": invoice.coupons_amount_cents,
        "progressive_billing_credit_amount_cents": invoice.progressive_billing_credit_amount_cents,
        "credit_notes_amount_cents": invoice.credit_notes_amount_cents,
        "prepaid_credit_amount_cents": invoice.prepaid_credit_amount_cents,
        "prepaid_granted_credit_amount_cents": invoice.prepaid_granted_credit_amount_cents or 0,
        "prepaid_purchased_credit_amount_cents": invoice.prepaid_purchased_credit_amount_cents or 0,
    }
    for fee in invoice.fees or ():
        parts[f"the amount of fee {fee.lago_id}"] = fee.amount_cents
        parts[f"the tax of fee {fee.lago_id}"] = fee.taxes_amount_cents
    for name, amount in parts.items():
        if amount < ZERO:
            raise Inconsistent(
                "negative_amount",
                f"Lago says {name} is {amount}, where only amounts from 0 up make sense.",
                "Correct the invoice in Lago.",
            )
