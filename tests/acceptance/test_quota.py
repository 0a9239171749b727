"""The quota: while a backlog lasts, all calls that Xero's limit allows and never one too many."""

from __future__ import annotations

import asyncio

from consumer.sandbox.xero import SimulatorSettings
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import Tenant
from tests.acceptance.shop import Shop

LIMIT = 600
SCALE = 0.25
MINUTE = 60 * SCALE
TENANTS = 5
DOCUMENTS = 5
CUSTOMERS = 5


async def test_two_replicas_use_the_quota_of_five_tenants_and_exceed_none(
    make_world: MakeWorld,
) -> None:
    tenants = [
        Tenant(f"t{n}", f"{n}a901a90-1a90-4a90-9a90-1a901a901a90") for n in range(1, TENANTS + 1)
    ]
    shops, records = [], []
    for n, tenant in enumerate(tenants):
        shop = Shop(seed=n)
        shop.organization = type(shop.organization)(organization_id=tenant.organization_id)
        shops.append(shop)
        for _ in range(CUSTOMERS):
            customer = shop.customer()
            records.append(shop.told(customer))
            first = shop.invoice(customer, most_fees=1)
            many = shop.like(first, round(LIMIT * DOCUMENTS * 1.6 / CUSTOMERS))
            records += [shop.billed(one) for one in (first, *many)]
    simulator = SimulatorSettings(time_scale=SCALE, minute_limit=LIMIT, latency=0.02)
    async with make_world(tenants=tenants, simulator=simulator, scale=SCALE, partitions=4) as world:
        await world.start(2, xero_minute_limit=LIMIT, batch_documents=DOCUMENTS)
        await world.produce(records)

        async def backlogged() -> bool:
            """Whether every tenant has more to send than its quota allows."""
            least = await world.value(
                """select count(*) from (select tenant_id from document
                    where state in ('ready', 'waiting') group by 1 having count(*) > 50) t"""
            )
            return bool(least == TENANTS)

        await world.until_ingested(60)
        begun = asyncio.get_running_loop().time()
        await world.until(lambda: _elapsed(begun, MINUTE), "a minute of Xero's has passed", 60)
        assert await backlogged()
        arrivals = await world.arrivals()
        await world.assert_within_limits()
        end = begun + MINUTE  # the simulator's clock is this loop's
        for tenant in tenants:
            calls = [
                one
                for one in arrivals
                if one["tenant_id"] == tenant.tenant_id and begun <= one["monotonic"] < end
            ]
            assert 0.98 * LIMIT <= len(calls) <= LIMIT, f"{tenant.code}: {len(calls)} of {LIMIT}"


async def _elapsed(begun: float, seconds: float) -> bool:
    return asyncio.get_running_loop().time() - begun >= seconds
