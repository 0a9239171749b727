"""A payment element in, a saved payment or Xero's complaints about it out.

A payment is created or deleted, never edited, and nothing keeps two equal ones apart (xero.md 5).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from consumer.sandbox.xero import invoices, reading, rendering
from consumer.sandbox.xero.answers import Json, guid
from consumer.sandbox.xero.arithmetic import cents
from consumer.sandbox.xero.batches import Kind, Outcome, refusal
from consumer.sandbox.xero.books import Account, Books, CreditNote, Invoice, Payment
from consumer.sandbox.xero.call import Call

_NAMED: reading.Shape = {
    **dict.fromkeys(("InvoiceID", "CreditNoteID", "AccountID"), reading.identity),
    **dict.fromkeys(("InvoiceNumber", "CreditNoteNumber", "Code"), reading.text),
}
SHAPE: reading.Shape = {
    **dict.fromkeys(("PaymentID",), reading.identity),
    **dict.fromkeys(("Reference", "Status", "PaymentType"), reading.text),
    **dict.fromkeys(("Invoice", "CreditNote", "Account"), _NAMED),
    **dict.fromkeys(("Amount", "CurrencyRate"), reading.decimal),
    "Date": reading.date,
    "IsReconciled": reading.flag,
}
KIND = Kind("Payments", "Payment", "PaymentID", "HasValidationErrors", frozenset(SHAPE), SHAPE)
EXCEEDS = "Payment amount exceeds the amount outstanding on this document"
NOT_AUTHORISED = "Payments can only be made against Authorised documents"
WRONG_ACCOUNT = "Account type is invalid for making a payment to/from"
NOT_FOR_MODIFICATION = "Payment not of valid status for modification"
MAX_REFERENCE = 255


def put(call: Call, element: Json) -> Outcome:
    """Create, whether or not the same was created before."""
    books = call.books
    target = _invoice(books, reading.single(element, "Invoice")) or _credit_note(
        books, reading.single(element, "CreditNote")
    )
    account = _account(books, reading.single(element, "Account"))
    amount = reading.decimal(element, "Amount")
    errors = _wrong(call, element, target, account, amount)
    if errors or target is None or account is None or amount is None:
        return refusal(KIND, element, None, errors)
    payment = Payment(
        guid(),
        invoice_id=target.invoice_id if isinstance(target, Invoice) else "",
        credit_note_id=target.credit_note_id if isinstance(target, CreditNote) else "",
        account_id=account.account_id,
        date=reading.date(element, "Date") or books.organisation.today(call.at),
        amount=cents(amount),
        currency_code=target.currency_code,
        reference=reading.text(element, "Reference") or "",
        updated=call.at,
    )
    books.payments[payment.payment_id] = payment
    _apply(call, payment, paid=payment.amount)
    return Outcome(rendering.payment(books, payment))


def post(call: Call, element: Json) -> Outcome:
    """Delete by id; without an id, create."""
    payment_id = reading.identity(element, "PaymentID")
    if payment_id is None:
        return put(call, element)
    stored = call.books.payments[payment_id]
    shown = rendering.payment(call.books, stored)
    if reading.text(element, "Status") != "DELETED" or stored.status == "DELETED":
        return refusal(KIND, element, shown, [NOT_FOR_MODIFICATION])
    if locked := invoices.lock_complaint(call.books, stored.date):
        return refusal(KIND, element, shown, [locked])
    deleted = replace(stored, status="DELETED", updated=call.at)
    call.books.payments[payment_id] = deleted
    _apply(call, stored, paid=-stored.amount)
    return Outcome(rendering.payment(call.books, deleted))


def _wrong(
    call: Call,
    element: Json,
    target: Invoice | CreditNote | None,
    account: Account | None,
    amount: Decimal | None,
) -> list[str]:
    if target is None:
        return ["Payment must be against a document that exists."]
    errors = []
    open_amount = target.amount_due if isinstance(target, Invoice) else target.remaining
    if target.status == "PAID":  # both are said then (xero.md 11)
        errors += [NOT_AUTHORISED, EXCEEDS]
    elif target.status != "AUTHORISED":
        errors.append(NOT_AUTHORISED)
    elif amount is not None and cents(amount) > open_amount:
        errors.append(EXCEEDS)
    if amount is None or amount <= 0:
        errors.append("The payment Amount must be greater than zero.")
    if account is None or account.status != "ACTIVE" or not _takes_payments(account):
        errors.append(WRONG_ACCOUNT)
    else:
        base = call.books.organisation.base_currency
        if account.type == "BANK" and account.currency_code not in (
            "",
            target.currency_code,
            base,
        ):
            errors.append("The account's currency must be the document's or the base currency.")
    if len(reading.text(element, "Reference") or "") > MAX_REFERENCE:
        errors.append("The Reference is too long.")
    if locked := invoices.lock_complaint(call.books, reading.date(element, "Date")):
        errors.append(locked)
    return errors


def _credit_note(books: Books, named: Json | None) -> CreditNote | None:
    note_id = reading.identity(named, "CreditNoteID") if named is not None else None
    return books.credit_notes.get(note_id) if note_id else None


def _takes_payments(account: Account) -> bool:
    return account.type == "BANK" or account.enable_payments


def _invoice(books: Books, named: Json | None) -> Invoice | None:
    if named is None:
        return None
    if found := books.invoices.get(reading.identity(named, "InvoiceID") or ""):
        return found
    number = reading.text(named, "InvoiceNumber")
    held = books.sales_invoices(number) if number else []
    return held[-1] if held else None


def _account(books: Books, named: Json | None) -> Account | None:
    if named is None:
        return None
    code, account_id = reading.text(named, "Code"), reading.identity(named, "AccountID")
    for account in books.accounts.values():
        if account.account_id == account_id or (code and account.code == code):
            return account
    return None


def _apply(call: Call, payment: Payment, *, paid: Decimal) -> None:
    """What is paid settles the document, what is taken back opens it again."""
    note = call.books.credit_notes.get(payment.credit_note_id)
    if note is not None:
        refunded = replace(note, amount_paid=note.amount_paid + paid, updated=call.at)
        refunded.status = "AUTHORISED" if refunded.remaining else "PAID"
        call.books.credit_notes[note.credit_note_id] = refunded
        return
    invoice = call.books.invoices[payment.invoice_id]
    entry = {"PaymentID": payment.payment_id, "Amount": payment.amount}
    others = [one for one in invoice.payments if one["PaymentID"] != payment.payment_id]
    changed = replace(
        invoice,
        amount_paid=invoice.amount_paid + paid,
        payments=[*others, entry] if paid > 0 else others,
        updated=call.at,
    )
    changed.status = "AUTHORISED" if changed.amount_due else "PAID"
    changed.fully_paid_on = None if changed.amount_due else payment.date
    call.books.keep_invoice(changed)
