"""Look-ups of documents in doubt: the paths to read, and what was found against what was frozen.

Paths are relative to the Accounting API's base. A look-up by number costs one call for a whole
batch; what the numbers list cannot carry is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote
from uuid import UUID

from consumer.domain.answers import InDoubt, Kind, NotDone, Reply, Saved, amount, not_done
from consumer.domain.answers import parse as parse_json
from consumer.domain.answers import saved as read_saved
from consumer.domain.errors import Doubt

PAGE_SIZE = 1000
"""Xero's largest page."""
MAX_NUMBERS = 50
MAX_QUERY = 1800
"""Characters of a numbers list, encoded: a URL beyond 2,000 is not safe with every gateway."""
_COLLECTION: Mapping[Kind, str] = {
    "contact": "Contacts",
    "invoice": "Invoices",
    "credit_note": "CreditNotes",
    "payment": "Payments",
    "refund": "Payments",
}
_GONE = ("VOIDED", "DELETED")
UNRESOLVED = "doubt_unresolved"
UNRESOLVED_AFTER = 10
"""Look-ups that tell nothing until people hear of it: an hour or so."""
_WHERE: Mapping[Kind, str] = {
    "contact": "a contact that carries the customer's Lago id as its contact number",
    "invoice": "an invoice with this number",
    "credit_note": "a credit note with this number",
    "allocation": "the credit note's allocations",
    "payment": "a payment on the invoice whose reference ends in the marker “Lago …”",
    "refund": "a payment on the credit note whose reference ends in the marker “Lago …”",
}
"""Where a person sees what became of a document."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what Xero keeps; ``pages`` is how many there are."""

    saved: tuple[Saved, ...]
    pages: int = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that disagrees: ids, codes and figures, never personal data."""

    field: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The number is taken in Xero by a document that is not the frozen one."""

    xero_id: UUID
    differences: tuple[Difference, ...]

    @property
    def sentence(self) -> str:
        """Both sides in plain words."""
        parts = (f"{one.field} {one.theirs}, not {one.ours}" for one in self.differences)
        return f"The document with this number in Xero has {'; '.join(parts)}."


def unresolved(kind: Kind, why: str) -> Doubt:
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
    """One page of all contacts, archived ones too; to be read with If-Modified-Since."""
    return f"Contacts?includeArchived=true&page={page}&pageSize={PAGE_SIZE}"


def contact_by_number_path(contact_number: str) -> str:
    """The contact of that ContactNumber, archived or not; 404 if there is none."""
    return f"Contacts/{quote(contact_number, safe='')}"


def payment_sweep_path(page: int = 1) -> str:
    """One page of all payments; to be read with If-Modified-Since."""
    return f"Payments?page={page}&pageSize={PAGE_SIZE}"


def parse_found(reply: Reply, kind: Kind, *, single: bool = False) -> Found | NotDone | InDoubt:
    """What a look-up found; anything but a readable answer is a reason to look again.

    ``single``: the path named one object, so 404 says that there is none. For a list it would only
    say that something on the way is wrong.
    """
    if refused := not_done(reply):
        return refused
    if single and reply.status == 404:
        return Found(())
    if not 200 <= reply.status < 300:
        return InDoubt(f"status_{reply.status}")
    document = parse_json(reply.body)
    elements = document.get(_COLLECTION[kind])
    if not isinstance(elements, list):
        return InDoubt("unreadable")
    found = []
    for element in elements:
        one = read_saved(element, kind) if isinstance(element, Mapping) else None
        if one is None:
            return InDoubt("unreadable")
        if element.get("Type") != "ACCPAY":
            found.append(one)
    return Found(tuple(found), _pages(document))


def by_id_path(kind: Kind, xero_ids: Sequence[UUID]) -> list[str]:
    """The calls that read documents by Xero's ids, whatever became of them; only invoices come in
    lists (xero.md 5)."""
    if kind != "invoice":
        return [f"{_COLLECTION[kind]}/{one}" for one in xero_ids]
    ids = ",".join(map(str, xero_ids))
    return [f"Invoices?IDs={ids}&summaryOnly=true&page=1&pageSize={PAGE_SIZE}"]


def credit_note_path(number: str) -> str:
    """The credit note of that number; 404 if there is none."""
    return f"CreditNotes/{quote(number, safe='')}"


def parse_allocations(reply: Reply) -> Found | NotDone | InDoubt:
    """The allocations of the credit note that was read."""
    if refused := not_done(reply):
        return refused
    if reply.status == 404:
        return Found(())
    if not 200 <= reply.status < 300:
        return InDoubt(f"status_{reply.status}")
    notes = parse_json(reply.body).get("CreditNotes")
    note = notes[0] if isinstance(notes, list) and notes else None
    allocations = note.get("Allocations", []) if isinstance(note, Mapping) else None
    if not isinstance(allocations, list):
        return InDoubt("unreadable")
    found = [
        read_saved(one, "allocation") if isinstance(one, Mapping) else None for one in allocations
    ]
    if any(one is None for one in found):
        return InDoubt("unreadable")
    return Found(tuple(one for one in found if one is not None))


def match_removed(xero_id: UUID | None, found: Iterable[Saved]) -> Saved | None:
    """The document of that id if it is voided or deleted by now."""
    gone = (one for one in found if one.status in _GONE)
    return next((one for one in gone if one.xero_id == xero_id), None)


def match_numbered(frozen: bytes, found: Iterable[Saved]) -> Saved | Mismatch | None:
    """The invoice or credit note that the frozen element made: number, contact, currency, totals.

    ``frozen`` is the element's JSON as sent. Nothing of that number: None. A voided or deleted
    holder of the number is a mismatch: Xero gives the number to nobody else.
    """
    sent = parse_json(frozen)
    number = str(sent.get("InvoiceNumber") or sent.get("CreditNoteNumber") or "").casefold()
    same = [one for one in found if number and (one.number or "").casefold() == number]
    best: Mismatch | None = None
    for one in same:
        differences = _differences(sent, one)
        if not differences:
            return one
        if best is None or one.status not in _GONE:
            best = Mismatch(one.xero_id, differences)
    return best


def match_contact(contact_number: str, found: Iterable[Saved]) -> Saved | None:
    """The contact of that ContactNumber; its status may be ARCHIVED, see ``merged_to`` then."""
    wanted = contact_number.casefold()
    same = [one for one in found if (one.number or "").casefold() == wanted]
    return next((one for one in same if one.status != "ARCHIVED"), same[0] if same else None)


def match_allocation(frozen: bytes, found: Iterable[Saved]) -> Saved | None:
    """The allocation that the frozen element made: to the same invoice, of the same amount."""
    sent = parse_json(frozen)
    target = _id_of(sent, "Invoice", "InvoiceID")
    for one in found:
        if str(one.target_id) == target and one.total == amount(sent.get("Amount")):
            return one
    return None


def match_payment(frozen: bytes, found: Iterable[Saved]) -> Saved | None:
    """The payment that the frozen element made, by its Reference, which ends in our marker.

    The amount and the document must agree as well; one that was deleted is none.
    """
    sent = parse_json(frozen)
    target = _id_of(sent, "Invoice", "InvoiceID") or _id_of(sent, "CreditNote", "CreditNoteID")
    for one in found:
        same = one.number == sent.get("Reference") and str(one.target_id) == target
        if same and one.total == amount(sent.get("Amount")) and one.status not in _GONE:
            return one
    return None


def _id_of(element: Mapping[str, object], name: str, id_field: str) -> str | None:
    named = element.get(name)
    value = named.get(id_field) if isinstance(named, Mapping) else None
    return str(value).lower() if value is not None else None


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


def _differences(sent: Mapping[str, object], one: Saved) -> tuple[Difference, ...]:
    contact = sent.get("Contact")
    contact_id = contact.get("ContactID") if isinstance(contact, Mapping) else None
    net, tax = _totals(sent)
    sides: tuple[tuple[str, object, object], ...] = (
        ("contact", str(contact_id).lower(), one.contact_id and str(one.contact_id)),
        ("currency", sent.get("CurrencyCode"), one.currency),
        ("net", net, one.net),
        ("tax", tax, one.tax),
        ("total", net + tax, one.total),
    )
    found = [Difference(name, _shown(a), _shown(b)) for name, a, b in sides if a != b]
    if one.status in _GONE:
        found.append(Difference("status", _shown(sent.get("Status")), _shown(one.status)))
    return tuple(found)


def _shown(value: object) -> str:
    return (
        f"{value:f}" if isinstance(value, Decimal) else "nothing" if value is None else str(value)
    )


def _totals(sent: Mapping[str, object]) -> tuple[Decimal, Decimal]:
    """Net and tax of the frozen lines as Xero adds them up: each line to the cent, then the sum."""
    lines = sent.get("LineItems")
    priced = (
        [line for line in lines if isinstance(line, Mapping)] if isinstance(lines, list) else []
    )
    tax = sum((amount(line.get("TaxAmount")) or Decimal(0) for line in priced), Decimal(0))
    return sum((_net(line) for line in priced), Decimal(0)), tax


def _net(line: Mapping[str, object]) -> Decimal:
    given = amount(line.get("LineAmount"))
    if given is not None:
        return given
    quantity, price, discount = (
        amount(line.get(name)) or Decimal(0)
        for name in ("Quantity", "UnitAmount", "DiscountAmount")
    )
    return (quantity * price - discount).quantize(_CENT, ROUND_HALF_UP)
