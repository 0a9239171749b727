"""A Lago credit note, a connection, a chart and the contact's id in; the Xero credit note out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from consumer.domain.chart import Chart
from consumer.domain.errors import Refused
from consumer.domain.mapping import Connection
from consumer.domain.money import ZERO, major
from consumer.domain.translate.credited import (
    Amounts,
    Credited,
    check_note,
    credited,
    line_figures,
)
from consumer.domain.translate.descriptions import clip, plain
from consumer.domain.translate.header import number_and_date, within_limits
from consumer.domain.translate.lines import ONE, FeeAmounts, deduction_line, fee_line, fee_order
from consumer.domain.translate.places import Books, Place
from consumer.domain.translate.tax_types import possible_codes, provider_codes
from consumer.domain.translate.taxes import fee_rate, override_notes
from consumer.domain.translate.totals import Unit
from consumer.domain.translate.types import Note, Totals, TranslatedCreditNote
from schemas import lago, xero


def translate_credit_note(
    note: lago.CreditNote, *, entity: str, connection: Connection, chart: Chart, contact_id: UUID
) -> TranslatedCreditNote:
    """The credit note to create in Xero (ACCOUNTING.md 1, 5 and 7).

    Args:
        entity: the code of the customer's billing entity; its mappings come first.
        contact_id: the Xero contact of its invoice.

    Raises:
        Inconsistent: Lago's own figures disagree or are missing.
        Unmapped: a tax type or an account is missing or ambiguous; ``cause`` names the mapping.
        Refused: Xero would certainly refuse it.
    """
    check_note(note)
    items = sorted(note.items or (), key=lambda item: (*fee_order(item.fee), str(item.lago_id)))
    if not items:
        raise Refused(
            "no_lines",
            "The credit note has no items, and Xero takes no credit note without lines.",
            "Nothing is credited; compare the credit note in Lago.",
        )
    unit = Unit.of(note.currency or "")
    total, tax = unit.round(note.total_amount_cents or 0), unit.round(note.taxes_amount_cents or 0)
    totals = Totals(unit.major(total - tax), unit.major(tax), unit.major(total))
    books = Books(connection, chart, entity)
    placed = _placed(note, credited(note, items), books)
    tax_types = list(dict.fromkeys(line.tax_type for line in placed))
    figures = line_figures(
        [line.part for line in placed],
        [tax_types.index(line.tax_type) for line in placed],
        total - tax,
        tax,
        unit,
    )
    notes: list[Note] = []
    with within_limits("credit note"):
        lines = (
            *_item_lines(placed, figures.items, unit, books, notes),
            *_coupon_lines(tax_types, figures.coupons, unit, books, notes),
        )
        payload = _payload(note, connection.number_prefix, contact_id, lines)
    if lost := major(note.total_amount_cents or 0, unit.currency) - totals.total:
        notes.append(Note("subcent", "total", lost))
    return TranslatedCreditNote(payload, totals, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Placed:
    """An item and where it goes in the books."""

    part: Credited
    place: Place
    tax_type: str

    @property
    def fee(self) -> lago.Fee:
        """The whole fee."""
        return self.part.item.fee


def _placed(note: lago.CreditNote, parts: Sequence[Credited], books: Books) -> list[_Placed]:
    """By the note's taxes and the fees' rates, as for invoices (ACCOUNTING.md 3)."""
    fees = [part.item.fee for part in parts]
    options = possible_codes(note.applied_taxes, fees, [part.net for part in parts])
    providers = provider_codes(note.applied_taxes)
    places = [books.fee(fee) for fee in fees]
    return [
        _Placed(
            part,
            place,
            books.line_tax_type(part.item.fee, part.tax > 0, codes, providers, place),
        )
        for part, codes, place in zip(parts, options, places, strict=True)
    ]


def _item_lines(
    placed: Sequence[_Placed],
    figures: Sequence[Amounts],
    unit: Unit,
    books: Books,
    notes: list[Note],
) -> list[xero.LineItem]:
    lines = []
    for one, made in zip(placed, figures, strict=True):
        amounts = FeeAmounts(made.amount, ZERO, made.tax)
        sold = _sold(one.part.item)
        lines.append(fee_line(sold, amounts, one.place, one.tax_type, currency=unit.currency))
        notes.extend(one.place.notes(made.amount, prepaid=one.fee.item.type == "credit"))
        rate = books.effective_rate(one.tax_type)
        if rate is None:
            rate = fee_rate(one.fee)
        notes.extend(override_notes(str(one.fee.lago_id), made.amount, made.tax, rate, unit))
    return lines


def _sold(item: lago.CreditNoteItem) -> lago.Fee:
    """A fee credited in full keeps its units and price; a part of one is one unit of the part."""
    if item.amount_cents == item.fee.amount_cents:
        return item.fee
    return item.fee.model_copy(update={"units": ONE, "precise_unit_amount": None})


def _coupon_lines(
    tax_types: Sequence[str],
    figures: Sequence[Amounts],
    unit: Unit,
    books: Books,
    notes: list[Note],
) -> list[xero.LineItem]:
    lines = []
    for tax_type, made in zip(tax_types, figures, strict=True):
        if made.amount == 0:
            continue
        place = books.collection("coupon")
        lines.append(deduction_line("Coupons", made.amount, place, tax_type, made.tax))
        notes.extend(place.notes(-made.amount))
        rate = books.effective_rate(tax_type)
        if rate is not None:
            subject = f"coupon:{tax_type}"
            notes.extend(override_notes(subject, -made.amount, -made.tax, rate, unit))
    return lines


def _payload(
    note: lago.CreditNote, prefix: str, contact_id: UUID, lines: tuple[xero.LineItem, ...]
) -> xero.CreditNote:
    number, issued = number_and_date("credit note", prefix, note.number, note.issuing_date)
    # The invoice as it is called in Xero.
    invoice_number = prefix + note.invoice_number if note.invoice_number else None
    reference = clip(plain(note.purchase_order_number) or plain(invoice_number), 255)
    return xero.CreditNote(
        contact=xero.ContactRef(contact_id=contact_id),
        credit_note_number=number,
        reference=reference or None,
        date=issued,
        currency_code=note.currency or "",
        line_items=lines,
    )
