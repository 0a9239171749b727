"""A Lago organization's customers and invoices: choices in, records and the expected books out."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from consumer.sandbox.lago import (
    BillingEntity,
    Organization,
    RandomChoices,
    Record,
    customer_event,
    generate_customer,
    generate_invoice,
    invoice_event,
    record,
    unmapped_invoice,
    updated,
)
from consumer.sandbox.lago.catalogue import ACME_NZ, GST_15, VAT_5, VAT_20

Json = dict[str, Any]
REGIME = ((GST_15,), (VAT_20,), (VAT_5,))


@dataclass(frozen=True, slots=True)
class Amounts:
    """What an invoice must say in Xero, by Lago's figures."""

    total: Decimal
    tax: Decimal


@dataclass
class Shop:
    """One organization with one seller; the same seed sells the same."""

    seed: int = 1
    organization: Organization = field(default_factory=Organization)
    entity: BillingEntity = ACME_NZ
    expected: dict[str, Amounts] = field(default_factory=dict)
    """By invoice number; only what ``invoice`` made."""

    def __post_init__(self) -> None:
        self.choices = RandomChoices(Random(self.seed))
        self._customers = 0
        self._invoices = 0

    def customer(self, **facts: Any) -> Json:
        """A new customer with a name of his own."""
        self._customers += 1
        made = generate_customer(
            self.choices,
            entity=self.entity,
            currency="NZD",
            account_type="customer",
            odd=False,
            linked=False,
            sequential_id=self._customers,
        )
        name = f"{self.entity.prefix} customer {self._customers}"
        own = {"name": name, "external_id": f"{self.entity.prefix}-{self._customers}"}
        return {**made, **own, **facts}

    def invoice(self, customer: Json, **options: Any) -> Json:
        """A new invoice of his, expected in the books."""
        made = generate_invoice(
            self.choices,
            customer=customer,
            currency="NZD",
            number=self._number(customer),
            **{
                "invoice_type": "subscription",
                "regime": REGIME,
                "discounts": True,
                "notes": False,
                **options,
            },
        )
        self.expect(made)
        return made

    def unmapped(self, customer: Json) -> Json:
        """An invoice with a tax that nobody has mapped."""
        return unmapped_invoice(
            self.choices,
            customer=customer,
            currency="NZD",
            invoice_type="one_off",
            number=self._number(customer),
        )

    def expect(self, invoice: Json) -> None:
        """It must be in the books."""
        self.expected[invoice["number"]] = Amounts(
            Decimal(invoice["total_amount_cents"]) / 100,
            Decimal(invoice["taxes_amount_cents"]) / 100,
        )

    def like(self, invoice: Json, count: int) -> list[Json]:
        """Copies under other ids and numbers: as many good invoices in no time."""
        copies = []
        for _ in range(count):
            made = copy.copy(invoice)
            made["lago_id"] = self.choices.uuid()
            made["number"] = self._number(invoice["customer"])
            self.expect(made)
            copies.append(made)
        return copies

    def sold(self, customers: int, invoices: int) -> list[Record]:
        """Records of new customers, each with so many invoices, each customer first."""
        records = []
        for _ in range(customers):
            customer = self.customer()
            records.append(self.told(customer))
            records += [self.billed(self.invoice(customer)) for _ in range(invoices)]
        return records

    def told(self, customer: Json, webhook_type: str = "customer.created") -> Record:
        """The customer's record."""
        return record(customer_event(customer, self.organization.organization_id, webhook_type))

    def billed(self, invoice: Json, webhook_type: str | None = None) -> Record:
        """The invoice's record."""
        return record(invoice_event(invoice, self.organization.organization_id, webhook_type))

    def edited(self, customer: Json, seconds: int = 60, **facts: Any) -> Json:
        """The customer after an edit."""
        return updated(self.choices, customer, seconds=seconds, **facts)

    def shuffled(self, records: Iterable[Record]) -> list[Record]:
        """In another order."""
        return self.choices.shuffle(list(records))

    def _number(self, customer: Json) -> str:
        self._invoices += 1
        return f"{customer['slug']}-{self._invoices:05}"
