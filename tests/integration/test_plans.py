"""The hot queries use their indexes, however many documents wait."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.adapters.postgres.sql import statements
from tests.integration.ledger import Books, books

DOCUMENTS = 20_000
IDS = [uuid4() for _ in range(500)]
LEDGER, INBOX = statements("ledger"), statements("inbox")
ASKING = statements("asking")
LETTERS = statements("dead_letters")
READING, RETRYING, PRUNING = statements("reading"), statements("retrying"), statements("pruning")
RECONCILING = statements("reconciling")
LONG, KEPT = datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=30)


async def _fill(b: Books) -> None:
    """20,000 waiting, synced and ready documents of 100 tenants, and as many calls."""
    await b.database.execute(
        "insert into tenant (id, authorisation_id) select gen_random_uuid(), 1 from generate_series(1, 100)"
    )
    await b.database.execute(
        """
        insert into document (connection_id, tenant_id, kind, lago_id, customer_id, state, ready_at,
                              cause, wanted)
        select 1, t.id, case when n % 3 = 0 then 'contact' else 'invoice' end, gen_random_uuid(),
               gen_random_uuid(), (array['waiting', 'synced', 'ready'])[1 + n % 3], now(),
               case when n % 3 = 0 then 'doc:' || n end, 'x'
          from tenant t, generate_series(1, 200) n
        """
    )
    await b.database.execute(
        """
        insert into request (id, tenant_id, purpose, method, path, started_at, deadline_at,
                             answered_at, outcome)
        select gen_random_uuid(), t.id, 'invoice_create', 'PUT', 'Invoices', now() - n * interval '1 min',
               now(), now(), 'answered'
          from tenant t, generate_series(1, 200) n
        """
    )
    await b.database.execute(
        """
        insert into object (kind, lago_id, organization_id, facts, invoice_ids)
        select k.kind, gen_random_uuid(), gen_random_uuid(), '{}',
               case when k.kind = 'payment' then array[gen_random_uuid()] else '{}' end
          from (values ('customer'), ('payment')) as k (kind), generate_series(1, 20000)
        """
    )


def _scans(plan: Any) -> set[str]:
    """Tables read whole, by name."""
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    for child in plan.get("Plans", ()):
        found |= _scans(child)
    return found


def _looked_at(plan: Any) -> float:
    """Rows that came up anywhere in an executed plan, kept or not."""
    rows = sum(
        plan.get(name, 0)
        for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    )
    return float(rows * plan["Actual Loops"]) + sum(map(_looked_at, plan.get("Plans", ())))


QUERIES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "first_ready": (LEDGER["first_ready"], (uuid4(), ["contact", "invoice"], ["create"] * 2)),
    "ready": (LEDGER["ready"], (uuid4(), "invoice", "create", 50)),
    "hold_paused": (LEDGER["hold_paused"], (uuid4(), "invoice", "create", 500)),
    "sleep": (LEDGER["sleep"], (uuid4(), ["contact", "invoice"], ["create"] * 2, 0.0, 0)),
    "count_calls": (
        LEDGER["count_calls"],
        (uuid4(), timedelta(minutes=1), timedelta(days=1), None),
    ),
    "members": (LEDGER["members"], (uuid4(), False, [])),
    "members_of_none": (LEDGER["members"], (None, False, [1, 2, 3])),
    "held_by": (LEDGER["held_by"], ("doc:3", 0, 500)),
    "ready_payments": (LEDGER["ready_payments"], (1, 0, 100)),
    "release_documents": (LEDGER["release_documents"], ([1, 2, 3], "doc:3")),
    "claimed_numbers": (LEDGER["claimed_numbers"], (uuid4(), ["a"], "invoice", [1])),
    "claimed_ids": (LEDGER["claimed_ids"], (uuid4(), "invoice", [uuid4()], [1])),
    "release_waiting": (LEDGER["release_waiting"], ([1, 2, 3],)),
    "prune_bodies": (LEDGER["prune_bodies"], (timedelta(hours=1),)),
    "known": (INBOX["known"], ([b"x"],)),
    "family": (INBOX["family"], (IDS,)),
    "lock_documents": (INBOX["lock_documents"], (["contact"] * 500, IDS)),
    "end_patience": (LEDGER["end_patience"], (100,)),
    "needing": (INBOX["needing"], (list(range(500)),)),
    "unmet": (
        INBOX["unmet"],
        (
            list(range(500)),
            [1] * 500,
            ["invoice", "credit_note"] * 250,
            IDS,
            [None] * 500,
            IDS,
            IDS,
            timedelta(days=1),
        ),
    ),
    "place_credits": (INBOX["place_credits"], (list(range(500)),)),
    "wait_for_payments": (INBOX["wait_for_payments"], (list(range(500)),)),
    "looked_for": (LEDGER["looked_for"], (list(range(50)), timedelta(hours=1))),
    "whole_receipts": (LEDGER["whole_receipts"], (list(range(50)),)),
    "leave_deducted": (INBOX["leave_deducted"], (list(range(500)),)),
    "unknown": (INBOX["unknown"], (list(range(500)),)),
    "left_out": (INBOX["left_out"], (list(range(500)),)),
    "close_left_out": (INBOX["close_left_out"], (list(range(500)),)),
    "belonging": (READING["belonging"], ([1, 2, 3],)),
    "object_documents": (READING["object_documents"], ("INV-1", uuid4(), 7)),
    "failed": (RETRYING["failed"], (None, "acme", None, "locked_period", None, None, 0, 500, 3)),
    "failed_of_ids": (RETRYING["failed"], ([1, 2, 3], None, None, None, None, None, 0, 500, None)),
    "looping": (RETRYING["looping"], (*(None,) * 6, 3)),
    "failed_groups": (LETTERS["documents"], (*(None,) * 6, 50)),
    "count_failed": (RETRYING["count"], (None,) * 6),
    "dated": (RECONCILING["dated"], (1, date(2026, 5, 1), date(2026, 5, 31), uuid4())),
    "attached": (RECONCILING["attached"], (1, IDS)),
    "whole": (RECONCILING["whole"], (1, IDS)),
    "entries": (RECONCILING["entries"], (list(range(500)), LONG)),
    "shown": (RECONCILING["shown"], (uuid4(), IDS, 1)),
    "unsent": (RECONCILING["unsent"], (uuid4(), ["INV-1"])),
    "held": (RECONCILING["held"], ("payment", IDS[:100])),
    "paying": (RECONCILING["paying"], (IDS[:100],)),
    "count_share": (RECONCILING["count_share"], (uuid4(), "reconcile", timedelta(days=1))),
}


@pytest.mark.parametrize(
    "name",
    [
        "family",
        "lock_documents",
        "unmet",
        "place_credits",
        "leave_deducted",
        "wait_for_payments",
        "unknown",
        "left_out",
    ],
)
async def test_nor_many_times_while_nobody_has_counted_it(database_url: str, name: str) -> None:
    """A topic is read from its beginning into empty tables, faster than autovacuum looks at them."""
    query, args = QUERIES[name]
    async with books(database_url) as b:
        for table in ("document", "object"):
            await b.database.execute(f"alter table {table} set (autovacuum_enabled = off)")
        await _fill(b)
        [row] = await b.database.fetch(f"explain (analyze, buffers, format json) {query}", *args)
        plan = json.loads(row[0])[0]["Plan"]
        assert _looked_at(plan) < 5 * DOCUMENTS
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 5 * DOCUMENTS


STEPS = (["contact", "contact", "invoice"], ["create", "update", "create"])


@pytest.mark.parametrize(
    ("name", "args", "most"),
    [
        ("first_ready", STEPS, DOCUMENTS / 4),
        ("ready", ("contact", "create", 50), DOCUMENTS / 4),
        ("ready", ("payment", "create", 50), DOCUMENTS * 4),  # once through it, not for each
        ("hold_paused", ("contact", "create", 500), DOCUMENTS / 4),
        ("sleep", (*STEPS, 0.0, 0), DOCUMENTS / 4),
    ],
)
async def test_a_backlog_that_nobody_has_counted_is_taken_from_its_front(
    database_url: str, name: str, args: tuple[Any, ...], most: float
) -> None:
    async with books(database_url) as b:
        await b.database.execute("alter table document set (autovacuum_enabled = off)")
        await b.database.execute(
            "insert into document (connection_id, tenant_id, kind, lago_id, target, amount_cents, "
            "customer_id, state, ready_at, wanted) "
            "select 1, $1, kind, gen_random_uuid(), case kind when 'payment' then gen_random_uuid() end, "
            "case kind when 'payment' then 100 end, gen_random_uuid(), 'ready', now(), 'x' "
            "from unnest(array['contact', 'payment']) as k (kind), generate_series(1, $2)",
            b.tenants[0],
            DOCUMENTS,
        )
        explain = f"explain (analyze, format json) {LEDGER[name]}"
        [row] = await b.database.fetch(explain, b.tenants[0], *args)
        assert _looked_at(json.loads(row[0])[0]["Plan"]) < most


NOTES = list(range(DOCUMENTS * 2 + 1, DOCUMENTS * 2 + 51))


async def _fill_notes(b: Books) -> None:
    """20,000 credit notes that may be sent, after their customers' contacts and the invoices that they
    correct; fifty of them are members of a request."""
    for statement in (
        """
        insert into object (kind, lago_id, organization_id, customer_id, facts, invoice_ids)
        select 'credit_note', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '{}',
               array[gen_random_uuid()]
          from generate_series(1, 20000)
        """,
        """
        insert into object (kind, lago_id, organization_id, facts)
        select 'customer', customer_id, organization_id, '{}' from object where kind = 'credit_note'
        """,
        """
        insert into document (connection_id, tenant_id, kind, lago_id, customer_id, state, ready_at, wanted,
                              xero_id, contact_id)
        select 1, t.id, k.kind,
               case k.kind when 'contact' then o.customer_id when 'invoice' then invoice_ids[1]
                           else o.lago_id end,
               o.customer_id, case k.kind when 'credit_note' then 'ready' else 'synced' end, now(), 'x',
               case when k.kind <> 'credit_note' then gen_random_uuid() end,
               case when k.kind <> 'contact' then gen_random_uuid() end
          from unnest(array['contact', 'invoice', 'credit_note']) with ordinality as k (kind, rank),
               object o, (select id from tenant limit 1) t
         where o.kind = 'credit_note'
         order by k.rank
        """,
        "insert into request (id, tenant_id, purpose, method, path, deadline_at)"
        f" select '{UUID(int=1)}', id, 'credit_note_create', 'PUT', 'CreditNotes', now() from tenant limit 1",
        "insert into member (request_id, position, document_id)"
        f" select '{UUID(int=1)}', row_number() over (), d.id"
        " from (select id from document where kind = 'credit_note' order by id limit 50) d",
    ):
        await b.database.execute(statement)


@pytest.mark.parametrize(
    ("query", "args"),
    [
        (LEDGER["ready"], ("tenant", "credit_note", "create", 50)),
        (LEDGER["members"], (UUID(int=1), False, [])),
        (LEDGER["lock_with_contacts"], (UUID(int=1),)),
        (LEDGER["follow_merges"], (NOTES, IDS[:50])),
    ],
    ids=["ready", "members", "lock_with_contacts", "follow_merges"],
)
async def test_notes_that_nobody_has_counted_find_their_invoices(
    database_url: str, query: str, args: tuple[Any, ...]
) -> None:
    async with books(database_url) as b:
        for table in ("document", "object", "member"):
            await b.database.execute(f"alter table {table} set (autovacuum_enabled = off)")
        await _fill_notes(b)
        given = [b.tenants[0] if one == "tenant" else one for one in args]
        [row] = await b.database.fetch(f"explain (analyze, format json) {query}", *given)
        assert 100 < _looked_at(json.loads(row[0])[0]["Plan"]) < DOCUMENTS / 4


@pytest.mark.parametrize("name", QUERIES)
async def test_no_large_table_is_read_whole(database_url: str, name: str) -> None:
    query, args = QUERIES[name]
    async with books(database_url) as b:
        await _fill(b)
        await b.told(*(b.said(b.customer()) for _ in range(200)))
        await b.database.execute("analyze")
        [row] = await b.database.fetch(f"explain (format json) {query}", *args)
        plan = json.loads(row[0])[0]["Plan"]
        assert not _scans(plan) & {"document", "request", "object"}


async def _fill_the_past(b: Books) -> None:
    """Two years: an event of each document with its bytes, a request and an announcement of it."""
    await _fill(b)
    for statement in (
        """
        insert into event (digest, kind, outcome, topic, partition, "offset", appended_at, received_at)
        select sha256(n::text::bytea), 'invoice', 'merged', 't', 0, n, now(),
               now() - interval '1 h' * (20000 - n)
          from generate_series(1, 20000) n
        """,
        "insert into event_raw (event_id, value) select id, 'x' from event",
        "update document set event_id = id",
        "update request set started_at = started_at - interval '60 days'",
        "insert into member (request_id, position, document_id, outcome)"
        " select r.id, 0, row_number() over (order by r.id), 'accepted' from request r",
        "insert into outbox (sink, event_id, class, code, said, created_at, done_at)"
        " select 'dead_letter', id, 'Refused', 'odd', 'Odd.', received_at, received_at from event",
        "insert into finding (class, closed_at) select 'drift', case when n % 50 = 0 then now() end"
        " from generate_series(1, 20000) n",
        "analyze",
    ):
        await b.database.execute(statement)


PAST = {"event", "event_raw", "document", "request", "member", "outbox", "finding"}
PAGES: dict[str, tuple[Any, ...]] = {
    "announcements": (0, KEPT, 500),
    "messages": (0, KEPT, 500),
    "requests": (LONG, UUID(int=0), KEPT, 500),
    "findings": (0, KEPT, 500),
    "events": (0, KEPT, 500),
    "drop_announcements": ([1, 2, 3],),
    "drop_messages": ([1, 2, 3],),
    "drop_requests": ([uuid4()],),
    "drop_findings": ([1, 2, 3],),
    "drop_events": ([1, 2, 3],),
}


@pytest.mark.parametrize("name", PAGES)
async def test_pruning_reads_a_page_of_no_table_more(database_url: str, name: str) -> None:
    async with books(database_url) as b:
        await _fill_the_past(b)
        explain = f"explain (analyze, format json) {PRUNING[name]}"
        [row] = await b.database.fetch(explain, *PAGES[name])
        plan = json.loads(row[0])[0]["Plan"]
        assert not _scans(plan) & PAST
        assert _looked_at(plan) < 20 * 500


async def _fill_the_lacking(b: Books) -> None:
    """20,000 invoices without fees, as many customers without links, and a question about each."""
    await _fill(b)
    for statement in (
        """
        insert into object (kind, lago_id, organization_id, facts, lacking)
        select k.kind, gen_random_uuid(), '00000000-0000-0000-0000-000000000001', '{}',
               case when k.kind = 'customer' then 'links' end
          from (values ('customer'), ('invoice'), ('credit_note')) as k (kind), generate_series(1, 20000)
        """,
        """
        insert into document (connection_id, tenant_id, kind, lago_id, state, cause, target, source)
        select 1, t.id, o.kind, o.lago_id, 'waiting',
               case o.kind when 'invoice' then 'content:' || o.lago_id
                           else 'credit_note:' || o.lago_id || '@1' end, null, o.lago_id
          from object o cross join (select id from tenant limit 1) t
         where o.kind in ('invoice', 'credit_note')
        """,
        """
        insert into question (kind, lago_id, organization_id, next_at)
        select kind, lago_id, organization_id, now() + random() * interval '2 h' - interval '1 h'
          from object where kind in ('customer', 'invoice', 'credit_note')
        """,
    ):
        await b.database.execute(statement)


QUESTIONS: dict[str, tuple[Any, ...]] = {
    "lacking_documents": (0, 500, UUID(int=1), timedelta(seconds=30)),
    "lacking_objects": (UUID(int=0), 500, UUID(int=1), timedelta(seconds=30), timedelta(days=1)),
    "due": (UUID(int=1), []),
    "forget_unneeded": ("credit_note", UUID(int=7)),
    "hold_off": ("customer", UUID(int=7), timedelta(seconds=300)),
    "later": ("customer", UUID(int=7), timedelta(seconds=300), None),
}


@pytest.mark.parametrize("analysed", [True, False])
@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_look_at_what_is_lacking_reads_no_more_than_its_page(
    database_url: str, name: str, analysed: bool
) -> None:
    async with books(database_url) as b:
        for table in ("document", "object", "question"):
            await b.database.execute(f"alter table {table} set (autovacuum_enabled = off)")
        await _fill_the_lacking(b)
        if analysed:
            await b.database.execute("analyze")
        explain = f"explain (analyze, format json) {ASKING[name]}"
        [row] = await b.database.fetch(explain, *QUESTIONS[name])
        plan = json.loads(row[0])[0]["Plan"]
        if analysed:
            assert not _scans(plan) & {"document", "object", "question"}
        assert _looked_at(plan) < 30 * 500
