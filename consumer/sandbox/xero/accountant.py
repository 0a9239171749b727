"""An accountant at work in Xero itself: an order in, what becomes of the document out.

The same rules hold as for the API, but for what only Xero's own pages can do.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from consumer.sandbox.xero import credit_notes, invoices, payments, rendering
from consumer.sandbox.xero.answers import Json
from consumer.sandbox.xero.batches import Outcome
from consumer.sandbox.xero.books import Books, CreditNote, Invoice
from consumer.sandbox.xero.call import Call

Edit = Callable[[Call, Json], Outcome]


def edit_invoice(call: Call, body: Json) -> Outcome:
    """``void``, ``delete``, ``pay`` (``amount``, else all that is due; ``account``, ``date``,
    ``reference``) by ``invoice_id`` or ``number``; or ``write`` (``fields`` as in the API)."""
    action = body["action"]
    if action == "write":
        return invoices.post(call, body["fields"])
    invoice = _invoice(call.books, body)
    if action in ("void", "delete"):
        return invoices.write(call, {"Status": _gone(action)}, invoice)
    if action != "pay":
        raise ValueError(f"action {action} is not void, delete, pay or write")
    paid = payments.put(
        call,
        {
            "Invoice": {"InvoiceID": invoice.invoice_id},
            "Account": {"Code": body.get("account") or _bank(call.books, invoice.currency_code)},
            "Amount": Decimal(body.get("amount", invoice.amount_due)),
            "Reference": body.get("reference", ""),
            **({"Date": body["date"]} if "date" in body else {}),
        },
    )
    if paid.errors:
        return paid
    return Outcome(rendering.invoice(call.books, call.books.invoices[invoice.invoice_id]))


def edit_credit_note(call: Call, body: Json) -> Outcome:
    """``void``, ``delete``, ``allocate`` (``to``: an invoice's number, ``amount``), ``unallocate`` (all of
    it) by ``credit_note_id`` or ``number``; or ``write``."""
    action = body["action"]
    if action == "write":
        return credit_notes.post(call, body["fields"])
    note = _credit_note(call.books, body)
    if action in ("void", "delete"):
        element: Json = {"CreditNoteID": note.credit_note_id, "Status": _gone(action)}
        return credit_notes.post(call, element)
    if action == "allocate":
        invoice = _invoice(call.books, {"number": body["to"]})
        element = {"Invoice": {"InvoiceID": invoice.invoice_id}, "Amount": Decimal(body["amount"])}
        return credit_notes.allocate(call, note.credit_note_id, element)
    if action != "unallocate":
        raise ValueError(f"action {action} is not void, delete, allocate, unallocate or write")
    for one in note.allocations:
        credit_notes.unallocate(call, note.credit_note_id, one["AllocationID"])
    return Outcome(rendering.credit_note(call.books, call.books.credit_notes[note.credit_note_id]))


def edit_payment(call: Call, body: Json) -> Outcome:
    """``enter`` (``fields`` as in the API); by ``payment_id``: ``delete``, or ``move`` (to ``account``),
    which Xero calls Remove & Redo: another payment takes its place."""
    action = body["action"]
    if action == "enter":
        return payments.put(call, body["fields"])
    payment = call.books.payments[body["payment_id"]]
    deleted = payments.post(call, {"PaymentID": payment.payment_id, "Status": "DELETED"})
    if action == "delete" or deleted.errors:
        return deleted
    if action != "move":
        raise ValueError(f"action {action} is not enter, delete or move")
    on = (
        {"CreditNote": {"CreditNoteID": payment.credit_note_id}}
        if payment.credit_note_id
        else {"Invoice": {"InvoiceID": payment.invoice_id}}
    )
    element = {"Account": {"Code": body["account"]}, "Amount": payment.amount}
    return payments.put(call, {**on, **element, "Date": payment.date.isoformat()})


def _gone(action: str) -> str:
    return "VOIDED" if action == "void" else "DELETED"


def _invoice(books: Books, body: Json) -> Invoice:
    """KeyError: there is none."""
    if "number" not in body:
        return books.invoices[body["invoice_id"]]
    stored = books.sales_invoices(body["number"])[-1:]
    return dict(enumerate(stored))[0]


def _credit_note(books: Books, body: Json) -> CreditNote:
    if "number" not in body:
        return books.credit_notes[body["credit_note_id"]]
    return {one.number: one for one in books.credit_notes.values()}[body["number"]]


def _bank(books: Books, currency: str) -> str:
    fitting = (
        one.code
        for one in books.accounts.values()
        if one.type == "BANK" and one.currency_code in ("", currency)
    )
    return next(fitting)
