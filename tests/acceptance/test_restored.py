"""A database that was restored from a backup: what Xero has since is found again, nothing is there twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from consumer.adapters.postgres import restoring
from consumer.adapters.postgres.database import database
from consumer.sandbox.lago import (
    Record,
    consuming,
    credit_note,
    credit_note_event,
    payment,
    payment_event,
    record,
)
from consumer.sandbox.services import PostgresService
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import World
from tests.acceptance.shell import COMMAND
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API, MAPPINGS, Tenant

Json = dict[str, Any]
LISTS = ("invoices", "credit_notes", "payments", "overpayments")


async def _restored(world: World, at: datetime, *more: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "restored",
        "--at",
        at.isoformat(),
        *more,
        env=world.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def _plain(shop: Shop, customer: Json) -> Json:
    return shop.invoice(customer, payments=False, deductions=False, discounts=False)


def _story(shop: Shop) -> list[Record]:
    """A customer with a paid invoice, an overpaid one, notes that are offset, refunded and consumed, and one
    that is voided."""
    id = shop.organization.organization_id
    customer = shop.customer()
    paid, over, noted, third, voided = (_plain(shop, customer) for _ in range(5))
    total = noted["total_amount_cents"]
    note = credit_note(shop.choices, noted, offset=total // 3, refund=total // 4)
    used = min(note["credit_amount_cents"], third["total_amount_cents"]) // 2
    later = consuming(shop.choices, third, [(note, used)])
    too_much = over["total_amount_cents"] + 250
    return [
        shop.told(customer),
        *map(shop.billed, (paid, over, noted, later, voided)),
        record(payment_event(payment(shop.choices, [paid]), id)),
        record(payment_event(payment(shop.choices, [over], amount_cents=too_much), id)),
        record(credit_note_event(note, id)),
        shop.billed({**voided, "status": "voided"}, "invoice.voided"),
    ]


async def _all(world: World) -> Counter[tuple[Any, ...]]:
    """All that is in Xero, by what makes each thing what it is; what is there twice counts twice."""
    books = await world.books()
    found: Counter[tuple[Any, ...]] = Counter()
    for name in LISTS:
        for one in books[name]:
            lines = [line["Description"] for line in one.get("LineItems", ())]
            number = one.get("InvoiceNumber") or one.get("CreditNoteNumber")
            what = number or one.get("Reference") or lines[0]
            total = one.get("Total", one.get("Amount"))
            due = one.get("AmountDue", one.get("RemainingCredit"))
            allocated = sorted(str(a["Amount"]) for a in one.get("Allocations", ()))
            found[(name, what, one["Status"], total, due, tuple(allocated))] += 1
    return found


def _tenant() -> Tenant:
    return Tenant(
        "acme-nz",
        mappings={**MAPPINGS, "payment_account": "090"},
        more={"policies": {"residual_payments": "ignore", "excess": "overpayment"}},
    )


async def _lost(
    world: World, shop: Shop, postgres: PostgresService
) -> tuple[str, datetime, Counter[tuple[Any, ...]]]:
    """A backup, its time, and what Xero has after a while that the backup knows nothing of."""
    [first] = await world.start()
    await world.produce(_story(shop))
    await world.settled(60)
    await first.stop()
    backup, at = await world.copy_database(postgres), datetime.now(UTC)
    [second] = await world.start()
    await world.produce([*_story(shop), *_story(shop)])
    await world.settled(60)
    await second.stop()
    return backup, at, await _all(world)


async def test_nothing_is_there_twice_after_a_restore(
    make_world: MakeWorld, postgres_service: PostgresService
) -> None:
    async with make_world(tenants=[_tenant()]) as world:
        shop = Shop(seed=71)
        backup, at, before = await _lost(world, shop, postgres_service)
        kinds = Counter(key[0] for key in before)
        assert min(kinds[name] for name in LISTS) >= 3, kinds
        try:
            await world.use_database(backup)
            code, out, err = await _restored(world, at, "--reason", "disk lost", "--json")
            assert code == 0, err
            told = json.loads(out)
            assert told["tenants"] == 1
            assert all(one["after"] <= one["before"] for one in told["offsets"])
            assert any(one["after"] < one["before"] for one in told["offsets"])
            asked = len(await world.arrivals(f"{API}/Payments", "GET"))
            [third] = await world.start()
            await world.settled(120)
            assert await _all(world) == before
            assert await world.count("failed", "payment") == 0
            assert world.receiver.codes() == []
            for kind in ("payment", "refund", "overpayment", "allocation"):
                states = await world.rows(
                    "select state, cause, xero_id is not null as there from document where kind = $1",
                    kind,
                )
                synced = [
                    one
                    for one in states
                    if one["state"] == "synced" and one["cause"] != "below_cent"
                ]
                assert len(synced) >= 3, kind
                assert [one for one in synced if not one["there"]] == [], kind
            sweeps = len(await world.arrivals(f"{API}/Payments", "GET")) - asked
            assert 1 <= sweeps <= 2, "one sweep for all of a kind"
            more = _story(shop)
            await world.produce(more)
            await world.settled(60)
            assert len(await world.arrivals(f"{API}/Payments", "GET")) - asked == sweeps
            after = await _all(world)
            assert after != before
            assert before - after == Counter()
            assert max(after.values()) == 1
            await third.stop()
            audit = await world.rows("select reason from audit where action = 'restored'")
            assert audit == [{"reason": "disk lost"}]
        finally:
            await world.close()
            await postgres_service.drop_database(backup)


async def test_a_kill_while_it_is_looked_up_makes_nothing_twice(
    make_world: MakeWorld, postgres_service: PostgresService
) -> None:
    async with make_world(tenants=[_tenant()]) as world:
        shop = Shop(seed=72)
        backup, at, before = await _lost(world, shop, postgres_service)
        try:
            await world.use_database(backup)
            async with database(backup) as db:  # as who was killed before he rewound the group
                await restoring.mark(db, at, who="ann", reason=None)
            code, out, err = await _restored(world, at, "--json")
            assert code == 0, err
            assert any(one["after"] < one["before"] for one in json.loads(out)["offsets"])
            [third] = await world.start()
            await world.until_ingested()

            async def seeking() -> bool:
                held = "select count(*) from request where doubt = 'restored' and outcome is null"
                return bool(await world.value(held))

            await world.until(seeking, "something waits to be looked up", 60)
            await third.kill()
            assert await world.value("select count(*) from document where state = 'sending'") > 0
            [fourth] = await world.start()

            async def found() -> bool:
                done = (
                    "select count(*) from request where doubt = 'restored' and outcome is not null"
                )
                return bool(await world.value(done))

            await world.until(found, "something was looked up", 90)
            await fourth.kill()
            await world.start(2)
            await world.settled(120)
            assert await _all(world) == before
            assert world.receiver.codes() == []
        finally:
            await world.close()
            await postgres_service.drop_database(backup)


async def test_it_is_refused_while_somebody_reads_and_changes_nothing_then(acme: World) -> None:
    [replica] = await acme.start()
    shop = Shop(seed=73)
    await acme.produce(shop.sold(1, 1))
    await acme.settled()
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    code, _, err = await _restored(acme, hour_ago)
    assert (code, "has 1 member:" in err) == (3, True)
    assert await acme.value("select count(*) from tenant where restored_at is not null") == 0
    await replica.stop()
    code, _, err = await _restored(acme, hour_ago, "--dry-run")
    assert (code, "nothing was changed" in err) == (0, True)
    assert await acme.ingested()
    assert await acme.value("select count(*) from tenant where restored_at is not null") == 0
    code, _, _ = await _restored(acme, hour_ago)
    assert code == 0
    assert not await acme.ingested()
    code, _, err = await _restored(acme, datetime.now(UTC) + timedelta(hours=1))
    assert (code, "yet to come" in err) == (2, True)
