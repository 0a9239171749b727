"""Payments end to end: each once in Xero, whatever the order, the repeats and the broken answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from consumer.sandbox.lago import (
    Record,
    payment,
    payment_event,
    payment_request,
    payment_request_event,
    receipt_event,
    record,
)
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API

Json = dict[str, Any]


def _paid(shop: Shop, paid: Json) -> list[Record]:
    """A payment as its webhook and its receipt tell of it."""
    id = shop.organization.organization_id
    return [record(payment_event(paid, id)), record(receipt_event(shop.choices, paid, id))]


def _unpaid(shop: Shop, customer: Json) -> Json:
    """An invoice that owes all of its total."""
    return shop.invoice(customer, payments=False, deductions=False, discounts=False)


def _requested(shop: Shop, request: Json) -> Record:
    return record(payment_request_event(request, shop.organization.organization_id))


async def _requested_and_paid(world: World, shop: Shop) -> tuple[Json, Json]:
    """An invoice and the payment request that paid it, both in Xero."""
    customer = shop.customer()
    invoice = _unpaid(shop, customer)
    request = payment_request(shop.choices, [invoice])
    await world.start()
    await world.produce([shop.told(customer), shop.billed(invoice), _requested(shop, request)])
    await world.settled()
    return invoice, request


async def _balances(world: World) -> dict[str, tuple[str, Decimal]]:
    """Each invoice's status and what it has open."""
    books = await world.books()
    return {one["InvoiceNumber"]: (one["Status"], one["AmountDue"]) for one in books["invoices"]}


async def _payments(world: World) -> list[Json]:
    return [one for one in (await world.books())["payments"] if one["Status"] != "DELETED"]


def _owed(invoice: Json) -> Decimal:
    return Decimal(invoice["total_due_amount_cents"]) / 100


async def test_full_partial_and_shared_payments_in_any_order(acme: World) -> None:
    shop = Shop(seed=41)
    customer = shop.customer()
    full, part, one, other, unpaid = (_unpaid(shop, customer) for _ in range(5))
    records = [
        shop.told(customer),
        *map(shop.billed, (full, part, one, other, unpaid)),
        *_paid(shop, payment(shop.choices, [full])),
        *_paid(shop, payment(shop.choices, [part], amount_cents=1, reference="slip")),
        _requested(shop, payment_request(shop.choices, [one, other])),
    ]
    await acme.start(2)
    await acme.produce(shop.shuffled(records))
    await acme.produce(records)
    await acme.settled(60)
    assert await _balances(acme) == {
        full["number"]: ("PAID", Decimal(0)),
        part["number"]: ("AUTHORISED", _owed(part) - Decimal("0.01")),
        one["number"]: ("PAID", Decimal(0)),
        other["number"]: ("PAID", Decimal(0)),
        unpaid["number"]: ("AUTHORISED", _owed(unpaid)),
    }
    assert len(await _payments(acme)) == 4
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()


async def test_a_payment_reversed_afterwards_opens_its_invoice_again(acme: World) -> None:
    shop = Shop(seed=42)
    invoice, request = await _requested_and_paid(acme, shop)
    assert (await _balances(acme))[invoice["number"]][0] == "PAID"
    await acme.produce([_requested(shop, {**request, "payment_status": "failed"})])
    await acme.settled()
    assert (await _balances(acme))[invoice["number"]] == ("AUTHORISED", _owed(invoice))
    assert await _payments(acme) == []


@pytest.mark.parametrize("fault", ["reply_lost", "500_after", "500_before", "close_before"])
async def test_a_broken_answer_never_pays_twice(acme: World, fault: str) -> None:
    shop = Shop(seed=43)
    customer = shop.customer()
    invoices = [_unpaid(shop, customer) for _ in range(3)]
    paid = [record for one in invoices for record in _paid(shop, payment(shop.choices, [one]))]
    await acme.fault(fault, path_prefix=f"{API}/Payments")
    await acme.start(2)
    await acme.produce([shop.told(customer), *map(shop.billed, invoices), *paid])
    await acme.settled(120)
    assert {status for status, _ in (await _balances(acme)).values()} == {"PAID"}
    assert len(await _payments(acme)) == 3
    assert await acme.count("synced", "payment") == 3
    await acme.assert_within_limits()


async def test_a_lost_answer_to_a_deletion_is_looked_up(acme: World) -> None:
    shop = Shop(seed=44)
    _, request = await _requested_and_paid(acme, shop)
    await acme.fault("500_after", method="POST", path_prefix=f"{API}/Payments")
    await acme.produce([_requested(shop, {**request, "payment_status": "failed"})])
    await acme.settled(60)
    assert await _payments(acme) == []
    assert await acme.count("failed", "payment") == 0
