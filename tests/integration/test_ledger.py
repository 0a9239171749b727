"""The ledger on a real Postgres: states, wake-ups, budget, doubt, each as DESIGN promises it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import uuid4

import pytest

from consumer.adapters.postgres.database import Conn, Timeouts
from consumer.domain.answers import Answered, InDoubt, NotDone, Refusal, Reply, Saved
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.ports import Absent, Frozen, Other, Unavailable
from tests.integration.ledger import Books, books, saved, updated


async def _ready_invoice(b: Books) -> None:
    """One customer whose contact is in Xero, one invoice ready."""
    who = b.customer()
    await b.told(b.said(who), b.said(b.invoice(who)))
    await b.accept(await b.freeze())
    assert await b.ledger.release(10) == 1


async def test_an_invoice_waits_for_its_contact_and_is_released_by_it(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(b.invoice(who)))
        contact, invoice = await b.documents()
        assert (contact["kind"], contact["state"]) == ("contact", "ready")
        assert (invoice["state"], invoice["cause"]) == ("waiting", f"doc:{contact['id']}")
        frozen = await b.freeze()
        assert (frozen.purpose, frozen.count) == ("contact_create", 1)
        await b.accept(frozen)
        await b.ledger.release(10)
        [_, invoice] = await b.documents()
        assert invoice["state"] == "ready"
        assert (await b.freeze()).purpose == "invoice_create"


async def test_known_events_change_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        events = [b.said(who), b.said(b.invoice(who))]
        await b.told(*events)
        before = await b.documents()
        await b.told(*events)
        assert await b.documents() == before


async def test_five_waiting_updates_of_a_customer_cost_one_call(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await b.accept(await b.freeze())
        for _ in range(5):
            who = updated(b.choices, who, seconds=3, city=uuid4().hex)
            await b.told(b.said(who, "customer.updated"))
        frozen = await b.freeze()
        assert (frozen.purpose, frozen.count) == ("contact_update", 1)
        assert who["city"].encode() in frozen.body
        await b.accept(frozen)
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        [contact] = await b.documents()
        assert contact["state"] == "synced"


async def test_an_update_while_the_document_is_sending_is_sent_afterwards(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        frozen = await b.freeze()
        newer = updated(b.choices, who, seconds=5, city="Elsewhere")
        await b.told(b.said(newer, "customer.updated"))
        [contact] = await b.documents()
        assert contact["state"] == "sending"
        await b.accept(frozen)
        [contact] = await b.documents()
        assert contact["state"] == "ready"
        assert b"Elsewhere" in (await b.freeze()).body


async def test_a_void_of_an_unsent_invoice_skips_it(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        unsent = b.invoice(who)
        await b.told(b.said(unsent))
        await b.told(b.said({**unsent, "status": "voided"}, "invoice.voided"))
        [skipped] = await b.documents(lago_id=unsent["lago_id"])
        assert (skipped["state"], skipped["cause"]) == ("skipped", "lago:voided")
        await b.told(b.said({**unsent, "status": "finalized"}))
        [skipped] = await b.documents(lago_id=unsent["lago_id"])
        assert skipped["state"] == "skipped", "a late created never un-voids"


async def test_a_refused_invoice_fails_and_a_mapping_change_releases_only_its_cause(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen = await b.freeze()
        refusal = Refusal("currency_not_subscribed", "Organisation is not subscribed", "Add it.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), None)
        [failed] = await b.documents(state="failed")
        assert failed["code"] == "currency_not_subscribed"
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        assert (notice.code, notice.number) == ("currency_not_subscribed", failed["number"])
        assert notice.value is not None
        assert notice.topic == "lago.webhooks"
        assert await b.outbox.claim("dead_letter", 10, 60) == []


async def test_an_answer_is_settled_exactly_once(database_url: str) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        frozen = await b.freeze()
        answer = Answered(saved(frozen))
        first, second = await asyncio.gather(
            *(b.ledger.settle(frozen.request_id, answer, None) for _ in range(2))
        )
        assert sorted([len(first), len(second)]) == [0, 1]


async def test_totals_that_xero_changed_are_synced_recorded_and_announced(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen = await b.freeze()
        answer = Answered(saved(frozen, tax=Decimal("0.01")))
        await b.ledger.settle(frozen.request_id, answer, None)
        [invoice] = await b.documents(kind="invoice")
        assert invoice["state"] == "synced"
        found = await b.database.fetch("select class from finding order by id")
        assert {one["class"] for one in found} == {"totals_differ", "fallback_used"}
        [notice] = await b.outbox.claim("dead_letter", 10, 60)
        assert notice.code == "totals_differ"


async def test_a_second_claimant_of_a_number_fails_naming_both(database_url: str) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        who = b.customer()
        taken = (await b.documents(kind="invoice"))[0]["number"]
        await b.accept(await b.freeze())
        await b.told(b.said(who), b.said(b.invoice(who, number=taken)))
        await b.accept(await b.freeze())
        await b.ledger.release(10)
        freezing = await b.ledger.freeze(b.tenants[0])
        assert freezing.frozen is None
        assert [fate.code for fate in freezing.fates] == ["number_claimed"]


async def test_equal_names_in_one_batch_get_a_visible_suffix(database_url: str) -> None:
    async with books(database_url) as b:
        one, other = b.customer(name="Acme"), b.customer(name="ACMÉ")
        await b.told(b.said(one), b.said(other))
        frozen = await b.freeze()
        assert frozen.count == 2
        assert b'"ACM\xc3\x89 (' in frozen.body or b'"Acme (' in frozen.body


async def test_a_name_taken_in_xero_is_tried_with_two_suffixes_and_then_fails(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer(name="Acme")))
        refusal = Refusal("contact_name_taken", "The name is taken.", "Rename.", "rename")
        names = set()
        for _ in range(3):
            frozen = await b.freeze()
            names.add(frozen.body)
            await b.ledger.settle(frozen.request_id, Answered((refusal,)), None)
        assert len(names) == 3
        [contact] = await b.documents()
        assert (contact["state"], contact["code"]) == ("failed", "contact_name_taken")


async def test_not_executed_dissolves_with_a_new_key_and_counts_no_attempt(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, NotDone("unauthorised"), Reply(401, b""))
        again = await b.freeze()
        assert again.request_id != frozen.request_id
        [contact] = await b.documents()
        assert contact["attempts"] == 1


async def test_throttled_blocks_the_tenant_for_retry_after_and_no_other(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await b.told(b.said(b.customer()), b.said(b.customer("acme-1")))
        frozen = await b.freeze(0)
        await b.ledger.settle(frozen.request_id, NotDone("throttled", 30.0), Reply(429, b""))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        assert (await b.ledger.freeze(b.tenants[1])).frozen is not None
        [row] = await b.database.fetch(
            "select extract(epoch from due_at - now())::float as wait from tenant where id = $1",
            b.tenants[0],
        )
        assert 25 < row["wait"] <= 30


async def test_in_doubt_documents_stay_sending_until_looked_up(database_url: str) -> None:
    clocks = Clocks().scaled(0.001)
    async with books(database_url, clocks=clocks) as b:
        await b.told(b.said(b.customer()), b.said(b.customer()))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, InDoubt("status_500"), Reply(500, b"{}"))
        assert {d["state"] for d in await b.documents()} == {"sending"}
        await asyncio.sleep(clocks.freeze_to_first_byte * 2)
        async with asyncio.timeout(5):
            while not (due := await b.ledger.doubtful(5, 5, ())):
                await asyncio.sleep(0.005)
        assert list(due) == [(frozen.request_id, b.tenants[0])]
        doubtful = await b.ledger.take_doubt(frozen.request_id)
        assert doubtful is not None
        assert not doubtful.resend, "an answer came: it is looked up, not resent"
        assert await b.ledger.take_doubt(frozen.request_id) is None, "one looks, the others do not"
        adopted = Saved(uuid4())
        await b.ledger.resolve(frozen.request_id, {0: adopted, 1: Absent()})
        synced, again = await b.documents()
        assert (synced["state"], synced["xero_id"]) == ("synced", adopted.xero_id)
        assert (again["state"], again["batch_limit"]) == ("ready", 1)


async def test_no_answer_is_resendable_once_the_first_call_is_over(database_url: str) -> None:
    clocks = Clocks().scaled(0.001)
    async with books(database_url, clocks=clocks) as b:
        await b.told(b.said(b.customer()))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, InDoubt("no_answer"), None)
        # The verdict without a reply leaves look_at where the freeze put it or moves it no earlier.
        async with asyncio.timeout(5):
            while not await b.ledger.doubtful(5, 5, ()):
                await asyncio.sleep(0.005)
        doubtful = await b.ledger.take_doubt(frozen.request_id)
        assert doubtful is not None
        assert doubtful.frozen.body == frozen.body


async def test_a_number_held_by_another_document_in_xero_fails_with_both_sides(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen = await b.freeze()
        taken = Refusal("invoice_number_taken", "Invoice # must be unique.", "", "look")
        await b.ledger.settle(frozen.request_id, Answered((taken,)), Reply(200, b""))
        [invoice] = await b.documents(kind="invoice")
        assert invoice["state"] == "sending"
        assert await b.ledger.take_doubt(frozen.request_id) is not None
        await b.ledger.resolve(frozen.request_id, {0: Other("It has total 2.00, not 10.00.")})
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["code"]) == ("failed", "number_taken")


@pytest.mark.parametrize("tasks", [4])
async def test_concurrent_freezing_never_exceeds_the_budget(database_url: str, tasks: int) -> None:
    limits = Limits(minute=12, day=1000, concurrency=5)
    async with books(database_url, limits=limits, documents=1) as b:
        await b.told(*(b.said(b.customer()) for _ in range(40)))

        made = 0

        async def serve() -> None:
            nonlocal made
            while made < limits.minute:
                frozen = (await b.ledger.freeze(b.tenants[0])).frozen
                if frozen is not None:
                    made += 1
                    [row] = await b.database.fetch(
                        "select count(*) from request where answered_at is null"
                    )
                    assert row[0] <= limits.concurrency - 1
                    await b.accept(frozen)

        async with asyncio.timeout(30):
            await asyncio.gather(*(serve() for _ in range(tasks)))
        assert [(await b.ledger.freeze(b.tenants[0])).frozen for _ in range(10)] == [None] * 10
        assert made == limits.minute
        waited = await b.budget.take(b.tenants[0], "lookup", "GET", "Invoices")
        assert isinstance(waited, float)
        assert 50 < waited <= 60


async def test_one_slot_is_kept_for_look_ups(database_url: str) -> None:
    async with books(database_url, documents=1) as b:
        await b.told(*(b.said(b.customer()) for _ in range(6)))
        frozen = [(await b.ledger.freeze(b.tenants[0])).frozen for _ in range(5)]
        assert [f is not None for f in frozen] == [True] * 4 + [False]
        assert not isinstance(await b.budget.take(b.tenants[0], "lookup", "GET", "X"), float)
        assert isinstance(await b.budget.take(b.tenants[0], "lookup", "GET", "X"), float)


async def test_a_contact_found_under_our_number_is_adopted_and_then_updated(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        frozen = await b.freeze()
        taken = Refusal("contact_number_taken", "The contact number is taken.", "", "look")
        await b.ledger.settle(frozen.request_id, Answered((taken,)), Reply(200, b""))
        found = Saved(uuid4())
        await b.ledger.resolve(frozen.request_id, {0: found})
        [contact] = await b.documents()
        assert (contact["state"], contact["xero_id"]) == ("ready", found.xero_id)
        assert (await b.freeze()).purpose == "contact_update"


async def test_a_wake_up_is_never_lost_whichever_side_is_first(database_url: str) -> None:
    """The contact settles while its invoices are being ingested, again and again."""
    async with books(database_url, limits=Limits(minute=1000)) as b:
        waited = 0
        for turn in range(40):
            who = b.customer()
            await b.told(b.said(who))
            frozen = await b.freeze()

            async def settle(frozen: Frozen = frozen, turn: int = turn) -> None:
                await asyncio.sleep(turn % 8 / 1000)
                await b.accept(frozen)

            await asyncio.gather(settle(), b.told(b.said(b.invoice(who))))
            [invoice] = await b.documents(customer_id=who["lago_id"], kind="invoice")
            waited += invoice["state"] == "waiting"
            await b.ledger.release(10)
            [invoice] = await b.documents(customer_id=who["lago_id"], kind="invoice")
            assert invoice["state"] == "ready", f"turn {turn}: {invoice['cause']}"
            await b.accept(await b.freeze())
        assert 0 < waited < 40, f"both orders must have been seen; {waited} of 40 waited"


async def test_a_client_paused_inside_a_transaction_loses_it_and_holds_nobody_up(
    database_url: str,
) -> None:
    """What SIGSTOP in mid-transaction does: Postgres ends the session and frees the tenant."""
    async with books(database_url, timeouts=Timeouts(idle=0.3)) as b:
        await b.told(b.said(b.customer()))

        async def paused(conn: Conn) -> None:
            await conn.fetch("select 1 from tenant where id = $1 for update", b.tenants[0])
            assert (await b.ledger.freeze(b.tenants[0])).frozen is None
            await asyncio.sleep(1.0)
            await conn.fetch("select 1")

        with pytest.raises(Unavailable):
            await b.database.run(paused)
        assert (await b.freeze()).count == 1
