"""What comes off an invoice after its fees in, one negative line each out (ACCOUNTING.md 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consumer.domain.money import apportion
from consumer.domain.translate.lines import deduction_line
from consumer.domain.translate.places import Books, Place
from consumer.domain.translate.totals import Unit, late_coupons
from consumer.domain.translate.types import Note
from schemas import lago, xero


@dataclass(frozen=True, slots=True)
class Deduction:
    """``cents`` > 0 in Lago subunits."""

    description: str
    cents: int
    place: Place
    prepaid: bool = False


def deduction_lines(
    invoice: lago.Invoice, books: Books, total: int, unit: Unit
) -> tuple[list[xero.LineItem], list[Note]]:
    """Negative lines that sum to ``total`` units, on ``outside_tax``, and what to note of them."""
    deductions = list(_deductions(invoice, books))
    notes: list[Note] = []
    if not deductions:
        return [], notes
    tax_type = books.mandatory_tax_type("outside_tax")
    cents = [deduction.cents for deduction in deductions]
    units = apportion(total, cents) if unit.coarse else cents
    lines = []
    for deduction, amount in zip(deductions, units, strict=True):
        if amount == 0:
            continue
        major = unit.major(amount)
        lines.append(deduction_line(deduction.description, major, deduction.place, tax_type))
        if deduction.place.fallback:
            kind = "prepaid_on_fallback" if deduction.prepaid else "fallback_used"
            notes.append(Note(kind, deduction.place.subject, major))  # type: ignore[arg-type]
        if deduction.prepaid and _unsplit(invoice):
            notes.append(Note("prepaid_unsplit", deduction.place.subject, major))
    return lines, notes


def _deductions(invoice: lago.Invoice, books: Books) -> Iterator[Deduction]:
    if coupons := late_coupons(invoice):
        yield Deduction("Coupons", coupons, books.collection("coupon"))
    prepaid = invoice.prepaid_credit_amount_cents
    granted = min(invoice.prepaid_granted_credit_amount_cents or 0, prepaid)
    if invoice.prepaid_purchased_credit_amount_cents is not None:
        granted = max(0, prepaid - invoice.prepaid_purchased_credit_amount_cents)
    if prepaid - granted:
        place = books.collection("prepaid_credit")
        yield Deduction("Prepaid credit used", prepaid - granted, place, prepaid=True)
    if granted:
        place = books.collection("prepaid_granted_credit", instead="coupon")
        yield Deduction("Granted credit used", granted, place)
    if invoice.credit_notes_amount_cents:
        place = books.collection("credit_note")
        yield Deduction("Credit note", invoice.credit_notes_amount_cents, place)


def _unsplit(invoice: lago.Invoice) -> bool:
    return (
        invoice.prepaid_granted_credit_amount_cents is None
        and invoice.prepaid_purchased_credit_amount_cents is None
    )
