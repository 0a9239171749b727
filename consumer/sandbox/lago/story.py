"""The demo's events: a seed in, records in a believable order and what must come of them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

from consumer.sandbox.lago.amounts import subunits
from consumer.sandbox.lago.broken import disagreeing, malformed_records, unmapped_invoice
from consumer.sandbox.lago.catalogue import (
    GST_15,
    VAT_0,
    VAT_5,
    VAT_20,
    BillingEntity,
    Organization,
    Tax,
)
from consumer.sandbox.lago.choices import Choices, RandomChoices
from consumer.sandbox.lago.customers import generate_customer, link, updated
from consumer.sandbox.lago.drawn_invoices import generate_invoice
from consumer.sandbox.lago.expected import Expected, ExpectedInvoice
from consumer.sandbox.lago.life import Life
from consumer.sandbox.lago.messages import Record, customer_event, invoice_event, record

Json = dict[str, Any]

_FIRST = ("Kauri", "Harbour", "Nordlicht", "Dupré", "Tisza", "Sakura", "Gulf", "Blue Ridge")
_SECOND = ("Analytics Ltd", "Software", "Trading GmbH", "& Sons", "Logistics", "Labs")
_MALFORMED = (
    "truncated",
    "invalid_utf8",
    "lone_surrogate",
    "missing_id",
    "amount_is_text",
    "nan",
)
_USUAL = 200
_FEWEST = 150
_WHOLE: tuple[tuple[int, str, tuple[Tax, ...]], ...] = (
    (0, "NZD", (GST_15,)),
    (1, "EUR", (VAT_20, VAT_5)),
    (1, "GBP", (VAT_5, VAT_20)),
)
"""Seller, currency and taxes of the customers who live through everything that Lago tells of."""


def demo_events(
    seed: int = 2026, organization: Organization | None = None, count: int = _USUAL
) -> tuple[list[Record], Expected]:
    """``count`` records (at least 150) of a few dozen customers, mostly invoices.

    Each customer's records keep their order but where a note says otherwise; the same seed and
    count give the same bytes, any others other customers and numbers.
    """
    organization = organization or Organization()
    count = max(count, _FEWEST)
    name = str(seed) if count == _USUAL else f"{seed}N{count}"
    # Numbers are unique in Xero: another story may come to the same organisations.
    entities = tuple(replace(e, prefix=f"{e.prefix}{name}") for e in organization.entities)
    told = replace(organization, entities=entities)
    return _Story(RandomChoices(Random(name)), told).tell(count)


class _Story:
    """The lives of some customers, one list of records each, and what is expected of them."""

    def __init__(self, choices: Choices, organization: Organization) -> None:
        self._choices = choices
        self._id = organization.organization_id
        self._organization = organization
        self._names = choices.shuffle([f"{a} {b}" for a, b in product(_FIRST, _SECOND)])
        self._customers: list[tuple[BillingEntity, Json]] = []
        self._lives: list[list[Record]] = []
        self._invoices: list[ExpectedInvoice] = []
        self._issued: Counter[int] = Counter()
        self._whole: list[Life] = []

    def tell(self, count: int) -> tuple[list[Record], Expected]:
        for number in range(count // 8):
            self._begin(number)
        for entity, currency, taxes in _WHOLE:
            self._live(self._organization.entities[entity], currency, taxes)
        self._special()
        count -= sum(len(life.records) for life in self._whole)
        position = 0
        while (told := sum(map(len, self._lives))) < count:
            position += 1
            left = count - told
            self._invoice(position % len(self._lives), repeats=left > 1)
        records = list(self._interleaved())
        notes = Counter(note.note for note in records)
        expected = Expected(
            notes=dict(notes),
            customers={
                one["lago_id"]: one["name"] or one["legal_name"] or one["external_id"]
                for one in (*(c for _, c in self._customers), *(w.customer for w in self._whole))
            },
            invoices=(*self._invoices, *(i for life in self._whole for i in life.expected())),
            credits={
                (life.customer["lago_id"], life.currency): Decimal(life.credit)
                / subunits(life.currency)
                for life in self._whole
            },
            failed={
                "tax_unmapped": notes["unmapped_tax"],
                "lago_totals_disagree": notes["totals_disagree"],
            },
            dead=sum(n for note, n in notes.items() if note.startswith("malformed:")),
            skipped={
                note: notes[note] for note in ("draft", "voided_unseen", "self_billed", "voided")
            },
        )
        return records, expected

    def _begin(self, number: int) -> None:
        """A new customer: some linked in Lago, some with odd or equal names, some edited twice."""
        entities = self._organization.entities
        entity = entities[number % len(entities)]
        currency = entity.currencies[number // len(entities) % len(entity.currencies)]
        odd = number % 7 == 5
        customer = generate_customer(
            self._choices,
            entity=entity,
            currency=currency,
            account_type="customer",
            odd=odd,
            linked=False,
            sequential_id=number + 1,
        )
        if not odd:
            again, name = divmod(number, len(self._names))
            unique = self._names[name] + (f" {again + 1}" if again else "")
            customer |= {"name": unique, "legal_name": None}
        if number % 12 == 6:  # same seller, other customer, same name
            customer["name"] = self._customers[number - len(entities)][1]["name"]
        if number % 4 == 1:
            customer["integration_customers"] = [
                link(self._choices, "xero", entity.connection, None)
            ]
        life = [record(customer_event(customer, self._id), "customer")]
        if number % 5 == 2:
            older = updated(self._choices, customer, seconds=60)
            newer = updated(self._choices, older, seconds=60, email="accounts@example.test")
            for version, note in ((newer, "customer_update"), (older, "stale_update")):
                life.append(record(customer_event(version, self._id, "customer.updated"), note))
            customer = newer
        self._customers.append((entity, customer))
        self._lives.append(life)

    def _live(self, entity: BillingEntity, currency: str, taxes: tuple[Tax, ...]) -> None:
        """A customer with a whole life of his own."""
        customer = generate_customer(
            self._choices,
            entity=entity,
            currency=currency,
            account_type="customer",
            odd=False,
            linked=False,
            sequential_id=800 + len(self._whole),
        )
        customer |= {"name": f"Whole Life {currency}", "legal_name": None}
        slug, issued = customer["slug"], iter(range(1, 100))
        life = Life(
            self._choices, self._id, customer, currency, lambda: f"{slug}-{next(issued):03}"
        )
        life.lead(taxes)
        self._whole.append(life)

    def _invoice(self, position: int, *, repeats: bool) -> None:
        """A good invoice; at times delivered twice, or with a poorer message around it."""
        payload = self._draw(position)
        message = record(invoice_event(payload, self._id), "invoice")
        life = self._lives[position]
        self._expect(payload)
        life.append(message)
        if not repeats:
            return
        fate = len(self._invoices) % 10
        if fate == 3:
            life.append(Record(message.key, message.value, message.headers, "duplicate"))
        elif fate == 6:
            poorer = invoice_event(payload, self._id, "invoice.payment_status_updated")
            life.append(record(poorer, "payment_status"))
        elif fate == 9:  # the poorer message arrives first
            poorer = invoice_event(payload, self._id, "invoice.generated")
            life.insert(len(life) - 1, record(poorer, "generated_early"))
        elif len(self._invoices) == 1:  # the invoice arrives before its customer
            life.insert(0, life.pop())

    def _special(self) -> None:
        """The records that must not become an invoice in Xero."""
        for position, figure in enumerate(
            ("total_amount_cents", "sub_total_including_taxes_amount_cents", "total_amount_cents")
        ):
            wrong = disagreeing(self._draw(position), figure)
            self._tell(position, invoice_event(wrong, self._id), "totals_disagree")
        for position in (1, 2, 4):
            entity, customer = self._customers[position]
            payload = unmapped_invoice(
                self._choices,
                customer=customer,
                currency=customer["currency"] or entity.currencies[0],
                invoice_type="one_off",
                number=self._number(position),
            )
            self._tell(position, invoice_event(payload, self._id), "unmapped_tax")
        for position in (0, 3, 5):
            draft = self._draw(position, status="draft", invoice_type="subscription")
            self._tell(position, invoice_event(draft, self._id), "draft")
        for position in (1, 6):
            void = self._draw(position, status="voided")
            self._tell(position, invoice_event(void, self._id, "invoice.voided"), "voided_unseen")
        for position in (2, 3):
            bill = self._draw(position, self_billed=True)
            self._tell(position, invoice_event(bill, self._id), "self_billed")
        good = self._draw(4, invoice_type="subscription")
        broken = {r.note: r for r in malformed_records(invoice_event(good, self._id))}
        for position, how in enumerate(_MALFORMED):
            self._lives[position].append(broken[f"malformed:{how}"])

    def _tell(self, position: int, message: Json, note: str) -> None:
        self._lives[position].append(record(message, note))

    def _draw(self, position: int, **options: Any) -> Json:
        entity, customer = self._customers[position]
        regime = self._choices.choose(entity.regimes)
        return generate_invoice(
            self._choices,
            customer=customer,
            currency=customer["currency"] or entity.currencies[0],
            regime=regime,
            # Lago cuts the sum of discounted fees: it no longer tells a zero-rated fee of less
            # than a subunit from an untaxed one, and a good invoice must leave no doubt.
            discounts=(VAT_0,) not in regime,
            notes=False,
            offsets=False,
            number=self._number(position),
            **options,
        )

    def _number(self, position: int) -> str:
        self._issued[position] += 1
        return f"{self._customers[position][1]['slug']}-{self._issued[position]:03}"

    def _expect(self, payload: Json) -> None:
        factor = subunits(payload["currency"])
        self._invoices.append(
            ExpectedInvoice(
                customer_id=payload["customer"]["lago_id"],
                number=payload["number"],
                entity=payload["billing_entity_code"],
                currency=payload["currency"],
                total=Decimal(payload["total_amount_cents"]) / factor,
                tax=Decimal(payload["taxes_amount_cents"]) / factor,
                paid=Decimal(payload["total_paid_amount_cents"]) / factor,
            )
        )

    def _interleaved(self) -> Iterator[Record]:
        """The lives mixed, each in its own order."""
        lives = [*self._lives, *(life.records for life in self._whole)]
        turns = [i for i, life in enumerate(lives) for _ in life]
        sources = [iter(life) for life in lives]
        for i in self._choices.shuffle(turns):
            yield next(sources[i])
