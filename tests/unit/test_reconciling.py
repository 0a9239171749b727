"""Reconciling, pure: periods, what Xero is asked and answers, totals, and what explains what."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.answers import Reply
from consumer.domain.reconciling import (
    CLASSES,
    Allocated,
    Entry,
    Period,
    Shown,
    Sides,
    compare,
    control_totals,
    parse_period,
    to_come,
)
from consumer.domain.reconciling.exceptions import MEANING
from consumer.domain.reconciling.proposals import REPAIRS
from consumer.domain.reconciling.reading import (
    UnreadablePage,
    lookup_paths,
    page_path,
    parse_page,
)

MAY = Period(date(2026, 5, 1), date(2026, 5, 31))
DAY = date(2026, 5, 4)
MARKER = "Lago 0123456789abcdef"


# ── Periods ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-10", "2026-10-01", "2026-10-31"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2028-02", "2028-02-01", "2028-02-29"),
        ("2026-10-05..2026-10-05", "2026-10-05", "2026-10-05"),
        ("2026-01-01..2026-12-31", "2026-01-01", "2026-12-31"),
        ("previous", "2025-12-01", "2025-12-31"),
    ],
)
def test_a_period_is_a_month_the_previous_one_or_days(text: str, first: str, last: str) -> None:
    period = parse_period(text, date(2026, 1, 31))
    assert (str(period.first), str(period.last)) == (first, last)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-10-02..2026-10-01", "..", "next"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_period(text, DAY)


@given(st.dates(min_value=date(1, 2, 1)))
def test_the_previous_month_ends_before_this_one_begins(today: date) -> None:
    previous = parse_period("previous", today)
    assert previous.first.day == 1
    assert (today.replace(day=1) - previous.last).days == 1


# ── What Xero is asked ────────────────────────────────────────────────────────────────────────────


def test_pages_are_as_large_and_as_light_as_xero_makes_them() -> None:
    assert unquote(page_path("invoice", 2, DAY)) == (
        'Invoices?where=Type=="ACCREC" AND Date>=DateTime(2026,5,4)&summaryOnly=true'
        "&order=InvoiceID&page=2&pageSize=1000"
    )
    assert unquote(page_path("invoice", 1, None)) == (
        'Invoices?where=Type=="ACCREC"&summaryOnly=true&order=InvoiceID&page=1&pageSize=1000'
    )
    assert page_path("payment", 1, None) == "Payments?order=PaymentID&page=1&pageSize=1000"
    assert unquote(page_path("credit_note", 1, None)).startswith(
        'CreditNotes?where=Type=="ACCRECCREDIT"&order=CreditNoteID'
    )


def test_invoices_are_looked_up_together_and_others_one_by_one() -> None:
    ids = [uuid4() for _ in range(41)]
    assert len(lookup_paths("invoice", ids)) == 2
    assert lookup_paths("payment", ids[:2]) == [f"Payments/{id}" for id in ids[:2]]


def _page(kind: str, *elements: Any, **paging: int) -> Reply:
    body = {kind: list(elements), **({"pagination": paging} if paging else {})}
    return Reply(200, json.dumps(body, default=str).encode())


def test_a_page_of_invoices() -> None:
    one, contact = uuid4(), uuid4()
    element = {
        "InvoiceID": one, "InvoiceNumber": "A-1", "Type": "ACCREC", "Status": "PAID",
        "Contact": {"ContactID": contact, "Name": "Ann"}, "CurrencyCode": "EUR",
        "Date": "/Date(1777852800000+0000)/", "DueDate": "/Date(1777939200000+0000)/",
        "SubTotal": 10.00, "TotalTax": 2.00, "Total": 12.00, "AmountPaid": 7.5, "AmountCredited": 4.5,
        "AmountDue": 0, "UpdatedDateUTC": "/Date(1777852800123+0000)/",
    }  # fmt: skip
    page = parse_page(_page("Invoices", element, pageCount=3, itemCount=2100), "invoice")
    assert (page.pages, page.items) == (3, 2100)
    assert page.shown == (
        Shown(
            "invoice", one, number="A-1", contact_id=contact, status="PAID", currency="EUR",
            dated=date(2026, 5, 4), due_on=date(2026, 5, 5), net=Decimal("10.0"), tax=Decimal("2.0"),
            total=Decimal("12.0"), paid=Decimal("7.5"), credited=Decimal("4.5"), due=Decimal(0),
            updated_at=datetime(2026, 5, 4, 0, 0, 0, 123000, UTC),
        ),
    )  # fmt: skip


def test_of_payments_nothing_that_a_person_wrote_is_kept() -> None:
    on = {"InvoiceID": uuid4(), "CurrencyCode": "EUR"}
    common = {"Invoice": on, "Amount": 3, "Account": {"Code": "090"}, "Status": "AUTHORISED"}
    ours, theirs, bills = (
        {**common, "PaymentID": uuid4(), "PaymentType": kind, "Reference": said}
        for kind, said in (
            ("ACCRECPAYMENT", f"slip 7 {MARKER}"),
            ("ARCREDITPAYMENT", "Ann Smith, IBAN DE00"),
            ("ACCPAYPAYMENT", "rent"),
        )
    )
    page = parse_page(_page("Payments", ours, theirs, bills), "payment")
    assert [one.number for one in page.shown] == [MARKER, None]
    assert [one.account for one in page.shown] == ["090", "090"]
    assert (page.pages, page.items) == (1, 3)


def test_a_credit_note_shows_its_allocations_and_what_was_refunded() -> None:
    invoice = uuid4()
    note = {
        "CreditNoteID": uuid4(), "Total": 10, "RemainingCredit": 3, "Status": "AUTHORISED",
        "Allocations": [
            {"Amount": 5, "Invoice": {"InvoiceID": invoice}},
            {"Amount": 9, "Invoice": {"InvoiceID": invoice}, "IsDeleted": True},
        ],
    }  # fmt: skip
    [one] = parse_page(_page("CreditNotes", note), "credit_note").shown
    assert one.allocations == (Allocated(invoice, Decimal(5)),)
    assert (one.paid, one.credited, one.due) == (2, 5, 3)


@pytest.mark.parametrize(
    "reply",
    [Reply(200, b""), Reply(200, b"{}"), _page("Invoices", {"InvoiceNumber": "A-1"}), _page("Invoices", 7)],
)  # fmt: skip
def test_a_page_that_may_hide_something_is_not_read(reply: Reply) -> None:
    with pytest.raises(UnreadablePage):
        parse_page(reply, "invoice")


# ── Comparing ─────────────────────────────────────────────────────────────────────────────────────


def invoice(**facts: Any) -> tuple[Entry, Shown]:
    """One that agrees on both sides, but for what ``facts`` says of Xero's."""
    xero_id, lago_id, customer, contact = (uuid4() for _ in range(4))
    net, tax, total = Decimal(10), Decimal(2), Decimal(12)
    entry = Entry(
        1, "invoice", "synced", lago_id=lago_id, customer_id=customer, number="A-1", posted=True,
        xero_id=xero_id, status="AUTHORISED", currency="EUR", dated=DAY, net=net, tax=tax,
        total=total, xero_net=net, xero_tax=tax, xero_total=total,
    )  # fmt: skip
    same: dict[str, Any] = {
        "number": "A-1", "contact_id": contact, "status": "AUTHORISED", "currency": "EUR", "dated": DAY,
        "net": net, "tax": tax, "total": total, "paid": Decimal(0), "credited": Decimal(0),
        "due": total, "holder": 1, "ours": True,
    }  # fmt: skip
    return entry, Shown("invoice", xero_id, **{**same, **facts})


def sides(entries: list[Entry], shown: list[Shown], **more: Any) -> Sides:
    contacts = {
        entry.customer_id: frozenset({one.contact_id})
        for entry, one in zip(entries, shown, strict=False)
        if entry.customer_id and one.contact_id
    }
    by_id = {(one.kind, one.xero_id): one for one in shown}
    return Sides(tuple(entries), by_id, contacts=contacts, accounts=frozenset({"090"}), **more)


def payment(on: Entry, total: str, id: int = 2, **facts: Any) -> tuple[Entry, Shown]:
    xero_id = uuid4()
    entry = Entry(
        id, "payment", "synced", lago_id=uuid4(), target=on.lago_id, posted=True, xero_id=xero_id,
        currency="EUR", dated=DAY, total=Decimal(total), xero_total=Decimal(total),
    )  # fmt: skip
    shown = Shown(
        "payment", xero_id, number=MARKER, target_id=on.xero_id, account="090", status="AUTHORISED",
        currency="EUR", dated=DAY, total=Decimal(total), holder=id, ours=True,
    )  # fmt: skip
    return entry, Shown(**{**_facts(shown), **facts})


def _facts(one: Shown) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Shown.__dataclass_fields__}


def names(both: Sides) -> list[str]:
    return [one.name for one in compare(both, MAY)]


def test_each_class_has_a_meaning_and_a_proposal() -> None:
    assert list(MEANING) == list(REPAIRS) == list(CLASSES)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({}, []),
        ({"net": Decimal(11), "total": Decimal(13)}, ["amount"]),
        ({"tax": Decimal(3), "total": Decimal(13)}, ["tax"]),
        ({"currency": "NZD", "net": Decimal(99)}, ["currency"]),
        ({"dated": date(2026, 6, 1)}, ["date"]),
        ({"number": "B-1"}, ["edited"]),
        ({"status": "VOIDED", "total": Decimal(99)}, ["status"]),
        ({"status": "DRAFT"}, ["status"]),
        ({"dated": date(2026, 5, 5), "net": Decimal(11)}, ["amount", "date"]),
    ],
)
def test_what_differs_is_told_by_class(theirs: dict[str, Any], expected: list[str]) -> None:
    entry, shown = invoice(**theirs)
    assert names(sides([entry], [shown])) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [({}, ["edited"]), ({"drift": True}, []), ({"wanted": False}, []), ({"due_on": None}, [])],
)
def test_a_due_date_is_compared_while_lagos_is_the_one_that_was_sent(
    told: dict[str, Any], expected: list[str]
) -> None:
    entry, shown = invoice(due_on=date(2026, 5, 9))
    sent = replace(entry, **{"due_on": date(2026, 5, 20), **told})
    assert names(sides([sent], [shown])) == expected


def test_a_person_who_enters_a_lost_payment_anew_makes_one_exception() -> None:
    entry, shown = invoice(paid=Decimal(12), due=Decimal(0), status="PAID")
    ours, lost = payment(entry, "12.00", status="DELETED")
    _, theirs = payment(entry, "12.00", holder=None, number=None)
    [one] = compare(sides([entry, ours], [shown, lost, theirs]), MAY)
    assert (one.name, one.document_id) == ("payment_missing", 2)
    _, elsewhere = payment(entry, "12.00", holder=None, number=None, account="880")
    [one] = compare(sides([entry, ours], [shown, lost, elsewhere]), MAY)
    assert one.name == "payment_account"
    assert ("account", "090", "880") in [(d.field, d.ours, d.theirs) for d in one.differences]


def test_money_and_allocations_are_told_with_the_number_that_they_are_on() -> None:
    entry, shown = invoice()
    ours, lost = payment(entry, "1.00", status="DELETED")
    _, theirs = payment(entry, "2.00", holder=None, number=None)
    note = Entry(4, "credit_note", "synced", lago_id=uuid4(), number="CN-1", wanted=False)
    refund = Entry(5, "refund", "waiting", source=note.lago_id, dated=DAY)
    _, extra = invoice(number="B-1", holder=None)
    both = replace(sides([entry, ours, refund], [shown, lost, theirs, extra]), around=(note,))
    assert {(one.kind, one.document_id, one.on) for one in compare(both, MAY)} == {
        ("payment", 2, "A-1"),
        ("payment", None, "A-1"),
        ("refund", 5, "CN-1"),
        ("invoice", None, None),
    }


def test_one_new_payment_replaces_one_of_two_lost_ones() -> None:
    entry, shown = invoice(paid=Decimal(6))
    first, lost = payment(entry, "6.00", status="DELETED")
    second, lost_too = payment(entry, "6.00", id=3, status="DELETED")
    _, theirs = payment(entry, "6.00", holder=None, number=None)
    found = compare(sides([entry, first, second], [shown, lost, lost_too, theirs]), MAY)
    assert [(one.name, "anew" in one.cause) for one in found] == [
        ("payment_missing", True),
        ("payment_missing", False),
    ]


def test_our_marker_that_nobody_holds_is_in_flight_while_something_is() -> None:
    entry, shown = invoice()
    _, theirs = payment(entry, "1.00", holder=None)
    arriving = Entry(9, "payment", "sending", target=entry.lago_id, dated=DAY)
    assert names(sides([entry], [shown, theirs])) == ["extra_in_xero"]
    assert names(sides([entry, arriving], [shown, theirs])) == ["in_flight"]


def test_a_failed_document_whose_number_xero_has_is_tried_again_only_if_all_agrees() -> None:
    entry, shown = invoice(holder=None)
    failed = Entry(
        1, "invoice", "failed", lago_id=entry.lago_id, customer_id=entry.customer_id, number="a-1",
        code="number_taken", said="Taken.", currency="EUR", dated=DAY, net=entry.net, tax=entry.tax,
        total=entry.total,
    )  # fmt: skip
    [one] = compare(sides([failed], [shown]), MAY)
    assert (one.name, one.safety, one.action) == ("missing_in_xero", "automatic", "retry")
    other = Shown(**{**_facts(shown), "total": Decimal(13)})
    [one] = compare(sides([failed], [other]), MAY)
    assert (one.safety, one.action) == ("needs_approval", None)
    assert [d.field for d in one.differences] == ["total"]


@pytest.mark.parametrize(
    ("code", "cause", "follows"),
    [
        ("tax_unmapped", "tax:vat_20@acme", "It is sent by itself then."),
        ("scope_missing", "scope@acme", "It is sent by itself then."),
        ("missing_dependency", "content:7", "It is sent by itself then."),
        ("account_archived", None, "(lago-xero chart refresh)."),
        ("contact_archived", "doc:3", "Then lago-xero retry doc:1."),
        ("document_not_open", "room:7", "Then lago-xero retry doc:1."),
        ("refused_other", None, "Then lago-xero retry doc:1."),
        ("credit_unplaced", "unplaced:7@acme", "lago-xero ignore doc:1 --reason …"),
        ("locked_period", None, "Then lago-xero retry doc:1."),
        ("locked_period", "lock@acme", "It is sent by itself then."),
        ("lago_totals_disagree", None, "It is sent by itself then."),
        ("negative_amount", None, "It is sent by itself then."),
    ],
)
def test_only_what_nothing_releases_is_to_be_retried(
    code: str, cause: str | None, follows: str
) -> None:
    """A saved mapping, a message that mends Lago's own figures and whatever else ends the cause has the
    document sent; a person's act in Xero that nobody sees does not."""
    failed = Entry(1, "invoice", "failed", number="A-1", cause=cause, code=code, hint="Mend it.")
    [one] = compare(sides([failed], []), MAY)
    assert one.repair.endswith(follows)
    assert ("retry" in one.repair) == ("retry" in follows)
    assert one.safety == "needs_approval"


def test_about_what_is_in_flight_nobody_has_to_do_anything() -> None:
    waiting = Entry(1, "payment", "waiting", cause="doc:7")
    [one] = compare(sides([waiting], []), MAY)
    assert (one.name, one.safety, one.action) == ("in_flight", "nothing_to_do", None)


def test_what_was_sent_while_xero_was_read_is_in_flight() -> None:
    entry, shown = invoice(number="B-1")
    moved = Entry(**{**{n: getattr(entry, n) for n in Entry.__dataclass_fields__}, "moved": True})
    assert names(sides([moved], [shown])) == ["in_flight"]
    entry, shown = invoice()
    moved = Entry(**{**{n: getattr(entry, n) for n in Entry.__dataclass_fields__}, "moved": True})
    assert names(sides([moved], [shown])) == []


# ── Totals ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_in_xero_yet_is_summed_up_by_lagos_totals() -> None:
    entry, shown = invoice()
    more: list[dict[str, Any]] = [
        {"state": "failed", "lago_cents": 1250},
        {"state": "failed", "lago_cents": 1, "total": Decimal(7)},
        {"state": "failed", "lago_cents": 99, "dated": date(2026, 6, 1)},
        {"state": "waiting", "dated": None},
        {"state": "waiting", "currency": "KWD", "lago_cents": 1234},
        {"state": "waiting", "currency": "JPY", "lago_cents": 1234},
        {"state": "waiting", "currency": "CLF", "lago_cents": 12345},
        {"state": "skipped", "lago_cents": 5},
        {"state": "ready", "lago_cents": 5, "xero_id": uuid4()},
    ]
    told: dict[str, Any] = {"currency": "EUR", "dated": DAY}
    lacking = [Entry(n, "invoice", **{**told, **one}) for n, one in enumerate(more, 2)]
    refund = Entry(20, "refund", "ready", **told, lago_cents=300)
    both = sides([entry, *lacking, refund], [shown])
    assert [(o.kind, o.currency, o.state, o.count, str(o.gross)) for o in to_come(both, MAY)] == [
        ("invoice", "CLF", "waiting", 1, "1.2345"),
        ("invoice", "EUR", "failed", 2, "19.5"),
        ("invoice", "EUR", "waiting", 1, "0"),
        ("invoice", "JPY", "waiting", 1, "1234"),
        ("invoice", "KWD", "waiting", 1, "1.234"),
        ("payment", "EUR", "ready", 1, "3"),
    ]
    amounts = {one.document_id: one.amount for one in compare(both, MAY)}
    assert (amounts[2], amounts[5], amounts[6]) == (Decimal("12.5"), None, Decimal("1.234"))


def test_totals_are_by_kind_currency_and_what_money_makes_of_a_document() -> None:
    entry, shown = invoice(paid=Decimal(12), due=Decimal(0), status="PAID")
    ours, there = payment(entry, "12.00")
    agreed = control_totals(sides([entry, ours], [shown, there]), MAY)
    assert [(one.kind, one.currency, one.status, one.agrees) for one in agreed] == [
        ("invoice", "EUR", "PAID", True),
        ("payment", "EUR", "AUTHORISED", True),
    ]
    assert agreed[0].ledger == (1, 10, 2, 12, 12, 0, 0)
    _, lost = payment(entry, "12.00", status="DELETED", xero_id=there.xero_id)
    open_again = Shown(
        **{**_facts(shown), "paid": Decimal(0), "due": Decimal(12), "status": "AUTHORISED"}
    )
    found = control_totals(sides([entry, ours], [open_again, lost]), MAY)
    assert [(one.kind, one.status, one.ledger[0], one.xero[0]) for one in found] == [
        ("invoice", "AUTHORISED", 0, 1),
        ("invoice", "PAID", 1, 0),
        ("payment", "AUTHORISED", 1, 0),
    ]


def test_totals_leave_out_other_days_and_what_is_nobodys() -> None:
    entry, shown = invoice()
    june = Period(date(2026, 6, 1), date(2026, 6, 30))
    assert control_totals(sides([entry], [shown]), june) == ()
    other = Shown("invoice", UUID(int=7), status="AUTHORISED", dated=DAY, total=Decimal(5))
    [total] = control_totals(sides([entry], [shown, other]), MAY)
    assert total.agrees
