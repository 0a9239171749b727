"""Replays on a real Postgres: what is known changes nothing, what is not is told true and taken in behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres.inbox import PostgresInbox
from consumer.adapters.postgres.replaying import PostgresReplaying
from consumer.domain.objects import dump_facets, load_facets
from consumer.domain.pacing import BACKFILL
from consumer.domain.replays import Choice, Chooser, Survey, Verified
from consumer.ingest import Intake
from consumer.metrics import Metrics
from consumer.ports import Record, Span
from consumer.replay import Replay
from consumer.sandbox.lago import credit_note, credit_note_event, payment, payment_event
from tests.fakes.rereading import FakeRereading
from tests.integration.ledger import Books, books

Json = dict[str, Any]
_ROWS = (
    "select id, kind, lago_id, state, cause, wanted, synced, xero_id, event_id from document order by id",
    "select kind, lago_id, facts::text as facts, event_id from object order by kind, lago_id",
    "select id, digest, outcome, redriven from event order by id",
    "select id, cause from release order by id",
    "select id from outbox order by id",
    "select id from request order by started_at",
)


async def ledger(b: Books) -> list[list[tuple[Any, ...]]]:
    """All that a replay could change."""
    return [[tuple(row) for row in await b.database.fetch(query)] for query in _ROWS]


def life(b: Books) -> list[Record]:
    """A customer with three invoices, one paid, one credited, and a message that says nothing to us."""
    who = b.customer()
    invoices = [b.invoice(who, amount=1000 * (n + 1)) for n in range(3)]
    paid = payment(b.choices, invoices[:1])
    note = credit_note(b.choices, invoices[1])
    ignored = {**b.said(who), "webhook_type": "plan.created"}
    told = [b.said(who), *map(b.said, invoices), b.paid(paid), ignored]
    return [b.record(one) for one in [*told, credit_note_event(note, str(b.organization_id))]]


async def replay(
    b: Books, records: Sequence[Record], choice: Choice | None = None, **more: Any
) -> Replay:
    side = PostgresReplaying(b.database, b.inbox.planner)
    chooser = Chooser(choice or Choice(), await side.connections(), datetime.now(UTC))
    stop = more.pop("stop", asyncio.Event())
    return Replay(FakeRereading(records), side, chooser, stop=stop, **more)


async def survey(b: Books, records: Sequence[Record], choice: Choice | None = None) -> Survey:
    found = await (await replay(b, records, choice)).survey("t", {0: Span(0, len(records))})
    assert found is not None
    return found


async def verify(b: Books, records: Sequence[Record], choice: Choice | None = None) -> Verified:
    found = await (await replay(b, records, choice)).verify("t", {0: Span(0, len(records))})
    assert found is not None
    return found


def intake(b: Books) -> Intake:
    inbox = PostgresInbox(b.database, b.inbox.planner, sinks=["dead_letter"], lane=BACKFILL)
    return Intake(inbox, Metrics(), lambda: None)


async def apply(b: Books, records: Sequence[Record], choice: Choice | None = None) -> Counter[str]:
    made = await replay(b, records, choice)
    job = await made.ledger.begin({"topic": "t"}, who="ann", reason=None)
    counts = Counter[str]()
    assert await made.apply(job, intake(b), "t", {0: Span(0, len(records))}, counts)
    return counts


async def test_of_what_is_known_nothing_changes_whatever_is_asked(database_url: str) -> None:
    async with books(database_url) as b:
        records = life(b)
        await b.ingest.store(records)
        await b.work()
        before = await ledger(b)
        told = await survey(b, records)
        assert told.counts == {"known": 6, "ignored": 1}
        assert (told.documents, told.calls) == ({}, {})
        found = await verify(b, records)
        assert (found.lost, found.not_taken_in, found.differing) == ([], [], [])
        assert (found.objects, found.in_part) == (6, 0)
        assert await apply(b, records) == {"known": 6, "ignored": 1}
        assert await ledger(b) == before


async def test_a_survey_says_what_applying_then_does(database_url: str) -> None:
    """Also of documents that rest on others of the range, whatever batches they come in."""
    async with books(database_url) as b:
        records = life(b)
        await b.ingest.store(records[:1])
        await b.work()
        before = await ledger(b)
        told = await survey(b, [*records, records[2]])
        assert await ledger(b) == before, "it changes nothing"
        assert told.counts == {"known": 2, "new": 5, "ignored": 1}
        assert told.documents == {"invoice": 3, "payment": 1, "credit_note": 1}
        assert told.calls == {"invoice": 1, "payment": 1, "credit_note": 1}
        assert await apply(b, records) == {"known": 1, "new": 5, "ignored": 1}
        sent = await b.work()
        assert Counter(one.purpose.removesuffix("_create") for one in sent) == told.calls


async def test_a_new_message_that_says_nothing_new_is_told_apart(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        first, again = b.record(b.said(who)), b.record({**b.said(who), "more": 1})
        await b.ingest.store([first])
        older = replace(again, timestamp=first.timestamp - 1)
        told = await survey(b, [older])
        assert told.counts == {"without_effect": 1}
        assert told.documents == {}


async def test_what_was_dead_and_can_be_read_now_is_told_and_taken_in(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consumer import ingest
    from consumer.domain.errors import Undecodable

    async with books(database_url) as b:
        record, hopeless = (
            b.record(b.said(b.customer())),
            replace(b.record(b.said(b.customer())), value=b"no"),
        )
        with monkeypatch.context() as patch:

            def refuse(*_: object, **__: object) -> None:
                raise Undecodable("wrong_type", "No.")

            patch.setattr(ingest, "decode", refuse)
            await b.ingest.store([record, hopeless])
        assert (await survey(b, [record, hopeless])).counts == {"decodable": 1, "dead": 1}
        assert await apply(b, [record, hopeless]) == {"decodable": 1, "dead": 1}
        rows = await b.database.fetch("select outcome, redriven from event order by outcome desc")
        assert [tuple(row) for row in rows] == [("merged", 1), ("dead", 0)]
        assert len(await b.announced()) == 2, "nothing is announced once more"


async def test_what_is_taken_in_goes_behind_and_news_bring_it_forward(database_url: str) -> None:
    async with books(database_url) as b:
        records = life(b)
        await apply(b, records)
        assert {one["lane"] for one in await b.documents()} == {BACKFILL}
        live = b.customer()
        await b.told(b.said(live))
        frozen = await b.freeze()
        assert str(live["lago_id"]).encode() in frozen.body
        rows = await b.database.fetch("select lane, state from document where kind = 'contact'")
        assert {tuple(row) for row in rows} == {(0, "sending"), (BACKFILL, "sending")}, (
            "a call that is not full takes them along"
        )
        [who] = await b.documents(kind="contact", lane=BACKFILL)
        await b.accept(frozen)
        newer = {**live, "lago_id": str(who["lago_id"]), "updated_at": "2027-01-01T00:00:00Z"}
        await b.told(b.said(newer, "customer.updated"))
        [row] = await b.documents(kind="contact", lago_id=who["lago_id"])
        assert (row["state"], row["lane"]) == ("ready", 0)


async def test_the_backfill_leaves_a_part_of_the_minute_to_live_traffic(database_url: str) -> None:
    from consumer.domain.pacing import Limits

    async with books(database_url, limits=Limits(minute=4), documents=1) as b:
        await apply(b, [b.record(b.said(b.customer())) for _ in range(5)])
        sent = 0
        while (await b.ledger.freeze(b.tenants[0])).frozen is not None:
            sent += 1
        assert sent == 3
        await b.told(b.said(b.customer()))
        [due] = await b.database.fetch("select due_at <= now() as now from tenant")
        assert due["now"]
        live = await b.freeze()
        rows = await b.database.fetch(
            "select d.lane from member m join document d on d.id = m.document_id where m.request_id = $1",
            live.request_id,
        )
        assert [row["lane"] for row in rows] == [0]


async def test_a_late_live_document_does_not_wait_as_long_as_the_backfill(
    database_url: str,
) -> None:
    """The backfill waits for its minute; what is ready sooner in another lane has its own time."""
    from consumer.domain.pacing import Limits

    async with books(database_url, limits=Limits(minute=4), documents=1) as b:
        await apply(b, [b.record(b.said(b.customer())) for _ in range(5)])
        await b.told(b.said(b.customer()))
        await b.database.execute(
            "update document set ready_at = now() + interval '5 s' where lane = 0"
        )
        while (await b.ledger.freeze(b.tenants[0])).frozen is not None:
            pass
        [row] = await b.database.fetch(
            "select due_at between now() and now() + interval '6 s' as soon from tenant"
        )
        assert row["soon"]


async def test_an_old_payments_message_does_not_bring_it_back(database_url: str) -> None:
    """What was told last holds, by Kafka's time; also where only the older message is not known."""
    async with books(database_url) as b:
        invoice = b.invoice(who := b.customer())
        paid = payment(b.choices, [invoice])
        records = [
            b.record(payment_event({**paid, "payment_status": status}, str(b.organization_id)))
            for status in ("succeeded", "failed")
        ]
        await b.told(b.said(who), b.said(invoice))
        await b.ingest.store(records)
        await b.work()
        assert (await survey(b, records)).documents == {}
        await b.database.execute(
            'delete from event where "offset" = $1', records[0].offset
        )  # as if it had been pruned
        assert (await survey(b, records)).counts == {"without_effect": 1, "known": 1}
        await apply(b, records)
        [document] = await b.documents(kind="payment")
        assert (document["state"], document["cause"]) == ("skipped", "lago:payment_failed")


async def test_filters_choose_by_customer_home_and_kind(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        mine, other = life(b), life(b)
        elsewhere = b.customer(entity="acme-1")
        far = [b.record(b.said(elsewhere)), b.record(b.said(b.invoice(elsewhere)))]
        everything = [*mine, *other, *far, replace(b.record(b.said(elsewhere)), value=b"nobody's")]
        [acme, acme_1] = [
            row["id"] for row in await b.database.fetch("select id from connection order by code")
        ]
        before = await survey(b, everything, Choice(connection_id=acme_1))
        assert before.counts == {"new": 2, "ignored": 2, "left_out": 13}, "before they are known"
        await b.ingest.store(mine[:4] + far)
        [who] = await b.database.fetch(
            "select lago_id from object where kind = 'customer' and connection_id = $1", acme
        )
        his = await survey(b, everything, Choice(customer_id=who["lago_id"]))
        assert his.counts == {"known": 4, "new": 2, "ignored": 2, "left_out": 9}
        there = await survey(b, everything, Choice(connection_id=acme_1))
        assert there.counts == {"known": 2, "ignored": 2, "left_out": 13}
        paid = await survey(b, everything, Choice(connection_id=acme, kind="payment"))
        assert paid.counts == {"new": 2, "ignored": 2, "left_out": 13}


async def test_verify_tells_what_was_lost_what_is_to_come_and_what_differs(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        records = life(b)
        await b.ingest.store(records[:4])
        await b.work()
        [lost, gone, _] = await b.documents(kind="invoice")
        [row] = await b.database.fetch(
            "select facts::text as facts from object where lago_id = $1 and kind = 'invoice'",
            lost["lago_id"],
        )
        facts = load_facets(row["facts"])
        del facts["content"]
        await b.database.execute(
            "update object set facts = $2::json where lago_id = $1 and kind = 'invoice'",
            lost["lago_id"], dump_facets(facts),
        )  # fmt: skip
        await b.database.execute("delete from member; delete from finding")
        await b.database.execute("delete from document where id = $1", gone["id"])
        before = await ledger(b)
        found = await verify(b, records)
        assert await ledger(b) == before
        assert [(one.ref, one.what) for one in found.lost] == [(str(lost["lago_id"]), ("content",))]
        assert sorted(one.kind for one in found.not_taken_in) == ["credit_note", "payment"]
        assert [one.ref for one in found.differing] == [gone["number"]]
        assert found.in_part == 0
        assert (await verify(b, records[4:])).in_part == 1, (
            "the customer, whom another message told of"
        )


async def test_a_replay_that_was_cut_off_goes_on_where_it_was(database_url: str) -> None:
    async with books(database_url) as b:
        records = [*life(b), *life(b)]
        made = await replay(b, records)
        assert isinstance(made.rereading, FakeRereading)

        def crash(passage: int) -> None:
            if passage == 2:
                raise KeyboardInterrupt

        made.rereading.before = crash
        spans = {0: Span(0, len(records))}
        job = await made.ledger.begin({"topic": "t"}, who="ann", reason="why")
        with pytest.raises(KeyboardInterrupt):
            await made.apply(job, intake(b), "t", spans, Counter())
        left = await made.ledger.resume(job, who="ben", reason=None)
        assert (left.positions, left.ended, left.counts["new"]) == ({0: 6}, False, 5)
        again = await replay(b, records)
        counts = Counter(left.counts)
        rest = {0: Span(left.positions[0], len(records))}
        assert await again.apply(job, intake(b), "t", rest, counts)
        assert counts == {"new": 12, "ignored": 2}
        assert (await again.ledger.resume(job, who="ben", reason=None)).ended
        audit = await b.database.fetch(
            "select who, subject, reason from audit where action = 'replay'"
        )
        assert tuple(audit[0]) == ("ann", "topic t", "why")
        assert {row["who"] for row in audit[1:]} == {"ben"}
        assert (await survey(b, records)).counts == {"known": 12, "ignored": 2}


async def test_a_stopped_replay_ends_after_the_passage_at_hand(database_url: str) -> None:
    async with books(database_url) as b:
        records, stop = life(b), asyncio.Event()
        made = await replay(b, records, stop=stop, progress=lambda passed: stop.set())
        job = await made.ledger.begin({"topic": "t"}, who="ann", reason=None)
        assert not await made.apply(job, intake(b), "t", {0: Span(0, 7)}, Counter())
        assert (await made.ledger.resume(job, who="ann", reason=None)).positions == {0: 3}
        assert await made.survey("t", {0: Span(0, 7)}) is None


async def test_pages_keep_families_together(database_url: str) -> None:
    """However small the pages are, a payment is planned with its invoice and its customer."""
    async with books(database_url) as b:
        records = [*life(b), *life(b)]
        made = await replay(b, records, page=1)
        told = await made.survey("t", {0: Span(0, len(records))})
        assert told is not None
        assert told.documents == {"contact": 2, "invoice": 6, "payment": 2, "credit_note": 2}


async def test_a_planning_fault_names_its_object_and_hides_no_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        good, bad = b.customer(), b.customer()
        made = await replay(b, [b.record(b.said(good)), b.record(b.said(bad))])
        plan = made.ledger.planner.plan

        async def stumble(conn: Any, known: Any, objects: Any, *more: Any, **options: Any) -> Any:
            if any(key.lago_id == UUID(bad["lago_id"]) for key in objects):
                raise ZeroDivisionError
            return await plan(conn, known, objects, *more, **options)

        monkeypatch.setattr(made.ledger.planner, "plan", stumble)
        told = await made.survey("t", {0: Span(0, 2)})
        assert told is not None
        assert [(one.ref, one.what) for one in told.unplanned] == [
            (bad["lago_id"], ("ZeroDivisionError",))
        ]
        assert told.documents == {"contact": 1}
