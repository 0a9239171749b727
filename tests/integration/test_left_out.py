"""Lago's money that does not come to Xero, on a real Postgres: it is named while that is so."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres import reading
from consumer.domain.explain import explain_finding
from consumer.sandbox.lago import payment
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, note_told

Json = dict[str, Any]
LATER = "2026-05-05T10:00:00Z"


async def found(b: Books, kind: str) -> list[tuple[str, str]]:
    """What is told of documents of that kind by now, with the amounts."""
    ids = [row["id"] for row in await b.documents(kind=kind)]
    told = await reading.findings(b.database, ids)
    return [(one["class"], one["facts"]["amount"]) for id in ids for one in told.get(id, [])]


def voided(b: Books, invoice: Json, **facts: Any) -> Json:
    """Lago's message of it."""
    gone = {**invoice, "status": "voided", "updated_at": LATER, **facts}
    return b.said(gone, "invoice.voided")


async def refunded(b: Books, note: Json, status: str) -> None:
    """Lago tells how the refund of the note stands."""
    await b.told(note_told(b, {**note, "refund_status": status, "updated_at": LATER}))


# ── Money on invoices that were voided ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "order", ["payment", "void", "together", "sending", "sending, reported", "posted"]
)
async def test_money_on_an_invoice_that_was_voided_before_it_came_is_named(
    database_url: str, order: str
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        paid, void = b.paid(payment(b.choices, [invoice])), voided(b, invoice)
        await b.told(b.said(who), b.said(invoice))
        if order == "together":
            await b.told(paid, void)
        elif order.startswith("sending"):
            await b.settings(voids="report" if order.endswith("reported") else "sync")
            await b.accept(await b.freeze())
            await b.released()
            frozen = await b.freeze()
            await b.told(paid)
            await b.told(void)
            await b.ledger.settle(frozen.request_id, None, None)
        else:
            if order == "posted":
                await b.work()
            first, second = (paid, void) if order == "payment" else (void, paid)
            await b.told(first)
            if order == "posted":
                await b.work()
            await b.told(second)
        await b.work()
        assert await found(b, "payment") == [("money_on_void", "10.00")]
        [document] = await b.documents(kind="payment")
        assert document["state"] == "skipped"
        await b.told(paid | {"object_type": "payment"}, void)
        await b.work()
        assert await found(b, "payment") == [("money_on_void", "10.00")], "once"
        assert "Lago received 10.00" in explain_finding("money_on_void", {"amount": "10.00"})


async def test_money_that_goes_back_is_named_no_more(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        paid = payment(b.choices, [invoice])
        await b.told(b.said(who), b.said(invoice), b.paid(paid))
        await b.told(voided(b, invoice))
        await b.work()
        assert len(await found(b, "payment")) == 1
        await b.told(b.paid({**paid, "payment_status": "failed"}))
        await b.work()
        assert await found(b, "payment") == []


async def test_money_on_what_is_left_out_for_another_reason_is_not_named(database_url: str) -> None:
    """Whoever sets a start date knows of what is older."""
    async with books(database_url) as b:
        await b.settings(start_date=date(2026, 5, 2))
        who = b.customer()
        invoice = b.invoice(who)
        await b.told(b.said(who), b.said(invoice), b.paid(payment(b.choices, [invoice])))
        await b.work()
        [document] = await b.documents(kind="payment")
        assert (document["state"], await found(b, "payment")) == ("skipped", [])


# ── What stays open on a note ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", ["note", "void"])
async def test_an_offset_on_an_invoice_that_was_voided_before_it_was_posted_is_named(
    database_url: str, first: str
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        note, void = note_told(b, a_note(invoice, offset=400, credit=100)), voided(b, invoice)
        await b.told(b.said(who), b.said(invoice))
        await b.told(note if first == "note" else void)
        await b.told(void if first == "note" else note)
        done = [frozen.purpose for frozen in await b.work()]
        assert done == ["contact_create", "credit_note_create"]
        assert await found(b, "allocation") == [("offset_left_open", "4.00")]
        assert await found(b, "refund") == []
        assert "4.00 was offset" in explain_finding("offset_left_open", {"amount": "4.00"})


async def test_an_offset_on_an_older_invoice_is_named_until_that_is_posted(
    database_url: str,
) -> None:
    """The note is of today, and people may allocate it to the invoice that they have."""
    async with books(database_url) as b:
        await b.settings(start_date=date(2026, 5, 2))
        who = b.customer()
        invoice = b.invoice(who)
        await b.told(b.said(who), b.said(invoice), note_told(b, a_note(invoice, offset=400)))
        await b.work()
        assert await found(b, "allocation") == [("offset_left_open", "4.00")]
        await b.settings(start_date=date(2026, 5, 1))
        done = [frozen.purpose for frozen in await b.work()]
        assert done == ["invoice_create", "allocation_create"]
        assert await found(b, "allocation") == []


async def test_nothing_stays_open_on_a_note_that_is_not_posted(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(start_date=date(2026, 5, 4))
        who = b.customer()
        invoice = b.invoice(who)
        note = a_note(invoice, offset=400, refund=100)
        await b.told(b.said(who), b.said(invoice), note_told(b, note))
        await b.work()
        assert {d["state"] for d in await b.documents(lago_id=UUID(note["lago_id"]))} == {"skipped"}
        assert (await found(b, "allocation"), await found(b, "refund")) == ([], [])


@pytest.mark.parametrize("waits", ["for success", "for its turn", "to begin"])
async def test_a_refund_that_a_switch_keeps_back_is_named_until_that_is_on(
    database_url: str, waits: str
) -> None:
    async with books(database_url) as b:
        await b.settings(refunds="when_succeeded" if waits == "for success" else "at_once")
        [invoice] = await b.posted()
        note = a_note(invoice, refund=400)
        if waits == "to begin":
            note["refund_status"] = None
        await b.told(note_told(b, note))
        if waits == "for its turn":
            await b.accept(await b.freeze())
            await b.released()
        else:
            await b.work()
        assert await found(b, "refund") == []
        await b.settings(sync_credit_notes=False)
        if waits == "to begin":
            await refunded(b, note, "pending")
        assert [*await b.work(), *await b.work()] == []
        assert await found(b, "refund") == [("refund_left_open", "4.00")]
        await b.settings(sync_credit_notes=True)
        if waits == "for success":
            await refunded(b, note, "succeeded")
        assert [frozen.purpose for frozen in await b.work()] == ["refund_create"]
        assert await found(b, "refund") == []
        assert "4.00 was paid back" in explain_finding("refund_left_open", {"amount": "4.00"})
