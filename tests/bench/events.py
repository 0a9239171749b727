"""What the ingest benchmarks read: an organization and a number in, so many Lago messages of a kind
out; the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from consumer.sandbox.lago import (
    BillingEntity,
    Organization,
    RandomChoices,
    Record,
    customer_event,
    generate_customer,
    record,
)
from tests.acceptance.shop import Shop

Json = dict[str, Any]

ENTITY = BillingEntity("acme", "ACM", "NZ", "Pacific/Auckland", ("NZD",), (), "acme")
LATER = {
    "billing_configuration",
    "finalize_zero_amount_invoice",
    "metadata",
    "shipping_address",
    "skip_invoice_custom_sections",
}
"""What Lago did not tell from the beginning, or of every customer."""


def _lean(customer: Json) -> Json:
    """Without what is null or came later: about 0.7 KB, as DESIGN's figure has it."""
    return {k: v for k, v in customer.items() if v not in (None, "") and k not in LATER}


def _customer(choices: RandomChoices, number: int) -> Json:
    made = generate_customer(
        choices,
        entity=ENTITY,
        currency="NZD",
        account_type="customer",
        odd=False,
        linked=False,
        sequential_id=number,
    )
    return {**made, "name": f"Customer {number}", "external_id": f"customer-{number}"}


def small(organization: str, count: int) -> Iterator[Record]:
    """New customers in messages of about 0.7 KB."""
    choices = RandomChoices(Random(1))
    for number in range(count):
        yield record(customer_event(_lean(_customer(choices, number)), organization))


def edits(organization: str, count: int) -> Iterator[Record]:
    """Customers of about 0.7 KB, each edited nine times within a few hundred messages."""
    choices = RandomChoices(Random(2))
    for first in range(0, count, 500):
        customers = [_lean(_customer(choices, first + n)) for n in range(50)]
        for edit in range(10):
            for customer in customers:
                told = {**customer, "phone": f"+64 9 555 {edit:04}"}
                yield record(customer_event(told, organization, "customer.updated"))


def customers(organization: str, count: int) -> Iterator[Record]:
    """New customers in messages as Lago writes them today."""
    choices = RandomChoices(Random(3))
    for number in range(count):
        yield record(customer_event(_customer(choices, number), organization))


def invoices(organization: str, count: int) -> Iterator[Record]:
    """New invoices of one to eight fees, twenty a customer, who is told of in them."""
    shop = Shop(seed=4, entity=ENTITY, organization=Organization(organization))
    for first in range(0, count, 20):
        invoice = shop.invoice(shop.customer())
        for one in shop.like(invoice, min(20, count - first)):
            yield shop.billed(one)


KINDS: dict[str, Callable[[str, int], Iterator[Record]]] = {
    "small": small,
    "edits": edits,
    "customers": customers,
    "invoices": invoices,
}
