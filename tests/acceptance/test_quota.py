"""The quota in real time: two replicas, five tenants, 600 calls a minute each, batches of five.

While a backlog lasts at least 98 % of every tenant's minute is used, and no call is one too many.
``make bench`` runs it: on a machine that is busy with other things the share says nothing of us.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from consumer.sandbox.lago import Organization, Record
from consumer.sandbox.xero import SimulatorSettings
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import Tenant

MINUTE_LIMIT = 600
BATCH = 5
WINDOWS = 2
ORGANIZATIONS = [f"{n}a901a90-1a90-4a90-9a90-1a901a901a90" for n in range(1, 6)]


def _customers(shop: Shop, count: int) -> Iterator[Record]:
    """As many customers of their own: the first one's bytes under other ids and names."""
    customer = shop.customer()
    first = shop.told(customer)
    for number in range(count):
        value = (
            first.value.replace(customer["lago_id"].encode(), str(uuid.UUID(int=number)).encode())
            .replace(customer["name"].encode(), f"Customer {number}".encode())
            .replace(customer["external_id"].encode(), f"customer-{number}".encode())
        )
        yield Record(str(number).encode(), value, first.headers, first.note)


async def _hold(world: World, held: bool) -> None:
    """Keep the tenants from being served, so that the whole backlog can be ingested first."""
    until = "now() + interval '1 hour'" if held else "null"
    await world.database.execute(
        f"update tenant set blocked_until = {until}, due_at = case when {not held} "
        "then now() else due_at end"
    )


@pytest.mark.bench
@pytest.mark.timeout(420)
async def test_the_quota_is_used_while_a_backlog_lasts(make_world: MakeWorld) -> None:
    tenants = [Tenant(f"t{n}", id) for n, id in enumerate(ORGANIZATIONS)]
    count = WINDOWS * MINUTE_LIMIT * BATCH + 1000
    async with make_world(
        tenants=tenants,
        partitions=4,
        scale=1.0,
        simulator=SimulatorSettings(minute_limit=MINUTE_LIMIT, day_limit=100_000),
    ) as world:
        await _hold(world, True)
        for n, tenant in enumerate(tenants):
            shop = Shop(seed=30 + n, organization=Organization(tenant.organization_id))
            await world.produce(_distinct(_customers(shop, count), n))
        await world.start(
            2,
            batch_documents=BATCH,
            xero_minute_limit=MINUTE_LIMIT,
            xero_day_limit=100_000,
            kafka_max_poll_records=500,
            freeze_to_first_byte=5,
            call_timeout=90,
        )
        await world.until_ingested(120)
        await _hold(world, False)
        await world.until(lambda: _spent(world), "the first tenant's calls begin", 10)
        await asyncio.sleep(60.0 * WINDOWS + 2.0)
        calls = [one for one in await world.arrivals() if one["method"] == "PUT"]
        await world.assert_within_limits()
    used = {}
    for tenant in tenants:
        at = sorted(one["monotonic"] for one in calls if one["tenant_id"] == tenant.tenant_id)
        windows = Counter(int((moment - at[0]) // 60.0) for moment in at)
        used[tenant.code] = [windows[n] for n in range(WINDOWS)]
    print("calls of each tenant in each minute:", used)  # noqa: T201
    assert min(min(minutes) for minutes in used.values()) >= 0.98 * MINUTE_LIMIT, used
    keys = Counter(one["idempotency_key"] for one in calls)
    assert max(keys.values()) == 1


def _distinct(records: Iterator[Record], n: int) -> Iterator[Record]:
    """Customers' ids of this tenant alone."""
    for record in records:
        ours = record.value.replace(b"00000000-0000-0000", f"{n + 1:08x}-0000-4000".encode())
        yield Record(record.key, ours, record.headers, record.note)


async def _spent(world: World) -> bool:
    return bool(await world.value("select exists (select from request where purpose <> 'chart')"))
