"""What should be, found by attacking the engine a second time, the worst first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from consumer.adapters.postgres.database import Timeouts
from consumer.domain.answers import Answered, Refusal, Reply
from consumer.domain.chart import Organisation
from consumer.domain.consent import stand_in
from consumer.domain.errors import Halt
from consumer.domain.mapping import MappingKey, Target
from consumer.ingest import Ingest
from consumer.metrics import Metrics
from consumer.ports import Record, Unavailable, Wish
from consumer.sandbox.lago import payment
from tests.integration.ledger import CHART, MAPPINGS, Books, books
from tests.integration.notes import a_note, consuming, note_told

Json = dict[str, Any]
LATER = "2026-05-04T00:00:00Z"


def _large(b: Books, who: Json, fees: int) -> Json:
    """An invoice over so many fees of 10.00."""
    told = b.invoice(who)
    [fee] = told["fees"]
    sums = {k: v * fees for k, v in told.items() if k.endswith("amount_cents") and v == 1000}
    return {**told, **sums, "fees": [{**fee, "lago_id": str(uuid4())} for _ in range(fees)]}


async def _large_ones(b: Books, count: int) -> None:
    """Customers with an invoice of 400 fees each that waits for a switch, and a small one."""
    await b.settings(sync_invoices=False)
    who = b.customer()
    await b.told(b.said(who))
    await b.work()
    for _ in range(count):
        await b.told(b.said(_large(b, who, 400)))


class _Topic:
    """A source of one batch; its commit ends the reading."""

    def __init__(self, records: Sequence[Record], stop: asyncio.Event) -> None:
        self.records = records
        self.stop = stop

    async def poll(self, timeout: float) -> Sequence[Record]:
        """The batch."""
        return self.records

    async def hold(self, timeout: float) -> None:
        """Not waiting."""

    async def commit(self) -> None:
        """It is stored."""
        self.stop.set()


async def test_money_on_an_invoice_that_consumed_a_note_is_taken_in(database_url: str) -> None:
    """Its message settles what the invoice's figure left pending: the invoice changes with it, and
    the note that it names has a row already."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(note_told(b, note), b.said(later))
        figure = {**later, "total_paid_amount_cents": 600, "updated_at": LATER}
        await b.told(b.said(figure, "invoice.payment_status_updated"))
        await b.told(b.paid(payment(b.choices, [later], amount_cents=600)))
        await b.work()
        [paid] = await b.documents(kind="payment", part="")
        assert paid["state"] == "synced"


async def test_a_batch_that_takes_too_long_at_once_is_taken_in_by_parts(database_url: str) -> None:
    """Else it is tried anew for good, and the consumer stands still. (What a transaction may is
    scaled down here.)"""
    async with books(database_url, timeouts=Timeouts(idle=0.25)) as b:
        who = b.customer()
        told = [b.said(who), *(b.said(_large(b, who, 400)) for _ in range(40))]
        stop = asyncio.Event()
        topic = _Topic([b.record(one) for one in told], stop)
        ingest = Ingest(topic, b.inbox, Metrics(), lambda: None)  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            await ingest.run(stop)
        assert len(await b.documents(kind="invoice")) == 40


async def test_invoices_that_can_be_taken_in_can_be_frozen(database_url: str) -> None:
    """Fifty large ones are read and translated in one transaction, whatever that takes: the database
    ends it each time, and the tenant stands still. (What a transaction may is scaled down here.)"""
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await b.work()
        for _ in range(40):
            await b.told(b.said(_large(b, who, 400)))
        b.database.timeouts = Timeouts(idle=0.25)
        sent = 0
        for _ in range(10):
            try:
                frozen = (await b.ledger.freeze(b.tenants[0])).frozen
            except Unavailable:
                continue
            sent += frozen.count if frozen is not None else 0
        assert sent


async def test_a_release_that_takes_too_long_at_once_is_worked_on_in_smaller_pages(
    database_url: str,
) -> None:
    """What one page has to plan may be a hundred large invoices: the database ends a transaction
    whose client thinks for longer than it may, each time anew. (Both are smaller here.)"""
    async with books(database_url) as b:
        await _large_ones(b, 40)
        await b.settings(sync_invoices=True)
        b.database.timeouts = Timeouts(idle=0.25)
        for _ in range(60):
            try:
                if not await b.ledger.release(1):
                    break
            except Unavailable:
                pass
        invoices = await b.documents(kind="invoice")
        assert {d["state"] for d in invoices} == {"ready"}


async def test_an_apply_does_not_grow_with_what_has_failed(database_url: str) -> None:
    """All that Xero refused for its mapping is locked and changed in the transaction that stores the
    settings, while everybody else waits; 400,000 documents take longer than a statement may, and
    neither apply nor a chart that was read can be stored any more."""
    async with books(database_url) as b:
        await b.database.execute(
            "insert into document (connection_id, tenant_id, kind, lago_id, state, code, wanted) "
            "select c.id, c.tenant_id, 'invoice', gen_random_uuid(), 'failed', 'account_invalid', 'a' "
            "from connection c, generate_series(1, 2000)"
        )
        await b.settings(mappings={**MAPPINGS, MappingKey("", "coupon"): Target("LAGO", "200")})
        [row] = await b.database.fetch("select count(*) from document where state <> 'failed'")
        assert row["count"] <= 500
        await b.released()
        [row] = await b.database.fetch(
            "select count(*) from document where code = 'account_invalid'"
        )
        assert row["count"] == 0, "and all of them are tried again"


@pytest.mark.parametrize("lacks", ["the note's currency", "the note's day", "the invoice's day"])
async def test_what_a_poorer_message_left_out_does_not_spin(database_url: str, lacks: str) -> None:
    """The note and its invoice are in Xero; a later message of one of them lacks something."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        note = a_note(invoice, offset=400)
        await b.told(note_told(b, note))
        await b.accept(await b.freeze())
        later: Json = {"updated_at": LATER}
        if lacks == "the invoice's day":
            await b.told(b.said({**invoice, **later, "issuing_date": None}))
        else:
            name = "currency" if lacks == "the note's currency" else "issuing_date"
            await b.told(note_told(b, {**note, **later, name: None}))
        rounds = 0
        while rounds < 20 and await b.ledger.release(1):
            await b.ledger.freeze(b.tenants[0])
            rounds += 1
        [credit] = await b.documents(kind="allocation")
        assert rounds < 20
        if lacks == "the note's currency":
            assert (credit["state"], credit["code"]) == ("failed", "lago_header_missing")
            await b.told(note_told(b, {**note, "updated_at": "2026-05-05T00:00:00Z"}))
            await b.work()
            [credit] = await b.documents(kind="allocation")
            assert credit["state"] == "synced"
        else:
            assert credit["state"] == "sending"


async def test_a_void_does_not_wait_for_an_offset_that_stays(database_url: str) -> None:
    """Older versions of Lago do not tell on the invoice that a note was offset against it."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(note_told(b, a_note(invoice, offset=400)))
        await b.work()
        gone = {**invoice, "status": "voided", "updated_at": LATER}
        gone.pop("total_offsetted_credit_note_amount_cents", None)
        await b.told(b.said(gone, "invoice.voided"))
        frozen = await b.freeze()
        assert frozen.purpose == "invoice_void"
        refusal = Refusal("void_with_money", "The status VOIDED cannot be applied.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        assert await b.announced() == ["void_with_money"]


@pytest.mark.parametrize("why", ["money", "policy"])
async def test_a_voided_invoice_that_stays_in_xero_is_told_of(database_url: str, why: str) -> None:
    """ACCOUNTING.md 4: a person is asked. There is neither an announcement nor a finding."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        gone = {**invoice, "status": "voided", "updated_at": LATER}
        if why == "policy":
            await b.settings(voids="report")
        else:
            await b.told(b.paid(payment(b.choices, [invoice], amount_cents=300)))
            gone["total_paid_amount_cents"] = 300
        await b.told(b.said(gone, "invoice.voided"))
        await b.work()
        [row] = await b.documents(kind="invoice")
        assert row["wanted"] is None
        assert row["synced"] is not None
        told = await b.database.fetch(
            "select document_id from outbox union select document_id from finding"
        )
        assert [one["document_id"] for one in told] == [row["id"]]


async def test_a_connection_that_somebody_connects_meanwhile_is_not_taken_back(
    database_url: str,
) -> None:
    """``apply`` has read the connection before ``connect`` chose its tenant, which another connection
    uses too, and stores it after: its documents would wait for a consent that is there."""
    async with books(database_url) as b:
        stored = (await b.connections.stored())["acme"]
        other = replace(stored.connection, code="other", billing_entities=frozenset({"other"}))
        shared = Wish(other, stored.client_id, stored.secret, CHART)
        await b.connections.store([shared], "tests", [])
        who = b.customer()
        await b.told(b.said(who))
        frozen = await b.freeze()
        stale = replace(stored.connection, tenant_id=stand_in("acme"))
        wish = Wish(stale, stored.client_id, stored.secret, None, True, False)
        with pytest.raises(Halt):
            await b.connections.store([wish], "tests", [])
        await b.accept(frozen)
        [contact] = await b.documents(kind="contact")
        assert (contact["state"], contact["tenant_id"]) == ("synced", b.tenants[0])


async def test_an_invoice_of_a_partner_is_not_posted(database_url: str) -> None:
    """He became one after his contact was made (ACCOUNTING.md 2)."""
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await b.work()
        partner = {**who, "account_type": "partner", "updated_at": LATER}
        await b.told(b.said(partner, "customer.updated"))
        await b.told(b.said(b.invoice(partner)))
        assert [f.purpose for f in await b.work()] == []


async def test_a_lock_date_is_held_against_the_day_in_xero(database_url: str) -> None:
    """Late on the 10th in UTC it was the 11th where the organisation is."""
    async with books(database_url) as b:
        there = Organisation(timezone="Pacific/Auckland")
        await b.settings(chart=replace(CHART, organisation=there))
        [invoice] = await b.posted()
        paid = payment(b.choices, [invoice], at="2026-05-10T18:00:00Z")
        await b.told(b.paid(paid))
        [sent] = await b.work()
        assert b'"Date":"2026-05-11"' in sent.body
        there = replace(there, period_lock_date=date(2026, 5, 10))
        await b.settings(chart=replace(CHART, organisation=there))
        await b.told(b.paid({**paid, "payment_status": "failed"}))
        assert [f.purpose for f in await b.work()] == ["payment_delete"]


async def test_what_was_moved_to_an_open_day_is_voided_there(database_url: str) -> None:
    async with books(database_url) as b:
        locked = Organisation(period_lock_date=date(2026, 5, 31))
        chart = replace(CHART, organisation=locked)
        await b.settings(chart=chart, locked_period="first_open_day")
        [invoice] = await b.posted()
        [row] = await b.documents(kind="invoice")
        assert row["dated"] == date(2026, 6, 1)
        gone = {**invoice, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        assert [f.purpose for f in await b.work()] == ["invoice_void"]
