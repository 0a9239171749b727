"""Reading Xero's books: what is asked for in, paths out; a page's answer in, what it shows out.

A page is ordered by id: what changes while the pages are read keeps its place, and only what is new can
move others, onto later pages. Invoices come without their lines (``summaryOnly``); of credit notes there
is no such list (xero.md 5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID

from consumer.domain.answers import Reply
from consumer.domain.elements import (
    amount,
    day_of,
    listed,
    marker_in,
    marker_of,
    parse,
    text_of,
)
from consumer.domain.lookup import MAX_CONTACTS, PAGE_SIZE
from consumer.domain.pairing import ID, target, uuid
from consumer.domain.reconciling.sides import Allocated, MirrorKind, Shown

KINDS: tuple[MirrorKind, ...] = ("invoice", "credit_note", "payment", "overpayment")
_COLLECTION: Mapping[MirrorKind, str] = {
    "invoice": "Invoices",
    "credit_note": "CreditNotes",
    "payment": "Payments",
    "overpayment": "BankTransactions",
}
_TYPE: Mapping[MirrorKind, str] = {
    "invoice": "ACCREC",
    "credit_note": "ACCRECCREDIT",
    "overpayment": "RECEIVE-OVERPAYMENT",
}
_RECEIVED = ("ACCRECPAYMENT", "ARCREDITPAYMENT")
"""Types of payments on sales invoices, and of refunds of their credit notes."""
_STAMP = re.compile(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnreadablePage(Exception):
    """The answer is not a page of that collection."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page; ``pages`` is how many there are, ``items`` how many elements they have together."""

    shown: tuple[Shown, ...]
    pages: int
    items: int


def page_path(kind: MirrorKind, page: int, since: date | None) -> str:
    """One page of a kind: of all that is dated from ``since`` on, or of all that there is (to be read
    with If-Modified-Since: what was dated before meanwhile must be seen as well)."""
    terms = [f'Type=="{_TYPE[kind]}"'] if kind in _TYPE else []
    if since is not None:
        terms.append(f"Date>=DateTime({since.year},{since.month},{since.day})")
    where = f"where={quote(' AND '.join(terms), safe='')}&" if terms else ""
    summary = "summaryOnly=true&" if kind == "invoice" else ""
    order = f"order={ID[kind]}&page={page}&pageSize={PAGE_SIZE}"
    return f"{_COLLECTION[kind]}?{where}{summary}{order}"


def lookup_paths(kind: MirrorKind, xero_ids: Sequence[UUID]) -> list[str]:
    """The calls that read these by id, whatever became of them; only invoices come in lists."""
    if kind != "invoice":
        return [f"{_COLLECTION[kind]}/{one}" for one in xero_ids]
    chunks = (xero_ids[n : n + MAX_CONTACTS] for n in range(0, len(xero_ids), MAX_CONTACTS))
    return [
        f"Invoices?IDs={','.join(map(str, chunk))}&summaryOnly=true&page=1&pageSize={PAGE_SIZE}"
        for chunk in chunks
    ]


def parse_page(reply: Reply, kind: MirrorKind) -> Page:
    """What a 200 shows.

    Raises:
        UnreadablePage: it is not Xero's, or one of its elements has no id: that one may be ours.
    """
    document = parse(reply.body)
    elements = document.get(_COLLECTION[kind])
    if not isinstance(elements, list):
        raise UnreadablePage(f"there are no {_COLLECTION[kind]} in it")
    pagination = document.get("pagination")
    paging = pagination if isinstance(pagination, Mapping) else {}
    pages, items = (paging.get(name) for name in ("pageCount", "itemCount"))
    return Page(
        tuple(_shown_of(elements, kind)),
        pages if isinstance(pages, int) else 1,
        items if isinstance(items, int) else len(elements),
    )


def _shown_of(elements: Sequence[object], kind: MirrorKind) -> Iterator[Shown]:
    for element in elements:
        if not isinstance(element, Mapping) or uuid(element.get(ID[kind])) is None:
            raise UnreadablePage("an element has no id")
        if kind == "payment" and element.get("PaymentType") not in _RECEIVED:
            continue
        if element.get("Type") == "ACCPAY":
            continue
        yield _one(element, kind)


def _one(element: Mapping[str, object], kind: MirrorKind) -> Shown:
    xero_id = uuid(element.get(ID[kind]))
    assert xero_id is not None
    status, dated = text_of(element.get("Status")), day_of(element.get("Date"))
    updated = _instant(element.get("UpdatedDateUTC"))
    if kind == "payment":
        account, on = (element.get(name) for name in ("Account", "Invoice"))
        return Shown(
            kind,
            xero_id,
            number=marker_in(text_of(element.get("Reference"))),
            target_id=target(element),
            account=text_of(account.get("Code")) if isinstance(account, Mapping) else None,
            status=status,
            currency=text_of(on.get("CurrencyCode")) if isinstance(on, Mapping) else None,
            dated=dated,
            total=amount(element.get("Amount")),
            updated_at=updated,
        )
    contact = element.get("Contact")
    total = amount(element.get("Total"))
    common = Shown(
        kind,
        xero_id,
        number=text_of(element.get("InvoiceNumber") or element.get("CreditNoteNumber")),
        contact_id=uuid(contact.get("ContactID")) if isinstance(contact, Mapping) else None,
        status=status,
        currency=text_of(element.get("CurrencyCode")),
        dated=dated,
        due_on=day_of(element.get("DueDate")),
        net=amount(element.get("SubTotal")),
        tax=amount(element.get("TotalTax")),
        total=total,
        updated_at=updated,
    )
    if kind == "overpayment":
        return replace(common, number=marker_of(element))
    if kind == "invoice":
        return replace(
            common,
            paid=amount(element.get("AmountPaid")),
            credited=amount(element.get("AmountCredited")),
            due=amount(element.get("AmountDue")),
        )
    allocations = tuple(_allocated(element))
    left = amount(element.get("RemainingCredit"))
    credited = sum((one.amount for one in allocations), Decimal(0))
    paid = None if left is None or total is None else total - left - credited
    return replace(common, paid=paid, credited=credited, due=left, allocations=allocations)


def _allocated(note: Mapping[str, object]) -> Iterator[Allocated]:
    for one in listed(note, "Allocations"):
        if isinstance(one, Mapping) and one.get("IsDeleted") is not True:
            size = amount(one.get("Amount"))
            if size is not None:
                yield Allocated(target(one), size, uuid(one.get("AllocationID")))


def _instant(value: object) -> datetime | None:
    match = _STAMP.fullmatch(value) if isinstance(value, str) else None
    try:
        return _EPOCH + timedelta(milliseconds=int(match[1])) if match else None
    except OverflowError:
        return None
