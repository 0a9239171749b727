"""Wake-ups: a contact settles while its invoices are being written, and none of them is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from consumer.adapters.postgres import releasing
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.documents import wait_for_others
from consumer.adapters.postgres.sql import columns, statements
from consumer.sandbox.lago import payment, payment_event
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, consuming, note_told

ROUNDS = 40
INBOX = statements("inbox")


async def at_rest(b: Books, customer_id: UUID) -> None:
    """Release what there is to release; then no invoice of his may wait any longer."""
    await b.released()
    [contact] = await b.documents(kind="contact", lago_id=customer_id)
    assert contact["xero_id"] is not None
    invoices = await b.documents(kind="invoice", customer_id=customer_id)
    assert [row["state"] for row in invoices] == ["ready"] * len(invoices)
    assert len(invoices) > 0


async def test_settling_and_ingesting_at_once_leave_no_invoice_waiting(database_url: str) -> None:
    """Both sides start together in every round, one a little later than the other."""
    chance = Random(1)
    async with books(database_url) as b:
        for _ in range(ROUNDS):
            customer = b.customer()
            await b.told(b.said(customer))
            frozen = await b.freeze()
            news = [b.said(b.invoice(customer)) for _ in range(3)]

            async def later(work: object, delay: float) -> None:
                await asyncio.sleep(delay)
                await work  # type: ignore[misc]

            lead = chance.uniform(-0.008, 0.008)
            await asyncio.gather(
                later(b.accept(frozen), max(0.0, lead)), later(b.told(*news), max(0.0, -lead))
            )
            await at_rest(b, UUID(customer["lago_id"]))
            await b.database.execute("update document set state = 'synced' where state = 'ready'")
            await b.database.execute("update request set answered_at = now() - interval '1 day'")


async def test_an_invoice_and_its_payment_told_at_once_meet(database_url: str) -> None:
    """By two pods, neither of which has seen what the other is writing."""
    chance = Random(2)
    async with books(database_url) as b:
        customer = b.customer()
        await b.told(b.said(customer))
        for _ in range(ROUNDS):
            invoice = b.invoice(customer)
            paid = payment_event(payment(b.choices, [invoice]), str(b.organization_id))

            async def later(news: dict[str, object], delay: float) -> None:
                await asyncio.sleep(delay)
                await b.told(news)

            lead = chance.uniform(-0.004, 0.004)
            await asyncio.gather(
                later(b.said(invoice), max(0.0, lead)), later(paid, max(0.0, -lead))
            )
        states = {row["cause"].split(":")[0] for row in await b.documents(kind="payment")}
        assert states == {"doc"}, "each waits for its invoice's document"
        assert len(await b.documents(kind="payment")) == ROUNDS


async def blocked(b: Books, sessions: int) -> None:
    """Until so many sessions of this database wait for a lock."""
    query = """select count(*) as waiting from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'"""
    async with asyncio.timeout(10):
        while (await b.database.fetch(query))[0]["waiting"] < sessions:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("first", ["ingest", "settle"])
async def test_each_side_is_held_while_the_other_is_in_the_middle(
    database_url: str, first: str
) -> None:
    """One side is stopped inside its transaction, having seen the contact, before it commits."""
    async with books(database_url) as b:
        customer = b.customer()
        await b.told(b.said(customer))
        frozen = await b.freeze()
        news = b.said(b.invoice(customer))
        # Each wakes the tenant at the end of its transaction: holding the tenant's row stops the one
        # in the middle, and the other must then wait for the contact's row.
        await b.database.execute(
            "update tenant set due_at = now()"
        )  # else settling leaves it alone
        async with b.database.pool.acquire() as holder, holder.transaction():
            await holder.execute("select from tenant for update")
            if first == "ingest":
                # Another customer wakes the tenant in the very transaction that writes the cause.
                other = b.said(b.customer())
                early = asyncio.create_task(b.told(news, other))
                late = b.accept(frozen)
            else:
                early = asyncio.create_task(b.accept(frozen))  # type: ignore[arg-type]
                late = b.told(news)  # type: ignore[assignment]
            await blocked(b, 1)
            finishing = asyncio.create_task(late)
            await blocked(b, 2)
            assert not early.done()
        await asyncio.gather(early, finishing)
        await at_rest(b, UUID(customer["lago_id"]))


async def test_without_the_contacts_row_the_wake_up_would_be_lost(database_url: str) -> None:
    """The test's own proof: who reads the contact without holding its row misses the settlement."""
    careless = INBOX["unmet"].replace("for share of x", "")
    assert careless != INBOX["unmet"]
    async with books(database_url) as b:
        customer = b.customer()
        await b.told(b.said(customer))
        frozen = await b.freeze()
        await b.told(b.said(b.invoice(customer)))
        [invoice] = await b.documents(kind="invoice")
        await b.database.execute(
            "update document set state = 'ready', cause = null where id = $1", invoice["id"]
        )
        async with b.database.pool.acquire() as writer, writer.transaction():
            [needing] = await writer.fetch(INBOX["needing"], [invoice["id"]])
            [held] = await writer.fetch(careless, *columns([tuple(needing)], 7), timedelta(days=1))
            await writer.execute(INBOX["hold"], *columns([tuple(held)], 4))
            await b.accept(frozen)  # sees no cause, as the writer has not committed
        await b.released()
        [invoice] = await b.documents(kind="invoice")
        assert invoice["state"] == "waiting"


async def test_a_release_and_the_message_that_it_waits_for_meet(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credit note is told of just when the releaser has written that its allocation waits for it."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(b.said(consuming(b, first, note, 400)))
        await b.accept(await b.freeze())
        telling: list[asyncio.Task[None]] = []

        async def between(conn: Conn, ids: Sequence[int], patience: timedelta) -> None:
            await wait_for_others(conn, ids, patience)
            if not telling:
                telling.append(asyncio.create_task(b.told(note_told(b, note))))
                held = asyncio.create_task(blocked(b, 1))
                await asyncio.wait({held, *telling}, return_when=asyncio.FIRST_COMPLETED)
                held.cancel()

        monkeypatch.setattr(releasing, "wait_for_others", between)
        await b.released()
        await telling[0]
        await b.work()
        [allocation] = await b.documents(kind="allocation")
        assert (allocation["state"], allocation["cause"]) == ("synced", None)
