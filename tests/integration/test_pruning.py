"""Pruning on a real Postgres: what nothing needs any more goes when its time is over, all else stays."""

from __future__ import annotations

import pytest

from consumer.adapters.postgres import reading
from consumer.announce.dead_letter import dead_letter
from consumer.domain.answers import Answered, Refusal
from tests.integration.ledger import books
from tests.integration.past import (
    age,
    announced,
    dead,
    left,
    posted,
    prune,
)

REFUSAL = Refusal("locked_period", "The document cannot be posted.", "Move the lock date.")


# ── Messages ───────────────────────────────────────────────────────────────────────────────────────


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
        await dead(b, told, monkeypatch)
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


# ── Announcements and findings ─────────────────────────────────────────────────────────────────────


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
