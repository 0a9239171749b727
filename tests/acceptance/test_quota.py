"""The quota: while a backlog lasts, all calls that Xero's limit allows and never one too many."""

from __future__ import annotations

import asyncio

from consumer.sandbox.lago import Organization
from consumer.sandbox.xero import SimulatorSettings
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import Tenant
from tests.acceptance.shop import Shop

SCALE = 0.25
LIMIT = round(600 * SCALE)
"""Six hundred a minute, in a quarter of the time."""
MINUTE = 60 * SCALE
TENANTS = 5
DOCUMENTS = 5
CUSTOMERS = 5
BACKLOG = 2000
"""Invoices a tenant; a minute takes 750."""


async def test_two_replicas_use_the_quota_of_five_tenants_and_exceed_none(
    make_world: MakeWorld,
) -> None:
    tenants = [
        Tenant(f"t{n}", f"{n}a901a90-1a90-4a90-9a90-1a901a901a90") for n in range(1, TENANTS + 1)
    ]
    sold = []
    for n, tenant in enumerate(tenants):
        shop = Shop(seed=n, organization=Organization(tenant.organization_id))
        records = []
        for _ in range(CUSTOMERS):
            customer = shop.customer()
            first = shop.invoice(customer, most_fees=1)
            many = shop.like(first, BACKLOG // CUSTOMERS)
            records += [shop.told(customer), *map(shop.billed, (first, *many))]
        sold.append(records)
    simulator = SimulatorSettings(time_scale=SCALE, minute_limit=LIMIT, latency=0.02)
    async with make_world(tenants=tenants, simulator=simulator, scale=SCALE, partitions=4) as world:
        await world.start(2, xero_minute_limit=LIMIT, batch_documents=DOCUMENTS)
        await world.produce(record for turn in zip(*sold, strict=True) for record in turn)

        async def backlogged() -> bool:
            """Whether each tenant has spent its first minute and has more to send."""
            tenants = await world.value(
                """select count(*) from tenant t
                    where (select count(*) from request where tenant_id = t.id) >= $1
                      and (select count(*) from document where tenant_id = t.id
                              and state in ('ready', 'waiting')) > 50""",
                LIMIT,
            )
            return bool(tenants == TENANTS)

        await world.until(backlogged, "all tenants are at their limit", 60)
        begun = asyncio.get_running_loop().time()
        end = begun + MINUTE  # the simulator's clock is this loop's

        async def over() -> bool:
            return asyncio.get_running_loop().time() >= end

        await world.until(over, "a minute of Xero's has passed", 60)
        assert await backlogged()
        arrivals = await world.arrivals()
        await world.assert_within_limits()
        for tenant in tenants:
            calls = [
                one
                for one in arrivals
                if one["tenant_id"] == tenant.tenant_id and begun <= one["monotonic"] < end
            ]
            assert 0.98 * LIMIT <= len(calls) <= LIMIT, f"{tenant.code}: {len(calls)} of {LIMIT}"
