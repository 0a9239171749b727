"""A Lago invoice, a connection, a chart and the contact's id in; the Xero invoice out."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import ValidationError

from consumer.domain.chart import Chart
from consumer.domain.errors import Inconsistent, Refused, Unmapped
from consumer.domain.mapping import Connection, mapping_cause
from consumer.domain.money import CENT, ZERO, apportion, major
from consumer.domain.translate.deductions import Deduction, deductions
from consumer.domain.translate.descriptions import amount_text, clip, plain
from consumer.domain.translate.discounts import discounts
from consumer.domain.translate.lines import FeeAmounts, deduction_line, fee_line
from consumer.domain.translate.places import Books, Place
from consumer.domain.translate.tax_types import Codes, possible_codes
from consumer.domain.translate.taxes import fee_rate, is_taxed, tax_amounts
from consumer.domain.translate.totals import Figures, Unit, check_totals, figures
from consumer.domain.translate.types import Note, Totals, TranslatedInvoice
from schemas import lago, xero

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
_OVERRIDE = 2 * CENT


def translate_invoice(
    invoice: lago.Invoice, *, entity: str, connection: Connection, chart: Chart, contact_id: UUID
) -> TranslatedInvoice:
    """The sales invoice to create in Xero (ACCOUNTING.md 1 to 3 and 7).

    Args:
        entity: the code of the customer's billing entity; its mappings come first.
        contact_id: the Xero contact.

    Raises:
        Inconsistent: Lago's own figures disagree or are missing.
        Unmapped: a tax type or an account is missing or ambiguous; ``cause`` names the mapping.
        Refused: Xero would certainly refuse it.
    """
    check_totals(invoice)
    currency = invoice.currency or ""
    unit = Unit.of(currency)
    totals = figures(invoice, unit)
    fees = sorted(invoice.fees or (), key=_fee_order)
    if not fees:
        raise Refused(
            "no_lines",
            "The invoice has no fees, and Xero takes no invoice without lines.",
            "Nothing is owed; the policy zero_invoices: skip leaves such invoices out.",
        )
    books = Books(connection, chart, entity)
    notes: list[Note] = []
    tax, total = unit.major(totals.tax), unit.major(totals.total)
    try:
        lines = [
            *_fee_lines(invoice, fees, totals, unit, books, notes),
            *_deduction_lines(deductions(invoice), totals.deductions, unit, books, notes),
        ]
        payload = _payload(invoice, connection.number_prefix, contact_id, tuple(lines))
    except ValidationError as error:
        path = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Refused(
            "unsendable",
            f"The invoice does not fit Xero's limits at {path}: {error.errors()[0]['msg']}.",
            "Correct the mapping or the invoice named by the path.",
        ) from None
    lost = major(invoice.total_amount_cents or 0, currency) - total
    if lost:
        notes.append(Note("subcent", "total", lost))
    return TranslatedInvoice(payload, Totals(total - tax, tax, total), tuple(notes))


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
    options = possible_codes(invoice, fees)
    providers = _provider_codes(invoice)
    progressive = invoice.progressive_billing_credit_amount_cents
    billed = amount_text(unit.major(unit.round(progressive))) if progressive else None
    lines = []
    for i, fee in enumerate(fees):
        figures_ = FeeAmounts(*map(unit.major, (amounts[i], reductions[i], taxes[i])))
        place = books.fee(fee)
        if fee.item.type == "credit" and not is_taxed(fee):
            tax_type = books.mandatory_tax_type("outside_tax")
        else:
            tax_type = books.fee_tax_type(options[i], fee_rate(fee), providers, place)
        lowered = billed if fee.item.type == "charge" and reductions[i] else None
        line = fee_line(
            fee, figures_, place, tax_type, currency=unit.currency, billed_before=lowered
        )
        lines.append(line)
        notes.extend(_fallback_note(place, figures_.net))
        if fee.item.type == "credit" and place.fallback:
            notes.append(Note("prepaid_on_fallback", place.subject, figures_.net))
        if books.effective_rate(tax_type) == 0 and figures_.tax:
            raise Unmapped(
                "tax_rate_zero",
                f"The fee {fee.lago_id} bears tax, but its Xero tax type {tax_type!r} has 0 %.",
                "Map the Lago tax to a Xero tax type with its rate.",
                _tax_cause(options[i], providers, books),
            )
        notes.extend(_override_note(fee, figures_, books.effective_rate(tax_type), unit))
    return lines


def _override_note(
    fee: lago.Fee, amounts: FeeAmounts, rate: Decimal | None, unit: Unit
) -> list[Note]:
    """Whether Xero would have computed another tax at its ``rate``, which may be unknown."""
    if rate is None:
        rate = fee_rate(fee) or ZERO
    difference = amounts.tax - rate * amounts.net / 100
    # In a whole-unit currency Lago's tax is whole, and rounding alone may take half a unit.
    if abs(difference) > max(_OVERRIDE, unit.major(1) if unit.per_major < 100 else ZERO):
        return [Note("tax_override", str(fee.lago_id), difference.quantize(CENT))]
    return []


def _tax_cause(options: Set[Codes], providers: Set[str], books: Books) -> str:
    """The mapping that gave a fee with one of ``options`` its tax type."""
    codes = min(filter(None, options), default=())
    key = "+".join(codes)
    own = books.connection.tax_type("tax", key, entity=books.entity)
    provider = own is None and set(codes) <= providers
    return mapping_cause("provider_tax") if provider else mapping_cause("tax", key)


def _deduction_lines(
    taken: Sequence[Deduction], total: int, unit: Unit, books: Books, notes: list[Note]
) -> list[xero.LineItem]:
    if not taken:
        return []
    tax_type = books.mandatory_tax_type("outside_tax")
    lines = []
    units = apportion(total, [deduction.amount_cents for deduction in taken])
    for deduction, part in zip(taken, units, strict=True):
        if part == 0:  # less than a cent of Xero's; the total has it
            continue
        amount = unit.major(part)
        place = books.collection(deduction.kind, deduction.instead)
        lines.append(deduction_line(deduction.description, amount, place, tax_type))
        notes.extend(_fallback_note(place, -amount))
        if deduction.unsplit:
            notes.append(Note("prepaid_unsplit", place.subject, amount))
        if deduction.prepaid and place.fallback:
            notes.append(Note("prepaid_on_fallback", place.subject, -amount))
    return lines


def _fallback_note(place: Place, amount: Decimal) -> list[Note]:
    return [Note("fallback_used", place.subject, amount)] if place.fallback else []


def _payload(
    invoice: lago.Invoice, prefix: str, contact_id: UUID, lines: tuple[xero.LineItem, ...]
) -> xero.Invoice:
    if invoice.number is None or invoice.issuing_date is None:
        raise Inconsistent(
            "lago_header_missing",
            "The invoice lacks its number or its issuing date.",
            "Ask Lago to send the invoice again.",
        )
    number = prefix + invoice.number
    if _PRINTABLE.fullmatch(number) is None:
        raise Refused(
            "invoice_number_illegal",
            f"Xero takes invoice numbers of 1 to 255 printable ASCII characters, not {number!r}.",
            "Change the document number prefix of the billing entity in Lago.",
        )
    due = max(invoice.payment_due_date or invoice.issuing_date, invoice.issuing_date)
    reference = clip(plain(invoice.purchase_order_number), 255)
    return xero.Invoice(
        contact=xero.ContactRef(contact_id=contact_id),
        invoice_number=number,
        reference=reference or None,
        url=_url(invoice.web_url),
        date=invoice.issuing_date,
        due_date=due,
        currency_code=invoice.currency or "",
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


def _provider_codes(invoice: lago.Invoice) -> frozenset[str]:
    """Codes of taxes that a provider computed: Lago says null where its own tax's id would be."""
    return frozenset(
        tax.tax_code
        for tax in invoice.applied_taxes or ()
        if tax.tax_code and tax.lago_tax_id is None and "lago_tax_id" in tax.model_fields_set
    )


def _fee_order(fee: lago.Fee) -> tuple[datetime, str]:
    """``created_at``, then lago_id; a fee without a stamp comes last."""
    created = fee.created_at or datetime.max.replace(tzinfo=UTC)
    return created if created.tzinfo else created.replace(tzinfo=UTC), str(fee.lago_id)
