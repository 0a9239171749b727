"""Drafts on a real Postgres before a simulated Xero: followed until Lago finalizes or drops them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from consumer.adapters.postgres.charts import PostgresCharts
from consumer.domain.answers import Answered
from consumer.domain.answers import Saved as Kept
from consumer.domain.chart import Organisation
from consumer.sandbox.lago import payment
from consumer.sandbox.xero.books import Invoice
from tests.integration.ledger import Books
from tests.integration.notes import a_note, consuming, note_told
from tests.lives.stage import CHART, Stage, stage

Json = dict[str, Any]
LOCKED = Organisation(period_lock_date=date(2026, 5, 31))


@dataclass
class Desk:
    """A stage and the customer whose invoices pass over it."""

    stage: Stage
    who: Json
    second: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def books(self) -> Books:
        return self.stage.books

    @property
    def charts(self) -> PostgresCharts:
        return PostgresCharts(self.books.database, [])

    def draft(self, amount: int = 1000, **facts: Any) -> Json:
        """An invoice that Lago has not finalized."""
        return self.books.invoice(self.who, amount=amount, status="draft", **facts)

    def changed(self, draft: Json, amount: int) -> Json:
        """The same draft over another amount."""
        return {**self.draft(amount), "lago_id": draft["lago_id"]}

    def final(self, draft: Json, number: str = "ACM-001", **facts: Any) -> Json:
        """The invoice that it becomes."""
        return {**draft, "number": number, "status": "finalized", **facts}

    async def tell(self, thing: Json, kind: str | None = None) -> None:
        """Lago tells of it, a second later than of anything before."""
        self.second += 1
        at = f"2026-05-01T12:00:{self.second:02}Z"
        await self.books.told(self.books.said({**thing, "updated_at": at}, kind))

    async def hears(self, thing: Json, kind: str | None = None) -> None:
        """Lago tells of it, and all comes to rest."""
        await self.tell(thing, kind)
        await self.stage.rest(1.0)

    async def document(self, kind: str = "invoice") -> Json:
        """The only one of its kind."""
        [row] = await self.books.documents(kind=kind)
        return row

    @property
    def invoice(self) -> Invoice:
        """The only one in Xero."""
        [one] = self.stage.xero.invoices.values()
        return one

    @property
    def shown(self) -> tuple[str, str, Decimal]:
        """Number, status and total of the only one in Xero."""
        return self.invoice.number, self.invoice.status, self.invoice.total

    def by_hand(self, **changed: Any) -> None:
        """A person changes it in Xero."""
        self.stage.xero.keep_invoice(replace(self.invoice, **changed))

    def writes(self) -> int:
        """Calls that changed invoices in Xero."""
        arrivals = self.stage.world.arrivals.shown()
        return sum(one["method"] != "GET" and "/Invoices" in one["path"] for one in arrivals)

    async def lock(self, organisation: Organisation) -> None:
        """Xero's lock date is moved, and read again."""
        owner = self.stage.xero.organisation
        owner.period_lock_date = organisation.period_lock_date
        chart = replace(CHART, organisation=organisation)
        await self.charts.keep(self.stage.tenant, chart, "tests")
        await self.stage.rest(1.0)


@asynccontextmanager
async def desk(url: str, **policies: Any) -> AsyncIterator[Desk]:
    async with stage(url) as opened:
        await opened.books.settings(chart=CHART, **{"drafts": "post", **policies})
        who = opened.books.customer()
        await opened.books.told(opened.books.said(who))
        yield Desk(opened, who)


def name(draft: Json) -> str:
    """The number of its draft in Xero."""
    return f"DRAFT-{draft['lago_id'][:8]}"


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


# ── Locked periods ────────────────────────────────────────────────────────────────────────────────


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


async def test_a_locked_draft_that_lago_voids_is_deleted(database_url: str) -> None:
    async with desk(database_url, locked_period="draft") as d:
        await d.lock(LOCKED)
        told = d.books.invoice(d.who)
        await d.hears(told)
        await d.hears({**told, "total_paid_amount_cents": 400}, "invoice.voided")
        assert d.invoice.status == "DELETED"
        assert (await d.document())["state"] == "skipped"


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
