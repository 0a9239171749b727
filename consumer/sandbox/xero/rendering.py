"""Stored contacts and invoices in, the JSON that Xero shows of them out."""

from __future__ import annotations

from decimal import Decimal

from consumer.sandbox.xero.answers import Json, calendar_date, date_string, stamp
from consumer.sandbox.xero.arithmetic import ZERO
from consumer.sandbox.xero.books import (
    BankTransaction,
    Books,
    Contact,
    CreditNote,
    Invoice,
    Line,
    Payment,
)

ADDRESS_TYPES = ("STREET", "POBOX")
PHONE_TYPES = ("DDI", "DEFAULT", "FAX", "MOBILE")
_ALWAYS = ("EmailAddress", "BankAccountDetails")


def contact(one: Contact, *, summary: bool = False) -> Json:
    """A contact in full, with its two address and four telephone slots."""
    shown: Json = {"ContactID": one.contact_id, "ContactStatus": one.status}
    shown.update(dict.fromkeys(_ALWAYS, ""))
    shown.update({name: value for name, value in one.texts.items() if value or name in _ALWAYS})
    if one.merged_to:
        shown["MergedToContactID"] = one.merged_to
    shown["UpdatedDateUTC"] = stamp(one.updated)
    shown["IsSupplier"] = one.is_supplier
    shown["IsCustomer"] = one.is_customer
    if not summary:
        shown["Addresses"] = [
            {"AddressType": slot, **one.addresses.get(slot, {})} for slot in ADDRESS_TYPES
        ]
        shown["Phones"] = [_phone(one, slot) for slot in PHONE_TYPES]
        shown["ContactPersons"] = one.persons
        shown["ContactGroups"] = []
        shown["HasAttachments"] = False
    shown["HasValidationErrors"] = False
    return shown


def _phone(one: Contact, slot: str) -> Json:
    empty = {"PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""}
    return {"PhoneType": slot, **empty, **one.phones.get(slot, {})}


def embedded_contact(one: Contact) -> Json:
    """A contact inside a document: its slots are empty lists there."""
    shown: Json = {"ContactID": one.contact_id, "Name": one.name}
    if number := one.texts.get("ContactNumber"):
        shown["ContactNumber"] = number
    return {
        **shown,
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def line(one: Line) -> Json:
    """A line of a document."""
    shown: Json = {"LineItemID": one.line_id, "Description": one.description}
    if one.priced:
        shown["Quantity"] = one.quantity
        shown["UnitAmount"] = one.unit_amount
        shown["LineAmount"] = one.line_amount
        shown["TaxAmount"] = one.tax_amount
    else:
        shown["TaxAmount"] = one.tax_amount
    if one.discount_rate is not None:
        shown["DiscountRate"] = one.discount_rate
    if one.discount_amount is not None:
        shown["DiscountAmount"] = one.discount_amount
    for name, value in (
        ("ItemCode", one.item_code),
        ("AccountCode", one.account_code),
        ("TaxType", one.tax_type),
    ):
        if value:
            shown[name] = value
    return {**shown, "Tracking": one.tracking, "ValidationErrors": []}


def payment(books: Books, one: Payment) -> Json:
    """A payment with its document as it is now; a credit note stands where an invoice does, as in the
    example of Xero's specification."""
    account = next(each for each in books.accounts.values() if each.account_id == one.account_id)
    note = books.credit_notes.get(one.credit_note_id)
    on = (
        invoice(books, books.invoices[one.invoice_id], lines=False)
        if note is None
        else _as_invoice(note)
    )
    return {
        "PaymentID": one.payment_id,
        "Date": calendar_date(one.date),
        "Amount": one.amount,
        "BankAmount": one.amount,
        "Reference": one.reference,
        "PaymentType": "ACCRECPAYMENT" if note is None else "ARCREDITPAYMENT",
        "Status": one.status,
        "UpdatedDateUTC": stamp(one.updated),
        "HasAccount": True,
        "IsReconciled": False,
        "Account": {"AccountID": account.account_id, "Code": account.code},
        "Invoice": on,
        "HasValidationErrors": False,
    }


def _as_invoice(note: CreditNote) -> Json:
    return {
        "Type": "ACCRECCREDIT",
        "InvoiceID": note.credit_note_id,
        "InvoiceNumber": note.number,
        "CurrencyCode": note.currency_code,
    }


def _beyond(books: Books, one: BankTransaction) -> Json:
    """What the bank transaction and the contact's credit have in common."""
    shown: Json = {
        "Type": "RECEIVE-OVERPAYMENT",
        "OverpaymentID": one.overpayment_id,
        "Contact": embedded_contact(books.contacts[one.contact_id]),
        "DateString": date_string(one.date),
        "Date": calendar_date(one.date),
        "Status": one.status,
        "LineAmountTypes": "NoTax",
        "LineItems": [
            {
                "Description": one.description,
                "UnitAmount": one.amount,
                "TaxType": "NONE",
                "TaxAmount": ZERO,
                "LineAmount": one.amount,
                "Quantity": Decimal(1),
                "Tracking": [],
                "ValidationErrors": [],
            }
        ],
        "SubTotal": one.amount,
        "TotalTax": ZERO,
        "Total": one.amount,
        "UpdatedDateUTC": stamp(one.updated),
        "CurrencyCode": one.currency_code,
        "HasAttachments": False,
        "HasValidationErrors": False,
    }
    return {**shown, "Reference": one.reference} if one.reference else shown


def bank_transaction(books: Books, one: BankTransaction) -> Json:
    """As the bank sees it."""
    account = next(each for each in books.accounts.values() if each.account_id == one.account_id)
    return {
        "BankTransactionID": one.transaction_id,
        "BankAccount": {
            "AccountID": account.account_id,
            "Code": account.code,
            "Name": account.name,
        },
        "IsReconciled": False,
        **_beyond(books, one),
    }


def overpayment(books: Books, one: BankTransaction) -> Json:
    """As the contact's credit."""
    status = "AUTHORISED" if one.status == "AUTHORISED" else "VOIDED"
    credit = {"RemainingCredit": one.remaining, "Allocations": [], "Payments": []}
    return {**_beyond(books, one), "Status": status, **credit}


def credit_note(books: Books, one: CreditNote) -> Json:
    """A credit note with its allocations."""
    assert one.date is not None
    return {
        "CreditNoteID": one.credit_note_id,
        "CreditNoteNumber": one.number,
        "Type": "ACCRECCREDIT",
        "Reference": one.reference,
        "Contact": embedded_contact(books.contacts[one.contact_id]),
        "DateString": date_string(one.date),
        "Date": calendar_date(one.date),
        "Status": one.status,
        "LineAmountTypes": "Exclusive",
        "LineItems": [line(each) for each in one.lines],
        "SubTotal": one.sub_total,
        "TotalTax": one.total_tax,
        "Total": one.total,
        "RemainingCredit": one.remaining,
        "Allocations": one.allocations,
        "CurrencyCode": one.currency_code,
        "UpdatedDateUTC": stamp(one.updated),
        "HasErrors": False,
    }


def invoice(books: Books, one: Invoice, *, lines: bool = True, summary: bool = False) -> Json:
    """An invoice. ``lines=False`` as in lists without pages, ``summary`` as with summaryOnly."""
    shown: Json = {
        "Type": one.type,
        "InvoiceID": one.invoice_id,
        "InvoiceNumber": one.number,
        "Reference": one.reference,
    }
    if one.url:
        shown["Url"] = one.url
    if one.branding_theme_id:
        shown["BrandingThemeID"] = one.branding_theme_id
    if not summary:
        shown["Payments"] = one.payments
        shown["HasAttachments"] = False
    shown.update(
        {
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "AmountDue": one.amount_due,
            "AmountPaid": one.amount_paid,
            "AmountCredited": one.amount_credited,
            "SentToContact": one.sent_to_contact,
            "CurrencyRate": one.currency_rate,
            "IsDiscounted": any(each.discount_amount for each in one.lines),
            "HasErrors": False,
        }
    )
    if one.contact_id in books.contacts:
        shown["Contact"] = embedded_contact(books.contacts[one.contact_id])
    for name, day in (("Date", one.date), ("DueDate", one.due_date)):
        if day is not None:
            shown[f"{name}String"] = date_string(day)
            shown[name] = calendar_date(day)
    shown["Status"] = one.status
    shown["LineAmountTypes"] = one.line_amount_types
    if not summary:
        shown["LineItems"] = [line(each) for each in one.lines] if lines else []
    shown["SubTotal"] = one.sub_total
    shown["TotalTax"] = one.total_tax
    shown["Total"] = one.total
    shown["UpdatedDateUTC"] = stamp(one.updated)
    shown["CurrencyCode"] = one.currency_code
    if one.fully_paid_on is not None:
        shown["FullyPaidOnDate"] = calendar_date(one.fully_paid_on)
    return shown
