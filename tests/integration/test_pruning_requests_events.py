"""Pruning calls and keys on a real Postgres: what is counted, asked for or known again stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from consumer.adapters.postgres.pruning import Keeping
from consumer.sandbox.lago import payment, payment_event
from tests.integration.ledger import books
from tests.integration.past import (
    age,
    announced,
    left,
    posted,
    prune,
    superseded,
    two_requests,
)

# ── Requests ───────────────────────────────────────────────────────────────────────────────────────


async def test_calls_are_dropped_but_for_each_documents_last_acceptance(database_url: str) -> None:
    async with books(database_url) as b:
        _, last = await two_requests(b)
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
        both = await two_requests(b)
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
        first, last = await two_requests(b)
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


# ── Events ─────────────────────────────────────────────────────────────────────────────────────────


async def test_keys_are_known_for_a_year_and_then_as_long_as_a_document_has_their_version(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await superseded(b)
        await age(b, 364)
        assert not (await prune(b))["events"]
        await age(b, 2)
        assert (await prune(b))["events"] == 1
        assert set(await left(b, "event")) == {row["event_id"] for row in await b.documents()}


async def test_a_message_whose_key_was_dropped_changes_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        poorer, _ = await superseded(b)
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
        await superseded(b)
        await announced(b, "min(id) filter (where type = 'invoice.payment_status_updated')")
        await age(b, 366)
        assert not (await prune(b))["events"]
        await b.outbox.done([1])
        assert (await prune(b))["events"] == 1
