"""Processes that end, die or freeze at any moment: nothing lost, nothing twice, no call too many."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from consumer.adapters.postgres.migrate import migrate
from consumer.sandbox.services import postgres
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop

QUICK: dict[str, Any] = {
    "database_idle_timeout": 0.5,
    "database_statement_timeout": 1.5,
    "database_lock_timeout": 1,
}
"""Database timeouts, in seconds, that a paused process outlives."""


async def test_sigterm_in_mid_batch_ends_cleanly_and_loses_nothing(acme: World) -> None:
    shop = Shop()
    records = shop.sold(customers=30, invoices=10)
    await acme.latency(0.3)
    await acme.start(batch_documents=5, kafka_max_poll_records=20)
    await acme.produce(records)

    async def under_way() -> bool:
        sending = await acme.value("select count(*) from document where state = 'sending'")
        known = await acme.value("select count(*) from event")
        return bool(sending > 0 and 0 < known < len(records))

    await acme.until(under_way, "some records are ingested and some calls are under way")
    assert await acme.replicas[0].stop() == 0
    assert await acme.count("sending", "contact") == 0
    assert await acme.count("sending", "invoice") == 0
    await acme.latency(0.0)
    await acme.start()
    await acme.settled(60)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()


async def test_sigkill_in_mid_call_ends_as_an_undisturbed_run(make_world: MakeWorld) -> None:
    shop = Shop(seed=5)
    records = shop.sold(customers=5, invoices=8)
    outcomes = []
    for disturbed in (False, True):
        async with make_world() as world:
            [first] = await world.start(batch_documents=8)
            if disturbed:
                await world.latency(0.5)
            await world.produce(records)
            await world.until_ingested()
            if disturbed:

                async def in_call(world: World = world) -> bool:
                    return len(await world.writes("Invoices")) > 0

                await world.until(in_call, "invoices are being sent")
                await first.kill()
                assert await world.count("sending") > 0
                await world.latency(0.0)
                await world.start(batch_documents=8)
            await world.settled(60)
            await world.assert_booked(shop.expected)
            await world.assert_within_limits()
            outcomes.append((await world.ledger(), await world.summary()))
    assert outcomes[0] == outcomes[1]


async def test_a_replica_killed_in_mid_call_is_replaced_by_the_other(acme: World) -> None:
    shop = Shop(seed=6)
    first, second = await acme.start(2, batch_documents=4)
    await acme.latency(0.4)
    await acme.produce(shop.sold(customers=6, invoices=6))
    await acme.until_ingested()
    await first.kill()
    await acme.latency(0.0)
    await acme.settled(60)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()
    assert second.process.returncode is None


IDLE = """select exists (select from pg_stat_activity a join pg_locks l using (pid)
           where datname = current_database() and l.locktype = 'advisory' and wait_event = 'ClientRead')"""
"""A transaction of the service's: each holds the configuration's lock. A single statement that reads
may idle longer, if its process is paused before it is executed: it holds up nobody."""
BLOCKED = """select count(*) from pg_stat_activity where datname = current_database()
              and wait_event_type = 'Lock'"""


@pytest.mark.parametrize(("table", "during"), [("event", "ingest"), ("tenant", "freezing")])
async def test_sigstop_inside_a_transaction_beyond_its_timeout(
    acme: World, table: str, during: str
) -> None:
    shop = Shop()
    [replica] = await acme.start(**QUICK)
    await acme.produce(shop.sold(customers=1, invoices=1))
    await acme.settled()
    # Where the transaction stands still is found out by holding what it needs next: once it waits
    # there the process is paused, and what it needs is given to it. Then it idles until its end.
    held = await acme.database.acquire()
    transaction = held.transaction()
    await transaction.start()
    await held.execute(f"lock table {table} in exclusive mode")
    await acme.produce(shop.sold(customers=2, invoices=3))

    async def blocked() -> bool:
        return bool(await acme.value(BLOCKED))

    await acme.until(blocked, f"{during} waits for {table}")
    replica.pause()
    await transaction.rollback()
    await acme.database.release(held)

    async def ended() -> bool:
        return not await acme.value(IDLE)

    async def idle() -> bool:
        return bool(await acme.value(IDLE))

    await acme.until(idle, "the paused transaction idles")
    await acme.until(ended, "Postgres ends the paused transaction")
    replica.resume()
    await acme.settled(60)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()
    assert replica.process.returncode is None


async def test_pauses_at_random_moments_lose_and_double_nothing(acme: World) -> None:
    shop = Shop(seed=8)
    records = shop.sold(customers=12, invoices=12)
    chance = Random(8)
    replicas = await acme.start(2, **QUICK, batch_documents=3, kafka_max_poll_records=15)
    producing = asyncio.create_task(acme.produce(records))
    for _ in range(5):
        replica = chance.choice(replicas)
        await asyncio.sleep(chance.uniform(0.0, 0.15))  # any moment will do
        replica.pause()
        await asyncio.sleep(chance.choice((0.3, 0.8, 1.2)))
        replica.resume()
    await producing
    await acme.settled(90)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()
    assert [r.process.returncode for r in replicas] == [None, None]


async def test_a_process_paused_in_mid_call_is_overtaken_and_sends_nothing_late(
    acme: World,
) -> None:
    """One that wakes up after the other has found out about its request changes nothing."""
    shop = Shop(seed=9)
    replicas = await acme.start(2, batch_documents=2)
    await acme.latency(1.5)
    await acme.produce(shop.sold(customers=6, invoices=60))
    await acme.until_ingested()
    for turn in range(20):
        paused = replicas[turn % 2]  # whoever gets the answers is the first to send again

        async def sending() -> bool:
            return await acme.count("sending") > 0

        await acme.until(sending, "something is being sent")
        paused.pause()
        mark = asyncio.get_running_loop().time()
        open_now = await acme.rows("select id from request where outcome is null")

        async def answered(mark: float = mark) -> bool:
            return asyncio.get_running_loop().time() > mark + 2.0

        await acme.until(answered, "what the other process sent is answered")
        still = "select count(*) from request where outcome is null and id = any($1::uuid[])"
        if await acme.value(still, [row["id"] for row in open_now]):
            break
        paused.resume()
    else:
        pytest.fail("the paused process never had a request of its own")
    await acme.latency(0.0)
    await acme.until(acme.at_rest, "the other process finishes everything", 60)
    before = await acme.arrivals()
    paused.resume()
    assert await paused.stop() == 0
    await acme.settled(60)
    assert await acme.arrivals() == before
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()


async def test_postgres_away_for_a_while_is_waited_for(make_world: MakeWorld) -> None:
    async with postgres(fsync=True) as server:
        template = await server.create_database()
        await migrate(template)
        async with make_world(postgres=server, template=template) as world:
            shop = Shop(seed=10)
            records = shop.sold(customers=10, invoices=10)
            [replica] = await world.start(batch_documents=5, kafka_max_poll_records=20)
            await world.latency(0.1)
            producing = asyncio.create_task(world.produce(records))
            await world.until(lambda: _any_request(world), "something is being sent", 10)
            await server.stop_server()
            await producing
            await asyncio.sleep(5.0)
            await server.start_server()
            await world.settled(60)
            await world.assert_booked(shop.expected)
            await world.assert_within_limits()
            assert replica.process.returncode is None


async def _any_request(world: World) -> bool:
    return bool(await world.value("select exists (select from member)"))
