"""What only a person can mend: announced once, and released by ``lago-xero apply``."""

from __future__ import annotations

from consumer.sandbox.lago import Organization, invoice_event, malformed_records
from consumer.sandbox.receiver import code_of
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import MAPPINGS, Tenant


async def test_a_revoked_client_parks_once_and_apply_releases_everything(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    [tenant] = acme.tenants
    await acme.start()
    await acme.produce([shop.told(customer), shop.billed(shop.invoice(customer))])
    await acme.settled()
    [replica] = acme.replicas
    assert await replica.stop() == 0
    await acme.register(tenant, "another")
    before = len(await acme.arrivals())
    await acme.produce([shop.billed(shop.invoice(customer)) for _ in range(5)])
    await acme.start(2)
    await acme.until_ingested()

    async def announced() -> bool:
        return len(acme.receiver.failures) > 0

    await acme.until(announced, "the parked authorisation is announced")
    assert await acme.count("ready") == 5
    tokens = await acme.value("select parked_why from authorisation where parked_at is not null")
    assert tokens == code_of(acme.receiver.failures[0])
    assert await acme.tokens_refused() <= 5  # at most once a replica and batch of records
    tenant.secret = "another"
    assert "parked" in await acme.apply() or await acme.count("synced") == 6
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert len(acme.receiver.failures) == 1
    assert len(await acme.arrivals()) > before
    assert await acme.dead_letter_records() == []


async def test_an_unmapped_tax_is_announced_once_and_released_by_its_mapping(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    stuck = shop.unmapped(customer)
    record = shop.billed(stuck)
    await acme.start()
    await acme.produce([shop.told(customer), record, shop.billed(shop.invoice(customer))])
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert await acme.count("failed") == 1
    assert acme.receiver.codes() == ["tax_unmapped"]
    [failure] = acme.receiver.failures
    assert failure["document"]["number"] == stuck["number"]
    [dead] = await acme.dead_letter_records()
    assert (dead.key, dead.value) == (record.key, record.value)
    assert "X-Lago-Signature" not in dict(dead.headers)

    [tenant] = acme.tenants
    mapped = {**MAPPINGS["taxes"], "vat_17_5_old": "OUTPUT2"}
    tenant.mappings = {**MAPPINGS, "taxes": mapped}
    shop.expect(stuck)
    assert "vat_17_5_old" in await acme.apply()
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert acme.receiver.codes() == ["tax_unmapped"]
    assert len(await acme.dead_letter_records()) == 1


async def test_what_xero_refused_is_retried_under_way_once_its_cause_is_mended(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    [tenant] = acme.tenants
    await acme.order(f"lock_dates/{tenant.tenant_id}", {"period_lock_date": "2099-12-31"})
    await acme.start(2)
    await acme.produce(
        [shop.told(customer), *(shop.billed(shop.invoice(customer)) for _ in range(3))]
    )
    await acme.settled()
    assert await acme.count("failed") == 3
    assert acme.receiver.codes() == ["locked_period"] * 3

    await acme.order(f"lock_dates/{tenant.tenant_id}", {})
    assert "locked_period" in await acme.command("retry", "--all", "--reason", "lock date moved")
    await acme.command("retry", "--all")
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert len(await acme.dead_letter_records()) == 3
    assert await acme.value("select count(*) from audit where action = 'retry'") == 1


async def test_a_chart_that_changes_is_seen_told_once_and_releases_what_it_held(
    acme: World,
) -> None:
    shop = Shop()
    customer = shop.customer()
    [tenant] = acme.tenants
    await acme.order(f"lock_dates/{tenant.tenant_id}", {"period_lock_date": "2099-12-31"})
    assert "period_lock_date" in await acme.command("chart", "refresh")
    await acme.start(2, chart_refresh=20)
    await acme.produce([shop.told(customer), shop.billed(shop.invoice(customer))])
    await acme.settled()
    assert acme.receiver.codes() == ["locked_period"]

    await acme.order(f"lock_dates/{tenant.tenant_id}", {})

    async def posted() -> bool:
        return bool(await acme.count("synced") == 1)

    await acme.until(posted, "the service has read that the lock date moved")
    await acme.assert_booked(shop.expected)
    payments = {"Code": "880", "Name": "Payments", "Type": "CURRENT", "Status": "ARCHIVED"}
    await acme.order(f"books/{tenant.tenant_id}/chart", {"accounts": [payments]})
    reads = "select count(*) from request where purpose = 'chart' and path = 'Accounts'"

    before = await acme.value(reads)

    async def read_again() -> bool:
        return await acme.value(reads) > before + 3 and len(acme.receiver.codes()) > 1

    await acme.until(read_again, "the chart was read several times")
    assert acme.receiver.codes() == ["chart_broke_mapping", "locked_period"]


async def test_undecodable_records_are_dead_lettered_and_the_rest_goes_on(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    good = shop.invoice(customer)
    broken = malformed_records(invoice_event(good, shop.organization.organization_id))
    records = [shop.told(customer), *broken, shop.billed(good)]
    await acme.start()
    await acme.produce(records)
    await acme.settled()
    await acme.assert_booked(shop.expected)
    dead = await acme.dead_letter_records()
    assert sorted(r.value or b"" for r in dead) == sorted(r.value for r in broken)
    assert len(acme.receiver.failures) == len(broken)


async def test_apply_of_the_same_file_changes_nothing(acme: World) -> None:
    lines = await acme.apply()
    assert lines.strip() == ""


async def test_a_new_connection_releases_what_had_no_home(acme: World) -> None:
    shop = Shop()
    [tenant] = acme.tenants
    other = Tenant("other", organization_id="2b901a90-1a90-4a90-9a90-1a901a901a90")
    homeless = Shop(seed=2, organization=Organization(other.organization_id))
    await acme.start()
    await acme.produce([*homeless.sold(2, 2), *shop.sold(1, 1)])
    await acme.until_ingested()

    async def waiting() -> bool:
        held = """select count(*) from document where state = 'waiting' and cause like 'home:%'
                   and kind in ('contact', 'invoice')"""
        return await acme.value(held) == 6 and await acme.count("synced") == 1

    await acme.until(waiting, "those without a home wait, the others are booked")
    acme.tenants = [tenant, other]
    await acme.order("tenants", {"tenant_id": other.tenant_id, "name": other.code})
    await acme.register(other)
    await acme.apply()
    await acme.settled()
    await acme.assert_booked(shop.expected, tenant)
    await acme.assert_booked(homeless.expected, other)
