"""One customer's whole life: a seller and a currency in; every kind of message, and what must come of
them, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from consumer.sandbox.lago.amounts import subunits
from consumer.sandbox.lago.catalogue import METRICS, PLANS, Item, Tax, TaxSet
from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.credit_notes import consuming, credit_note, credit_note_event
from consumer.sandbox.lago.customers import updated
from consumer.sandbox.lago.expected import ExpectedInvoice
from consumer.sandbox.lago.fees import FeeFacts, FeeType, Price
from consumer.sandbox.lago.invoices import InvoiceFacts, invoice
from consumer.sandbox.lago.messages import Record, customer_event, invoice_event, record
from consumer.sandbox.lago.payments import payment, payment_event, receipt_event
from consumer.sandbox.lago.totals import Money

Json = dict[str, Any]

AT = "2026-05-01T12:00:00Z"
LATER = "2026-05-06T12:00:00Z"
ISSUED = date(2026, 5, 1)
TOP_UP = Item.named("prepaid", "Prepaid credit")


@dataclass
class Life:
    """The messages in order, and what Lago says in the end; amounts in subunits."""

    choices: Choices
    organization_id: str
    customer: Json
    currency: str
    number: Callable[[], str]
    records: list[Record] = field(default_factory=list)
    invoices: dict[str, Json] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)
    credit: int = 0
    """What credit notes still have open."""
    voided: int = 0

    def lead(self, taxes: Sequence[Tax]) -> None:
        """From the first message to the last."""
        one, two = (taxes[0],), (taxes[-1],)
        self.tell(customer_event(self.customer, self.organization_id), "customer")
        self.customer = updated(self.choices, self.customer, seconds=60, phone="+64 9 555 0100")
        self.tell(
            customer_event(self.customer, self.organization_id, "customer.updated"),
            "customer_edit",
        )
        sold = (self.fee(1200, one), self.fee(345, two, "charge"))
        first = self.bill(Money(self.currency, fees=sold, coupons=(self.amount(100),)))
        self.pay(first, first["total_due_amount_cents"] // 3)
        self.pay(first, first["total_due_amount_cents"] - first["total_due_amount_cents"] // 3)
        bought = Money(self.currency, fees=(self.fee(500, (), "credit"),))
        top_up = self.bill(bought, invoice_type="credit")
        self.pay(top_up, top_up["total_due_amount_cents"])
        used = self.amount(320)
        fee = self.fee(800, one)
        self.bill(Money(self.currency, fees=(fee,), prepaid=used, granted=self.amount(20)))
        early = (self.fee(250, one, "charge"),)
        self.bill(Money(self.currency, fees=early), invoice_type="progressive_billing")
        month = (self.fee(610, one, "charge"), self.fee(90, one))
        self.bill(Money(self.currency, fees=month, progressive=self.amount(250)))
        self.correct(one)
        wrong = self.bill(Money(self.currency, fees=(self.fee(77, one),)))
        self.void(wrong)

    def correct(self, taxes: TaxSet) -> None:
        """A note whose credit a later invoice consumes in part, and one that is paid back."""
        fees = (self.fee(400, taxes), self.fee(150, taxes, "charge"))
        sold = self.bill(Money(self.currency, fees=fees))
        self.pay(sold, sold["total_due_amount_cents"])
        charge = [fee for fee in sold["fees"] if fee["item"]["type"] == "charge"]
        note = credit_note(self.choices, sold, charge)
        self.tell(credit_note_event(note, self.organization_id), "credit_note")
        self.credit += note["credit_amount_cents"]
        taken = self.amount(100)
        next_one = self.draw(Money(self.currency, fees=(self.fee(480, taxes),)))
        self.issue(consuming(self.choices, next_one, [(note, taken)]))
        self.credit -= taken
        rest = [fee for fee in sold["fees"] if fee not in charge]
        whole = sum(fee["amount_cents"] + fee["taxes_amount_cents"] for fee in rest)
        back = credit_note(self.choices, sold, rest, number=2, refund=whole)
        self.tell(credit_note_event(back, self.organization_id), "refund")

    def expected(self) -> list[ExpectedInvoice]:
        """The invoices as they must be in Xero."""
        unit = subunits(self.currency)
        return [
            ExpectedInvoice(
                customer_id=self.customer["lago_id"],
                number=one["number"],
                entity=one["billing_entity_code"],
                currency=self.currency,
                total=Decimal(one["total_amount_cents"] + one["credit_notes_amount_cents"]) / unit,
                tax=Decimal(one["taxes_amount_cents"]) / unit,
                paid=Decimal(self.paid[id]) / unit,
                allocated=Decimal(one["credit_notes_amount_cents"]) / unit,
            )
            for id, one in self.invoices.items()
        ]

    def tell(self, message: Json, note: str) -> None:
        """The next message."""
        self.records.append(record(message, note))

    def amount(self, units: int) -> int:
        """So many currency units in subunits."""
        return units * subunits(self.currency)

    def fee(self, units: int, taxes: TaxSet, type: FeeType = "subscription") -> FeeFacts:
        """One fee of so many currency units."""
        item = {"charge": METRICS[0], "credit": TOP_UP}.get(type, PLANS[0])
        return FeeFacts(type, item, Price.of_amount(1, units), taxes, discounted=type != "credit")

    def draw(self, money: Money, invoice_type: str = "subscription") -> Json:
        """An invoice that nobody was told of yet."""
        facts = InvoiceFacts(
            self.customer, money, ISSUED, AT, invoice_type=invoice_type, number=self.number()
        )
        return invoice(self.choices, facts)

    def issue(self, made: Json) -> Json:
        """Tell of an invoice."""
        self.invoices[made["lago_id"]] = made
        self.tell(invoice_event(made, self.organization_id), "invoice")
        return made

    def bill(self, money: Money, invoice_type: str = "subscription") -> Json:
        """A new invoice."""
        return self.issue(self.draw(money, invoice_type))

    def pay(self, bill: Json, cents: int) -> None:
        """The provider takes the money, and Lago writes a receipt: two messages of one payment."""
        money = payment(self.choices, [bill], amount_cents=cents)
        self.tell(payment_event(money, self.organization_id), "payment")
        self.tell(receipt_event(self.choices, money, self.organization_id), "receipt")
        self.paid[bill["lago_id"]] += cents

    def void(self, bill: Json) -> None:
        """Lago takes an invoice back that nothing was paid on."""
        gone = {**bill, "status": "voided", "updated_at": LATER, "voided_at": LATER}
        self.tell(invoice_event(gone, self.organization_id, "invoice.voided"), "voided")
        del self.invoices[bill["lago_id"]]
        self.voided += 1
