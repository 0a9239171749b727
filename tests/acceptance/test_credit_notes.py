"""Credit notes end to end: Xero's balances are Lago's, whatever the order and the broken answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from consumer.sandbox.lago import (
    Record,
    consuming,
    credit_note,
    credit_note_event,
    record,
    refund_failure_event,
)
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API

Json = dict[str, Any]


def _plain(shop: Shop, customer: Json) -> Json:
    """An invoice of undiscounted fees that owes all of its total."""
    return shop.invoice(customer, payments=False, deductions=False, discounts=False)


def _noted(shop: Shop, note: Json) -> Record:
    return record(credit_note_event(note, shop.organization.organization_id))


async def _due(world: World) -> dict[str, Decimal]:
    return {one["InvoiceNumber"]: one["AmountDue"] for one in (await world.books())["invoices"]}


async def _left(world: World) -> dict[str, Decimal]:
    """What remains of each credit note."""
    notes = (await world.books())["credit_notes"]
    return {one["CreditNoteNumber"]: one["RemainingCredit"] for one in notes}


def _major(cents: int) -> Decimal:
    return Decimal(cents) / 100


def _story(shop: Shop) -> tuple[list[Record], dict[str, Decimal], dict[str, Decimal]]:
    """Notes of all kinds and an invoice that consumes one; what must be due and what remain."""
    customer = shop.customer()
    first, second, third = (_plain(shop, customer) for _ in range(3))
    total = first["total_amount_cents"]
    mixed = credit_note(shop.choices, first, offset=total // 3, refund=total // 4)
    part = credit_note(shop.choices, second, second["fees"][:1])
    used = min(mixed["credit_amount_cents"], third["total_amount_cents"]) // 2
    later = consuming(shop.choices, third, [(mixed, used)])
    records = [
        shop.told(customer),
        *map(shop.billed, (first, second, later)),
        *(_noted(shop, note) for note in (mixed, part)),
    ]
    due = {
        first["number"]: _major(total - mixed["offset_amount_cents"]),
        second["number"]: _major(second["total_amount_cents"]),
        third["number"]: _major(third["total_amount_cents"] - used),
    }
    left = {
        mixed["number"]: _major(mixed["credit_amount_cents"] - used),
        part["number"]: _major(part["total_amount_cents"]),
    }
    return records, due, left


@pytest.mark.parametrize("seed", [51, 52, 53])
async def test_balances_are_lagos_in_any_order(acme: World, seed: int) -> None:
    shop = Shop(seed=seed)
    records, due, left = _story(shop)
    await acme.start(2)
    await acme.produce(shop.shuffled(records))
    await acme.produce(records)
    await acme.settled(60)
    assert await _due(acme) == due
    assert await _left(acme) == left
    assert acme.receiver.codes() == []
    await acme.assert_within_limits()


@pytest.mark.parametrize("fault", ["reply_lost", "500_after", "500_before"])
@pytest.mark.parametrize("path", ["CreditNotes", "Payments"])
async def test_a_broken_answer_credits_nothing_twice(acme: World, fault: str, path: str) -> None:
    shop = Shop(seed=54)
    records, due, left = _story(shop)
    await acme.fault(fault, path_prefix=f"{API}/{path}", times=2)
    await acme.start(2)
    await acme.produce(records)
    await acme.settled(150)
    assert await _due(acme) == due
    assert await _left(acme) == left
    assert acme.receiver.codes() == []


async def test_a_refund_that_fails_and_a_void_that_frees_credit(acme: World) -> None:
    shop = Shop(seed=55)
    customer = shop.customer()
    first, second = _plain(shop, customer), _plain(shop, customer)
    refund = first["total_amount_cents"] // 4
    note = credit_note(shop.choices, first, refund=refund)
    used = min(note["credit_amount_cents"], second["total_amount_cents"]) // 2
    later = consuming(shop.choices, second, [(note, used)])
    await acme.start()
    await acme.produce([shop.told(customer), *map(shop.billed, (first, later)), _noted(shop, note)])
    await acme.settled()
    assert await _left(acme) == {note["number"]: _major(note["credit_amount_cents"] - used)}
    id = shop.organization.organization_id
    await acme.produce(
        [
            record(refund_failure_event(note, id)),
            shop.billed({**later, "status": "voided"}, "invoice.voided"),
        ]
    )
    await acme.settled()
    assert await _left(acme) == {note["number"]: _major(note["total_amount_cents"])}
    states = {one["InvoiceNumber"]: one["Status"] for one in (await acme.books())["invoices"]}
    assert states == {first["number"]: "AUTHORISED", second["number"]: "VOIDED"}
    assert acme.receiver.codes() == []


@pytest.mark.parametrize("fault", ["reply_lost", "500_after", "500_before"])
async def test_a_broken_answer_to_an_allocations_deletion_is_found_out(
    acme: World, fault: str
) -> None:
    shop = Shop(seed=56)
    customer = shop.customer()
    first, second = _plain(shop, customer), _plain(shop, customer)
    note = credit_note(shop.choices, first)
    used = min(note["credit_amount_cents"], second["total_amount_cents"]) // 2
    later = consuming(shop.choices, second, [(note, used)])
    await acme.start()
    await acme.produce([shop.told(customer), *map(shop.billed, (first, later)), _noted(shop, note)])
    await acme.settled()
    await acme.fault(fault, method="DELETE", path_prefix=f"{API}/CreditNotes")
    await acme.produce([shop.billed({**later, "status": "voided"}, "invoice.voided")])
    await acme.settled(60)
    assert await _left(acme) == {note["number"]: _major(note["total_amount_cents"])}
    states = {one["InvoiceNumber"]: one["Status"] for one in (await acme.books())["invoices"]}
    assert states[second["number"]] == "VOIDED"
    assert acme.receiver.codes() == []


@pytest.mark.parametrize("path", ["CreditNotes", "Payments"])
async def test_sigkill_in_mid_call_credits_nothing_twice(acme: World, path: str) -> None:
    """The kill comes after Xero has saved and before the answer is settled."""
    shop = Shop(seed=57)
    records, due, left = _story(shop)
    await acme.fault("slow_after", path_prefix=f"{API}/{path}", seconds="3")
    [first] = await acme.start()
    await acme.produce(records)

    async def in_call() -> bool:
        return any(one["fault"] == "slow_after" for one in await acme.writes(path))

    await acme.until(in_call, "the call is under way")
    await first.kill()
    assert await acme.value("select count(*) from document where state = 'sending'") > 0
    await acme.start()
    await acme.settled(120)
    assert await _due(acme) == due
    assert await _left(acme) == left
    assert acme.receiver.codes() == []
    await acme.assert_within_limits()
