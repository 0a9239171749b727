"""Lago's API end to end: what no message brings is asked for by the running service, once."""

from __future__ import annotations

from consumer.sandbox.lago import LagoApi, serve_api
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop


async def test_poor_messages_end_in_the_same_books(acme: World) -> None:
    """Invoices told of without fees, by a service killed while it asks: each is posted once."""
    shop = Shop()
    organization = shop.organization.organization_id
    lago = LagoApi(organization)
    invoices = [shop.invoice(shop.customer()) for _ in range(6)]
    lago.add("invoice", *invoices)
    lago.add("customer", *(one["customer"] for one in invoices))
    async with serve_api(lago) as url:
        [first] = await acme.start(lago_api_url=url, lago_api_key=lago.key)
        await acme.produce(shop.billed(one, "invoice.generated") for one in invoices)

        async def asking() -> bool:
            return bool(lago.calls[1:])

        await acme.until(asking, "Lago is asked")
        await first.kill()
        await acme.start(2, lago_api_url=url, lago_api_key=lago.key)
        await acme.until_ingested()

        async def posted() -> bool:
            return await acme.count("synced") == len(invoices)

        await acme.until(posted, "all invoices are in Xero", 60.0)
        await acme.settled()
    books = await acme.books()
    numbers = sorted(one["InvoiceNumber"] for one in books["invoices"])
    assert numbers == sorted(one["number"] for one in invoices)
    for one in books["invoices"]:
        expected = shop.expected[one["InvoiceNumber"]]
        assert (one["Total"], one["TotalTax"]) == (expected.total, expected.tax)
    assert all(lago.key not in replica.log.read_text() for replica in acme.replicas)
