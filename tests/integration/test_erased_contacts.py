"""Erased customers of whom Lago tells something late, on a real Postgres and the simulated Xero: it follows
his contact wherever people have put that, and nothing is sent to the contact itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres.customers import link
from consumer.adapters.postgres.erasing import Eraser
from tests.integration.notes import a_note, note_told
from tests.integration.past import age
from tests.integration.shop import REST, Shop
from tests.lives.stage import Stage

Json = dict[str, Any]
BEFORE = "2026-04-01T00:00:00Z"


async def erase(shop: Shop) -> None:
    """His calls are some minutes old by then."""
    b = shop.stage.books
    await age(b, 0.01)
    eraser = Eraser(b.database, UUID(shop.who["lago_id"]))
    await eraser.begin("ann", "request 17")
    while await eraser.step() is not None:
        pass


def late(shop: Shop) -> Json:
    """An invoice that tells of the customer as he was before he was erased."""
    return shop.stage.books.invoice({**shop.who, "updated_at": BEFORE})


async def credit(shop: Shop, invoice: Json) -> None:
    """A note that tells of him so."""
    b, note = shop.stage.books, a_note(invoice, offset=400)
    note["customer"] = {**shop.who, "updated_at": BEFORE}
    await b.told(note_told(b, note))
    await shop.stage.rest(REST)


async def linked(shop: Shop) -> UUID:
    """A person links him to a contact of no name."""
    into = shop.opened("Deleted customers")
    database = shop.stage.books.database
    await link(database, UUID(shop.who["lago_id"]), into, None, who="ann", reason=None)
    await shop.stage.rest(REST)
    return into


@pytest.fixture
async def billed(theatre: Stage) -> tuple[Shop, Json]:
    """A customer who was billed and erased since; his invoice."""
    await theatre.clean()
    shop = Shop(theatre, theatre.books.customer(name="Ada"))
    await shop.say(shop.who)
    [invoice] = await shop.bill()
    await erase(shop)
    return shop, invoice


@pytest.mark.parametrize("linked_contacts", ["update", "leave"])
async def test_his_notes_follow_his_contact_into_another(
    billed: tuple[Shop, Json], linked_contacts: str
) -> None:
    shop, invoice = billed
    await shop.policy(linked_contacts=linked_contacts)
    before, into = (await shop.contact())["xero_id"], shop.opened("Deleted customers")
    shop.archive(before, into)
    calls = await shop.calls()
    await credit(shop, invoice)
    [note] = shop.stage.xero.credit_notes.values()
    assert (note.contact_id, note.remaining) == (str(into), 0)
    assert await shop.calls() == calls + 5, "refused, two contacts read, sent, allocated"
    contact = await shop.contact()
    assert (contact["state"], contact["cause"], contact["xero_id"]) == ("synced", "erased", into)


async def test_his_archived_contact_is_a_persons_matter_at_once(billed: tuple[Shop, Json]) -> None:
    """To restore it, or to link him to another one: then what had failed is sent."""
    shop, _ = billed
    shop.archive((await shop.contact())["xero_id"])
    calls = await shop.calls()
    await shop.say(late(shop))
    assert await shop.calls() == calls + 2, "refused, its contact read"
    assert await shop.stage.books.announced() == ["contact_archived"]
    into = await linked(shop)
    assert shop.invoiced()[1:] == [str(into)]
    assert {d["state"] for d in await shop.stage.books.documents()} == {"synced"}


async def test_linked_he_is_billed_where_a_person_said(billed: tuple[Shop, Json]) -> None:
    shop, _ = billed
    into, calls = await linked(shop), await shop.calls()
    await shop.say(late(shop))
    assert shop.invoiced()[1:] == [str(into)]
    assert await shop.calls() == calls + 1, "nothing is sent to the contact"
    contact = await shop.contact()
    assert (contact["state"], contact["cause"]) == ("synced", "erased")


async def test_linked_though_he_had_no_contact(theatre: Stage) -> None:
    await theatre.clean()
    shop = Shop(theatre, theatre.books.customer(name="Ada", account_type="partner"))
    await shop.say(shop.who)
    await erase(shop)
    into = await linked(shop)
    contact = await shop.contact()
    assert (contact["state"], contact["cause"], contact["xero_id"]) == ("synced", "erased", into)
    assert await shop.calls() == 0
