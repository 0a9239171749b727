"""Replays end to end: of what is known nothing, of what was lost everything, whenever it is killed."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

from consumer.sandbox.lago import credit_note, credit_note_event, payment, payment_event, record
from consumer.sandbox.services import PostgresService
from tests.acceptance.harness import World
from tests.acceptance.shell import COMMAND
from tests.acceptance.shop import Shop

Json = dict[str, Any]


async def _replay(world: World, *more: str) -> Json:
    """All of the topic, as JSON."""
    asked = ("replay", "--topic", world.topic, "--from", "0", "--json", *more)
    return dict(json.loads(await world.command(*asked)))


async def test_a_replay_of_the_whole_topic_changes_nothing_and_costs_no_call(acme: World) -> None:
    shop = Shop(seed=61)
    customer = shop.customer()
    invoices = [
        shop.invoice(customer, payments=False, deductions=False, discounts=False) for _ in range(4)
    ]
    id = shop.organization.organization_id
    note = credit_note(shop.choices, invoices[1], refund=invoices[1]["total_amount_cents"] // 4)
    records = [
        shop.told(customer),
        *map(shop.billed, invoices),
        record(payment_event(payment(shop.choices, invoices[:1]), id)),
        record(credit_note_event(note, id)),
        shop.billed({**invoices[2], "status": "voided"}, "invoice.voided"),
        *shop.sold(2, 5),
    ]
    await acme.start()
    await acme.produce(records)
    await acme.settled(60)
    ledger, calls, offsets = await acme.ledger(), await acme.arrivals(), await acme.offsets()
    told = await _replay(acme)
    assert told["records"] == {"known": len(records)}
    assert (told["documents"], told["calls"]) == ({}, {})
    verified = await _replay(acme, "--verify")
    assert (verified["lost"], verified["not_taken_in"], verified["differing"]) == ([], [], [])
    applied = await _replay(acme, "--apply", "--reason", "to see")
    assert (applied["complete"], applied["records"]) == (True, {"known": len(records)})
    await acme.settled()
    assert await acme.ledger() == ledger
    assert await acme.arrivals() == calls
    assert await acme.offsets() == offsets
    audit = await acme.rows("select subject, reason from audit where action = 'replay'")
    assert audit == [{"subject": f"topic {acme.topic}", "reason": "to see"}]


async def test_a_replay_brings_a_ledger_from_a_backup_up_to_date(
    acme: World, postgres_service: PostgresService
) -> None:
    shop = Shop(seed=62)
    [first] = await acme.start()
    await acme.produce(shop.sold(2, 4))
    await acme.settled(60)
    await first.stop()
    old = await acme.copy_database(postgres_service)
    try:
        [second] = await acme.start()
        late = shop.sold(2, 4)
        await acme.produce(late)
        await acme.settled(60)
        await second.stop()
        expected = await acme.summary()
        await acme.use_database(old)
        told = await _replay(acme)
        assert told["records"] == {"known": 10, "new": 10}
        assert told["documents"] == {"contact": 2, "invoice": 8}
        assert len((await _replay(acme, "--verify"))["not_taken_in"]) == 10
        assert (await _replay(acme, "--apply"))["records"] == {"known": 10, "new": 10}
        await acme.start()
        await acme.settled(60)
        await acme.assert_booked(shop.expected)
        assert await acme.summary() == expected
        verified = await _replay(acme, "--verify")
        assert (verified["lost"], verified["not_taken_in"], verified["differing"]) == ([], [], [])
    finally:
        await acme.database.close()
        await postgres_service.drop_database(old)


async def _start(world: World, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        COMMAND,
        "replay",
        *arguments,
        env={**world.environment, "LAGO_XERO_KAFKA_MAX_POLL_RECORDS": "20"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_replay_that_is_killed_and_one_that_is_interrupted_go_on(acme: World) -> None:
    shop = Shop(seed=63)
    customer = shop.customer()
    first = shop.invoice(customer)
    records = [shop.told(customer), *map(shop.billed, [first, *shop.like(first, 1200)])]
    await acme.produce(records)

    async def stored(share: float) -> None:
        async def so_much() -> bool:
            return bool(await acme.value("select count(*) from event") > len(records) * share)

        await acme.until(so_much, f"{share:.0%} of the records are stored")

    killed = await _start(acme, "--topic", acme.topic, "--from", "0", "--apply")
    await stored(0.1)
    killed.kill()
    await killed.wait()
    job = await acme.value("select id from job where kind = 'replay' and ended_at is null")
    assert await acme.value("select count(*) from event") < len(records) * 0.8, "killed too late"
    stopped = await _start(acme, "--resume", str(job))
    await stored(0.4)
    stopped.send_signal(signal.SIGINT)
    _, err = await stopped.communicate()
    assert stopped.returncode == 130, err.decode()
    assert f"replay --resume {job} goes on" in err.decode()
    assert await acme.value("select count(*) from event") < len(records), "interrupted too late"
    done = json.loads(await acme.command("replay", "--resume", str(job), "--json"))
    assert done["complete"]
    assert await acme.value("select count(*) from event") == len(records)
    await acme.start()
    await acme.settled(120)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()


async def test_what_makes_no_sense_is_refused(acme: World) -> None:
    async def refused(*arguments: str) -> tuple[int | None, str]:
        process = await _start(acme, *arguments)
        _, err = await process.communicate()
        return process.returncode, err.decode()

    code, said = await refused("--topic", acme.topic)
    assert (code, "--from" in said) == (2, True)
    code, said = await refused("--topic", acme.topic, "--from", "yesterday")
    assert (code, "neither an offset nor a time" in said) == (2, True)
    code, said = await refused("--topic", acme.topic, "--from", "0", "--connection", "nobody")
    assert (code, "no connection nobody" in said) == (5, True)
    code, said = await refused("--resume", "77")
    assert (code, "no replay 77" in said) == (5, True)
    code, said = await refused("--topic", "nowhere", "--from", "0")
    assert (code, "no topic nowhere" in said) == (3, True)
