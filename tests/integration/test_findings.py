"""Findings on a real Postgres: what people are to see of a document, told once."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from consumer.adapters.postgres import reading
from consumer.domain.answers import Answered, Saved
from consumer.domain.explain import explain_finding
from consumer.sandbox.lago import envelope
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, consumed_note, consuming, note_told

Json = dict[str, Any]
LATER = "2026-05-05T10:00:00Z"


async def _found(b: Books, document: Json) -> dict[str, Json]:
    """The findings of a document, by class; the same one twice is a fault."""
    found = (await reading.findings(b.database, [document["id"]])).get(document["id"], [])
    by_class = {one["class"]: one["facts"] for one in found}
    assert len(by_class) == len(found)
    return by_class


async def test_what_translation_noticed_is_found_once_xero_has_the_document(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        [document] = await b.documents(kind="invoice")
        assert await _found(b, document) == {}
        await b.ledger.settle(frozen.request_id, None, None)
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        await b.accept(await b.freeze())
        facts = {"fallback_used": {"amount": "10.00", "of": ["subscription_fee"]}}
        assert await _found(b, document) == facts
        assert explain_finding("fallback_used", facts["fallback_used"]) == (
            "the fallback item took 10.00 for want of a mapping: subscription_fee"
        )


@pytest.mark.parametrize("twice", [False, True])
async def test_a_dispute_that_was_lost_is_told_and_changes_nothing(
    database_url: str, twice: bool
) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        shown = {name: value for name, value in invoice.items() if name != "fees"}
        shown |= {"payment_dispute_lost_at": LATER, "updated_at": LATER}
        kind = "invoice.payment_dispute_lost"
        lost = {"invoice": shown, "provider_error": {"code": "fraudulent"}}
        await b.told(envelope(kind, "payment_dispute_lost", str(b.organization_id), lost))
        if twice:
            await b.told(b.said(invoice | {"payment_dispute_lost_at": LATER, "updated_at": LATER}))
        [document] = await b.documents(kind="invoice")
        assert (document["state"], document["drift"]) == ("synced", False)
        assert list(await _found(b, document)) == ["fallback_used", "dispute_lost"]
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None


async def test_credit_that_a_void_frees_is_named(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        _, later = await consumed_note(b, first, 400)
        gone = {**later, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        await b.work()
        [allocation] = await b.documents(kind="allocation")
        assert await _found(b, allocation) == {"credit_freed_by_void": {"amount": "4.00"}}


@pytest.mark.parametrize("told", ["before", "late"])
async def test_so_is_that_of_an_invoice_that_was_voided_before_it_was_posted(
    database_url: str, told: str
) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        gone = b.said({**later, "status": "voided", "updated_at": LATER}, "invoice.voided")
        await b.told(note_told(b, note))
        if told == "before":
            await b.told(b.said(later))
        await b.told(gone)
        assert [f.purpose for f in await b.work()] == ["credit_note_create"]
        await b.told(b.said({**later, "status": "voided", "updated_at": LATER}))
        [allocation] = await b.documents(kind="allocation")
        assert await _found(b, allocation) == {"credit_freed_by_void": {"amount": "4.00"}}


async def test_of_a_note_that_xero_never_has_nothing_is_freed(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400) | {"self_billed": True}
        later = consuming(b, first, note, 400)
        await b.told(note_told(b, note), b.said(later))
        await b.told(b.said({**later, "status": "voided", "updated_at": LATER}, "invoice.voided"))
        [allocation] = await b.documents(kind="allocation")
        assert await _found(b, allocation) == {}


async def test_a_credit_whose_note_is_in_another_organisation_is_named(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        who = b.customer("acme-1")
        first = b.invoice(who)
        await b.told(b.said(who), b.said(first))
        note = a_note(first, credit=400)
        await b.told(note_told(b, note))
        links = [{"lago_id": str(uuid4()), "type": "xero", "integration_code": "acme"}]
        await b.told(
            b.said({**who, "integration_customers": links, "updated_at": LATER}, "customer.updated")
        )
        await b.told(b.said(consuming(b, first, note, 400)))
        for _ in range(2):
            await b.work()
        [credit] = await b.documents(kind="allocation")
        assert (credit["state"], credit["cause"]) == ("skipped", "elsewhere")
        assert await _found(b, credit) == {"inter_entity": {}}
        [frozen] = [
            json.loads(row["body"])
            for row in await b.database.fetch(
                "select body from request where purpose = 'invoice_create' and tenant_id = $1",
                b.tenants[0],
            )
        ]
        lines = frozen["Invoices"][0]["LineItems"]
        assert [line["LineAmount"] for line in lines] == [50.0, -4.0]


async def test_an_allocation_taken_back_otherwise_frees_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        await consumed_note(b, first, 400)
        [allocation] = await b.documents(kind="allocation")
        await b.database.execute(
            "update document set wanted = null, state = 'ready', cause = 'surplus' where id = $1",
            allocation["id"],
        )
        await b.database.execute("update tenant set due_at = now()")
        frozen = await b.freeze()
        answer = Answered((Saved(allocation["xero_id"], status="DELETED"),))
        await b.ledger.settle(frozen.request_id, answer, None)
        assert await _found(b, allocation) == {}
