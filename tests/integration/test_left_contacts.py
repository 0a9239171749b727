"""Customers who got another contact after they were billed, on a real Postgres and the simulated Xero: what
belongs to an older invoice follows that one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres.customers import link
from tests.integration.notes import a_note, consuming, note_told
from tests.integration.shop import REST, Shop, opened

Json = dict[str, Any]


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    async with opened(database_url) as made:
        yield made


async def relink(shop: Shop) -> tuple[UUID, UUID]:
    """The customer gets another contact by a person's link; both."""
    before, after = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    database = shop.stage.books.database
    await link(database, UUID(shop.who["lago_id"]), after, None, who="ann", reason=None)
    await shop.stage.rest(REST)
    assert (await shop.contact())["xero_id"] == after
    return before, after


async def credit(shop: Shop, invoice: Json, **parts: int) -> Json:
    """Lago makes a note on the invoice."""
    b, note = shop.stage.books, a_note(invoice, **parts)
    note["number"] += f"-{sum(parts.values())}"
    await b.told(note_told(b, note))
    await shop.stage.rest(REST)
    return note


async def left_behind(shop: Shop) -> list[str]:
    """What is told of credit that stays with a contact, and still holds."""
    rows = await shop.stage.books.database.fetch(
        "select facts::text as facts from finding where class = 'credit_left_behind' and closed_at is null"
    )
    return [row["facts"] for row in rows]


async def test_a_note_goes_to_the_contact_of_its_invoice(shop: Shop) -> None:
    [older] = await shop.bill()
    before, after = await relink(shop)
    await credit(shop, older, offset=400)
    [note] = shop.stage.xero.credit_notes.values()
    assert (note.contact_id, note.remaining) == (str(before), 0)
    assert {d["state"] for d in await shop.stage.books.documents()} == {"synced"}
    [newer] = await shop.bill()
    await credit(shop, newer, offset=300)
    assert [one.contact_id for one in shop.stage.xero.credit_notes.values()][1:] == [str(after)]
    assert await left_behind(shop) == []


async def test_of_an_invoice_from_before_contacts_were_written_down_a_note_goes_to_the_customers(
    shop: Shop,
) -> None:
    [older] = await shop.bill()
    await shop.stage.books.database.execute("update document set contact_id = null")
    await credit(shop, older, offset=400)
    [note] = shop.stage.xero.credit_notes.values()
    assert (note.contact_id, note.remaining) == (str((await shop.contact())["xero_id"]), 0)
    assert {d["state"] for d in await shop.stage.books.documents()} == {"synced"}


async def test_a_note_follows_its_invoice_to_what_its_contact_was_merged_into(shop: Shop) -> None:
    [older] = await shop.bill()
    before, after = await relink(shop)
    third = shop.opened("Ada & Sons")
    shop.archive(before, third)
    calls = await shop.calls()
    await credit(shop, older, offset=400)
    [note] = shop.stage.xero.credit_notes.values()
    assert (note.contact_id, note.remaining) == (str(third), 0)
    assert await shop.calls() == calls + 5, "refused, two contacts read, sent, allocated"
    await credit(shop, older, offset=100)
    assert await shop.calls() == calls + 7, "what its contact became is known"
    assert (await shop.contact())["xero_id"] == after, "the customer's is another matter"
    assert await shop.stage.books.announced() == []


async def test_a_note_follows_its_invoice_to_the_contact_in_use(shop: Shop) -> None:
    [older] = await shop.bill()
    before, after = await relink(shop)
    shop.archive(before, after)
    await credit(shop, older, offset=400, credit=100)
    [note] = shop.stage.xero.credit_notes.values()
    assert note.contact_id == str(after)
    assert await left_behind(shop) == [], "it is where later invoices are"


async def test_an_archived_contact_of_an_older_invoice_fails_its_notes_alone(shop: Shop) -> None:
    [older] = await shop.bill()
    before, _ = await relink(shop)
    shop.archive(before)
    await credit(shop, older, offset=400)
    b = shop.stage.books
    [note] = await b.documents(kind="credit_note")
    assert (note["state"], note["code"], note["cause"]) == ("failed", "contact_archived", None)
    assert "the corrected invoice" in note["said"]
    assert await b.announced() == ["contact_archived"]
    await shop.bill()
    assert {d["state"] for d in await b.documents(kind="invoice")} == {"synced"}
    shop.restore(before)
    await shop.retry()
    assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_credit_that_comes_to_a_contact_that_was_left_is_told_of(shop: Shop) -> None:
    """And what a later invoice consumes of it is no silent loss: it fails until both are on one contact."""
    [older] = await shop.bill()
    before, after = await relink(shop)
    note = await credit(shop, older, credit=400)
    assert await left_behind(shop) == ['{"EUR": "4.00"}']
    b = shop.stage.books
    await shop.say(consuming(b, {**older, "customer": shop.who}, note, 300))
    [allocation] = await b.documents(kind="allocation")
    assert (allocation["state"], allocation["code"]) == ("failed", "allocation_contact_differs")
    assert await b.announced() == ["allocation_contact_differs"]
    shop.archive(before, after)
    await shop.retry("allocation_contact_differs")
    assert {d["state"] for d in await b.documents()} == {"synced"}
    [posted] = shop.stage.xero.credit_notes.values()
    assert posted.remaining == 1
