"""An authorised call in, an answer out: which function serves which method and path.

A new kind of document is a module with its rules and an entry in ``COLLECTIONS``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from consumer.sandbox.xero import (
    bank_transactions,
    batches,
    contacts,
    credit_notes,
    invoices,
    listing,
    organisations,
    payments,
    reading,
    rendering,
)
from consumer.sandbox.xero.answers import (
    Answer,
    ApiError,
    Json,
    envelope,
    not_found,
    not_implemented,
)
from consumer.sandbox.xero.batches import Kind, Outcome, Write
from consumer.sandbox.xero.books import Books, Contact, Invoice
from consumer.sandbox.xero.call import Call
from consumer.sandbox.xero.listing import One


@dataclass(frozen=True, slots=True)
class Collection:
    """How a collection is read and written. ``one`` finds by id or number for a path."""

    kind: Kind
    put: Write
    post: Write
    many: Callable[[Call], Answer]
    one: Callable[[Call, str], Json | None]
    exists: Callable[[Call, str], bool]


CONTACT_FIELDS = contacts.KIND.known | {"UpdatedDateUTC", "IsCustomer", "IsSupplier"}
INVOICE_FIELDS = frozenset(
    {
        *("Type", "InvoiceID", "InvoiceNumber", "Reference", "Status", "Contact", "Date"),
        *("DueDate", "AmountDue", "AmountPaid", "Total", "CurrencyCode", "UpdatedDateUTC"),
    }
)


CREDIT_NOTE_FIELDS = frozenset(
    {
        *("Type", "CreditNoteID", "CreditNoteNumber", "Status", "Date", "Contact", "Reference"),
        "UpdatedDateUTC",
    }
)
PAYMENT_FIELDS = frozenset(
    {"PaymentID", "PaymentType", "Status", "Date", "Invoice", "Reference", "UpdatedDateUTC"}
)


def _contacts(call: Call) -> Answer:
    ids = listing.csv(call, "ids")
    archived = listing.truth(call, "includearchived")
    term = call.query.get("searchterm", "").casefold()
    summary = listing.truth(call, "summaryonly")

    def searched(one: Contact) -> bool:
        names = ("Name", "FirstName", "LastName", "EmailAddress", "ContactNumber", "CompanyNumber")
        return any(term in one.texts.get(name, "").casefold() for name in names)

    found: Iterable[Contact] = call.books.contacts.values()
    if ids is not None:
        wanted = {one.lower() for one in ids}
        found = (one for one in found if one.contact_id in wanted)
    if not archived:
        found = (one for one in found if one.status == "ACTIVE")
    if term:
        found = (one for one in found if searched(one))
    return listing.answer(
        call,
        contacts.KIND,
        found,
        lambda one: rendering.contact(one, summary=summary),
        lambda one: rendering.contact(one, summary=True),
        CONTACT_FIELDS,
    )


def _contact(call: Call, key: str) -> Json | None:
    found = call.books.contacts.get(key.lower()) or call.books.contact_by_number(key)
    return None if found is None else rendering.contact(found)


def _invoices(call: Call) -> Answer:
    books = call.books
    found: Iterable[Invoice] = books.invoices.values()
    numbers = listing.csv(call, "invoicenumbers")
    if numbers is not None:
        folded = {number.casefold() for number in numbers}
        sales = {one.invoice_id: one for each in folded for one in books.sales_invoices(each)}
        bills = (one for one in found if one.type == "ACCPAY" and one.number.casefold() in folded)
        found = [*sales.values(), *bills]
    for parameter, attribute in (
        ("ids", "invoice_id"),
        ("contactids", "contact_id"),
        ("statuses", "status"),
    ):
        values = listing.csv(call, parameter)
        if values is not None:
            wanted = {value.lower() for value in values}
            found = [one for one in found if getattr(one, attribute).lower() in wanted]
    summary = listing.truth(call, "summaryonly")
    lines = "page" in call.query
    return listing.answer(
        call,
        invoices.KIND,
        found,
        lambda one: rendering.invoice(books, one, lines=lines, summary=summary),
        lambda one: rendering.invoice(books, one, lines=False, summary=True),
        INVOICE_FIELDS,
    )


def _stored_invoice(call: Call, key: str) -> Invoice | None:
    found = call.books.invoices.get(key.lower())
    held = call.books.sales_invoices(key)
    return found or (held[-1] if held else None)


def _invoice(call: Call, key: str) -> Json | None:
    found = _stored_invoice(call, key)
    return None if found is None else rendering.invoice(call.books, found)


def _listed(
    kind: Kind,
    found: Callable[[Books], Iterable[One]],
    show: Callable[[Books, One], Json],
    fields: frozenset[str],
) -> Callable[[Call], Answer]:
    """A collection that is listed whole, each element as it is shown alone."""

    def many(call: Call) -> Answer:
        shown = functools.partial(show, call.books)
        return listing.answer(call, kind, found(call.books), shown, shown, fields)

    return many


def _credit_note(call: Call, key: str) -> Json | None:
    for one in call.books.credit_notes.values():
        if one.credit_note_id == key.lower() or one.number.casefold() == key.casefold():
            return rendering.credit_note(call.books, one)
    return None


def _payment(call: Call, key: str) -> Json | None:
    found = call.books.payments.get(key.lower())
    return None if found is None else rendering.payment(call.books, found)


def _bank_transaction(call: Call, key: str) -> Json | None:
    found = call.books.bank_transactions.get(key.lower())
    return None if found is None else rendering.bank_transaction(call.books, found)


def _overpayment(call: Call, key: str) -> Json | None:
    found = call.books.bank_transactions.values()
    return next(
        (rendering.overpayment(call.books, one) for one in found if one.overpayment_id == key),
        None,
    )


def _only_read(call: Call, element: Json) -> Outcome:
    raise ApiError(not_implemented())


COLLECTIONS = {
    "BankTransactions": Collection(
        bank_transactions.KIND,
        bank_transactions.put,
        bank_transactions.post,
        _listed(
            bank_transactions.KIND,
            lambda books: books.bank_transactions.values(),
            rendering.bank_transaction,
            bank_transactions.FIELDS,
        ),
        _bank_transaction,
        lambda call, key: key in call.books.bank_transactions,
    ),
    "Overpayments": Collection(
        bank_transactions.OVERPAYMENTS,
        _only_read,
        _only_read,
        _listed(
            bank_transactions.OVERPAYMENTS,
            lambda books: books.bank_transactions.values(),
            rendering.overpayment,
            bank_transactions.FIELDS | {"OverpaymentID"},
        ),
        _overpayment,
        lambda call, key: _overpayment(call, key) is not None,
    ),
    "CreditNotes": Collection(
        credit_notes.KIND,
        credit_notes.put,
        credit_notes.post,
        _listed(
            credit_notes.KIND,
            lambda books: books.credit_notes.values(),
            rendering.credit_note,
            CREDIT_NOTE_FIELDS,
        ),
        _credit_note,
        lambda call, key: key in call.books.credit_notes,
    ),
    "Payments": Collection(
        payments.KIND,
        payments.put,
        payments.post,
        _listed(
            payments.KIND,
            lambda books: books.payments.values(),
            rendering.payment,
            PAYMENT_FIELDS,
        ),
        _payment,
        lambda call, key: key in call.books.payments,
    ),
    "Contacts": Collection(
        contacts.KIND,
        contacts.put,
        contacts.post,
        _contacts,
        _contact,
        lambda call, key: key in call.books.contacts,
    ),
    "Invoices": Collection(
        invoices.KIND,
        invoices.put,
        invoices.post,
        _invoices,
        _invoice,
        lambda call, key: key in call.books.invoices,
    ),
}


def respond(call: Call) -> Answer:
    """Serve one call. ApiError: any answer that ends it early."""
    if not call.path:
        raise ApiError(not_found())
    name, *rest = call.path
    if call.method == "GET" and (found := organisations.respond(call)):
        return found
    if name == "CreditNotes" and rest[1:2] == ["Allocations"] and call.method in ("PUT", "DELETE"):
        return credit_notes.allocations(call, rest[0], rest[2:])
    collection = COLLECTIONS.get(name)
    if collection is None or len(rest) > 1:
        raise ApiError(not_implemented())
    if call.method == "GET":
        return _read(call, collection, rest)
    if call.method == "PUT" and not rest:
        return _write(call, collection, collection.put)
    if call.method == "POST":
        return _write(call, collection, collection.post, rest[0] if rest else None)
    raise ApiError(not_implemented())


def _read(call: Call, collection: Collection, rest: list[str]) -> Answer:
    if not rest:
        return collection.many(call)
    shown = collection.one(call, rest[0])
    if shown is None:
        raise ApiError(not_found())
    return envelope(call.at, collection.kind.collection, [shown])


def _write(call: Call, collection: Collection, write: Write, key: str | None = None) -> Answer:
    kind = collection.kind
    elements = reading.elements(call.document, kind.collection, kind.singular, kind.known)
    for element in elements:
        reading.check(element, kind.shape)
    if key is not None:
        elements = _addressed(call, collection, elements, key)
    elif call.method == "POST" and call.settings.unknown_id_in_batch == "404":
        for element in elements:
            named = reading.identity(element, kind.id_field)
            if named and not collection.exists(call, named):
                raise ApiError(not_found())
    outcomes = [write(call, element) for element in elements]
    return batches.answer(call, kind, outcomes, by_id=key is not None)


def _addressed(call: Call, collection: Collection, elements: list[Json], key: str) -> list[Json]:
    """The one element of a POST by id (or by number, which Xero takes there too)."""
    shown = collection.one(call, key)
    if shown is None:
        raise ApiError(not_found())
    return [{**elements[0], collection.kind.id_field: shown[collection.kind.id_field]}]
