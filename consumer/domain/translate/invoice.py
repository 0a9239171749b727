"""A Lago invoice, a connection, a chart and the contact's id in; the Xero invoice out."""

from __future__ import annotations

from collections.abc import Sequence, Set
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID

from consumer.domain.chart import Chart
from consumer.domain.errors import Refused
from consumer.domain.mapping import Connection
from consumer.domain.money import apportion, major
from consumer.domain.translate.deductions import Deduction, deductions
from consumer.domain.translate.descriptions import amount_text, clip, plain
from consumer.domain.translate.discounts import discounts
from consumer.domain.translate.header import number_and_date, number_of, within_limits
from consumer.domain.translate.lines import FeeAmounts, deduction_line, fee_line, fee_order
from consumer.domain.translate.places import Books
from consumer.domain.translate.tax_types import discounted, possible_codes, provider_codes
from consumer.domain.translate.taxes import fee_rate, override_notes, tax_amounts
from consumer.domain.translate.totals import Figures, Unit, check_totals, figures
from consumer.domain.translate.types import Note, Totals, TranslatedInvoice
from schemas import lago, xero


def translate_invoice(
    invoice: lago.Invoice,
    *,
    entity: str,
    connection: Connection,
    chart: Chart,
    contact_id: UUID,
    cleared: Set[UUID] = frozenset(),
) -> TranslatedInvoice:
    """The sales invoice to create in Xero (ACCOUNTING.md 1 to 3 and 7).

    Args:
        entity: the code of the customer's billing entity; its mappings come first.
        contact_id: the Xero contact.
        cleared: the consumed credits whose lines stand on the clearing account.

    Raises:
        Inconsistent: Lago's own figures disagree or are missing.
        Unmapped: a tax type or an account is missing or ambiguous; ``cause`` names the mapping.
        Refused: Xero would certainly refuse it.
    """
    check_totals(invoice)
    currency = invoice.currency or ""
    unit = Unit.of(currency)
    totals = figures(invoice, unit)
    fees = sorted(invoice.fees or (), key=fee_order)
    if not fees:
        raise Refused(
            "no_lines",
            "The invoice has no fees, and Xero takes no invoice without lines.",
            "Nothing is owed; the policy zero_invoices: skip leaves such invoices out.",
        )
    books = Books(connection, chart, entity)
    notes: list[Note] = []
    amounts: dict[UUID, Decimal] = {}
    taken = deductions(invoice, cleared)
    tax, total = unit.major(totals.tax), unit.major(totals.total)
    with within_limits("invoice"):
        lines = [
            *_fee_lines(invoice, fees, totals, unit, books, notes),
            *_deduction_lines(taken, totals.deductions, unit, books, notes, amounts),
        ]
        payload = _payload(invoice, connection.number_prefix, contact_id, tuple(lines))
    lost = major(invoice.total_amount_cents or 0, currency) - total
    if lost:
        notes.append(Note("subcent", "total", lost))
    return TranslatedInvoice(payload, Totals(total - tax, tax, total), tuple(notes), amounts)


def _fee_lines(
    invoice: lago.Invoice,
    fees: Sequence[lago.Fee],
    totals: Figures,
    unit: Unit,
    books: Books,
    notes: list[Note],
) -> list[xero.LineItem]:
    amounts = apportion(
        totals.fees, [fee.amount_cents for fee in fees], [str(fee.lago_id) for fee in fees]
    )
    reductions = discounts(totals.discount, fees, amounts)
    nets = [amount - less for amount, less in zip(amounts, reductions, strict=True)]
    taxes = tax_amounts(invoice.taxes_amount_cents or 0, fees, nets, totals.tax, unit)
    options = possible_codes(invoice.applied_taxes, fees, list(map(discounted, fees)))
    providers = provider_codes(invoice.applied_taxes)
    progressive = invoice.progressive_billing_credit_amount_cents
    billed = amount_text(unit.major(unit.round(progressive))) if progressive else None
    lines = []
    for i, fee in enumerate(fees):
        figures_ = FeeAmounts(*map(unit.major, (amounts[i], reductions[i], taxes[i])))
        place = books.fee(fee)
        tax_type = books.line_tax_type(fee, bool(figures_.tax), options[i], providers, place)
        lowered = billed if fee.item.type == "charge" and reductions[i] else None
        line = fee_line(
            fee, figures_, place, tax_type, currency=unit.currency, billed_before=lowered
        )
        lines.append(line)
        notes.extend(place.notes(figures_.net, prepaid=fee.item.type == "credit"))
        rate = books.effective_rate(tax_type)
        if rate is None:
            rate = fee_rate(fee)
        notes.extend(override_notes(str(fee.lago_id), figures_.net, figures_.tax, rate, unit))
    return lines


def _deduction_lines(
    taken: Sequence[Deduction],
    total: int,
    unit: Unit,
    books: Books,
    notes: list[Note],
    cleared: dict[UUID, Decimal],
) -> list[xero.LineItem]:
    """``notes`` and ``cleared`` are added to."""
    if not taken:
        return []
    tax_type = books.mandatory_tax_type("outside_tax")
    lines = []
    units = apportion(total, [deduction.amount_cents for deduction in taken])
    for deduction, part in zip(taken, units, strict=True):
        amount = unit.major(part)
        if deduction.clears is not None:
            cleared[deduction.clears] = amount
        if part == 0:  # less than a cent of Xero's; the total has it
            continue
        place = (
            books.collection(deduction.kind, deduction.instead)
            if deduction.clears is None
            else books.clearing()
        )
        lines.append(deduction_line(deduction.description, amount, place, tax_type))
        notes.extend(place.notes(-amount, prepaid=deduction.prepaid))
        if deduction.unsplit:
            notes.append(Note("prepaid_unsplit", place.subject, amount))
    return lines


def _payload(
    invoice: lago.Invoice, prefix: str, contact_id: UUID, lines: tuple[xero.LineItem, ...]
) -> xero.Invoice:
    number, issued = number_and_date("invoice", prefix, number_of(invoice), invoice.issuing_date)
    due = max(invoice.payment_due_date or issued, issued)
    reference = clip(plain(invoice.purchase_order_number), 255)
    return xero.Invoice(
        contact=xero.ContactRef(contact_id=contact_id),
        invoice_number=number,
        reference=reference or None,
        url=_url(invoice.web_url),
        date=issued,
        due_date=due,
        currency_code=invoice.currency or "",
        status="DRAFT" if invoice.status == "draft" else "AUTHORISED",
        line_items=lines,
    )


def _url(address: str | None) -> str | None:
    """A web address, None for anything else; one vendor saw Xero refuse its own name in it."""
    if address is None or "xero" in address.lower():
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.netloc else None
