"""Links of Lago's that come late, on a real Postgres: the linked contact is used, its invoices wake."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.answers import Answered, Refusal, Reply
from consumer.ports import Absent
from tests.integration.ledger import Books, books, saved

THEIRS = uuid4()


def _linked(who: dict[str, Any], contact: UUID = THEIRS) -> dict[str, Any]:
    """The customer as Lago tells of him once he is linked."""
    link = {
        "lago_id": str(uuid4()),
        "type": "xero",
        "integration_code": "acme",
        "external_customer_id": str(contact),
        "sync_with_provider": True,
    }
    return {**who, "updated_at": "2026-05-01T12:00:09Z", "integration_customers": [link]}


async def _link(b: Books, who: dict[str, Any]) -> None:
    await b.told(b.said(_linked(who), "customer.updated"))


async def test_a_link_to_a_waiting_contact_wakes_its_invoices(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        frozen = await b.freeze()
        refusal = Refusal("contact_refused", "No.", "Mend it.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), None)
        await _link(b, who)
        await b.ledger.release(10)
        [contact] = await b.documents(kind="contact")
        [invoice] = await b.documents(kind="invoice")
        assert (contact["state"], contact["xero_id"]) == ("synced", THEIRS)
        assert invoice["state"] == "ready"
        assert str(THEIRS).encode() in (await b.freeze()).body


@pytest.mark.parametrize("outcome", ["not executed", "refused", "name taken", "absent"])
async def test_a_link_that_comes_while_the_contact_is_sending_is_used(
    database_url: str, outcome: str
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        frozen = await b.freeze()
        await _link(b, who)
        if outcome == "not executed":
            await b.ledger.settle(frozen.request_id, None, None)
        elif outcome == "absent":
            await b.ledger.resolve(frozen.request_id, {0: Absent()})
        else:
            next_ = "rename" if outcome == "name taken" else "fail"
            refusal = Refusal("refused", "No.", "", next_)  # type: ignore[arg-type]
            await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        await b.ledger.release(10)
        await b.ledger.release(10)
        [contact] = await b.documents(kind="contact")
        assert (contact["state"], contact["xero_id"]) == ("synced", THEIRS)
        assert (await b.freeze()).purpose == "invoice_create", "no second contact is made"


async def test_a_contact_made_although_lago_links_another_is_reported(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        frozen = await b.freeze()
        await _link(b, who)
        [made] = saved(frozen)
        await b.ledger.settle(frozen.request_id, Answered((made,)), None)
        [found] = await b.database.fetch("select class, facts ->> 'linked' as linked from finding")
        assert (found["class"], found["linked"]) == ("linked_elsewhere", str(THEIRS))


async def test_invoices_follow_the_link_not_the_contact_that_was_made_in_vain(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        frozen = await b.freeze()
        await _link(b, who)
        await b.accept(frozen)
        await b.ledger.release(10)
        assert str(THEIRS).encode() in (await b.freeze()).body


async def test_a_customer_who_moves_before_his_contact_was_sent_leaves_nothing_behind(
    database_url: str,
) -> None:
    """His invoice stays where he was: so does a contact, which his later messages keep current."""
    async with books(database_url, tenants=2) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        moved = _linked(who)
        moved["integration_customers"][0]["integration_code"] = "acme-1"
        await b.told(b.said(moved, "customer.updated"))
        later = {**moved, "name": "Renamed", "updated_at": "2026-05-01T12:01:00Z"}
        await b.told(b.said(later, "customer.updated"))
        frozen = await b.freeze()
        assert (frozen.purpose, b"Renamed" in frozen.body) == ("contact_create", True)
        await b.accept(frozen)
        await b.ledger.release(10)
        assert (await b.freeze()).purpose == "invoice_create"


async def test_a_partner_takes_his_invoices_along_and_back(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        partner = {**who, "account_type": "partner", "updated_at": "2026-05-01T12:01:00Z"}
        await b.told(b.said(partner, "customer.updated"))
        await b.released()
        assert {d["state"] for d in await b.documents()} == {"skipped"}
        again = {**who, "updated_at": "2026-05-01T12:02:00Z"}
        await b.told(b.said(again, "customer.updated"))
        await b.released()
        await b.accept(await b.freeze())
        await b.ledger.release(10)
        assert (await b.freeze()).purpose == "invoice_create"


async def test_a_corrected_link_is_followed(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(_linked(who, uuid4())))
        right = {**_linked(who), "updated_at": "2026-05-01T12:01:00Z"}
        await b.told(b.said(right, "customer.updated"), b.said(b.invoice(who)))
        assert str(THEIRS).encode() in (await b.freeze()).body
        [found] = await b.database.fetch("select class, facts ->> 'linked' as linked from finding")
        assert (found["class"], found["linked"]) == ("linked_elsewhere", str(THEIRS))
