"""Dead letters on a real Postgres: listed by what mends them, tried again within bounds, set aside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres import dead_letters
from consumer.adapters.postgres.dead_letters import Events, Letters
from consumer.adapters.postgres.retrying import Which, looping, retry
from consumer.adapters.postgres.sql import statements
from consumer.domain.answers import Answered, Refusal
from consumer.ports import Record
from tests.integration.ledger import Books, books
from tests.integration.past import dead

REFUSAL = Refusal("locked_period", "The document cannot be posted.", "Move the lock date.")
ALL = Letters(Which(), Events())


async def _refused(b: Books, invoices: int = 1) -> list[dict[str, Any]]:
    """Invoices that Xero refused, of one customer that it has."""
    who = b.customer()
    told = [b.invoice(who) for _ in range(invoices)]
    await b.told(b.said(who), *map(b.said, told))
    await b.accept(await b.freeze())
    await b.released()
    frozen = await b.freeze()
    await b.ledger.settle(frozen.request_id, Answered((REFUSAL,) * invoices), None)
    return told


async def _refuse_again(b: Books) -> None:
    await b.released()
    frozen = await b.freeze()
    await b.ledger.settle(frozen.request_id, Answered((REFUSAL,) * frozen.count), None)


async def _retry(b: Books, which: Which, most: int | None = 3) -> Counter[str]:
    codes: Counter[str] = Counter()
    async for page in retry(b.database, which, who="ann", reason="try", most=most):
        codes.update(page)
    return codes


async def _discard(b: Books, letters: Letters = ALL, page: int = 500) -> Counter[str]:
    codes: Counter[str] = Counter()
    async for told in dead_letters.discard(
        b.database, letters, who="ann", reason="entered by hand", page=page
    ):
        codes.update(told)
    return codes


async def _reread(b: Books, which: Events | None = None, most: int | None = 3) -> int:
    count = 0
    async for ids, records in dead_letters.records(
        b.database, which or Events(), who="ann", reason="new version", page=2, most=most
    ):
        await b.ingest.store(records)
        count += len(ids)
    return count


# ── list ──────────────────────────────────────────────────────────────────────────────────────────


async def test_they_are_grouped_by_what_mends_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        await _refused(b, 3)
        await dead(b, b.record(b.said(b.customer())), monkeypatch)
        *_, newest = await b.documents(state="failed")
        first, second = await dead_letters.groups(b.database, ALL)
        assert (first["count"], first["connection"], first["code"]) == (3, "acme", "locked_period")
        assert (first["newest"], first["hint"]) == (f"doc:{newest['id']}", "Move the lock date.")
        assert (second["count"], second["kind"], second["newest"]) == (1, "event", "event:5")
        assert second["said"]


async def test_filters_and_each(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with books(database_url, tenants=2) as b:
        await _refused(b, 2)
        await dead(b, b.record(b.said(b.customer())), monkeypatch)
        now = datetime.now(UTC)
        hour = timedelta(hours=1)

        async def found(letters: Letters) -> list[str]:
            rows = await dead_letters.each(b.database, letters, 50)
            assert sum(g["count"] for g in await dead_letters.groups(b.database, letters)) == len(
                rows
            )
            return [row["kind"] for row in rows]

        assert sorted(await found(ALL)) == ["event", "invoice", "invoice"]
        assert await found(Letters(None, Events())) == ["event"]
        assert await found(Letters(Which(connection="acme-1"), None)) == []
        assert await found(Letters(Which(kind="contact"), Events(code="x"))) == []
        assert await found(Letters(Which(since=now + hour), Events(since=now + hour))) == []
        assert await found(Letters(Which(until=now - hour), Events(until=now - hour))) == []
        assert len(await found(Letters(Which(since=now - hour), Events(until=now + hour)))) == 3
        assert len(await dead_letters.each(b.database, ALL, 2)) == 2


async def test_what_is_shown_of_an_event_is_not_its_contents(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        await dead(b, b.record(b.said(b.customer(name="Kanari Vogel"))), monkeypatch)
        shown = await dead_letters.event(b.database, 1)
        assert shown is not None
        assert (shown["outcome"], shown["topic"], shown["kept"]) == ("dead", "lago.webhooks", True)
        assert "Kanari" not in repr(shown)
        assert await dead_letters.event(b.database, 2) is None


# ── redrive ───────────────────────────────────────────────────────────────────────────────────────


async def test_events_are_read_again_from_the_ledger_under_their_keys(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        told = [b.record(b.said(b.customer())) for _ in range(3)]
        for record in told:
            await dead(b, record, monkeypatch)
        keys = {row["digest"] for row in await b.database.fetch("select digest from event")}
        assert await _reread(b) == 3
        rows = await b.database.fetch("select digest, outcome, redriven from event")
        assert {row["digest"] for row in rows} == keys
        assert {(row["outcome"], row["redriven"]) for row in rows} == {("merged", 1)}
        assert len(await b.documents(kind="contact", state="ready")) == 3
        audit = await b.database.fetch("select action, subject, reason from audit order by id")
        assert [tuple(row) for row in audit[1:]] == [
            ("redrive", "events 1, 2", "new version"),
            ("redrive", "events 3", "new version"),
        ]
        assert await _reread(b) == 0


async def test_an_event_that_is_dead_for_the_same_reason_three_times_is_left_alone(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        broken = b.record(b.said(b.customer()))
        await b.ingest.store([_cut(broken)])
        assert [await _reread(b) for _ in range(5)] == [1, 1, 1, 0, 0]
        [one] = await dead_letters.looping_events(b.database, Events(), 3)
        assert one["redriven"] == 3
        assert await _reread(b, most=None) == 1
        await b.database.execute("update event set code = 'another'")
        assert await _reread(b, most=None) == 1
        assert await dead_letters.looping_events(b.database, Events(), 3) == []
        assert not await b.database.fetch("select from outbox where id > 1"), "told of it once"


def _cut(record: Record) -> Record:
    assert record.value is not None
    return replace(record, value=record.value[:40])


async def test_a_document_that_fails_for_the_same_reason_three_times_is_left_alone(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _refused(b)
        for _ in range(3):
            assert await _retry(b, Which()) == {"locked_period": 1}
            await _refuse_again(b)
        assert await _retry(b, Which()) == {}
        [one] = await looping(b.database, Which(), 3)
        assert (one["code"], one["redriven"]) == ("locked_period", 3)
        assert await _retry(b, Which(), most=None) == {"locked_period": 1}
        await _refuse_again(b)
        await b.database.execute("update document set code = 'has_money' where state = 'failed'")
        assert await _retry(b, Which()) == {"has_money": 1}, "another reason"


async def test_what_was_accepted_is_counted_anew(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b)
        await _retry(b, Which())
        await b.work()
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["redriven"]) == ("synced", 0)


# ── discard ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_discarded_document_leaves_out_what_waits_for_it(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        assert await _discard(b) == {"locked_period": 1}
        await b.released()
        contact, invoice = await b.documents()
        assert (contact["state"], contact["code"]) == ("skipped", None)
        assert (invoice["state"], invoice["cause"]) == ("skipped", f"doc:{contact['id']}")
        word = await dead_letters.aside(b.database, contact["cause"])
        assert word is not None
        assert (word["who"], word["reason"]) == ("ann", "entered by hand")
        assert await dead_letters.groups(b.database, ALL) == []
        assert await b.work() == []


async def test_it_stays_aside_until_lago_asks_for_something_else(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        await _discard(b)
        invoice = b.invoice(who)
        await b.told(b.said(invoice), b.said(who, "customer.updated"))  # nothing new of him
        assert await b.work() == []
        renamed = {**who, "name": "Renamed", "updated_at": "2026-05-01T13:00:00Z"}
        await b.told(b.said(renamed, "customer.updated"))
        assert [one.purpose for one in await b.work()] == ["contact_create", "invoice_create"]
        assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_what_xero_has_of_it_stays_and_its_customer_is_billed_on(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await b.work()
        renamed = {**who, "name": "Renamed", "updated_at": "2026-05-01T13:00:00Z"}
        await b.told(b.said(renamed, "customer.updated"))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        await _discard(b)
        [contact] = await b.documents()
        assert contact["state"] == "synced"
        assert contact["cause"].startswith("ignored:")
        await b.told(b.said(b.invoice(renamed)))
        assert [one.purpose for one in await b.work()] == ["invoice_create"]
        [contact] = await b.documents(kind="contact")
        assert contact["cause"].startswith("ignored:")


async def test_a_refused_removal_stays_aside_too(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        later = {**told, "status": "voided", "updated_at": "2026-05-01T12:00:09Z"}
        await b.told(b.said(later, "invoice.voided"))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        assert await _discard(b) == {"locked_period": 1}
        unvoided = statements("inbox")["unvoided"]
        assert await b.database.fetch(unvoided, [UUID(told["lago_id"])]), "what is on it stays"
        even_later = {**later, "updated_at": "2026-05-01T12:00:19Z"}
        await b.told(b.said(even_later, "invoice.voided"))
        assert await b.work() == []
        assert await _retry(b, Which(ids=[2])) == {"ignored": 1}
        assert [one.purpose for one in await b.work()] == ["invoice_void"]


async def test_who_names_what_is_set_aside_takes_it_up_again(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b)
        await _discard(b)
        [invoice] = await b.documents(kind="invoice")
        assert await _retry(b, Which()) == {}, "nobody has named it"
        assert await _retry(b, Which(ids=[invoice["id"]])) == {"ignored": 1}
        await b.work()
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["cause"]) == ("synced", None)


async def test_discarding_goes_page_by_page(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b, 5)
        assert await _discard(b, page=2) == {"locked_period": 5}
        audits = await b.database.fetch("select subject from audit where action = 'discard'")
        assert len(audits) == 3
        assert len({d["cause"] for d in await b.documents(state="skipped")}) == 3


async def test_a_discarded_event_is_known_and_can_be_taken_up_by_name(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        record = b.record(b.said(b.customer()))
        await dead(b, record, monkeypatch)
        assert sum((await _discard(b)).values()) == 1
        await b.ingest.store([record])
        assert await b.documents() == []
        assert await _reread(b) == 0
        assert await _reread(b, Events(ids=[1])) == 1
        assert len(await b.documents(kind="contact")) == 1
