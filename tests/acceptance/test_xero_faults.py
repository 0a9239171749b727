"""Xero at its worst: whatever a call ends with, each invoice is in the books once and exactly."""

from __future__ import annotations

import pytest

from tests.acceptance.harness import World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API, Json

CONTACTS = f"{API}/Contacts"


async def billed(acme: World, kind: str, *, together: bool = False, **fault: object) -> Shop:
    """A customer whose invoices meet the fault once they are sent; all is settled in the end."""
    shop = Shop()
    customer = shop.customer()
    await acme.start()
    await acme.produce([shop.told(customer)])
    await acme.settled()
    await acme.fault(kind, **fault)  # type: ignore[arg-type]
    records = [shop.billed(shop.invoice(customer)) for _ in range(4)]
    if together:
        assert await acme.replicas[-1].stop() == 0
        await acme.produce(records)
        await acme.start()
    else:
        await acme.produce(records)
    await acme.settled()
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()
    assert acme.receiver.failures == []
    return shop


def keys(arrivals: list[Json]) -> set[object]:
    """Their idempotency keys."""
    return {one["idempotency_key"] for one in arrivals}


async def sent(acme: World) -> int:
    """How many invoices all writes carried."""
    return sum(one["elements"] for one in await acme.writes())


async def struck(acme: World) -> tuple[Json, list[Json]]:
    """The write that met the fault and the calls about invoices that came after it."""
    arrivals = await acme.arrivals(f"{API}/Invoices")
    [first] = [one for one in arrivals if one["fault"] is not None]
    return first, arrivals[arrivals.index(first) + 1 :]


async def test_429_is_obeyed_for_as_long_as_it_says(acme: World) -> None:
    await billed(acme, "429", together=True, seconds=2)  # nothing else is under way then
    refused, later = await struck(acme)
    again = [one for one in later if one["method"] == "PUT"]
    assert again
    assert all(one["monotonic"] - refused["monotonic"] >= 2 for one in later)
    assert refused["idempotency_key"] not in keys(again)


async def test_500_after_saving_is_looked_up_and_adopted(acme: World) -> None:
    shop = await billed(acme, "500_after")
    failed, later = await struck(acme)
    assert [one["method"] for one in later].count("GET") == 1
    assert failed["idempotency_key"] not in keys(later)
    assert await sent(acme) == len(shop.expected)
    adopted = await acme.value("select count(*) from member where outcome = 'adopted'")
    assert adopted == failed["elements"]


async def test_500_before_saving_is_sent_again_under_a_new_key(acme: World) -> None:
    shop = await billed(acme, "500_before")
    failed, later = await struck(acme)
    assert [one["method"] for one in later].count("GET") == 1
    assert failed["idempotency_key"] not in keys(later)
    assert await sent(acme) == len(shop.expected)  # the failed call read none of its elements


@pytest.mark.parametrize("kind", ["reply_lost", "close_before", "garbage"])
async def test_a_lost_reply_leaves_one_invoice(acme: World, kind: str) -> None:
    await billed(acme, kind)
    lost, later = await struck(acme)
    assert later
    resent = [one for one in later if one["idempotency_key"] == lost["idempotency_key"]]
    looked = [one for one in later if one["method"] == "GET"]
    # Nothing came back at all: the same bytes again, under the same key. Garbage: looked up.
    assert (len(resent), len(looked)) == ((0, 1) if kind == "garbage" else (1, 0))
    assert all(one["replay"] for one in resent) == (kind != "close_before")


async def test_a_lost_reply_about_contacts_leaves_one_contact(acme: World) -> None:
    shop = Shop()
    await acme.start()
    await acme.fault("reply_lost", path_prefix=CONTACTS)
    await acme.produce(shop.sold(customers=3, invoices=1))
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert len((await acme.books())["contacts"]) == 3


async def test_500_after_saving_contacts_adopts_them(acme: World) -> None:
    shop = Shop()
    await acme.start()
    await acme.fault("500_after", path_prefix=CONTACTS)
    await acme.produce(shop.sold(customers=3, invoices=1))
    await acme.settled()
    await acme.assert_booked(shop.expected)
    assert len((await acme.books())["contacts"]) == 3


async def test_503_and_maintenance_are_waited_out(acme: World) -> None:
    await billed(acme, "503", times=3)
    assert len([one for one in await acme.arrivals() if one["fault"] == "503"]) == 3


async def test_a_call_beyond_its_time_is_in_doubt_and_counted_once(acme: World) -> None:
    await billed(acme, "slow_after", seconds=7)
    slow, later = await struck(acme)
    resent = [one for one in later if one["idempotency_key"] == slow["idempotency_key"]]
    asked = [*resent, *(one for one in later if one["method"] == "GET")]
    assert asked
    assert min(one["monotonic"] for one in asked) - slow["monotonic"] >= 4.9


async def test_a_refused_batch_ends_with_the_good_ones_in_the_books(acme: World) -> None:
    await billed(acme, "whole_400", together=True)
    refused, later = await struck(acme)
    halves = [one["elements"] for one in later if one["method"] == "PUT"]
    members = "select count(*) from member where request_id = $1::uuid"
    assert await acme.value(members, refused["idempotency_key"]) == 4
    assert max(halves) <= 2


async def test_many_faults_in_a_row_lose_and_double_nothing(acme: World) -> None:
    shop = Shop(seed=11)
    records = shop.sold(customers=6, invoices=6)
    for kind in ("reply_lost", "500_after", "500_before", "503", "garbage", "close_before"):
        await acme.fault(kind)
        await acme.fault(kind, path_prefix=CONTACTS)
    await acme.start(batch_documents=3)
    await acme.produce(records)
    await acme.settled(60)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()
    assert len((await acme.books())["contacts"]) == 6
