"""Replicas and connections: who does the work and where it goes, never twice and never astray."""

from __future__ import annotations

from consumer.sandbox.lago import Organization, link
from consumer.sandbox.lago.catalogue import ACME_EU
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.shop import Shop
from tests.acceptance.xero import Tenant

ORGANIZATIONS = [f"{n}a901a90-1a90-4a90-9a90-1a901a901a90" for n in range(1, 4)]


async def test_two_replicas_share_group_and_tenants(make_world: MakeWorld) -> None:
    tenants = [Tenant(f"t{n}", id) for n, id in enumerate(ORGANIZATIONS)]
    shops = []
    for n, tenant in enumerate(tenants):
        shops.append(Shop(seed=n, organization=Organization(tenant.organization_id)))
    async with make_world(tenants=tenants, partitions=4) as world:
        await world.start(2, batch_documents=2)
        sold = [shop.sold(customers=6, invoices=6) for shop in shops]
        await world.produce([r for group in zip(*sold, strict=True) for r in group])
        await world.settled(60)
        for shop, tenant in zip(shops, tenants, strict=True):
            await world.assert_booked(shop.expected, tenant)
        await world.assert_within_limits()
        # Both had a part in it: each settled some of the requests.
        settled = [
            sum(said["event"] == "request_settled" for said in replica.said())
            for replica in world.replicas
        ]
        assert min(settled) > 0
        assert sum(settled) == len(await world.arrivals())


async def test_a_replica_that_leaves_hands_its_part_over(make_world: MakeWorld) -> None:
    shop = Shop()
    records = shop.sold(customers=8, invoices=5)
    async with make_world(partitions=4) as world:
        first, _ = await world.start(2, batch_documents=3)
        await world.produce(records[:24])
        assert await first.stop() == 0
        await world.produce(records[24:])
        await world.settled(60)
        await world.assert_booked(shop.expected)
        await world.assert_within_limits()


async def test_two_connections_by_billing_entity_and_by_link(make_world: MakeWorld) -> None:
    nz = Tenant("acme-nz", serves={"billing_entities": ["acme-nz"]})
    eu = Tenant("acme-eu", serves={"billing_entities": ["acme-eu"]})
    by_entity = {nz.code: Shop(seed=1), eu.code: Shop(seed=2, entity=ACME_EU)}
    linked = Shop(seed=3)  # sold by acme-nz, but Lago links them to acme-eu
    linked._customers = 100
    records = [r for shop in by_entity.values() for r in shop.sold(customers=2, invoices=2)]
    for _ in range(2):
        customer = linked.customer()
        customer["integration_customers"] = [link(linked.choices, "xero", eu.code, None)]
        records.append(linked.told(customer))
        records += [linked.billed(linked.invoice(customer)) for _ in range(2)]
    async with make_world(tenants=[nz, eu]) as world:
        await world.start(2)
        await world.produce(records)
        await world.settled()
        await world.assert_booked(by_entity[nz.code].expected, nz)
        at_eu = {**by_entity[eu.code].expected, **linked.expected}
        await world.assert_booked(at_eu, eu)
        await world.assert_within_limits()
