"""Look-ups of documents in doubt: the paths to read in, what Xero keeps there out.

Paths are relative to the Accounting API's base. A look-up by number costs one call for a whole
batch; what the numbers list cannot carry is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote
from uuid import UUID

from consumer.domain.answers import GONE, InDoubt, NotDone, Reply, Saved
from consumer.domain.classifying import not_done
from consumer.domain.classifying import saved as read_saved
from consumer.domain.elements import parse
from consumer.domain.errors import Doubt
from consumer.domain.operations import DocumentKind

PAGE_SIZE = 1000
"""Xero's largest page."""
MAX_NUMBERS = 50
MAX_CONTACTS = 40
"""So many ids fit one query."""
MAX_QUERY = 1800
"""Characters of a numbers list, encoded: a URL beyond 2,000 is not safe with every gateway."""
_COLLECTION: Mapping[DocumentKind, str] = {
    "contact": "Contacts",
    "invoice": "Invoices",
    "credit_note": "CreditNotes",
    "payment": "Payments",
    "refund": "Payments",
    "overpayment": "BankTransactions",
}
ALREADY_PAID = "already_paid"
"""The doubt of payments on what has less open: whether somebody has entered them by hand."""
RESTORED = "restored"
"""The doubt of what the database may have forgotten when it was restored from a backup: nothing was sent, and
yet it may be in Xero."""
LOOK_FIRST = "look_first"
"""The doubt of requests that were looked up before they are ever sent: whether somebody has entered by hand
what they carry."""
LOOKED_FOR_FIRST: frozenset[DocumentKind] = frozenset({"overpayment"})
"""Kinds that Xero takes any number of: no refusal tells that it has the money already."""
LOOKED_FOR_WITHIN = 3600.0
"""Seconds after a look for which it counts."""
UNRESOLVED = "doubt_unresolved"
UNRESOLVED_AFTER = 10
"""Look-ups that tell nothing until people hear of it: an hour or so."""
_WHERE: Mapping[DocumentKind, str] = {
    "contact": "a contact that carries the customer's Lago id as its contact number",
    "invoice": "an invoice with this number",
    "credit_note": "a credit note with this number",
    "allocation": "the credit note's allocations",
    "payment": "a payment on the invoice whose reference ends in the marker “Lago …”",
    "overpayment": "an overpayment received of the customer whose reference or line ends in the marker "
    "“Lago …”",
    "refund": "a payment on the credit note whose reference ends in the marker “Lago …”",
}
"""Where a person sees what became of a document."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what Xero keeps; ``pages`` is how many there are."""

    saved: tuple[Saved, ...]
    pages: int = 1


def unresolved(kind: DocumentKind, why: str) -> Doubt:
    """``doubt_unresolved``: what is announced of a document that no look-up tells of.

    Args:
        why: the code of the last look-up's end.
    """
    return Doubt(
        UNRESOLVED,
        f"Whether Xero has carried out the document's last request is not known; {UNRESOLVED_AFTER} "
        f"look-ups told nothing (the last one: {why}).",
        f"Look in Xero for {_WHERE[kind]}, and whether the organisation can be opened there. Enter "
        "nothing by hand: it is looked up on and goes on by itself once Xero tells.",
    )


def invoice_lookup_path(numbers: Sequence[str]) -> list[str]:
    """The calls that find sales invoices by number, whatever became of them.

    ``summaryOnly`` leaves out lines and payments but keeps contact, currency and totals. The type
    is asked for because bills may carry the same numbers, any number of them.
    """
    distinct = [number for number in dict.fromkeys(numbers) if number]
    plain = [number for number in distinct if _listable(number)]
    paths = [_invoices('Type=="ACCREC"', f"InvoiceNumbers={each}&") for each in _chunks(plain)]
    alone = (number for number in distinct if not _listable(number))
    return paths + [_invoices(f'InvoiceNumber=="{_escaped(number)}"') for number in alone]


def contact_sweep_path(page: int = 1) -> str:
    """One page of all contacts, archived ones too; to be read with If-Modified-Since.

    By id, for a sweep only grows while it is read: ordered by its change, what changes meanwhile
    would leave its place, and the first of the next page move onto the page already read.
    """
    return f"Contacts?includeArchived=true&order=ContactID&page={page}&pageSize={PAGE_SIZE}"


def contact_by_number_path(contact_number: str) -> str:
    """The contact of that ContactNumber, archived or not; 404 if there is none."""
    return f"Contacts/{quote(contact_number, safe='')}"


def contacts_path(contact_ids: Sequence[UUID]) -> list[str]:
    """The calls that read these contacts, archived or not; only a page shows what they were merged
    into."""
    chunks = (contact_ids[n : n + MAX_CONTACTS] for n in range(0, len(contact_ids), MAX_CONTACTS))
    return [
        f"Contacts?IDs={','.join(map(str, chunk))}&includeArchived=true&page=1&pageSize={PAGE_SIZE}"
        for chunk in chunks
    ]


def payment_sweep_path(page: int = 1) -> str:
    """One page of all payments by id; to be read with If-Modified-Since."""
    return f"Payments?order=PaymentID&page={page}&pageSize={PAGE_SIZE}"


def payments_on_path(invoice_id: UUID) -> str:
    """The payments on an invoice: a page holds all of them."""
    condition = quote(f'Invoice.InvoiceID==guid("{invoice_id}")', safe="")
    return f"Payments?where={condition}&page=1&pageSize={PAGE_SIZE}"


def refunds_path(first: date, last: date, page: int = 1) -> str:
    """One page of the refunds of credit notes dated within these days; Xero's optimised fields do not
    tell them apart by their credit note (xero.md 5)."""
    days = f"Date>={_day(first)} AND Date<={_day(last)}"
    condition = quote(f'PaymentType=="ARCREDITPAYMENT" AND {days}', safe="")
    return f"Payments?where={condition}&order=PaymentID&page={page}&pageSize={PAGE_SIZE}"


def _day(day: date) -> str:
    return f"DateTime({day.year},{day.month},{day.day})"


def overpayment_sweep_path(page: int = 1) -> str:
    """One page of all overpayments received, by id, with their lines; to be read with
    If-Modified-Since."""
    condition = quote('Type=="RECEIVE-OVERPAYMENT"', safe="")
    order = f"order=BankTransactionID&page={page}&pageSize={PAGE_SIZE}"
    return f"BankTransactions?where={condition}&{order}"


def overpayments_path(first: date, last: date, page: int = 1) -> str:
    """One page of the overpayments received that are dated within these days."""
    days = f"Date>={_day(first)} AND Date<={_day(last)}"
    condition = quote(f'Type=="RECEIVE-OVERPAYMENT" AND {days}', safe="")
    order = f"order=BankTransactionID&page={page}&pageSize={PAGE_SIZE}"
    return f"BankTransactions?where={condition}&{order}"


def parse_found(
    reply: Reply, kind: DocumentKind, *, single: bool = False
) -> Found | NotDone | InDoubt:
    """What a look-up found; anything but a readable answer is a reason to look again.

    ``single``: the path named one object, so 404 says that there is none. For a list it would only
    say that something on the way is wrong.
    """
    document = _document(reply, single=single)
    if not isinstance(document, Mapping):
        return document
    return _found(document.get(_COLLECTION[kind]), kind, _pages(document))


def parse_allocations(reply: Reply) -> Found | NotDone | InDoubt:
    """The allocations of the credit note that was read, without those that were deleted."""
    document = _document(reply, single=True)
    if not isinstance(document, Mapping):
        return document
    match document.get("CreditNotes"):
        case [{**note}, *_]:
            found = _found(note.get("Allocations", []), "allocation")
        case _:
            return InDoubt("unreadable")
    if isinstance(found, InDoubt):
        return found
    return Found(tuple(one for one in found.saved if one.status not in GONE))


def _document(reply: Reply, *, single: bool) -> Mapping[str, object] | Found | NotDone | InDoubt:
    """The answer's JSON, or what its status says by itself."""
    if refused := not_done(reply):
        return refused
    if single and reply.status == 404:
        return Found(())
    if not 200 <= reply.status < 300:
        return InDoubt(f"status_{reply.status}")
    return parse(reply.body)


def _found(elements: object, kind: DocumentKind, pages: int = 1) -> Found | InDoubt:
    """The elements as Xero keeps them; all must be readable, for what is not may be ours."""
    if not isinstance(elements, list):
        return InDoubt("unreadable")
    found = []
    for element in elements:
        one = read_saved(element, kind) if isinstance(element, Mapping) else None
        if one is None:
            return InDoubt("unreadable")
        if element.get("Type") != "ACCPAY":
            found.append(one)
    return Found(tuple(found), pages)


def by_id_path(kind: DocumentKind, xero_ids: Sequence[UUID]) -> list[str]:
    """The calls that read documents by Xero's ids, whatever became of them; only invoices come in
    lists (xero.md 5)."""
    if kind != "invoice":
        return [f"{_COLLECTION[kind]}/{one}" for one in xero_ids]
    ids = ",".join(map(str, xero_ids))
    return [f"Invoices?IDs={ids}&summaryOnly=true&page=1&pageSize={PAGE_SIZE}"]


def credit_note_path(number: str) -> str:
    """The credit note of that number; 404 if there is none."""
    return f"CreditNotes/{quote(number, safe='')}"


def _invoices(where: str, numbers: str = "") -> str:
    condition = quote(where, safe="")
    return f"Invoices?{numbers}where={condition}&summaryOnly=true&page=1&pageSize={PAGE_SIZE}"


def _listable(number: str) -> bool:
    """Whether it survives in a list that is split at commas, unquoted and trimmed."""
    return not set(number) & set(',"') and number == number.strip()


def _escaped(number: str) -> str:
    return number.replace("\\", "\\\\").replace('"', '\\"')


def _chunks(numbers: Sequence[str]) -> Iterable[str]:
    chunk: list[str] = []
    size = 0
    for number in numbers:
        encoded = quote(number, safe="")
        if chunk and (len(chunk) == MAX_NUMBERS or size + len(encoded) > MAX_QUERY):
            yield ",".join(chunk)
            chunk, size = [], 0
        chunk.append(encoded)
        size += len(encoded) + 1
    if chunk:
        yield ",".join(chunk)


def _pages(document: Mapping[str, object]) -> int:
    pagination = document.get("pagination")
    pages = pagination.get("pageCount") if isinstance(pagination, Mapping) else None
    return pages if isinstance(pages, int) and pages > 1 else 1
