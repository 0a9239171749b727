"""Pausing: a person stops one connection of the running service and lets it go on."""

from __future__ import annotations

from tests.acceptance.conftest import MakeWorld
from tests.acceptance.shop import Shop
from tests.acceptance.xero import Tenant


async def test_a_paused_connection_sends_nothing_until_it_is_resumed(make_world: MakeWorld) -> None:
    nz = Tenant("acme-nz", serves={"billing_entities": ["acme-nz"]})
    eu = Tenant("acme-eu", serves={"billing_entities": ["acme-eu"]})
    async with make_world(tenants=[nz, eu]) as world:
        shop = Shop()
        await world.start()
        await world.command("pause", "acme-nz", "--reason", "closing the books")
        customer = shop.customer()
        invoice = shop.invoice(customer)
        await world.produce([shop.told(customer), shop.billed(invoice)])
        await world.until_ingested()

        async def held() -> bool:
            causes = await world.rows("select cause from document order by id")
            return [row["cause"] for row in causes] == ["paused@acme-nz", "doc:1"]

        await world.until(held, "the contact is set aside")
        assert await world.arrivals() == []
        shown = await world.command("show", invoice["number"])
        assert "paused" in shown
        assert "closing the books" in shown
        contact = await world.command("show", customer["lago_id"])
        assert "It waits: a person has paused connection acme-nz." in contact
        assert "acme-nz" in await world.command("status")

        await world.command("resume", "acme-nz")
        await world.settled()
        await world.assert_booked(shop.expected, nz)
        assert "paused" not in await world.command("show", invoice["number"])
