"""Passes of pruning on a real Postgres: page by page, dry, beside another and beside a consumer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from consumer.adapters.postgres.pruning import Keeping, Pruner
from consumer.domain.pacing import Limits
from consumer.sandbox.lago import Tax
from tests.integration.ledger import Books, books
from tests.integration.past import (
    AGES,
    age,
    announced,
    posted,
    prune,
    superseded,
    two_requests,
)

UNKNOWN = Tax("unknown_tax", Decimal(10))


async def _everything(b: Books) -> Counter[str]:
    """A year later there is something of each to drop."""
    await superseded(b)
    await two_requests(b)
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
