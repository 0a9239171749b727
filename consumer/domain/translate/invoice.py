"""A Lago invoice in, the Xero invoice with its agreed totals out (ACCOUNTING.md 1 to 3 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from consumer.domain.chart import Chart
from consumer.domain.errors import Inconsistent, Refused, Unmapped
from consumer.domain.mapping import Connection
from consumer.domain.money import apportion, major
from consumer.domain.translate.deductions import deduction_lines
from consumer.domain.translate.descriptions import amount_text, clip, plain
from consumer.domain.translate.discounts import discounts
from consumer.domain.translate.lines import FeeAmounts, fee_line
from consumer.domain.translate.places import Books, Place
from consumer.domain.translate.tax_types import Codes, possible_codes
from consumer.domain.translate.taxes import fee_rate, is_taxed, tax_amounts
from consumer.domain.translate.totals import Figures, Unit, check_totals, figures
from consumer.domain.translate.types import Note, Totals, TranslatedInvoice
from schemas import lago, xero

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_OVERRIDE = Decimal("0.02")
"""A tax amount further than this off rate × line is noted."""


def translate_invoice(
    invoice: lago.Invoice,
    *,
    entity: str,
    connection: Connection,
    chart: Chart,
    contact_id: UUID,
) -> TranslatedInvoice:
    """The invoice to create. ``entity`` is the customer's billing entity.

    Raises:
        Inconsistent: Lago's own figures disagree, or a needed one is missing.
        Unmapped: a tax or an account has no mapping; its cause says which.
        Refused: Xero would certainly not take it.
    """
    check_totals(invoice)
    if invoice.issuing_date is None or not invoice.number:
        missing = "issuing_date" if invoice.issuing_date is None else "number"
        raise Inconsistent("missing_field", f"The invoice has no {missing}.", "Send it again.")
    unit = Unit.of(invoice.currency or "")
    agreed = figures(invoice, unit)
    books = Books(connection, chart, entity)
    lines, notes = _fee_lines(invoice, books, agreed, unit)
    deducted, more = deduction_lines(invoice, books, agreed.deductions, unit)
    total, tax = unit.major(agreed.total), unit.major(agreed.tax)
    lost = major(invoice.total_amount_cents or 0, unit.currency) - total
    if lost:
        more.append(Note("subcent", "total", lost))
    payload = xero.Invoice(
        contact=xero.ContactRef(contact_id=contact_id),
        invoice_number=_number(connection.number_prefix + invoice.number),
        reference=clip(plain(invoice.purchase_order_number), 255) or None,
        url=_url(invoice.web_url),
        date=invoice.issuing_date,
        due_date=max(invoice.payment_due_date or invoice.issuing_date, invoice.issuing_date),
        currency_code=unit.currency,
        line_items=(*lines, *deducted),
    )
    return TranslatedInvoice(payload, Totals(total - tax, tax, total), (*notes, *more))


def _fee_lines(
    invoice: lago.Invoice, books: Books, agreed: Figures, unit: Unit
) -> tuple[list[xero.LineItem], list[Note]]:
    fees = sorted(invoice.fees or (), key=lambda f: (_created(f), str(f.lago_id)))
    amounts = [fee.amount_cents for fee in fees]
    if unit.coarse:
        amounts = apportion(agreed.fees, amounts, [str(fee.lago_id) for fee in fees])
    shares = discounts(agreed.discount, fees, amounts)
    nets = [amount - share for amount, share in zip(amounts, shares, strict=True)]
    taxes = tax_amounts(invoice.taxes_amount_cents or 0, fees, nets, agreed.tax, unit)
    billed = invoice.progressive_billing_credit_amount_cents
    billed_before = amount_text(unit.major(unit.round(billed))) if billed else None
    providers = _provider_codes(invoice)
    lines: list[xero.LineItem] = []
    notes: list[Note] = []
    for fee, options, amount, share, tax in zip(
        fees, possible_codes(invoice, fees), amounts, shares, taxes, strict=True
    ):
        place = books.fee(fee)
        tax_type = _tax_type(fee, options, providers, books, place)
        made = FeeAmounts(unit.major(amount), unit.major(share), unit.major(tax))
        notes += _notes(made, place, tax_type, books)
        lines.append(
            fee_line(
                fee,
                made,
                place,
                tax_type,
                currency=unit.currency,
                billed_before=billed_before if share else None,
            )
        )
    return lines, notes


def _tax_type(
    fee: lago.Fee, options: set[Codes], providers: set[str], books: Books, place: Place
) -> str:
    """A top-up is a liability and outside tax; everything else as its taxes are mapped."""
    if fee.item.type == "credit" and not is_taxed(fee):
        return books.mandatory_tax_type("outside_tax")
    return books.fee_tax_type(options, fee_rate(fee), providers, place)


def _notes(made: FeeAmounts, place: Place, tax_type: str, books: Books) -> Sequence[Note]:
    """The fallback used, a tax amount that Xero's rate does not give; never tax on a 0 % type."""
    notes = []
    if place.fallback:
        notes.append(Note("fallback_used", place.subject, made.net))
    rate = books.effective_rate(tax_type)
    if rate is not None:
        if rate == 0 and made.tax:
            raise Unmapped(
                "tax_rate_differs",
                f"A line taxed with {made.tax} is mapped to {tax_type}, which is a 0 % type.",
                "Map the tax to a Xero tax type of its rate.",
                place.subject,
            )
        if abs(made.tax - made.net * rate / 100) > _OVERRIDE:
            notes.append(Note("tax_override", tax_type, made.tax))
    return notes


def _provider_codes(invoice: lago.Invoice) -> set[str]:
    """Taxes that a provider made up have no tax of Lago's own behind them."""
    return {
        tax.tax_code
        for tax in invoice.applied_taxes or ()
        if tax.tax_code and "lago_tax_id" in tax.model_fields_set and tax.lago_tax_id is None
    }


def _created(fee: lago.Fee) -> datetime:
    if fee.created_at is None:
        return _FIRST
    return fee.created_at if fee.created_at.tzinfo else fee.created_at.replace(tzinfo=UTC)


def _number(number: str) -> str:
    """Xero: at most 255 printable ASCII characters (xero.md 5)."""
    if len(number) > 255 or not number.isascii() or not number.isprintable():
        raise Refused(
            "number_not_allowed",
            "The invoice number has over 255 characters or others than printable ASCII.",
            "Correct Lago's numbering or the connection's number_prefix.",
        )
    return number


def _url(url: str | None) -> str | None:
    """A link for people; Xero refuses one that mentions itself (xero.md 5, unproven)."""
    if not url or not url.startswith(("http://", "https://")) or "xero" in url.lower():
        return None
    return url if len(url) <= 2000 and url.isascii() else None
