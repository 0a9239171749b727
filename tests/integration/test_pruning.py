"""Pruning on a real Postgres: what nothing needs any more goes when its time is over, all else stays."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer import ingest
from consumer.adapters.postgres import reading
from consumer.adapters.postgres.pruning import Keeping, Pruner
from consumer.announce.dead_letter import dead_letter
from consumer.domain.answers import Answered, Refusal
from consumer.domain.errors import Undecodable
from consumer.domain.pacing import Limits
from consumer.sandbox.lago import Tax, payment, payment_event
from tests.integration.ledger import Books, books, updated

UNKNOWN = Tax("unknown_tax", Decimal(10))
REFUSAL = Refusal("locked_period", "The document cannot be posted.", "Move the lock date.")
AGES = {
    "event": ("received_at",),
    "outbox": ("created_at", "done_at"),
    "request": ("started_at", "deadline_at", "answered_at"),
    "finding": ("first_seen", "closed_at"),
}


async def prune(b: Books, keeping: Keeping | None = None, **options: Any) -> Counter[str]:
    """One pass; what it dropped."""
    pruner = Pruner(b.database, keeping or Keeping(), **options)
    dropped: Counter[str] = Counter()
    while (step := await pruner.step()) is not None:
        dropped[step.what] += step.dropped
    return +dropped


async def age(b: Books, days: float) -> None:
    """So many days pass."""
    for table, columns in AGES.items():
        older = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
        await b.database.execute(f"update {table} set {older}", timedelta(days=days))


async def left(b: Books, table: str, column: str = "id") -> list[Any]:
    rows = await b.database.fetch(f"select {column} from {table} order by {column}")
    return [row[column] for row in rows]


async def posted(b: Books, invoices: int = 1) -> list[dict[str, Any]]:
    """A customer and invoices that Xero has; a message each."""
    who = b.customer()
    told = [b.invoice(who) for _ in range(invoices)]
    await b.told(b.said(who), *map(b.said, told))
    await b.work()
    assert {row["state"] for row in await b.documents()} == {"synced"}
    return [who, *told]


async def announced(b: Books, event: str = "min(id)") -> None:
    """A failure of some document of the event's is to be told."""
    await b.database.execute(
        "insert into outbox (sink, event_id, class, code, said)"
        f" select 'dead_letter', {event}, 'Refused', 'odd', 'It is odd.' from event"
    )


# ── Messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_final_message_is_dropped_and_the_ledger_stays(database_url: str) -> None:
    async with books(database_url) as b:
        await posted(b, 3)
        before = await b.documents(), await left(b, "object", "lago_id"), await left(b, "event")
        await age(b, 29)
        assert not await prune(b)
        await age(b, 2)
        assert await prune(b) == {"messages": 4}
        assert not await left(b, "event_raw", "event_id")
        after = await b.documents(), await left(b, "object", "lago_id"), await left(b, "event")
        assert after == before
        assert not await prune(b)


@pytest.mark.parametrize("state", ["waiting", "ready", "sending", "failed"])
async def test_an_open_documents_message_is_kept(database_url: str, state: str) -> None:
    async with books(database_url) as b:
        await posted(b)
        await age(b, 400)
        await b.database.execute("update document set state = $1 where kind = 'invoice'", state)
        assert (await prune(b))["messages"] == 1
        [kept] = await left(b, "event_raw", "event_id")
        [invoice] = await b.documents(kind="invoice")
        assert kept == invoice["event_id"]


async def test_what_is_left_out_is_final(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who, self_billed=True)))
        await b.work()
        assert [row["state"] for row in await b.documents(kind="invoice")] == ["skipped"]
        await age(b, 31)
        assert await prune(b) == {"messages": 2}


async def test_a_dead_message_is_kept_found_and_read_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        told = b.record(b.said(who))
        with monkeypatch.context() as patched:
            patched.setattr(ingest, "decode", _undecodable)
            await b.ingest.store([told])
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        await b.outbox.done([notice.id])
        await age(b, 4000)
        assert await prune(b) == {"announcements": 1}
        assert len(await reading.dead_naming(b.database, who["lago_id"])) == 1
        assert (await b.ingest.store([told])).merged == 1
        assert (await b.freeze()).count == 1


async def test_a_message_is_kept_until_it_was_announced_and_for_its_time_after(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await posted(b)
        await announced(b)
        await age(b, 31)
        assert await prune(b) == {"messages": 1}
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        assert (notice.value is not None, notice.pruned) == (True, False)
        await b.outbox.done([notice.id])
        assert not await prune(b)
        await age(b, 31)
        assert await prune(b) == {"announcements": 1, "messages": 1}


async def test_a_message_that_became_final_late_is_kept_for_its_time(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await age(b, 40)
        await b.work()
        await age(b, 29)
        assert not await prune(b)
        await age(b, 2)
        assert await prune(b) == {"messages": 1}


async def test_what_fails_after_its_message_was_dropped_is_told_without_it(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        _, invoice = await posted(b)
        await age(b, 31)
        await prune(b)
        await b.told(b.said(invoice | {"status": "voided"}, "invoice.voided"))
        await b.database.execute("update document set event_id = 1 where kind = 'invoice'")
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        [lay] = await b.database.fetch('select "offset" from event where id = 1')
        assert (notice.pruned, notice.offset) == (True, lay["offset"])
        letter = dead_letter(notice, "dlq", "1")
        headers = dict(letter.headers)
        assert letter.value == b"", "null would be a tombstone"
        assert headers["lago_xero.value.kept"] == b"no longer"
        assert headers["lago_xero.event_key"].decode() == notice.event_key


async def test_what_fails_after_its_event_was_dropped_is_told(database_url: str) -> None:
    """Planning takes the event from the object, which may name one that made no document."""
    async with books(database_url) as b:
        await posted(b)
        await b.database.execute("update document set event_id = 999 where kind = 'invoice'")
        await b.database.execute(
            "update document set wanted = null, state = 'ready' where kind = 'invoice'"
        )
        await b.ledger.settle((await b.freeze()).request_id, Answered((REFUSAL,)), None)
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        assert (notice.pruned, notice.event_key, notice.code) == (True, None, "locked_period")


# ── Announcements and findings ────────────────────────────────────────────────────────────────────


async def test_announcements_are_dropped_once_made(database_url: str) -> None:
    async with books(database_url) as b:
        await posted(b)
        for _ in range(3):
            await announced(b)
        await b.outbox.done([1])
        await age(b, 29)
        assert not await prune(b)
        await age(b, 2)
        await b.outbox.done([2])
        assert (await prune(b))["announcements"] == 1
        assert await left(b, "outbox") == [2, 3]


async def test_findings_are_dropped_once_closed(database_url: str) -> None:
    async with books(database_url) as b:
        await b.database.execute(
            "insert into finding (class, first_seen, closed_at) values ('drift', now(), null),"
            " ('surplus', now(), now()), ('drift', now(), now() + interval '2 days')"
        )
        await age(b, 366)
        assert await prune(b) == {"findings": 1}
        assert await left(b, "finding") == [1, 3]


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


async def _two_requests(b: Books) -> tuple[UUID, UUID]:
    """A contact that was made, then changed."""
    who = b.customer()
    await b.told(b.said(who))
    first = await b.work()
    await b.told(b.said(updated(b.choices, who, seconds=60, name="Other"), "customer.updated"))
    second = await b.work()
    return first[0].request_id, second[0].request_id


async def test_calls_are_dropped_but_for_each_documents_last_acceptance(database_url: str) -> None:
    async with books(database_url) as b:
        _, last = await _two_requests(b)
        await age(b, 89)
        assert not (await prune(b))["requests"]
        await age(b, 2)
        assert (await prune(b))["requests"] == 1
        assert await left(b, "request") == [last]
        assert await left(b, "member", "request_id") == [last]


async def test_a_call_that_nothing_came_of_is_dropped(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await b.ledger.settle((await b.freeze()).request_id, None, None)
        await b.database.execute("update document set ready_at = now()")
        [accepted] = await b.work()
        for answered in (True, False):  # a process died before the second's answer came
            call = await b.budget.take(b.tenants[0], "lookup", "GET", "Invoices")
            assert isinstance(call, UUID)
            if answered:
                await b.budget.answered(call, None)
        await age(b, 91)
        assert (await prune(b))["requests"] == 3
        assert await left(b, "request") == [accepted.request_id]


@pytest.mark.parametrize("state", ["waiting", "ready", "sending", "failed"])
async def test_an_open_documents_calls_are_kept(database_url: str, state: str) -> None:
    async with books(database_url) as b:
        both = await _two_requests(b)
        await b.database.execute("update document set state = $1", state)
        await age(b, 91)
        assert not (await prune(b))["requests"]
        assert set(await left(b, "request")) == set(both)


async def test_calls_that_the_budget_counts_are_kept_whatever_the_settings_say(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        for _ in range(3):
            call = await b.budget.take(b.tenants[0], "lookup", "GET", "Invoices")
            assert isinstance(call, UUID)
            await b.budget.answered(call, None)
        await age(b, 1.9)
        at_once = Keeping(requests=timedelta(0))
        assert not await prune(b, at_once)
        await age(b, 0.2)
        assert await prune(b, at_once) == {"requests": 3}


async def test_what_was_taken_off_since_an_open_request_began_is_kept(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        first, last = await _two_requests(b)
        open_one = (
            "insert into request (id, tenant_id, purpose, method, path, started_at, deadline_at, look_at)"
            " values ($1, $2, 'invoice_create', 'PUT', 'Invoices', now() - interval '1 h', now(), now())"
        )
        await b.database.execute(open_one, uuid4(), b.tenants[0])
        await age(b, 91)
        assert not (await prune(b))["requests"]
        await b.database.execute("delete from request where outcome is null")
        await b.database.execute(open_one, uuid4(), b.tenants[1])
        await age(b, 91)
        assert (await prune(b))["requests"] == 1
        kept = set(await left(b, "request"))
        assert first not in kept
        assert last in kept


# ── Events ────────────────────────────────────────────────────────────────────────────────────────


async def _superseded(b: Books) -> list[Any]:
    """An invoice's message that a later one replaced before it was sent; returns both."""
    who = b.customer()
    bill = b.invoice(who)
    poorer = b.record(b.said(bill, "invoice.payment_status_updated"))
    await b.told(b.said(who))
    await b.ingest.store([poorer])
    await b.told(b.said(bill))
    await b.work()
    return [poorer, bill]


async def test_keys_are_known_for_a_year_and_then_as_long_as_a_document_has_their_version(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _superseded(b)
        await age(b, 364)
        assert not (await prune(b))["events"]
        await age(b, 2)
        assert (await prune(b))["events"] == 1
        assert set(await left(b, "event")) == {row["event_id"] for row in await b.documents()}


async def test_a_message_whose_key_was_dropped_changes_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        poorer, _ = await _superseded(b)
        await age(b, 366)
        assert (await prune(b))["events"] == 1
        facts = "select kind, lago_id, event_id, facts::text from object order by 1, 2"
        before = await b.documents(), await b.database.fetch(facts)
        assert (await b.ingest.store([poorer])).merged == 1
        assert (await b.documents(), await b.database.fetch(facts)) == before
        assert not await b.work()
        await age(b, 366)
        assert (await prune(b))["events"] == 1
        produced_again = replace(poorer, offset=99, timestamp=poorer.timestamp + 86_400_000)
        assert (await b.ingest.store([produced_again])).merged == 1
        assert await b.documents() == before[0]
        assert not await b.work()


async def test_a_payments_key_is_never_dropped(database_url: str) -> None:
    """Produced again it would be the newest, and bring back what has failed since."""
    async with books(database_url) as b:
        _, invoice = await posted(b)
        paid = payment(b.choices, [invoice])
        succeeded, failed = (
            b.record(payment_event({**paid, "payment_status": status}, str(b.organization_id)))
            for status in ("succeeded", "failed")
        )
        await b.ingest.store([succeeded])
        await b.work()
        await b.ingest.store([failed])
        await b.work()
        assert [row["xero_id"] for row in await b.documents(kind="payment")] == [None]
        await age(b, 4000)
        await prune(b)
        await b.ingest.store([replace(succeeded, timestamp=failed.timestamp + 1)])
        assert not await b.work()


async def test_an_event_that_is_to_be_announced_is_kept(database_url: str) -> None:
    async with books(database_url) as b:
        await _superseded(b)
        await announced(b, "min(id) filter (where type = 'invoice.payment_status_updated')")
        await age(b, 366)
        assert not (await prune(b))["events"]
        await b.outbox.done([1])
        assert (await prune(b))["events"] == 1


# ── The pass ──────────────────────────────────────────────────────────────────────────────────────


async def _everything(b: Books) -> Counter[str]:
    """A year later there is something of each to drop."""
    await _superseded(b)
    await _two_requests(b)
    await posted(b, 5)
    await announced(b, "max(id)")
    await announced(b, "max(id)")
    await b.outbox.done([1, 2])
    await b.database.execute("insert into finding (class, closed_at) values ('drift', now())")
    await age(b, 500)
    return Counter(announcements=2, messages=11, requests=1, findings=1, events=3)


@pytest.mark.parametrize("page", [1, 2, 3, 500])
async def test_however_small_the_pages_all_is_dropped(database_url: str, page: int) -> None:
    async with books(database_url) as b:
        expected = await _everything(b)
        assert await prune(b, page=page) == expected


async def test_a_dry_run_tells_the_same_and_drops_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        expected = await _everything(b)
        tables = [*AGES, "event_raw", "member"]
        count = "select " + ", ".join(f"(select count(*) from {table})" for table in tables)
        before = await b.database.fetch(count)
        assert await prune(b, page=2, dry_run=True) == expected
        assert await b.database.fetch(count) == before
        assert await prune(b, page=2) == expected


async def test_what_another_holds_is_left_to_him_without_waiting(database_url: str) -> None:
    async with books(database_url) as b:
        expected = await _everything(b)
        assert set(expected) == {"announcements", "messages", "requests", "findings", "events"}
        async with b.database.pool.acquire() as other, other.transaction():
            await other.execute("set local lock_timeout = '1s'")
            for table in ("outbox", "event_raw", "request", "finding", "event"):
                await other.execute(f"select from {table} for update")
            assert not await prune(b)
        assert await prune(b) == expected


async def test_the_young_are_not_looked_through(database_url: str) -> None:
    async with books(database_url) as b:
        await posted(b, 9)
        pruner = Pruner(b.database, Keeping(), page=2)
        looked: Counter[str] = Counter()
        while (step := await pruner.step()) is not None:
            looked[step.what] += step.looked
        assert (looked["messages"], looked["events"]) == (2, 2)


async def test_a_consumer_at_work_loses_nothing(database_url: str) -> None:
    """Everything that may go goes at once, in every moment between two of its transactions, and others
    prune while these run."""
    async with books(database_url, limits=Limits(10_000, 100_000)) as b:
        at_once = Keeping(*[timedelta(0)] * 5)
        dropped: Counter[str] = Counter()
        over = asyncio.Event()

        async def pruning(page: int) -> None:
            while not over.is_set():
                dropped.update(await prune(b, at_once, page=page))

        async def all_sent(fail_once: bool) -> None:
            await b.released()
            while (frozen := (await b.ledger.freeze(b.tenants[0])).frozen) is not None:
                await prune(b, at_once)
                if fail_once and frozen.purpose == "invoice_create":
                    fail_once = False
                    await b.ledger.settle(frozen.request_id, None, None)
                    await b.database.execute("update document set ready_at = now()")
                else:
                    await b.accept(frozen)
                await prune(b, at_once)
                await b.released()

        told: list[bytes | None] = []
        stuck: list[str] = []
        others = [asyncio.create_task(pruning(page)) for page in (3, 100)]
        for n in range(10):
            who = b.customer()
            bills = [b.invoice(who), b.invoice(who), b.invoice(who, taxes=(UNKNOWN,))]
            stuck.append(bills[2]["number"])
            records = [b.record(b.said(thing)) for thing in (who, *bills)]
            await b.ingest.store(records if n % 2 else records[::-1])
            await prune(b, at_once)
            await all_sent(fail_once=n % 3 == 0)
            notices = await b.outbox.claim("dead_letter", 100, 60)
            told += [notice.value for notice in notices]
            await b.outbox.done([notice.id for notice in notices])
            before = await b.documents()
            await b.ingest.store(records)
            assert await b.documents() == before
        over.set()
        await asyncio.gather(*others)
        assert Counter(row["state"] for row in before) == {"synced": 30, "failed": 10}
        numbers = [json.loads(value or b"{}")["invoice"]["number"] for value in told]
        assert sorted(numbers) == stuck
        assert dropped["messages"] > 0


def _undecodable(*args: object, **named: object) -> None:
    raise Undecodable("not_json", "The value is not JSON.")
