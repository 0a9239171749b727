"""Voids on a real Postgres: what Lago takes back is taken back in Xero, unless money is on it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.answers import Answered, InDoubt, Refusal, Reply, Saved
from consumer.ports import Absent
from consumer.sandbox.lago import payment
from tests.integration.ledger import Books, books, saved

LATER = "2026-05-01T12:00:09Z"


async def _void(b: Books, told: dict[str, Any], **facts: Any) -> None:
    gone = {**told, "status": "voided", "updated_at": LATER, **facts}
    await b.told(b.said(gone, "invoice.voided"))


async def _invoice(b: Books) -> dict[str, Any]:
    [invoice] = await b.documents(kind="invoice")
    return invoice


async def test_a_posted_invoice_is_voided_by_its_id(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        await _void(b, told)
        frozen = await b.freeze()
        assert (frozen.purpose, frozen.method) == ("invoice_void", "POST")
        xero_id = (await _invoice(b))["xero_id"]
        [element] = json.loads(frozen.body)["Invoices"]
        assert element == {"InvoiceID": str(xero_id), "Status": "VOIDED"}
        [element] = saved(frozen, xero_id=xero_id, status="VOIDED")
        fates = await b.ledger.settle(frozen.request_id, Answered((element,)), None)
        assert [fate.state for fate in fates] == ["removed"]
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["cause"]) == ("skipped", "lago:voided")
        assert (invoice["xero_status"], invoice["number"]) == ("VOIDED", told["number"])
        await b.told(b.said({**told, "updated_at": "2026-05-01T12:00:20Z"}))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None, "nothing is posted again"


async def test_one_with_money_on_it_stays_for_a_person(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        await _void(b, told, total_paid_amount_cents=400)
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["cause"]) == ("synced", "void_with_money")
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None


async def test_the_policy_may_leave_voids_to_people(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        await b.settings(voids="report")
        await _void(b, told)
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["cause"]) == ("synced", "policy:voids@acme")
        await b.settings(voids="report")
        assert await b.work() == []
        await b.settings(voids="sync")
        assert [frozen.purpose for frozen in await b.work()] == ["invoice_void"]


async def test_a_void_while_the_invoice_is_being_sent_follows_it(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        told = b.invoice(who)
        await b.told(b.said(who), b.said(told))
        await b.accept(await b.freeze())
        await b.ledger.release(10)
        frozen = await b.freeze()
        await _void(b, told)
        await b.accept(frozen)
        assert (await b.freeze()).purpose == "invoice_void"


async def test_a_void_with_money_that_comes_while_the_invoice_is_sent_is_told(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        told = b.invoice(who)
        await b.told(b.said(who), b.said(told))
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        await _void(b, told, total_paid_amount_cents=400)
        await b.accept(frozen)
        assert await b.work() == []
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["cause"]) == ("synced", "void_with_money")
        assert await b.announced() == ["void_with_money"]


async def test_a_refused_void_fails_once_and_stays_so(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        await _void(b, told)
        frozen = await b.freeze()
        refusal = Refusal("void_with_money", "The status VOIDED cannot be applied.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        await _void(b, told, updated_at="2026-05-01T12:00:11Z")
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["code"]) == ("failed", "void_with_money")
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        assert notice.code == "void_with_money"


@pytest.mark.parametrize("why", ["no_answer", "status_500"])
async def test_a_void_in_doubt_is_done_again(database_url: str, why: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        await _void(b, told)
        frozen = await b.freeze()
        reply = Reply(500, b"{}") if why == "status_500" else None
        await b.ledger.settle(frozen.request_id, InDoubt(why), reply)
        await b.ledger.resolve(frozen.request_id, {0: Absent()})
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["cause"]) == ("ready", "lago:voided")


async def test_a_refused_void_goes_out_once_the_money_in_its_way_is_gone(database_url: str) -> None:
    """Lago tells late that the payment failed."""
    async with books(database_url) as b:
        [told] = await b.posted()
        paid = payment(b.choices, [told])
        event = b.paid(paid)
        await b.told(event)
        await b.work()
        await _void(b, told)
        frozen = await b.freeze()
        refusal = Refusal("void_with_money", "The status VOIDED cannot be applied.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        assert not await b.work()
        await b.told(b.paid({**paid, "payment_status": "failed"}))
        assert [f.purpose for f in await b.work()] == ["payment_delete", "invoice_void"]


@pytest.mark.parametrize("first", ["removal", "refusal"])
async def test_a_refusal_that_crosses_the_removal_of_what_is_in_its_way_is_sent_again(
    database_url: str, first: str
) -> None:
    """Xero has seen them in another order than their answers come."""
    async with books(database_url) as b:
        [told] = await b.posted()
        paid = payment(b.choices, [told])
        await b.told(b.paid(paid))
        await b.work()
        more = payment(b.choices, [told], amount_cents=300)
        await b.told(b.paid(more))
        create = await b.freeze()
        assert create.purpose == "payment_create"
        await b.told(b.paid({**paid, "payment_status": "failed"}))
        delete = await b.freeze()
        assert delete.purpose == "payment_delete"

        async def removed() -> None:
            [row] = await b.documents(lago_id=UUID(paid["lago_id"]))
            gone = Answered((Saved(row["xero_id"], status="DELETED"),))
            await b.ledger.settle(delete.request_id, gone, Reply(200, b""))
            await b.released()

        async def refused() -> None:
            refusal = Refusal("payment_exceeds_open", "Payment amount exceeds.", "Look.")
            await b.ledger.settle(create.request_id, Answered((refusal,)), Reply(200, b""))
            await b.released()

        for step in (removed, refused) if first == "removal" else (refused, removed):
            await step()
        assert [f.purpose for f in await b.work()] == ["payment_create"]


async def test_what_is_nothing_in_xeros_cents_is_not_voided(database_url: str) -> None:
    """0.004 dinars are paid in Xero as soon as they are there."""
    async with books(database_url) as b:
        who = b.customer()
        told = b.invoice(who, currency="KWD")
        whole = told["total_amount_cents"]
        for thing in (told, *told["fees"]):
            thing |= {key: 4 for key, value in thing.items() if value == whole}
        told["fees"][0] |= {"precise_unit_amount": "0.004", "units": "1"}
        await b.told(b.said(who), b.said(told))
        assert [f.purpose for f in await b.work()] == ["contact_create", "invoice_create"]
        await _void(b, told)
        invoice = await _invoice(b)
        assert (invoice["state"], invoice["cause"]) == ("synced", "nothing_charged")
