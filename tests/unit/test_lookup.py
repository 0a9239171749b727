"""Look-ups of what is in doubt: the paths to read, and what was found against what was frozen."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.answers import InDoubt, NotDone, Reply, Saved
from consumer.domain.lookup import (
    MAX_NUMBERS,
    Found,
    contact_by_number_path,
    contact_sweep_path,
    invoice_lookup_path,
    overpayment_sweep_path,
    overpayments_path,
    parse_allocations,
    parse_found,
    payment_sweep_path,
)
from consumer.domain.matching import (
    Difference,
    Mismatch,
    match_contact,
    match_numbered,
    match_overpayments,
)

JSON = dict[str, Any]
ID = UUID("11111111-2222-4333-8444-555555555551")
OTHER = UUID("11111111-2222-4333-8444-555555555552")
CONTACT = UUID("abcdefab-2222-4333-8444-555555555555")


def query(path: str) -> dict[str, str]:
    return {name: value[0] for name, value in parse_qs(urlsplit(path).query).items()}


# ── Paths ─────────────────────────────────────────────────────────────────────────────────────────


def test_one_call_finds_a_batch() -> None:
    (path,) = invoice_lookup_path([f"ACM-{i:03}" for i in range(MAX_NUMBERS)])
    asked = query(path)
    assert asked["InvoiceNumbers"].split(",")[::49] == ["ACM-000", "ACM-049"]
    assert asked["where"] == 'Type=="ACCREC"'
    assert (asked["summaryOnly"], asked["page"], asked["pageSize"]) == ("true", "1", "1000")


def test_more_numbers_than_a_list_carries_are_split() -> None:
    numbers = [f"ACM-{i:03}" for i in range(MAX_NUMBERS + 1)]
    asked = [query(path)["InvoiceNumbers"].split(",") for path in invoice_lookup_path(numbers)]
    assert [len(chunk) for chunk in asked] == [MAX_NUMBERS, 1]
    assert [number for chunk in asked for number in chunk] == numbers


def test_urls_stay_below_two_thousand_characters() -> None:
    paths = invoice_lookup_path([f"{i:03}#" + "x" * 200 for i in range(20)])
    assert len(paths) > 1
    assert all(len(path) < 2_000 for path in paths)


def test_numbers_are_asked_once_and_blank_ones_never() -> None:
    (path,) = invoice_lookup_path(["A", "", "A", "B"])
    assert query(path)["InvoiceNumbers"] == "A,B"
    assert invoice_lookup_path([""]) == []


@pytest.mark.parametrize(
    ("number", "condition"),
    [
        ("A,1", 'InvoiceNumber=="A,1"'),
        (' A"1', 'InvoiceNumber==" A\\"1"'),
        ("A\\,", 'InvoiceNumber=="A\\\\,"'),
    ],
)
def test_number_that_no_list_can_carry_is_asked_for_alone(number: str, condition: str) -> None:
    listed, alone = invoice_lookup_path([number, "B"])
    assert query(listed)["InvoiceNumbers"] == "B"
    assert query(alone)["where"] == condition
    assert "InvoiceNumbers" not in query(alone)


@given(st.lists(st.text(st.characters(codec="ascii", min_codepoint=32), max_size=255), max_size=80))
def test_every_number_is_asked_once_whatever_its_characters(numbers: list[str]) -> None:
    asked: list[str] = []
    for path in invoice_lookup_path(numbers):
        assert len(path) < 2_000
        found = query(path)
        if "InvoiceNumbers" in found:
            asked += found["InvoiceNumbers"].split(",")
        else:
            literal = found["where"].partition('InvoiceNumber=="')[2].removesuffix('"')
            asked.append(re.sub(r"\\(.)", r"\1", literal))
    assert sorted(asked) == sorted({number for number in numbers if number})


def test_contact_paths() -> None:
    assert query(contact_sweep_path(3)) == {
        "includeArchived": "true",
        "order": "ContactID",
        "page": "3",
        "pageSize": "1000",
    }
    assert contact_by_number_path("a/b ?") == "Contacts/a%2Fb%20%3F"


def test_overpayments_by_hand_are_looked_for_by_their_days() -> None:
    assert query(overpayments_path(date(2026, 4, 27), date(2026, 5, 11), 2)) == {
        "where": 'Type=="RECEIVE-OVERPAYMENT" AND Date>=DateTime(2026,4,27) AND '
        "Date<=DateTime(2026,5,11)",
        "order": "BankTransactionID",
        "page": "2",
        "pageSize": "1000",
    }


def test_sweeps_come_in_an_order_that_no_change_disturbs() -> None:
    """What changes between two pages would move in any order by time, and hide its neighbour."""
    assert query(contact_sweep_path())["order"] == "ContactID"
    assert query(overpayment_sweep_path(2)) == {
        "where": 'Type=="RECEIVE-OVERPAYMENT"',
        "order": "BankTransactionID",
        "page": "2",
        "pageSize": "1000",
    }
    assert query(payment_sweep_path(2)) == {"order": "PaymentID", "page": "2", "pageSize": "1000"}


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


def answer(*elements: Any, status: int = 200, **more: Any) -> Reply:
    return Reply(status, json.dumps({"Invoices": elements, **more}).encode())


def test_found_invoices_without_bills_of_the_same_number() -> None:
    bill = {"InvoiceID": str(OTHER), "InvoiceNumber": "A-1", "Type": "ACCPAY"}
    mine = {"InvoiceID": str(ID), "InvoiceNumber": "A-1", "Type": "ACCREC"}
    assert parse_found(answer(bill, mine), "invoice") == Found((Saved(ID, number="A-1"),))


def test_number_of_pages() -> None:
    assert parse_found(answer(pagination={"pageCount": 3}), "invoice") == Found((), 3)
    assert parse_found(answer(pagination={"pageCount": "many"}), "invoice") == Found(())


def test_404_of_one_object_says_that_there_is_none() -> None:
    assert parse_found(Reply(404, b""), "contact", single=True) == Found(())


def test_404_of_a_list_says_nothing() -> None:
    assert parse_found(Reply(404, b""), "contact") == InDoubt("status_404")


@pytest.mark.parametrize("status", [304, 400, 409, 500, 503])
def test_other_statuses_are_no_finding(status: int) -> None:
    assert parse_found(answer(status=status), "invoice") == InDoubt(f"status_{status}")


def test_limits_bind_look_ups_too() -> None:
    assert parse_found(Reply(429, b""), "invoice") == NotDone("throttled")
    assert parse_found(Reply(401, b""), "contact", single=True) == NotDone("unauthorised")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"Invoices": [{}]}', b'{"Invoices": [1]}']
)
def test_unreadable_answers_never_mean_absent(body: bytes) -> None:
    assert parse_found(Reply(200, body), "invoice") == InDoubt("unreadable")


def credit_note(*allocations: Any) -> Reply:
    return Reply(200, json.dumps({"CreditNotes": [{"Allocations": allocations}]}).encode())


def test_allocations_of_a_credit_note_without_those_deleted() -> None:
    there = {"AllocationID": str(ID), "Amount": 5, "Invoice": {"InvoiceID": str(OTHER)}}
    gone = {**there, "AllocationID": str(OTHER), "IsDeleted": True}
    kept = Saved(ID, target_id=OTHER, total=Decimal(5))
    assert parse_allocations(credit_note(gone, {**there, "IsDeleted": False})) == Found((kept,))
    assert parse_allocations(credit_note()) == Found(())
    assert parse_allocations(Reply(200, b'{"CreditNotes": [{}]}')) == Found(())


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b'{"CreditNotes": []}', b'{"CreditNotes": [1]}'),
        b'{"CreditNotes": [{"Allocations": {}}]}',
        b'{"CreditNotes": [{"Allocations": [{}]}]}',
    ],
)
def test_unreadable_allocations_never_mean_absent(body: bytes) -> None:
    assert parse_allocations(Reply(200, body)) == InDoubt("unreadable")


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (404, Found(())),
        (400, InDoubt("status_400")),
        (503, InDoubt("status_503")),
        (429, NotDone("throttled")),
    ],
)
def test_a_note_that_is_not_shown(status: int, found: object) -> None:
    assert parse_allocations(Reply(status, b"")) == found


# ── Matching ──────────────────────────────────────────────────────────────────────────────────────


def frozen(**said: Any) -> bytes:
    lines = [
        {"Quantity": 3, "UnitAmount": 12.5, "LineAmount": 37.5, "TaxAmount": 7.5},
        # Discounted to 0: no LineAmount is sent.
        {"Quantity": 4, "UnitAmount": 2.5, "DiscountAmount": 10, "TaxAmount": 0},
        {"Quantity": 1, "UnitAmount": -7.5, "LineAmount": -7.5, "TaxAmount": 0},
    ]
    body = {
        "InvoiceNumber": "ACM-001",
        "Contact": {"ContactID": str(CONTACT).upper()},
        "CurrencyCode": "EUR",
        "Status": "AUTHORISED",
        "LineItems": lines,
        **said,
    }
    return json.dumps(body).encode()


MADE = Saved(
    ID,
    number="ACM-001",
    status="AUTHORISED",
    contact_id=CONTACT,
    currency="EUR",
    net=Decimal("30.00"),
    tax=Decimal("7.50"),
    total=Decimal("37.50"),
)


def test_what_the_frozen_request_made_is_adopted() -> None:
    assert match_numbered(frozen(), [replace(MADE, xero_id=OTHER, number="ACM-002"), MADE]) == MADE


def test_a_number_in_another_case_is_another_document() -> None:
    """Xero finds numbers without regard to case, and may keep both."""
    found = match_numbered(frozen(InvoiceNumber="acm-001"), [MADE])
    assert found == Mismatch(ID, (Difference("number", "acm-001", "ACM-001"),))
    assert "differs only in upper and lower case: ACM-001, not acm-001" in found.sentence
    ours = replace(MADE, xero_id=OTHER, number="acm-001")
    for order in ([MADE, ours], [ours, MADE]):
        assert match_numbered(frozen(InvoiceNumber="acm-001"), order) == ours


def test_paid_invoice_is_still_the_one() -> None:
    paid = replace(MADE, status="PAID", due=Decimal(0))
    assert match_numbered(frozen(), [paid]) == paid


def test_nothing_of_that_number() -> None:
    assert match_numbered(frozen(), []) is None
    assert match_numbered(frozen(), [replace(MADE, number=None)]) is None
    assert match_numbered(frozen(InvoiceNumber=""), [replace(MADE, number="")]) is None


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        ({"contact_id": OTHER}, Difference("contact", str(CONTACT), str(OTHER))),
        ({"contact_id": None}, Difference("contact", str(CONTACT), "nothing")),
        ({"currency": "USD"}, Difference("currency", "EUR", "USD")),
        ({"net": Decimal("30.01")}, Difference("net", "30.00", "30.01")),
        ({"tax": Decimal("7.51")}, Difference("tax", "7.50", "7.51")),
        ({"total": Decimal("37.51")}, Difference("total", "37.50", "37.51")),
        ({"total": None}, Difference("total", "37.50", "nothing")),
        ({"status": "VOIDED"}, Difference("status", "AUTHORISED", "VOIDED")),
        ({"status": "DELETED"}, Difference("status", "AUTHORISED", "DELETED")),
    ],
)
def test_number_held_by_another_invoice_shows_both_sides(
    theirs: JSON, difference: Difference
) -> None:
    found = match_numbered(frozen(), [replace(MADE, **theirs)])
    assert isinstance(found, Mismatch)
    assert found.differences == (difference,)
    assert f"{difference.field} {difference.theirs}, not {difference.ours}" in found.sentence


def test_quantity_times_price_is_rounded_half_up() -> None:
    line = {"Quantity": 1, "UnitAmount": 2.165, "TaxAmount": 0}
    made = replace(MADE, net=Decimal("2.17"), tax=Decimal(0), total=Decimal("2.17"))
    assert match_numbered(frozen(LineItems=[line]), [made]) == made


def test_of_several_holders_the_living_one_is_shown() -> None:
    gone = replace(MADE, status="VOIDED")
    alive = replace(MADE, xero_id=OTHER, currency="USD")
    for order in ([gone, alive], [alive, gone]):
        found = match_numbered(frozen(), order)
        assert isinstance(found, Mismatch)
        assert found.xero_id == OTHER


def test_contact_by_number() -> None:
    archived = Saved(ID, number="N-1", status="ARCHIVED", merged_to=OTHER)
    active = Saved(OTHER, number="n-1", status="ACTIVE")
    assert match_contact("N-1", [archived, active]) == active
    assert match_contact("n-1", [archived]) == archived
    assert match_contact("N-2", [archived, active]) is None


MARKER = "Lago 0123456789abcdef"


def kept(**said: Any) -> JSON:
    """An overpayment as Xero lists it: without the Reference that was sent."""
    return {
        "BankTransactionID": str(ID),
        "Contact": {"ContactID": str(CONTACT)},
        "CurrencyCode": "EUR",
        "Status": "AUTHORISED",
        "Total": 2.5,
        "LineItems": [{"Description": f"More than invoice A-1 had open · {MARKER}"}],
        **said,
    }


def beyond(**said: Any) -> bytes:
    line = {"Description": f"More than invoice A-1 had open · {MARKER}", "LineAmount": 2.5}
    sent = {"Contact": {"ContactID": str(CONTACT)}, "CurrencyCode": "EUR", "LineItems": [line]}
    return json.dumps({**sent, "Reference": f"slip · {MARKER}", **said}).encode()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, True),
        ({"LineItems": [], "Reference": f"slip · {MARKER}"}, True),
        ({"LineItems": [{"Description": "More than invoice A-1 had open"}]}, False),
        ({"LineItems": [{"Description": "· Lago ffffffffffffffff"}]}, False),
        ({"Contact": {"ContactID": str(OTHER)}}, True),  # merged meanwhile
        ({"CurrencyCode": "USD"}, False),
        ({"Total": 2.51}, False),
        ({"Status": "VOIDED"}, False),
        ({"Status": "DELETED"}, False),
    ],
)
def test_an_overpayment_is_found_by_its_marker(theirs: JSON, ours: bool) -> None:
    body = json.dumps({"BankTransactions": [kept(**theirs)]}).encode()
    found = parse_found(Reply(200, body), "overpayment")
    assert isinstance(found, Found)
    match = match_overpayments(beyond(), found.saved)
    assert [one.xero_id for one in match] == [ID] * ours
