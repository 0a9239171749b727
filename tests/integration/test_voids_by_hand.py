"""Voids that a person has made in Xero, on a real Postgres and the simulated Xero: each counts as Lago's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.notes import a_note, note_told
from tests.lives.delivery import Delivery
from tests.lives.stage import Stage

Json = dict[str, Any]
LATER = "2026-05-05T10:00:00Z"


@pytest.fixture
async def bills(theatre: Stage) -> AsyncIterator[list[Json]]:
    """Two invoices that Xero has."""
    await theatre.live(Delivery((), {}, ()))
    b = theatre.books
    who = b.customer()
    told = [b.invoice(who) for _ in range(2)]
    await b.told(b.said(who), *map(b.said, told))
    await theatre.rest(0.0)
    yield told
    await b.settings(voids="sync")


async def void(theatre: Stage, *bills: Json) -> None:
    """Lago voids them."""
    b = theatre.books
    gone = [{**bill, "status": "voided", "updated_at": LATER} for bill in bills]
    await b.told(*(b.said(one, "invoice.voided") for one in gone))
    await theatre.rest(0.0)


async def by_hand(theatre: Stage, bill: Json, **element: Any) -> None:
    """A person changes the invoice in Xero."""
    [invoice] = theatre.xero.sales_invoices(bill["number"])
    body = json.dumps({"Invoices": [{"InvoiceID": invoice.invoice_id, **element}]}).encode()
    await theatre.call("POST", "Invoices?summarizeErrors=false", body)


async def stand(theatre: Stage, kind: str = "invoice") -> list[tuple[str, str | None, str | None]]:
    """State, cause and code of the documents."""
    rows = await theatre.books.documents(kind=kind)
    return [(row["state"], row["cause"], row["code"]) for row in rows]


async def test_what_a_person_has_voided_is_voided(theatre: Stage, bills: list[Json]) -> None:
    await by_hand(theatre, bills[0], Status="VOIDED")
    await void(theatre, *bills)
    assert {one.status for one in theatre.xero.invoices.values()} == {"VOIDED"}
    assert await stand(theatre) == [("skipped", "lago:voided", None)] * 2
    assert await theatre.books.announced() == []


async def test_what_was_left_to_people_is_voided_unless_they_have_done_it(
    theatre: Stage, bills: list[Json]
) -> None:
    """By the policy until then; what they have entered there is in its way."""
    await theatre.books.settings(voids="report")
    await void(theatre, *bills)
    assert await stand(theatre) == [("synced", "policy:voids@acme", None)] * 2
    [invoice] = theatre.xero.sales_invoices(bills[1]["number"])
    await by_hand(theatre, bills[0], Status="VOIDED")
    paid = {"Invoice": {"InvoiceID": invoice.invoice_id}, "Account": {"Code": "880"}}
    body = json.dumps({"Payments": [{**paid, "Date": "2026-05-04", "Amount": 1.0}]}).encode()
    await theatre.call("PUT", "Payments?summarizeErrors=false", body)
    await theatre.books.settings(voids="sync")
    await theatre.rest(0.0)
    assert await stand(theatre) == [
        ("skipped", "lago:voided", None),
        ("failed", f"room:{bills[1]['lago_id']}", "void_with_money"),
    ]
    assert await theatre.books.announced() == ["void_with_money"]
    assert theatre.xero.invoices[invoice.invoice_id].amount_paid == Decimal("1.00")


async def test_a_note_that_a_person_has_voided_is_voided(theatre: Stage, bills: list[Json]) -> None:
    b, note = theatre.books, a_note(bills[0], credit=400)
    await b.told(note_told(b, note))
    await theatre.rest(0.0)
    [posted] = theatre.xero.credit_notes.values()
    element = {"CreditNoteID": posted.credit_note_id, "Status": "VOIDED"}
    body = json.dumps({"CreditNotes": [element]}).encode()
    await theatre.call("POST", "CreditNotes?summarizeErrors=false", body)
    gone = {"credit_status": "voided", "balance_amount_cents": 0, "updated_at": LATER}
    await b.told(note_told(b, {**note, **gone}))
    await theatre.rest(0.0)
    assert await stand(theatre, "credit_note") == [("skipped", "lago:credit_voided", None)]
    assert await b.announced() == []
