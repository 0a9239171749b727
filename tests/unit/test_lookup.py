"""Look-up paths, and what was found against what was frozen."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.answers import InDoubt, Limits, NotDone, Reply, Saved
from consumer.domain.lookup import (
    Difference,
    Found,
    Mismatch,
    contact_by_number_path,
    contact_sweep_path,
    invoice_lookup_path,
    match_contact,
    match_invoice,
    parse_found,
)

ONE = UUID("11111111-1111-4111-8111-111111111111")
TWO = UUID("22222222-2222-4222-8222-222222222222")
CONTACT = UUID("33333333-3333-4333-8333-333333333333")


def query(path: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}


def test_a_batch_costs_one_call() -> None:
    (path,) = invoice_lookup_path([f"ACME-2026-{n:06d}" for n in range(50)])
    asked = query(path)
    assert asked["InvoiceNumbers"].split(",")[49] == "ACME-2026-000049"
    assert (asked["summaryOnly"], asked["page"], asked["pageSize"]) == ("true", "1", "1000")
    assert asked["where"] == 'Type=="ACCREC"'


def test_nothing_to_look_up() -> None:
    assert invoice_lookup_path(["", ""]) == []


@pytest.mark.parametrize("number", ["A,1", 'A"1', " A1", "A1 "])
def test_a_number_that_no_list_carries_is_asked_for_alone(number: str) -> None:
    plain, alone = invoice_lookup_path(["B-2", number])
    assert query(plain)["InvoiceNumbers"] == "B-2"
    assert "InvoiceNumbers" not in query(alone)
    escaped = number.replace('"', '\\"')
    assert query(alone)["where"] == f'Type=="ACCREC" AND InvoiceNumber=="{escaped}"'


@given(st.lists(st.text(st.characters(codec="ascii", min_codepoint=32), max_size=255), max_size=80))
def test_every_number_is_asked_for_once_in_urls_of_safe_length(numbers: list[str]) -> None:
    asked: list[str] = []
    for path in invoice_lookup_path(numbers):
        assert len(path) < 2000
        found = query(path)
        if "InvoiceNumbers" in found:
            asked += found["InvoiceNumbers"].split(",")
        else:
            literal = found["where"].partition('InvoiceNumber=="')[2].removesuffix('"')
            asked.append(literal.replace('\\"', '"').replace("\\\\", "\\"))
    assert sorted(asked) == sorted({number for number in numbers if number})


def test_contact_paths() -> None:
    assert query(contact_sweep_path(2)) == {
        "includeArchived": "true",
        "page": "2",
        "pageSize": "1000",
    }
    assert contact_by_number_path("a/b?c") == "Contacts/a%2Fb%3Fc"


def reply(status: int = 200, **body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode())


def test_found_invoices_without_bills_and_with_pages() -> None:
    bill = {"InvoiceID": str(TWO), "InvoiceNumber": "INV-1", "Type": "ACCPAY"}
    sale = {"InvoiceID": str(ONE), "InvoiceNumber": "INV-1", "Type": "ACCREC"}
    answer = reply(Invoices=[bill, sale], pagination={"pageCount": 3})
    assert parse_found(answer, "invoice") == Found((Saved(ONE, number="INV-1"),), pages=3)


def test_an_empty_list_is_an_answer() -> None:
    assert parse_found(reply(Contacts=[]), "contact") == Found(())


@pytest.mark.parametrize(
    "answer",
    [reply(), reply(Invoices=[{}]), reply(Invoices=[1]), Reply(200, b"<html>"), reply(Invoices={})],
)
def test_what_cannot_be_read_is_not_nothing(answer: Reply) -> None:
    assert parse_found(answer, "invoice") == InDoubt("unreadable")


def test_a_404_means_absent_only_for_one_object() -> None:
    assert parse_found(Reply(404, b""), "contact", single=True) == Found(())
    assert parse_found(Reply(404, b""), "contact") == InDoubt("status_404")
    assert parse_found(Reply(503, b""), "contact", single=True) == InDoubt("status_503")


def test_a_throttled_look_up_says_when() -> None:
    throttled = Reply(429, b"", Limits(problem="minute", retry_after=7.0))
    assert parse_found(throttled, "invoice") == NotDone("throttled", 7.0, "minute")


def frozen(**fields: Any) -> bytes:
    """Two seats at 10, a discounted fee, a fee discounted to nothing and a deduction: 26.50."""
    element = {
        "InvoiceNumber": "INV-1",
        "Contact": {"ContactID": str(CONTACT).upper()},
        "CurrencyCode": "NZD",
        "Status": "AUTHORISED",
        "LineItems": [
            {"Quantity": 2, "UnitAmount": 10, "TaxAmount": 3},
            {"Quantity": 1, "UnitAmount": 9, "LineAmount": 7.5, "DiscountAmount": 1.5}
            | {"TaxAmount": 1.12},
            {"Quantity": 1, "UnitAmount": 5, "DiscountAmount": 5, "TaxAmount": 0},
            {"Quantity": 1, "UnitAmount": -1, "LineAmount": -1, "TaxAmount": 0},
        ],
        **fields,
    }
    return json.dumps(element).encode()


IN_XERO = Saved(
    ONE,
    number="inv-1",
    status="AUTHORISED",
    contact_id=CONTACT,
    currency="NZD",
    net=Decimal("26.5"),
    tax=Decimal("4.12"),
    total=Decimal("30.62"),
    due=Decimal("30.62"),
)


def test_ours_is_adopted() -> None:
    assert match_invoice(frozen(), [replace(IN_XERO, number="INV-2"), IN_XERO]) is IN_XERO


def test_a_paid_one_is_ours_too() -> None:
    paid = replace(IN_XERO, status="PAID", due=Decimal(0))
    assert match_invoice(frozen(), [paid]) is paid


def test_nothing_of_that_number() -> None:
    assert match_invoice(frozen(), [replace(IN_XERO, number="INV-2")]) is None
    assert match_invoice(frozen(), []) is None
    assert match_invoice(frozen(InvoiceNumber=""), [replace(IN_XERO, number=None)]) is None


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"contact_id": TWO}, Difference("contact", str(CONTACT), str(TWO))),
        ({"contact_id": None}, Difference("contact", str(CONTACT), "nothing")),
        ({"currency": "EUR"}, Difference("currency", "NZD", "EUR")),
        ({"net": Decimal("26.51")}, Difference("net", "26.50", "26.51")),
        ({"tax": Decimal("4.11")}, Difference("tax", "4.12", "4.11")),
        ({"total": Decimal("30.61")}, Difference("total", "30.62", "30.61")),
        ({"status": "VOIDED"}, Difference("status", "AUTHORISED", "VOIDED")),
        ({"status": "DELETED"}, Difference("status", "AUTHORISED", "DELETED")),
    ],
)
def test_each_disagreement_is_shown_with_both_sides(
    change: dict[str, Any], difference: Difference
) -> None:
    found = match_invoice(frozen(), [replace(IN_XERO, **change)])
    assert found == Mismatch(ONE, (difference,))
    assert isinstance(found, Mismatch)
    assert f"{difference.field} {difference.theirs}, not {difference.ours}" in found.sentence


def test_a_living_holder_of_the_number_is_told_of_before_a_voided_one() -> None:
    voided = replace(IN_XERO, xero_id=TWO, status="VOIDED")
    other = replace(IN_XERO, currency="EUR")
    for found in ([voided, other], [other, voided]):
        match = match_invoice(frozen(), found)
        assert isinstance(match, Mismatch)
        assert match.xero_id == ONE
    assert match_invoice(frozen(), [voided, IN_XERO]) is IN_XERO


def test_a_price_times_quantity_is_rounded_half_up() -> None:
    line = {"Quantity": 1, "UnitAmount": 2.165, "TaxAmount": 0}
    sums = {"net": Decimal("2.17"), "tax": Decimal(0), "total": Decimal("2.17")}
    ours = replace(IN_XERO, **sums)
    assert match_invoice(frozen(LineItems=[line]), [ours]) is ours


def test_contacts_by_number_the_active_one_first() -> None:
    archived = Saved(ONE, number="N1", status="ARCHIVED", merged_to=TWO)
    active = Saved(TWO, number="n1", status="ACTIVE")
    assert match_contact("n1", [archived, active]) is active
    assert match_contact("n1", [archived]) is archived
    assert match_contact("n2", [archived, active, Saved(ONE)]) is None
