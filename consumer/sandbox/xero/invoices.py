"""An invoice element in, a saved invoice or Xero's complaints about it out."""

from __future__ import annotations

import datetime
from dataclasses import replace
from decimal import Decimal

from consumer.sandbox.xero import arithmetic, contacts, lines, reading, rendering
from consumer.sandbox.xero.answers import Json, guid
from consumer.sandbox.xero.batches import Kind, Outcome, refusal
from consumer.sandbox.xero.books import Books, Invoice
from consumer.sandbox.xero.call import Call

SHAPE: reading.Shape = {
    **dict.fromkeys(("Type", "InvoiceNumber", "Reference", "Url", "Status"), reading.text),
    "InvoiceID": reading.identity,
    "BrandingThemeID": reading.identity,
    "Contact": contacts.SHAPE,
    "Date": reading.date,
    "DueDate": reading.date,
    "LineAmountTypes": reading.one_of("Exclusive", "Inclusive", "NoTax"),
    "CurrencyCode": reading.text,
    **dict.fromkeys(("CurrencyRate", "SubTotal", "TotalTax", "Total"), reading.decimal),
    "SentToContact": reading.flag,
    "LineItems": [lines.SHAPE],
}
KIND = Kind(
    "Invoices",
    "Invoice",
    "InvoiceID",
    "HasErrors",
    frozenset(SHAPE),
    SHAPE,
)
NOT_FOR_CREATION = "Invoice not of valid status for creation"
NOT_FOR_MODIFICATION = "Invoice not of valid status for modification"
NOT_UNIQUE = "Invoice # must be unique."
HAS_MONEY = "This document cannot be edited as it has a payment or credit note allocated to it."
VOID_WITH_MONEY = (
    "The status VOIDED cannot be applied to the invoice because it has payments or credit notes "
    "allocated to it."
)
TRANSITIONS = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"SUBMITTED", "DRAFT", "AUTHORISED", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
    "PAID": {"PAID"},
}
FREE_WITH_MONEY = {
    "InvoiceID",
    "Type",
    "Status",
    "Reference",
    "DueDate",
    "InvoiceNumber",
    "BrandingThemeID",
    "Contact",
    "Url",
    "SentToContact",
}
MAX_TEXT = 255


def put(call: Call, element: Json) -> Outcome:
    """Create; a sales number that is taken is an error."""
    return write(call, element, None)


def post(call: Call, element: Json) -> Outcome:
    """Update by id; without one, edit the sales invoice of that number, or create."""
    invoice_id = reading.identity(element, "InvoiceID")
    if invoice_id:
        stored = call.books.invoices.get(invoice_id)
        if stored is None:
            return refusal(KIND, element, None, ["The Invoice could not be found."])
        return write(call, element, stored)
    number = reading.text(element, "InvoiceNumber")
    if number and reading.text(element, "Type") == "ACCREC":
        held = call.books.sales_invoices(number)
        return write(call, element, held[-1] if held else None)
    return write(call, element, None)


def write(call: Call, element: Json, stored: Invoice | None) -> Outcome:
    """Save an element over what is stored, whole or not at all."""
    shown = None if stored is None else rendering.invoice(call.books, stored)
    invoice = Invoice(guid()) if stored is None else replace(stored)
    invoice.updated = call.at
    errors = _status(call, invoice, element, stored)
    if errors:
        return refusal(KIND, element, shown, errors)
    if invoice.status in ("VOIDED", "DELETED"):
        call.books.keep_invoice(invoice)
        return Outcome(rendering.invoice(call.books, invoice))
    warnings: list[str] = []
    errors, line_items = _fill(call, invoice, element, warnings)
    if errors:
        sent = element if line_items is None else {**element, "LineItems": line_items}
        return refusal(KIND, sent, shown, errors)
    _settle(call, invoice)
    call.books.keep_invoice(invoice)
    return Outcome(rendering.invoice(call.books, invoice), warnings=tuple(warnings))


def _status(call: Call, invoice: Invoice, element: Json, stored: Invoice | None) -> list[str]:
    """Whether the document may be written at all and take the status asked for."""
    asked = reading.text(element, "Status")
    if stored is None:
        invoice.status = asked or "DRAFT"
        if invoice.status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
            return [NOT_FOR_CREATION]
        return []
    invoice.status = asked or stored.status
    if invoice.status == "VOIDED" and stored.has_money:
        return [VOID_WITH_MONEY]
    if invoice.status not in TRANSITIONS.get(stored.status, ()):
        return [NOT_FOR_MODIFICATION]
    if stored.status in ("AUTHORISED", "PAID"):
        if locked := lock_complaint(call.books, stored.date):
            return [locked]
        if stored.has_money and set(element) - FREE_WITH_MONEY:
            return [HAS_MONEY]
    return []


def lock_complaint(books: Books, day: datetime.date | None) -> str | None:
    """What Xero says about a date on or before a lock date."""
    organisation = books.organisation
    for name, lock in (
        ("period lock date", organisation.period_lock_date),
        ("end of year lock date", organisation.end_of_year_lock_date),
    ):
        if day and lock and day <= lock:
            return (
                f"The document date cannot be before the {name}, "
                f"currently set at {lock.day} {lock:%B %Y}"
            )
    return None


def _fill(
    call: Call, invoice: Invoice, element: Json, warnings: list[str]
) -> tuple[list[str], list[Json] | None]:
    """Read the element into the invoice; also its lines as sent, each with its own errors."""
    approved = invoice.status in ("SUBMITTED", "AUTHORISED")
    errors = _header(call, invoice, element)
    contact = reading.single(element, "Contact")
    if contact is not None or invoice.contact_id not in call.books.contacts:
        found, wrong = contacts.resolve(call, contact)
        errors += wrong
        invoice.contact_id = found.contact_id if found else invoice.contact_id
    errors += _dates(call, invoice, element, approved=approved)
    errors += _currency(call.books, invoice, element)
    echo = None
    sent = reading.objects(element, "LineItems")
    if sent is not None:
        wrong, echo = build_lines(call, invoice, sent, approved=approved)
        errors += wrong
    if not invoice.lines and (approved or sent is not None):
        errors.append("One or more line items must be specified")
    sent_to_contact = reading.flag(element, "SentToContact")
    if sent_to_contact is not None:
        if invoice.status in ("AUTHORISED", "PAID"):
            invoice.sent_to_contact = sent_to_contact
        elif sent_to_contact:
            warnings.append("Only AUTHORISED invoices may have SentToContact updated.")
    errors += add_up(invoice, element)
    return errors, echo


def _header(call: Call, invoice: Invoice, element: Json) -> list[str]:
    errors = []
    kind = reading.text(element, "Type") or invoice.type
    if kind not in ("ACCREC", "ACCPAY"):
        errors.append("Invoice Type must be specified")
    invoice.type = kind
    types = reading.text(element, "LineAmountTypes")
    invoice.line_amount_types = types or invoice.line_amount_types
    for name, attribute in (
        ("Reference", "reference"),
        ("Url", "url"),
        ("BrandingThemeID", "branding_theme_id"),
    ):
        if (value := reading.text(element, name)) is not None:
            setattr(invoice, attribute, value)
    if len(invoice.reference) > MAX_TEXT:
        errors.append(contacts.too_long("Reference", MAX_TEXT))
    if invoice.url and not invoice.url.startswith(("https://", "http://")):
        errors.append("Url must be a valid URL.")
    elif "xero" in invoice.url.lower() and call.settings.url_with_xero_refused:
        errors.append("Url must not contain xero.")
    return errors + _number(call, invoice, element)


def _number(call: Call, invoice: Invoice, element: Json) -> list[str]:
    asked = reading.text(element, "InvoiceNumber")
    if asked:
        invoice.number = asked
    if invoice.type != "ACCREC":
        return []
    if not invoice.number:
        invoice.number = call.books.next_sales_number()
    number = invoice.number
    if len(number) > MAX_TEXT:
        return [contacts.too_long("InvoiceNumber", MAX_TEXT)]
    if not (number.isascii() and number.isprintable()):
        return ["InvoiceNumber can only contain printable ASCII characters."]
    free_again = {
        status
        for status, rejected in (
            ("VOIDED", call.settings.put_voided_number_rejected),
            ("DELETED", call.settings.put_deleted_number_rejected),
        )
        if not rejected
    }
    for other in call.books.sales_invoices(number):
        if other.invoice_id != invoice.invoice_id and other.status not in free_again:
            return [NOT_UNIQUE]
    return []


def _dates(call: Call, invoice: Invoice, element: Json, *, approved: bool) -> list[str]:
    errors = []
    invoice.date = reading.date(element, "Date") or invoice.date
    invoice.due_date = reading.date(element, "DueDate") or invoice.due_date
    if invoice.date is None:
        if approved:
            errors.append("The Date field must be specified.")
        else:
            invoice.date = call.books.organisation.today(call.at)
    if invoice.due_date is None:
        if approved:
            errors.append("The document DueDate field must be specified.")
    elif invoice.date and invoice.due_date < invoice.date:
        errors.append("The document DueDate cannot be before the document Date.")
    if invoice.status in ("AUTHORISED", "PAID"):
        locked = lock_complaint(call.books, invoice.date)
        errors += [locked] if locked else []
    return errors


def _currency(books: Books, invoice: Invoice, element: Json) -> list[str]:
    base = books.organisation.base_currency
    code = reading.text(element, "CurrencyCode") or invoice.currency_code or base
    invoice.currency_code = code
    rate = reading.decimal(element, "CurrencyRate")
    if rate is not None and code != base:
        invoice.currency_rate = rate.quantize(Decimal("0.000001"))
    if code not in books.organisation.currencies:
        return [f"Organisation is not subscribed to currency {code}"]
    return []


def build_lines(
    call: Call, invoice: Invoice, sent: list[Json], *, approved: bool
) -> tuple[list[str], list[Json]]:
    """Lines named by LineItemID are updated, others created; lines left out are gone."""
    terms = lines.Terms(call.books, call.settings, call.rules, approved, invoice.line_amount_types)
    known = {line.line_id: line for line in invoice.lines}
    errors: list[str] = []
    echo: list[Json] = []
    built = []
    for element in sent:
        stored = known.get(reading.identity(element, "LineItemID") or "")
        line, wrong = lines.build(terms, element, stored)
        built.append(line)
        echo.append({**element, "ValidationErrors": [{"Message": one} for one in wrong]})
        errors += wrong
    invoice.lines = built
    return errors, echo


def add_up(invoice: Invoice, element: Json) -> list[str]:
    """The totals of the lines; a complaint if the element claims others."""
    net = sum((line.line_amount for line in invoice.lines), arithmetic.ZERO)
    invoice.total_tax = sum((line.tax_amount for line in invoice.lines), arithmetic.ZERO)
    if invoice.line_amount_types == "Inclusive":
        net -= invoice.total_tax
    invoice.sub_total = net
    invoice.total = net + invoice.total_tax
    for name, total in (
        ("SubTotal", invoice.sub_total),
        ("TotalTax", invoice.total_tax),
        ("Total", invoice.total),
    ):
        claimed = reading.decimal(element, name)
        if claimed is not None and arithmetic.cents(claimed) != total:
            return ["The document total does not equal the sum of the lines."]
    if invoice.total < 0:
        return ["The document total cannot be negative."]
    return []


def _settle(call: Call, invoice: Invoice) -> None:
    """What follows from saving: a customer is one who was invoiced; nothing to pay is paid."""
    contact = call.books.contacts[invoice.contact_id]
    if invoice.type == "ACCREC":
        contact.is_customer = True
    else:
        contact.is_supplier = True
    if invoice.status == "AUTHORISED" and not invoice.amount_due:
        paid = invoice.has_money or call.settings.zero_total_becomes_paid
        if paid:
            invoice.status = "PAID"
            invoice.fully_paid_on = invoice.date
