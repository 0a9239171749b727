"""A credit note or an allocation in, what is saved of it or Xero's complaints out (xero.md 5)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from consumer.sandbox.xero import contacts, invoices, lines, reading, rendering
from consumer.sandbox.xero.answers import Answer, ApiError, Json, guid, json_answer, not_found
from consumer.sandbox.xero.arithmetic import ZERO, cents
from consumer.sandbox.xero.batches import Kind, Outcome, answer, refusal
from consumer.sandbox.xero.books import CreditNote, Invoice
from consumer.sandbox.xero.call import Call

SHAPE: reading.Shape = {
    **dict.fromkeys(("Type", "CreditNoteNumber", "Reference", "Status"), reading.text),
    "CreditNoteID": reading.identity,
    "Contact": contacts.SHAPE,
    "Date": reading.date,
    "LineAmountTypes": reading.one_of("Exclusive", "Inclusive", "NoTax"),
    "CurrencyCode": reading.text,
    "CurrencyRate": reading.decimal,
    "LineItems": [lines.SHAPE],
}
KIND = Kind("CreditNotes", "CreditNote", "CreditNoteID", "HasErrors", frozenset(SHAPE), SHAPE)
ALLOCATION_SHAPE: reading.Shape = {
    "AllocationID": reading.identity,
    "Invoice": {"InvoiceID": reading.identity, "InvoiceNumber": reading.text},
    "Amount": reading.decimal,
    "Date": reading.date,
}
ALLOCATION = Kind(
    "Allocations",
    "Allocation",
    "AllocationID",
    "HasValidationErrors",
    frozenset(ALLOCATION_SHAPE),
    ALLOCATION_SHAPE,
)
NOT_UNIQUE = "Credit Note # must be unique."
IN_USE = "This document cannot be edited as it has a payment or credit note allocated to it."
TOO_MUCH = "Credit Note cannot be allocated as amount is greater than amount outstanding"
PAID_OFF = "The invoice you are trying to allocate to has already been paid off"


def put(call: Call, element: Json) -> Outcome:
    """Create; a number that is taken is an error."""
    note = CreditNote(guid())
    note.status = reading.text(element, "Status") or "DRAFT"
    errors = []
    if reading.text(element, "Type") != "ACCRECCREDIT":
        errors.append("Credit Note Type must be specified")
    if note.status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
        errors.append("Credit Note not of valid status for creation")
    return _write(call, note, element, None, errors)


def post(call: Call, element: Json) -> Outcome:
    """Update by id while nothing is allocated or refunded; without an id, create."""
    note_id = reading.identity(element, "CreditNoteID")
    if note_id is None:
        return put(call, element)
    stored = call.books.credit_notes.get(note_id)
    if stored is None:
        return refusal(KIND, element, None, ["The Credit Note could not be found."])
    shown = rendering.credit_note(call.books, stored)
    status = reading.text(element, "Status") or stored.status
    if stored.allocations or stored.amount_paid:
        return refusal(KIND, element, shown, [IN_USE])
    if status not in invoices.TRANSITIONS.get(stored.status, ()):
        return refusal(KIND, element, shown, ["Credit Note not of valid status for modification"])
    posted = stored.status == "AUTHORISED"
    if posted and (locked := invoices.lock_complaint(call.books, stored.date)):
        return refusal(KIND, element, shown, [locked])
    changed = replace(stored, status=status)
    if status not in ("VOIDED", "DELETED"):
        return _write(call, changed, element, shown, [])
    changed.updated = call.at
    call.books.credit_notes[note_id] = changed
    return Outcome(rendering.credit_note(call.books, changed))


def _write(
    call: Call, note: CreditNote, element: Json, shown: Json | None, errors: list[str]
) -> Outcome:
    """Save the element over the note, whole or not at all; ``shown`` is the note as stored."""
    note.updated = call.at
    wrong, sent = _fill(call, note, element)
    if errors := [*errors, *wrong]:
        told = element if sent is None else {**element, "LineItems": sent}
        return refusal(KIND, told, shown, errors)
    call.books.credit_notes[note.credit_note_id] = note
    return Outcome(rendering.credit_note(call.books, note))


def _fill(call: Call, note: CreditNote, element: Json) -> tuple[list[str], list[Json] | None]:
    errors = []
    asked = reading.text(element, "CreditNoteNumber")
    note.number = asked or note.number or f"CN-{guid()[:8]}"
    others = (one for id, one in call.books.credit_notes.items() if id != note.credit_note_id)
    if note.number.casefold() in (one.number.casefold() for one in others):
        errors.append(NOT_UNIQUE)
    reference = reading.text(element, "Reference")
    note.reference = note.reference if reference is None else reference
    named = reading.single(element, "Contact")
    if named is not None or note.contact_id not in call.books.contacts:
        contact, wrong = contacts.resolve(call, named)
        errors += wrong
        note.contact_id = contact.contact_id if contact else note.contact_id
    note.date = reading.date(element, "Date") or note.date
    if note.date is None:
        if note.status == "AUTHORISED":
            errors.append("The Date field must be specified.")
        note.date = call.books.organisation.today(call.at)
    if note.status == "AUTHORISED" and (locked := invoices.lock_complaint(call.books, note.date)):
        errors.append(locked)
    books = call.books
    base = books.organisation.base_currency
    note.currency_code = reading.text(element, "CurrencyCode") or note.currency_code or base
    if note.currency_code not in books.organisation.currencies:
        errors.append(f"Organisation is not subscribed to currency {note.currency_code}")
    shell = Invoice(type="ACCREC", status=note.status, lines=note.lines)
    sent = reading.objects(element, "LineItems")
    if not sent and (sent is not None or not note.lines):
        errors.append("One or more line items must be specified")
    sent = sent or []
    if any("DiscountAmount" in one or "DiscountRate" in one for one in sent):
        errors.append("Discounts cannot be applied to credit notes.")
    approved = note.status in ("SUBMITTED", "AUTHORISED")
    echo: list[Json] | None = None
    if sent:
        wrong, echo = invoices.build_lines(call, shell, sent, approved=approved)
        errors += wrong
    errors += invoices.add_up(shell, {})
    note.lines, note.sub_total = shell.lines, shell.sub_total
    note.total_tax, note.total = shell.total_tax, shell.total
    return errors, echo


def allocations(call: Call, note_key: str, rest: list[str]) -> Answer:
    """``PUT CreditNotes/{id}/Allocations`` and ``DELETE …/Allocations/{id}``."""
    note = call.books.credit_notes.get(note_key.lower())
    if note is None:
        raise ApiError(not_found())
    if call.method == "DELETE" and rest:
        return unallocate(call, note.credit_note_id, rest[0].lower())
    elements = reading.elements(
        call.document, ALLOCATION.collection, ALLOCATION.singular, ALLOCATION.known
    )
    for element in elements:
        reading.check(element, ALLOCATION_SHAPE)
    # Each is applied in its turn, also one that was sent before (xero.md 5).
    return answer(call, ALLOCATION, [allocate(call, note.credit_note_id, e) for e in elements])


def allocate(call: Call, note_id: str, element: Json) -> Outcome:
    """Set part of the note against an invoice."""
    note = call.books.credit_notes[note_id]
    named = reading.single(element, "Invoice") or {}
    invoice = call.books.invoices.get(reading.identity(named, "InvoiceID") or "")
    amount = cents(reading.decimal(element, "Amount") or ZERO)
    errors = []
    if invoice is None:
        return refusal(ALLOCATION, element, None, ["The Invoice could not be found."])
    if note.status != "AUTHORISED":
        errors.append("Credit Note must be Authorised to be allocated")
    if invoice.contact_id != note.contact_id:
        errors.append("The Invoice and the Credit Note must have the same Contact")
    if invoice.status == "PAID":
        errors.append(PAID_OFF)
    elif invoice.status != "AUTHORISED" or amount > invoice.amount_due:
        errors.append(TOO_MUCH)
    if amount <= 0 or amount > note.remaining:
        errors.append(TOO_MUCH)
    if locked := invoices.lock_complaint(call.books, reading.date(element, "Date")):
        errors.append(locked)
    if errors:
        return refusal(ALLOCATION, element, None, errors)
    entry = {
        "AllocationID": guid(),
        "Amount": amount,
        "Date": reading.text(element, "Date"),
        "Invoice": {"InvoiceID": invoice.invoice_id, "InvoiceNumber": invoice.number},
    }
    _keep(call, note, [*note.allocations, entry], invoice, amount)
    return Outcome(entry)


def unallocate(call: Call, note_id: str, allocation_id: str) -> Answer:
    """Take one off again. ApiError: the note does not have it."""
    note = call.books.credit_notes[note_id]
    gone = [one for one in note.allocations if one["AllocationID"] == allocation_id]
    if not gone:
        raise ApiError(not_found())
    kept = [one for one in note.allocations if one["AllocationID"] != allocation_id]
    invoice = call.books.invoices[gone[0]["Invoice"]["InvoiceID"]]
    _keep(call, note, kept, invoice, -gone[0]["Amount"])
    return json_answer(200, {**gone[0], "IsDeleted": True})  # no envelope, says the OpenAPI file


def _keep(
    call: Call, note: CreditNote, entries: list[Json], invoice: Invoice, credited: Decimal
) -> None:
    changed = replace(note, allocations=entries, updated=call.at)
    changed.status = "AUTHORISED" if changed.remaining else "PAID"
    call.books.credit_notes[note.credit_note_id] = changed
    settled = replace(invoice, amount_credited=invoice.amount_credited + credited, updated=call.at)
    settled.status = "AUTHORISED" if settled.amount_due else "PAID"
    call.books.keep_invoice(settled)
