"""Events: repeated, shuffled and overtaken by newer ones, Xero ends up with the same books."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from consumer.sandbox.lago import demo_events
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import World
from tests.acceptance.shop import Amounts, Shop
from tests.acceptance.xero import API, Tenant


def cents(amount: Decimal) -> Decimal:
    """Xero keeps two decimals, also where Lago has three."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


async def test_the_same_events_again_make_no_further_call(acme: World) -> None:
    shop = Shop()
    records = shop.sold(customers=4, invoices=5)
    await acme.start()
    await acme.produce(records)
    await acme.settled()
    before = await acme.arrivals()
    ledger = await acme.ledger()
    await acme.produce(records)
    await acme.settled()
    assert await acme.arrivals() == before
    assert await acme.ledger() == ledger
    await acme.assert_booked(shop.expected)


async def test_a_believable_story_ends_in_the_books_or_announced(make_world: MakeWorld) -> None:
    records, expected = demo_events(seed=7, count=200)
    nz = Tenant("acme-nz", serves={"billing_entities": ["acme-nz"]})
    eu = Tenant("acme-eu", serves={"billing_entities": ["acme-eu"]})
    async with make_world(tenants=[nz, eu]) as world:
        await world.start(home_wait=200)  # ten seconds: links come late on a busy machine
        # What Lago takes back is in Xero by then; `make demo` tells of it in time.
        for void in (False, True):
            await world.produce([one for one in records if (one.note == "voided") is void])
            await world.settled()
        for tenant in (nz, eu):
            booked = {
                one.number: Amounts(cents(one.total), cents(one.tax))
                for one in expected.invoices
                if one.entity == tenant.code
            }
            await world.assert_booked(booked, tenant)
        states = {
            (row["kind"], row["state"]): row["count"]
            for row in await world.rows("select kind, state, count(*) from document group by 1, 2")
            if row["kind"] in ("contact", "invoice")
        }
        failed, skipped = sum(expected.failed.values()), sum(expected.skipped.values())
        assert states == {
            ("contact", "synced"): expected.contacts,
            ("invoice", "synced"): len(expected.invoices),
            ("invoice", "failed"): failed,
            ("invoice", "skipped"): skipped,
        }
        dead = await world.dead_letter_records()
        assert len(dead) == len(world.receiver.failures) == failed + expected.dead
        produced = {record.value for record in records}
        assert {record.value for record in dead} <= produced
        await world.assert_within_limits()


async def test_any_order_with_duplicates_gives_the_same_books(make_world: MakeWorld) -> None:
    shop = Shop(seed=3)
    records = []
    latest = {}
    for _ in range(5):
        customer = shop.customer()
        invoices = [shop.invoice(customer) for _ in range(4)]
        edited = shop.edited(customer, email="new@example.test")
        latest[customer["lago_id"]] = "new@example.test"
        records += [shop.told(customer), shop.told(edited, "customer.updated")]
        records += [shop.billed(invoice) for invoice in invoices]
        records.append(shop.billed(invoices[0], "invoice.payment_status_updated"))
        records.append(shop.billed(invoices[1], "invoice.generated"))
    summaries = []
    for order in (records, shop.shuffled([*records, *records])):
        async with make_world() as world:
            await world.start()
            await world.produce(order)
            await world.settled()
            await world.assert_booked(shop.expected)
            books = await world.books()
            assert {c["ContactNumber"]: c["EmailAddress"] for c in books["contacts"]} == latest
            await world.assert_within_limits()
            summaries.append(await world.summary())
    assert summaries[0] == summaries[1]


async def test_an_update_while_the_contact_is_sending_ends_with_the_newer_facts(
    acme: World,
) -> None:
    shop = Shop()
    customer = shop.customer(email="old@example.test")
    await acme.latency(1.0)
    await acme.start()
    await acme.produce([shop.told(customer)])

    async def arrived() -> bool:
        return len(await acme.writes("Contacts")) == 1

    await acme.until(arrived, "the contact is being sent")
    edited = shop.edited(customer, email="new@example.test")
    await acme.produce([shop.told(edited, "customer.updated"), shop.billed(shop.invoice(edited))])
    await acme.until_ingested()
    assert await acme.count("sending", "contact") == 1
    await acme.latency(0.0)
    await acme.settled()
    [contact] = (await acme.books())["contacts"]
    assert contact["EmailAddress"] == "new@example.test"
    assert [one["method"] for one in await acme.writes("Contacts")] == ["PUT", "POST"]
    await acme.assert_booked(shop.expected)


async def test_a_customer_who_is_known_only_later_holds_his_invoices(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    stranger = {**shop.customer(), "name": "Named in his invoice only"}
    records = [shop.billed(shop.invoice(stranger)), shop.billed(shop.invoice(customer))]
    await acme.start()
    await acme.produce([*records, shop.told(customer)])
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert all(amounts.total >= Decimal(0) for amounts in shop.expected.values())
    names = {one["Name"] for one in (await acme.books())["contacts"]}
    assert names == {customer["name"], stranger["name"]}
    assert len(await acme.arrivals(f"{API}/Invoices")) <= 2


async def test_voids_follow_and_leave_invoices_with_a_persons_payment_alone(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    kept, voided, paid, unseen = (shop.invoice(customer) for _ in range(4))
    await acme.start()
    await acme.produce([shop.told(customer), *map(shop.billed, (kept, voided, paid))])
    await acme.settled()
    [tenant] = acme.tenants
    by_hand = {"action": "pay", "number": paid["number"], "amount": "1.00"}
    await acme.order(f"books/{tenant.tenant_id}/invoices", by_hand)
    gone = [
        shop.billed({**one, "status": "voided"}, "invoice.voided") for one in (voided, paid, unseen)
    ]
    await acme.produce([*gone, *gone, shop.billed(unseen)])
    await acme.settled()
    booked = {one["InvoiceNumber"]: one["Status"] for one in (await acme.books())["invoices"]}
    assert booked == {
        kept["number"]: "AUTHORISED",
        voided["number"]: "VOIDED",
        paid["number"]: "AUTHORISED",
    }
    assert acme.receiver.codes() == ["void_with_money"]
    shown = await acme.command("show", paid["number"])
    assert "void_with_money" in shown
    await acme.assert_within_limits()


async def test_the_service_prunes_by_itself_unless_told_not_to(acme: World) -> None:
    shop = Shop()
    old = shop.sold(customers=3, invoices=4)
    await acme.start(prune=False)
    await acme.produce(old)
    await acme.settled()
    for older in (
        "event set received_at = received_at - interval '60 days'",
        "request set answered_at = answered_at - interval '60 days'",
    ):
        await acme.database.execute(f"update {older}")
    await acme.produce(shop.sold(customers=3, invoices=4))
    await acme.settled()
    bytes_kept = "select count(*) from event_raw"
    assert await acme.value(bytes_kept) == await acme.value("select count(*) from event")

    await acme.start(2)
    await acme.produce(shop.sold(customers=3, invoices=4))

    async def pruned() -> bool:
        of_old = " join event on id = event_id where received_at < now() - interval '30 days'"
        return not await acme.value(bytes_kept + of_old)

    await acme.until(pruned, "old messages are dropped")
    await acme.settled()
    assert await acme.value(bytes_kept) == await acme.value("select count(*) from event") - len(old)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()
