"""Drafts of periods that Xero has locked, on a real Postgres before a simulated one, until the date moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.answers import Answered
from consumer.domain.answers import Saved as Kept
from consumer.domain.chart import Organisation
from consumer.sandbox.lago import payment
from tests.integration.drafts import desk
from tests.integration.notes import a_note, consuming, note_told
from tests.lives.stage import CHART

Json = dict[str, Any]
PAID = {"status": "PAID", "amount_paid": Decimal(10), "payments": [{"PaymentID": "x"}]}
LOCKED = Organisation(period_lock_date=date(2026, 5, 31))


async def test_in_a_locked_period_an_invoice_is_a_draft_until_the_date_moves(
    database_url: str,
) -> None:
    async with desk(database_url, locked_period="draft", drafts="skip") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who, amount=1000, number="ACM-001")
        await d.hears(told)
        assert d.shown == ("ACM-001", "DRAFT", Decimal(10))
        bill = await d.document()
        assert (bill["state"], bill["cause"], bill["code"]) == ("waiting", "lock@acme", None)
        made_at = "2026-06-02T12:00:00Z"
        paid = payment(d.books.choices, [told], amount_cents=1000, at=made_at)
        await d.books.told(d.books.paid(paid))
        await d.stage.rest(1.0)
        assert (await d.document("payment"))["cause"] == f"draft:{bill['id']}"
        writes = d.writes()
        await d.lock(Organisation(period_lock_date=date(2026, 5, 30)))
        assert d.writes() == writes, "it is in the locked period yet"
        assert (await d.document())["cause"] == "lock@acme"
        await d.hears({**told, "purchase_order_number": "PO 7"})
        assert (d.invoice.reference, d.invoice.status) == ("PO 7", "DRAFT")
        await d.lock(Organisation(period_lock_date=date(2026, 4, 30)))
        assert d.shown == ("ACM-001", "PAID", Decimal(10))
        bill = await d.document()
        assert (bill["state"], bill["cause"]) == ("synced", None)
        assert await d.books.announced() == []


async def test_a_locked_draft_of_which_a_switch_was_off_for_a_while_is_approved(
    database_url: str,
) -> None:
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        await d.hears(d.books.invoice(d.who))
        await d.books.settings(sync_invoices=False, chart=replace(CHART, organisation=LOCKED))
        await d.stage.rest(1.0)
        opened = Organisation(period_lock_date=date(2026, 4, 30))
        await d.lock(opened)
        assert d.invoice.status == "DRAFT"
        await d.books.settings(sync_invoices=True, chart=replace(CHART, organisation=opened))
        await d.stage.rest(1.0)
        assert d.invoice.status == "AUTHORISED"


async def test_a_locked_draft_that_lago_voids_is_deleted(database_url: str) -> None:
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who)
        await d.hears(told)
        await d.hears(told, "invoice.voided")
        assert d.invoice.status == "DELETED"
        assert (await d.document())["state"] == "skipped"
        assert await d.books.announced() == []


@pytest.mark.parametrize("by_hand", [{}, {"status": "AUTHORISED"}, PAID])
@pytest.mark.parametrize("received", [400, 1000])
async def test_a_locked_draft_that_was_paid_stays_for_a_person_once_lago_voids_it(
    database_url: str, received: int, by_hand: Json
) -> None:
    """Also where all of it was paid: none of the money is in the books."""
    async with desk(database_url, locked_period="draft", voids="report") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who, amount=1000)
        await d.hears(told)
        d.by_hand(**by_hand)
        status = d.invoice.status
        paid = {**told, "total_paid_amount_cents": received}
        await d.hears(paid, "invoice.voided")
        await d.hears(paid, "invoice.payment_overdue")
        await d.lock(Organisation())
        assert d.invoice.status == status
        bill = await d.document()
        assert (bill["state"], bill["cause"]) == ("synced", "void_with_money")
        rows = await d.books.database.fetch("select code, said from outbox")
        assert [(row["code"], "draft" in row["said"]) for row in rows] == [
            ("void_with_money", True)
        ]
        found = await d.books.database.fetch("select from finding where class = 'void_with_money'")
        assert len(found) == 1


@pytest.mark.parametrize("by_hand", [{"status": "AUTHORISED"}, PAID])
async def test_what_a_person_made_of_a_locked_draft_is_told_once_lago_voids_it(
    database_url: str, by_hand: Json
) -> None:
    """Lago knows of no money; what a person approved or paid is never removed."""
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who, amount=1000)
        await d.hears(told)
        d.by_hand(**by_hand)
        await d.hears(told, "invoice.voided")
        assert d.invoice.status == by_hand["status"]
        assert await d.books.announced() == ["draft_changed_in_xero"]


async def test_what_is_on_a_draft_that_a_void_leaves_one_is_left_out_with_it_but_its_notes_go_out(
    database_url: str,
) -> None:
    """Nobody will approve it by itself: nothing waits for that in silence; and credit is credit in Lago."""
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who, amount=1000)
        await d.hears(told)
        late = {**a_note(told, credit=300, offset=100), "issuing_date": "2026-06-03"}
        await d.books.told(note_told(d.books, late))
        made_at = "2026-06-02T12:00:00Z"
        paid = payment(d.books.choices, [told], amount_cents=1000, at=made_at)
        await d.books.told(d.books.paid(paid))
        await d.stage.rest(1.0)
        await d.hears({**told, "total_paid_amount_cents": 1000}, "invoice.voided")
        bill = await d.document()
        for kind, part in (("payment", ""), ("allocation", "offset")):
            [row] = await d.books.documents(kind=kind, part=part)
            assert (row["state"], row["cause"]) == ("skipped", f"doc:{bill['id']}")
        [note] = d.stage.xero.credit_notes.values()
        assert (note.status, note.remaining) == ("AUTHORISED", Decimal(4))


async def test_money_that_comes_before_a_locked_draft_is_deleted_keeps_it(
    database_url: str,
) -> None:
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who)
        await d.hears(told)
        await d.tell(told, "invoice.voided")
        await d.hears(
            {**told, "status": "voided", "total_paid_amount_cents": 400}, "invoice.voided"
        )
        assert d.invoice.status == "DRAFT"
        assert await d.books.announced() == ["void_with_money"]


async def test_a_lock_date_that_moves_while_the_draft_is_sent_is_not_missed(
    database_url: str,
) -> None:
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        await d.tell(d.books.invoice(d.who))
        frozen = await d.books.freeze()
        assert frozen.purpose == "invoice_create"
        await d.charts.keep(d.stage.tenant, CHART, "tests")
        kept = (Kept(d.stage.tenant, status="DRAFT"),)
        await d.books.ledger.settle(frozen.request_id, Answered(kept), None)
        assert (await d.books.freeze()).purpose == "invoice_update"


async def test_what_rests_on_a_locked_draft_follows_it(database_url: str) -> None:
    """A note of an open period waits for its invoice, one of the locked period is a draft too."""
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who, amount=2000)
        await d.hears(told)
        late = {**a_note(told, offset=500), "number": "CN-2", "issuing_date": "2026-06-03"}
        for note in (a_note(told, credit=300, offset=200, refund=100), late):
            await d.books.told(note_told(d.books, note))
        await d.stage.rest(1.0)
        [bill] = await d.books.documents(kind="invoice")
        first, second = await d.books.documents(kind="credit_note")
        assert (first["xero_status"], first["cause"]) == (None, f"draft:{bill['id']}")
        assert second["cause"] == f"draft:{bill['id']}"
        consumer = consuming(d.books, told, {**late, "lago_id": str(first["lago_id"])}, 300)
        await d.hears(consumer)
        assert {one.status for one in d.stage.xero.invoices.values()} == {"DRAFT"}
        await d.lock(Organisation())
        assert {row["state"] for row in await d.books.documents()} == {"synced"}
        due = sorted(one.amount_due for one in d.stage.xero.invoices.values())
        assert due == [Decimal(13), Decimal(47)]
        assert {one.remaining for one in d.stage.xero.credit_notes.values()} == {Decimal(0)}


async def test_a_note_of_a_locked_period_is_a_draft_too(database_url: str) -> None:
    async with desk(database_url, locked_period="draft") as d:
        told = d.books.invoice(d.who, amount=2000)
        await d.hears(told)
        await d.lock(LOCKED)
        note = a_note(told, offset=500)
        await d.books.told(note_told(d.books, note))
        await d.stage.rest(1.0)
        [made] = d.stage.xero.credit_notes.values()
        assert (made.status, made.total) == ("DRAFT", Decimal(5))
        row, allocation = await d.document("credit_note"), await d.document("allocation")
        assert (row["state"], row["cause"]) == ("waiting", "lock@acme")
        assert allocation["cause"] == f"draft:{row['id']}"
        await d.lock(Organisation())
        [made] = d.stage.xero.credit_notes.values()
        assert (made.status, made.remaining) == ("PAID", Decimal(0))
        assert d.invoice.amount_due == Decimal(15)


async def test_a_locked_draft_note_that_lago_voids_is_deleted(database_url: str) -> None:
    async with desk(database_url, locked_period="draft") as d:
        told = d.books.invoice(d.who, amount=2000)
        await d.hears(told)
        await d.lock(LOCKED)
        note = a_note(told, credit=500)
        await d.books.told(note_told(d.books, note))
        await d.stage.rest(1.0)
        gone = {**note, "credit_status": "voided", "updated_at": "2026-05-03T10:00:09Z"}
        await d.books.told(note_told(d.books, gone))
        await d.stage.rest(1.0)
        [made] = d.stage.xero.credit_notes.values()
        assert made.status == "DELETED"
        assert (await d.document("credit_note"))["state"] == "skipped"
