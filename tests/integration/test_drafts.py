"""Drafts on a real Postgres before a simulated Xero: followed until Lago finalizes or drops them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from consumer.domain.answers import Answered
from consumer.domain.answers import Saved as Kept
from consumer.sandbox.lago import payment
from tests.integration.drafts import desk, name
from tests.lives.stage import CHART

Json = dict[str, Any]


async def test_a_draft_is_followed_until_it_is_final_and_paid(database_url: str) -> None:
    async with desk(database_url) as d:
        draft = d.draft(1000)
        await d.hears(draft)
        first = d.invoice.invoice_id
        assert d.shown == (name(draft), "DRAFT", Decimal(10))
        draft = d.changed(draft, 2500)
        await d.hears(draft)
        assert d.shown == (name(draft), "DRAFT", Decimal(25))
        assert len(d.invoice.lines) == 1, "the lines are replaced"
        paid = payment(d.books.choices, [draft], amount_cents=3000)
        await d.books.told(d.books.paid(paid))
        await d.stage.rest(1.0)
        waits, bill = await d.document("payment"), await d.document()
        assert (waits["state"], waits["cause"]) == ("waiting", f"draft:{bill['id']}")
        final = d.final(d.changed(draft, 3000))
        await d.hears(final)
        assert d.shown == ("ACM-001", "PAID", Decimal(30))
        assert d.invoice.invoice_id == first
        bill = await d.document()
        assert (bill["state"], bill["number"], bill["drift"]) == ("synced", "ACM-001", False)
        writes = d.writes()
        await d.hears(draft)
        assert (d.shown[1], d.writes()) == ("PAID", writes), "a draft after its end says nothing"


async def test_without_the_policy_a_draft_waits_for_its_end(database_url: str) -> None:
    async with desk(database_url, drafts="skip") as d:
        draft = d.draft()
        await d.hears(draft)
        assert not d.stage.xero.invoices
        assert (await d.document())["cause"] == "policy:drafts@acme"
        await d.books.settings(chart=CHART, drafts="post")
        await d.stage.rest(1.0)
        assert d.shown == (name(draft), "DRAFT", Decimal(10))


async def test_two_drafts_have_numbers_of_their_own(database_url: str) -> None:
    async with desk(database_url, number_prefix="NZ-") as d:
        drafts = [d.draft(1000), d.draft(2000)]
        assert drafts[0]["number"] == drafts[1]["number"]
        for one in drafts:
            await d.hears(one)
        numbers = sorted(one.number for one in d.stage.xero.invoices.values())
        assert numbers == sorted(f"NZ-{name(one)}" for one in drafts)


@pytest.mark.parametrize("kind", ["invoice.deleted", "invoice.voided"])
async def test_a_draft_that_lago_drops_is_deleted(database_url: str, kind: str) -> None:
    async with desk(database_url, voids="report") as d:
        draft = d.draft()
        await d.hears(draft)
        await d.hears(draft, kind)
        assert d.invoice.status == "DELETED"
        bill = await d.document()
        assert (bill["state"], bill["cause"]) == ("skipped", kind.replace("invoice.", "lago:"))
        assert bill["xero_id"] is None


async def test_one_that_ends_with_nothing_is_deleted_if_such_are_skipped(database_url: str) -> None:
    async with desk(database_url, zero_invoices="skip") as d:
        draft = d.draft()
        await d.hears(draft)
        await d.hears(d.changed(draft, 0))
        assert d.shown[1] == "DRAFT", "usage may still come"
        await d.hears(d.final(d.changed(draft, 0)))
        assert d.invoice.status == "DELETED"


async def test_what_was_finalized_while_its_draft_was_sent_follows_it(database_url: str) -> None:
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        await d.tell(d.changed(draft, 2000))
        frozen = await d.books.freeze()
        assert frozen.purpose == "invoice_update"
        await d.tell(d.final(d.changed(draft, 3000)))
        await d.stage.send(frozen)
        assert d.shown == (name(draft), "DRAFT", Decimal(20))
        await d.stage.rest(1.0)
        assert d.shown == ("ACM-001", "AUTHORISED", Decimal(30))


async def test_a_draft_in_doubt_is_not_followed_by_its_end_while_it_may_arrive(
    database_url: str,
) -> None:
    """Xero keeps only equal numbers apart: a draft that came late would stand beside the invoice."""
    async with desk(database_url) as d:
        await d.stage.rest(1.0)
        d.stage.accounting.faults = {d.stage.accounting.calls: "500_before"}
        await d.hears(draft := d.draft())
        await d.tell(d.final(d.changed(draft, 3000)))
        await d.stage.rest(100.0)
        assert (await d.document())["state"] == "sending"
        assert not d.stage.xero.invoices
        await d.stage.rest(1000.0)
        assert d.shown == ("ACM-001", "AUTHORISED", Decimal(30))


@pytest.mark.parametrize("fault", ["500_after", "reply_lost", "500_before"])
@pytest.mark.parametrize("paid", [False, True])
async def test_a_lost_answer_to_the_last_word_is_made_up_for(
    database_url: str, fault: str, paid: bool
) -> None:
    """Somebody may even have paid it by hand before we look."""
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        await d.tell(d.final(d.changed(draft, 3000)))
        frozen = await d.books.freeze()
        d.stage.accounting.faults = {d.stage.accounting.calls: fault}
        await d.stage.send(frozen)
        arrived = d.invoice.status == "AUTHORISED"
        assert arrived == (fault != "500_before")
        assert (await d.document())["state"] == "sending"
        if paid and arrived:
            d.by_hand(amount_paid=Decimal(30), status="PAID", payments=[{"PaymentID": "x"}])
        await d.stage.rest(1000.0)
        assert d.shown[0] == "ACM-001"
        assert d.shown[2] == Decimal(30)
        bill = await d.document()
        assert (bill["state"], bill["wanted"]) == ("synced", bill["synced"])
        assert bill["xero_status"] in ("AUTHORISED", "PAID")
        assert await d.books.announced() == []


async def test_what_a_person_approved_is_followed_while_nothing_is_paid(database_url: str) -> None:
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        d.by_hand(status="AUTHORISED")
        await d.hears(d.final(d.changed(draft, 3000)))
        assert d.shown == ("ACM-001", "AUTHORISED", Decimal(30))


async def test_what_a_person_approved_and_paid_is_never_forced(database_url: str) -> None:
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        d.by_hand(status="PAID", amount_paid=Decimal(10), payments=[{"PaymentID": "x"}])
        await d.hears(d.final(d.changed(draft, 3000)))
        assert d.shown == (name(draft), "PAID", Decimal(10))
        bill = await d.document()
        assert (bill["state"], bill["code"]) == ("failed", "draft_changed_in_xero")
        assert "approved" in bill["said"]
        assert f"number {name(draft)}, not ACM-001" in bill["said"]
        assert await d.books.announced() == ["draft_changed_in_xero"]


async def test_what_a_person_made_of_it_as_lago_did_is_adopted(database_url: str) -> None:
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        money = {"amount_paid": Decimal(10), "payments": [{"PaymentID": "x"}]}
        d.by_hand(number="ACM-001", status="PAID", **money)
        await d.hears(d.final(draft))
        bill = await d.document()
        assert (bill["state"], bill["xero_status"]) == ("synced", "PAID")
        assert await d.books.announced() == []


async def test_what_a_person_deleted_stays_deleted(database_url: str) -> None:
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        d.by_hand(status="DELETED")
        await d.hears(d.changed(draft, 2000))
        bill = await d.document()
        assert (bill["state"], bill["code"]) == ("failed", "draft_changed_in_xero")
        assert "deleted" in bill["said"]
        await d.hears(d.final(draft))
        assert d.shown[1] == "DELETED"
        assert await d.books.announced() == ["draft_changed_in_xero"] * 2


@pytest.mark.parametrize(
    ("by_hand", "code"), [("DELETED", None), ("AUTHORISED", "draft_changed_in_xero")]
)
async def test_what_lago_drops_may_be_gone_or_approved(
    database_url: str, by_hand: str, code: str | None
) -> None:
    async with desk(database_url) as d:
        draft = d.draft()
        await d.hears(draft)
        d.by_hand(status=by_hand)
        await d.hears(draft, "invoice.deleted")
        bill = await d.document()
        assert (bill["state"], bill["code"]) == ("failed" if code else "skipped", code)
        assert d.shown[1] == by_hand


async def test_the_last_number_must_be_free(database_url: str) -> None:
    async with desk(database_url) as d:
        first = d.draft()
        await d.hears(d.final(first))
        await d.hears(draft := d.draft(2000))
        await d.hears(d.final(draft))
        rows = {row["lago_id"].hex: row for row in await d.books.documents(kind="invoice")}
        assert rows[draft["lago_id"].replace("-", "")]["code"] == "number_claimed"
        statuses = sorted(one.status for one in d.stage.xero.invoices.values())
        assert statuses == ["AUTHORISED", "DRAFT"]


@pytest.mark.parametrize("end", ["invoice.created", "invoice.deleted"])
@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_draft_whose_last_content_never_comes_is_announced(
    database_url: str, end: str, meanwhile: bool
) -> None:
    """Lago tells that it is final, but not its fees; even while its draft is being sent."""
    async with desk(database_url) as d:
        draft = d.draft()
        final = d.final(d.changed(draft, 3000))
        await d.hears(draft)
        if meanwhile:
            await d.tell(d.changed(draft, 2000))
            frozen = await d.books.freeze()
        await d.tell(final, "invoice.generated")
        if meanwhile:
            await d.stage.send(frozen)
        await d.stage.rest(1.0)
        bill = await d.document()
        assert (bill["state"], bill["cause"]) == ("waiting", f"content:{draft['lago_id']}")
        assert d.invoice.status == "DRAFT"
        await d.stage.rest(100_000.0)
        assert await d.books.announced() == ["missing_dependency"]
        await d.hears(final, end)
        assert d.invoice.status == ("AUTHORISED" if end == "invoice.created" else "DELETED")
        assert (await d.document())["state"] == (
            "synced" if end == "invoice.created" else "skipped"
        )


async def test_what_xero_leaves_a_draft_is_not_approved_for_ever(database_url: str) -> None:
    async with desk(database_url) as d:
        await d.tell(d.books.invoice(d.who))
        await d.stage.send(await d.books.freeze())  # the contact
        await d.books.released()
        asked: list[str] = []
        draft = Kept(uuid4(), status="DRAFT")
        while (frozen := (await d.books.ledger.freeze(d.stage.tenant)).frozen) and len(asked) < 9:
            asked.append(frozen.purpose)
            await d.books.ledger.settle(frozen.request_id, Answered((draft,)), None)
        assert asked == ["invoice_create", "invoice_update"]
        assert ((await d.document())["state"], await d.books.announced()) == (
            "failed",
            ["status_invalid"],
        )
