"""Contacts that somebody archives or merges in Xero, on a real Postgres and the simulated Xero."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest

from consumer.sandbox.lago import payment
from consumer.sandbox.xero import contacts
from consumer.sandbox.xero.books import Contact
from tests.integration.notes import a_note, note_told
from tests.integration.shop import REST, Shop, opened

Json = dict[str, Any]


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    async with opened(database_url) as made:
        yield made


async def test_invoices_follow_a_merge(shop: Shop) -> None:
    await shop.bill()
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    before = await shop.calls()
    await shop.bill(3)
    assert set(shop.invoiced()) == {str(theirs)}
    assert await shop.calls() == before + 4, "refused, two contacts read, sent"
    contact = await shop.contact()
    assert (contact["state"], contact["xero_id"], contact["merged"]) == ("synced", theirs, [ours])
    assert await shop.findings("contact_merged") == [(ours, str(theirs))]
    assert await shop.stage.books.announced() == []
    before = await shop.calls()
    await shop.bill()
    assert await shop.calls() == before + 1
    assert len(shop.stage.xero.contacts) == 2


async def test_a_chain_of_merges_is_followed_to_its_end(shop: Shop) -> None:
    ours = (await shop.contact())["xero_id"]
    chain = [ours, *(shop.opened(f"Ada {n}") for n in range(5))]
    for one, other in pairwise(chain):
        shop.archive(one, other)
    await shop.bill()
    assert shop.invoiced() == [str(chain[-1])]
    assert (await shop.contact())["merged"] == chain[:-1]


@pytest.mark.parametrize("longer", [False, True], ids=["circle", "too long"])
async def test_merges_without_an_end_fail_after_a_bounded_number_of_reads(
    shop: Shop, longer: bool
) -> None:
    ours = (await shop.contact())["xero_id"]
    chain = [ours, *(shop.opened(f"Ada {n}") for n in range(9 if longer else 2))]
    for one, other in zip(chain, [*chain[1:], ours], strict=True):
        shop.archive(one, other)
    before = await shop.calls()
    await shop.bill()
    assert (await shop.contact())["code"] == "contact_archived"
    assert await shop.calls() == before + 1 + (6 if longer else 3)
    assert await shop.stage.books.announced() == ["contact_archived"]


async def test_an_archived_contact_fails_once_and_goes_on_once_restored(shop: Shop) -> None:
    ours = (await shop.contact())["xero_id"]
    shop.archive(ours)
    await shop.bill(2)
    before = await shop.calls()
    await shop.bill(2)
    await shop.say(shop.who)
    assert await shop.calls() == before, "nothing is asked again"
    assert await shop.stage.books.announced() == ["contact_archived"]
    contact = await shop.contact()
    assert (contact["state"], contact["code"]) == ("failed", "contact_archived")
    assert "lago-xero link" in contact["hint"]
    waiting = await shop.stage.books.documents(kind="invoice")
    assert {(d["state"], d["cause"]) for d in waiting} == {("waiting", f"doc:{contact['id']}")}

    await shop.retry()
    assert await shop.stage.books.announced() == ["contact_archived"] * 2, "it is archived still"
    shop.restore(ours)
    await shop.retry()
    assert shop.invoiced() == [str(ours)] * 4
    assert (await shop.contact())["state"] == "synced"
    assert len(shop.stage.xero.contacts) == 1


@pytest.mark.parametrize("again", ["restored", "linked"])
async def test_an_archived_contact_that_is_set_aside_leaves_out_what_is_for_it(
    shop: Shop, again: Literal["restored", "linked"]
) -> None:
    """Unlike any other that Xero has: what is billed to it could only fail."""
    contact, theirs = await shop.contact(), shop.opened("Ada Ltd")
    shop.archive(contact["xero_id"])
    await shop.bill(2)
    before = await shop.calls()
    assert await shop.discard() == {"contact_archived": 1}
    await shop.bill()
    assert await shop.calls() == before
    aside = await shop.contact()
    assert (aside["state"], aside["code"]) == ("skipped", None)
    assert aside["cause"].startswith("ignored:")
    invoices = await shop.stage.books.documents(kind="invoice")
    assert [row["state"] for row in invoices] == ["skipped"] * 3
    assert await shop.stage.books.announced() == ["contact_archived"], "nothing more is told"

    if again == "restored":
        shop.restore(contact["xero_id"])
        await shop.retry(None, [contact["id"]])
        assert shop.invoiced() == [str(contact["xero_id"])] * 3
    else:
        link = {"type": "xero", "integration_code": "acme", "external_customer_id": str(theirs)}
        await shop.change(integration_customers=[link])
        assert shop.invoiced() == [str(theirs)] * 3
    assert (await shop.contact())["state"] == "synced"


async def test_many_invoices_of_an_archived_contact_cost_few_calls(shop: Shop) -> None:
    ours = (await shop.contact())["xero_id"]
    shop.archive(ours)
    before = await shop.calls()
    await shop.bill(120)
    assert await shop.calls() <= before + 2 * 3, "a call and a look for each full batch at most"
    assert await shop.stage.books.announced() == ["contact_archived"]


async def test_what_is_ready_when_its_contact_fails_is_not_sent(shop: Shop) -> None:
    ours = (await shop.contact())["xero_id"]
    shop.archive(ours)
    b = shop.stage.books
    before = await shop.calls()
    await b.told(b.said(b.invoice(shop.who)))
    frozen = await b.freeze()
    await shop.stage.send(frozen)
    await b.told(*(b.said(b.invoice(shop.who)) for _ in range(3)))
    assert len(await b.documents(kind="invoice", state="ready")) == 3
    await shop.stage.resolver._resolve(frozen.request_id)
    assert len(await b.documents(kind="invoice", state="waiting")) == 4
    await shop.stage.rest(REST)
    assert await shop.calls() == before + 2, "refused, looked up"


async def test_others_in_the_batch_go_out(shop: Shop) -> None:
    other = shop.stage.books.customer(name="Bob")
    await shop.say(other)
    contacts_by_name = {d["lago_id"]: d["xero_id"] for d in await shop.stage.books.documents()}
    ours, bobs = (contacts_by_name[UUID(one["lago_id"])] for one in (shop.who, other))
    shop.archive(ours)
    b = shop.stage.books
    await shop.say(b.invoice(shop.who), b.invoice(other), b.invoice(shop.who))
    assert shop.invoiced() == [str(bobs)]


async def test_an_update_is_refused_then_follows_the_merge(shop: Shop) -> None:
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    await shop.change(name="Ada Lovelace")
    contact = await shop.contact()
    assert (contact["state"], contact["xero_id"]) == ("synced", theirs)
    assert shop.stage.xero.contacts[str(theirs)].name == "Ada Ltd", "what a person made stays"
    await shop.bill()
    assert shop.invoiced() == [str(theirs)]


async def test_by_policy_what_ours_was_merged_into_gets_lagos_changes(shop: Shop) -> None:
    await shop.policy(linked_contacts="update")
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    await shop.change(name="Ada Lovelace")
    updated = shop.stage.xero.contacts[str(theirs)]
    assert updated.name == "Ada Lovelace"
    assert "ContactNumber" not in updated.texts, "the archived contact has it"
    assert (await shop.contact())["state"] == "synced"


async def test_an_update_refused_for_good_holds_the_invoices(shop: Shop) -> None:
    ours = (await shop.contact())["xero_id"]
    shop.archive(ours)
    await shop.change(name="Ada Lovelace")
    before = await shop.calls()
    await shop.bill(2)
    assert await shop.calls() == before
    shop.restore(ours)
    await shop.retry()
    assert shop.invoiced() == [str(ours)] * 2
    assert shop.stage.xero.contacts[str(ours)].name == "Ada Lovelace"


async def test_a_taken_number_and_an_archived_contact_in_one_batch(shop: Shop) -> None:
    [taken] = await shop.bill()
    b = shop.stage.books
    await b.database.execute("update document set number = 'X' where kind = 'invoice'")
    other = b.customer(name="Bob")
    await shop.say(other)
    ours, theirs = (await shop.contact_of(shop.who))["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    again = b.invoice(other, number=taken["number"])
    await shop.say(again, b.invoice(shop.who))
    states = {d["lago_id"]: d for d in await b.documents(kind="invoice")}
    assert states[UUID(again["lago_id"])]["code"] == "number_taken"
    assert shop.invoiced() == [str(theirs)] * 2
    assert await shop.stage.books.announced() == ["number_taken"]


async def test_a_credit_note_follows_the_merge_and_is_allocated(shop: Shop) -> None:
    [invoice] = await shop.bill()
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    b = shop.stage.books
    await b.told(note_told(b, a_note(invoice, offset=400)))
    await shop.stage.rest(REST)
    [note] = shop.stage.xero.credit_notes.values()
    assert note.contact_id == str(theirs)
    assert {d["state"] for d in await b.documents()} == {"synced"}


@pytest.mark.parametrize("merged", [True, False])
async def test_a_draft_of_the_archived_contact_becomes_final(shop: Shop, merged: bool) -> None:
    b = shop.stage.books
    draft = b.invoice(shop.who, status="draft", number="A-1")
    await shop.say(draft)
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    contacts.archive(
        shop.stage.xero, str(ours), shop.stage.world.at(), str(theirs) if merged else None
    )
    at = "2026-05-01T12:30:00Z"
    await shop.say({**draft, "status": "finalized", "number": "A-1", "updated_at": at})
    if not merged:
        [waiting] = await b.documents(kind="invoice")
        assert waiting["cause"] == f"doc:{(await shop.contact())['id']}"
        assert await shop.stage.books.announced() == ["contact_archived"]
        shop.restore(ours)
        await shop.retry()
    [invoice] = shop.stage.xero.invoices.values()
    assert (invoice.status, invoice.number) == ("AUTHORISED", "A-1")
    assert invoice.contact_id == str(theirs if merged else ours)


async def test_an_overpayment_follows_the_merge(shop: Shop) -> None:
    [invoice] = await shop.bill()
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    b = shop.stage.books
    money = payment(b.choices, [invoice], amount_cents=invoice["total_amount_cents"] + 250)
    await b.told(b.paid(money))
    await shop.stage.rest(REST)
    [beyond] = shop.stage.xero.bank_transactions.values()
    assert beyond.contact_id == str(theirs)
    assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_an_overpayment_in_doubt_is_found_on_the_contact_that_a_merge_moved_it_to(
    shop: Shop,
) -> None:
    [invoice] = await shop.bill()
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    b, xero = shop.stage.books, shop.stage.xero
    where = {"method": "PUT", "path_prefix": "/api.xro/2.0/BankTransactions"}
    shop.stage.world.faults.order({"kind": "500_after", "match": where})
    money = payment(b.choices, [invoice], amount_cents=invoice["total_amount_cents"] + 250)
    await b.told(b.paid(money))
    await shop.stage.rest(0.0)
    [made] = xero.bank_transactions.values()
    xero.bank_transactions[made.transaction_id] = replace(made, contact_id=str(theirs))
    shop.archive(ours, theirs)
    await shop.stage.rest(5 * REST)
    assert list(xero.bank_transactions) == [made.transaction_id]
    [document] = await b.documents(kind="overpayment")
    assert (document["state"], str(document["xero_id"])) == ("synced", made.transaction_id)


@pytest.mark.parametrize("merged", [True, False])
async def test_an_invoice_in_doubt_is_found_on_the_contact_that_a_merge_moved_it_to(
    shop: Shop, merged: bool
) -> None:
    """But on a contact that is another for any other reason it is somebody else's."""
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    b, xero = shop.stage.books, shop.stage.xero
    where = {"method": "PUT", "path_prefix": "/api.xro/2.0/Invoices"}
    shop.stage.world.faults.order({"kind": "500_after", "match": where})
    await b.told(b.said(b.invoice(shop.who)))
    await shop.stage.rest(0.0)
    [made] = xero.invoices.values()
    if merged:
        shop.archive(ours, theirs)
    else:
        xero.keep_invoice(replace(made, contact_id=str(theirs)))
    await shop.stage.rest(5 * REST)
    [document] = await b.documents(kind="invoice")
    assert document["xero_id"] == (UUID(made.invoice_id) if merged else None)
    assert await shop.stage.books.announced() == ([] if merged else ["number_taken"])
    assert len(xero.invoices) == 1


async def test_two_requests_that_meet_the_same_archived_contact_announce_it_once(
    shop: Shop,
) -> None:
    ours = (await shop.contact())["xero_id"]
    shop.archive(ours)
    b, frozen = shop.stage.books, []
    for _ in range(2):
        await b.told(b.said(b.invoice(shop.who)))
        frozen.append(await b.freeze())
    for one in frozen:
        await shop.stage.send(one)
    await shop.stage.rest(REST)
    assert await shop.stage.books.announced() == ["contact_archived"]
    assert {d["state"] for d in await b.documents(kind="invoice")} == {"waiting"}
    shop.restore(ours)
    await shop.retry()
    assert shop.invoiced() == [str(ours)] * 2


async def test_a_contact_that_cannot_be_created_for_its_archived_twin(shop: Shop) -> None:
    """Xero may look by ContactNumber what is to be created, and refuse to edit what it finds."""
    other = shop.stage.books.customer(name="Bob")
    made = Contact(str(uuid4()))
    made.texts = {"Name": "Bob", "ContactNumber": other["lago_id"]}
    shop.stage.xero.keep_contact(made)
    shop.archive(UUID(made.contact_id))
    settings = shop.stage.world.settings
    overwrites = replace(settings, put_contact_overwrites_on_contact_number=True)
    shop.stage.world.settings = overwrites
    await shop.say(other)
    assert (await shop.contact_of(other))["code"] == "contact_archived"
    shop.restore(UUID(made.contact_id))
    await shop.retry()
    assert (await shop.contact_of(other))["xero_id"] == UUID(made.contact_id)
    assert len(shop.stage.xero.contacts) == 2


@pytest.mark.parametrize("merged", [True, False])
async def test_a_contact_adopted_by_number_that_is_archived(shop: Shop, merged: bool) -> None:
    """Lago's next customer has a contact already, of an earlier life of the ledger."""
    other = shop.stage.books.customer(name="Bob")
    made = Contact(str(uuid4()))
    made.texts = {"Name": "Bob", "ContactNumber": other["lago_id"]}
    shop.stage.xero.keep_contact(made)
    theirs = shop.opened("Bob Ltd")
    shop.archive(UUID(made.contact_id), theirs if merged else None)
    await shop.say(other, shop.stage.books.invoice(other))
    [row] = await shop.stage.books.documents(kind="contact", lago_id=UUID(other["lago_id"]))
    if merged:
        assert (row["state"], row["xero_id"]) == ("synced", theirs)
        assert await shop.findings("contact_merged") == [(UUID(made.contact_id), str(theirs))]
        assert shop.invoiced() == [str(theirs)]
    else:
        assert (row["state"], row["code"]) == ("failed", "contact_archived")
        assert await shop.stage.books.announced() == ["contact_archived"]
        shop.restore(UUID(made.contact_id))
        await shop.retry()
        assert shop.invoiced() == [made.contact_id]
    assert len(shop.stage.xero.contacts) == 3, "no second one was made"


async def test_a_link_to_what_was_merged_is_a_link_to_what_it_became(shop: Shop) -> None:
    linked, theirs = shop.opened("Linked"), shop.opened("Ada Ltd")
    link = {
        "lago_id": str(uuid4()),
        "type": "xero",
        "integration_code": "acme",
        "external_customer_id": str(linked),
    }
    await shop.change(integration_customers=[link])
    assert (await shop.contact())["xero_id"] == linked
    shop.archive(linked, theirs)
    await shop.bill()
    assert shop.invoiced() == [str(theirs)]
    before = await shop.calls()
    await shop.change(integration_customers=[link], email="ada@example.com")
    await shop.bill()
    assert await shop.calls() == before + 1
    assert shop.invoiced() == [str(theirs)] * 2
    assert (await shop.contact())["xero_id"] == theirs


@pytest.mark.parametrize("policy", ["leave", "update"])
async def test_a_linked_contact_by_policy(shop: Shop, policy: Literal["leave", "update"]) -> None:
    await shop.policy(linked_contacts=policy)
    linked = shop.opened("Linked")
    link = {"type": "xero", "integration_code": "acme", "external_customer_id": str(linked)}
    await shop.change(integration_customers=[link])
    assert shop.stage.xero.contacts[str(linked)].name == "Linked"
    before = await shop.calls()
    await shop.change(name="Ada Lovelace")
    assert await shop.calls() == before + (policy == "update")
    name = "Ada Lovelace" if policy == "update" else "Linked"
    assert shop.stage.xero.contacts[str(linked)].name == name
    assert (await shop.contact())["state"] == "synced"


async def test_a_link_in_time_ends_the_wait_for_an_archived_contact(shop: Shop) -> None:
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours)
    await shop.bill(2)
    link = {"type": "xero", "integration_code": "acme", "external_customer_id": str(theirs)}
    await shop.change(integration_customers=[link])
    assert shop.invoiced() == [str(theirs)] * 2


async def test_a_link_to_nothing_fails_and_a_corrected_one_releases(shop: Shop) -> None:
    nothing, theirs = uuid4(), shop.opened("Ada Ltd")
    link = {"type": "xero", "integration_code": "acme", "external_customer_id": str(nothing)}
    await shop.change(integration_customers=[link])
    await shop.bill()
    [invoice] = await shop.stage.books.documents(kind="invoice")
    assert (invoice["state"], invoice["code"]) == ("failed", "contact_missing")
    await shop.change(integration_customers=[{**link, "external_customer_id": str(theirs)}])
    assert shop.invoiced() == [str(theirs)]


async def test_a_killed_look_up_is_done_again(shop: Shop) -> None:
    """Refused is settled, then the process is killed before it has looked, and again after."""
    ours, theirs = (await shop.contact())["xero_id"], shop.opened("Ada Ltd")
    shop.archive(ours, theirs)
    b = shop.stage.books
    await b.told(b.said(b.invoice(shop.who)))
    frozen = await b.freeze()
    await shop.stage.send(frozen)
    doubtful = await b.ledger.take_doubt(frozen.request_id)
    assert doubtful is not None
    await shop.stage.resolver.lookups.sightings(doubtful)  # and nothing is written
    await b.database.execute("update request set look_at = now() where outcome is null")
    await shop.stage.rest(REST)
    assert shop.invoiced() == [str(theirs)]
    assert await shop.findings("contact_merged") == [(ours, str(theirs))]
