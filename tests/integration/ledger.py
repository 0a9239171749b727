"""A ledger on a real database with one or more tenants, without Kafka and without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

from pydantic_core import from_json

from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.changing import Patience
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.connections import PostgresConnections
from consumer.adapters.postgres.database import Database, Timeouts, database
from consumer.adapters.postgres.inbox import PostgresInbox
from consumer.adapters.postgres.ledger import PostgresLedger
from consumer.adapters.postgres.outbox import PostgresOutbox
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.domain.answers import Answered, Element, Saved
from consumer.domain.chart import Account, Chart, Item, TaxRate
from consumer.domain.clocks import Clocks
from consumer.domain.lookup import LOOK_FIRST
from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.pacing import Limits
from consumer.ingest import Intake
from consumer.metrics import Metrics
from consumer.ports import ByHand, Fate, Frozen, Record, Sighting, Wish
from consumer.sandbox.lago import (
    BillingEntity,
    FeeFacts,
    InvoiceFacts,
    Money,
    Price,
    RandomChoices,
    Tax,
    customer,
    customer_event,
    invoice,
    invoice_event,
    payment_event,
    record,
    updated,
)
from consumer.sandbox.lago import Item as Plan

AT = "2026-05-01T12:00:00Z"
MAPPINGS = {
    MappingKey("", "fallback_item"): Target("LAGO", "200"),
    MappingKey("", "payment_account"): Target(account="880"),
    MappingKey("", "prepaid_credit"): Target("PREPAID", "825"),
    MappingKey("", "no_tax"): Target(tax_type="ZERORATED"),
    MappingKey("", "outside_tax"): Target(tax_type="NONE"),
    MappingKey("", "tax", "vat_20"): Target(tax_type="OUTPUT2"),
}
CHART = Chart(
    accounts={
        "200": Account("200", "REVENUE", "REVENUE"),
        "825": Account("825", "CURRLIAB", "LIABILITY"),
        "880": Account("880", "CURRENT", "ASSET", takes_payments=True),
    },
    items={"LAGO": Item("LAGO", "200"), "PREPAID": Item("PREPAID", "825")},
    tax_rates={
        "OUTPUT2": TaxRate("OUTPUT2", Decimal(20)),
        "ZERORATED": TaxRate("ZERORATED", Decimal(0)),
        "NONE": TaxRate("NONE", Decimal(0)),
    },
)


@dataclass
class Books:
    """Everything needed to feed the ledger and look into it."""

    database: Database
    inbox: PostgresInbox
    ledger: PostgresLedger
    budget: PostgresBudget
    outbox: PostgresOutbox
    connections: PostgresConnections
    ingest: Intake
    tenants: list[UUID]
    organization_id: UUID
    choices: RandomChoices
    offset: int = 0
    numbers: int = 0

    def customer(self, entity: str = "acme", **facts: Any) -> dict[str, Any]:
        """A customer of a billing entity."""
        facts.setdefault("name", f"Customer {uuid4().hex[:6]}")
        seller = BillingEntity(entity, "ACM", "NZ", "Pacific/Auckland", ("EUR",), (), entity)
        return customer(
            lago_id=str(uuid4()), external_id=uuid4().hex, entity=seller, at=AT, **facts
        )

    def invoice(
        self,
        of: dict[str, Any],
        amount: int = 1000,
        taxes: tuple[Tax, ...] = (),
        currency: str = "EUR",
        **facts: Any,
    ) -> dict[str, Any]:
        """An invoice over one subscription fee of ``amount`` hundredths before taxes."""
        self.numbers += 1
        fee = FeeFacts(
            "subscription",
            Plan.named("basic", "Basic"),
            Price.of_amount(1, Decimal(amount) / 100),
            taxes,
        )
        facts.setdefault("number", f"INV-{self.numbers:05}")
        return invoice(
            self.choices,
            InvoiceFacts(
                of, Money(currency, fees=(fee,)), issuing_date=date(2026, 5, 1), at=AT, **facts
            ),
        )

    async def posted(self, count: int = 1, **facts: Any) -> list[dict[str, Any]]:
        """Invoices of a new customer over 10.00, 20.00, … that Xero has."""
        who = self.customer()
        told = [self.invoice(who, **{"amount": 1000 * (n + 1), **facts}) for n in range(count)]
        await self.told(self.said(who), *map(self.said, told))
        await self.work()
        return told

    def paid(self, payment: dict[str, Any]) -> dict[str, Any]:
        """The webhook about a payment of a provider's."""
        return payment_event(payment, str(self.organization_id))

    async def told(self, *envelopes: dict[str, Any]) -> None:
        """Ingest these webhooks as one poll batch."""
        await self.ingest.store([self.record(e) for e in envelopes])

    def record(self, envelope: dict[str, Any]) -> Record:
        """As Kafka would give it."""
        made = record(envelope)
        self.offset += 1
        return Record(
            "lago.webhooks",
            0,
            self.offset,
            1_777_636_800_000 + self.offset,
            made.key,
            made.value,
            made.headers,
        )

    def said(self, thing: dict[str, Any], kind: str | None = None) -> dict[str, Any]:
        """The webhook about a customer or an invoice."""
        if "fees" in thing:
            return invoice_event(thing, str(self.organization_id), kind)
        return customer_event(thing, str(self.organization_id), kind or "customer.created")

    async def freeze(self, tenant: int = 0) -> Frozen:
        """The next request, which must be there."""
        frozen = await self._next(self.tenants[tenant])
        assert frozen is not None
        return frozen

    async def _next(self, tenant_id: UUID) -> Frozen | None:
        """What is looked for in Xero before it is sent is not there."""
        frozen = (await self.ledger.freeze(tenant_id)).frozen
        if frozen is None and await self.looked():
            return (await self.ledger.freeze(tenant_id)).frozen
        return frozen

    async def looked(self, *sightings: Sighting) -> int:
        """Whatever is looked for before it is sent is seen so, or is not there; how many requests."""
        rows = await self.database.fetch(
            "select id from request where doubt = $1 and outcome is null", LOOK_FIRST
        )
        for row in rows:
            doubtful = await self.ledger.take_doubt(row["id"])
            assert doubtful is not None
            seen = dict(enumerate(sightings)) or {m.position: ByHand(()) for m in doubtful.members}
            await self.ledger.resolve(row["id"], seen)
        return len(rows)

    async def accept(self, frozen: Frozen) -> Sequence[Fate]:
        """Xero saves all of it."""
        return await self.ledger.settle(frozen.request_id, Answered(saved(frozen)), None)

    async def settings(self, code: str = "acme", chart: Chart = CHART, **changed: Any) -> None:
        """Apply other settings of a connection, or another chart of its tenant."""
        stored = (await self.connections.stored())[code]
        asked = replace(stored.connection, **changed)
        wish = Wish(asked, stored.client_id, stored.secret, chart)
        await self.connections.store([wish], "tests", [])

    async def released(self) -> None:
        """Work on releases until there are none."""
        while await self.ledger.release(100):
            pass

    async def work(self) -> list[Frozen]:
        """Send everything that can be sent; Xero saves all of it."""
        done: list[Frozen] = []
        while True:
            await self.released()
            freezing = await self.ledger.freeze(self.tenants[0])
            frozen = freezing.frozen
            if frozen is None and (freezing.more or await self.looked()):
                continue
            if frozen is None:
                return done
            done.append(frozen)
            if frozen.purpose.endswith("_create") or frozen.purpose == "contact_update":
                await self.accept(frozen)
            else:
                members = await self.database.fetch(
                    "select d.xero_id from member m join document d on d.id = m.document_id "
                    "where m.request_id = $1 order by m.position",
                    frozen.request_id,
                )
                gone = tuple(Saved(row["xero_id"], status="VOIDED") for row in members)
                await self.ledger.settle(frozen.request_id, Answered(gone), None)

    async def documents(self, **where: Any) -> list[dict[str, Any]]:
        """Rows of the document table, in the order they were planned."""
        clause = " and ".join(f"{name} = ${i}" for i, name in enumerate(where, 1)) or "true"
        rows = await self.database.fetch(
            f"select * from document where {clause} order by id", *where.values()
        )
        return [dict(row) for row in rows]

    async def announced(self) -> list[str]:
        """The codes of what people are told, in order."""
        rows = await self.database.fetch("select code from outbox order by id")
        return [row["code"] for row in rows]


def saved(frozen: Frozen, **changes: Any) -> tuple[Element, ...]:
    """What an honest Xero would answer."""
    elements = []
    for body in next(iter(from_json(frozen.body).values())):
        lines = body.get("LineItems", ())
        net = sum((Decimal(str(line.get("LineAmount", 0))) for line in lines), Decimal(0))
        tax = sum((Decimal(str(line.get("TaxAmount", 0))) for line in lines), Decimal(0))
        totals: dict[str, Any] = {"net": net, "tax": tax, "total": net + tax} if lines else {}
        xero_id = UUID(body["ContactID"]) if "ContactID" in body else uuid4()
        number = body.get("InvoiceNumber")
        elements.append(Saved(**{"xero_id": xero_id, "number": number, **totals, **changes}))
    return tuple(elements)


@asynccontextmanager
async def books(
    url: str,
    *,
    tenants: int = 1,
    limits: Limits | None = None,
    clocks: Clocks | None = None,
    timeouts: Timeouts | None = None,
    documents: int = 50,
) -> AsyncIterator[Books]:
    """One organization with a connection ``acme``, ``acme-1``, … for each tenant."""
    limits, clocks = limits or Limits(), clocks or Clocks()
    organization_id = uuid4()
    async with database(url, timeouts=timeouts) as db:
        configuration = Configuration(load_snapshot)
        planner = Planner(configuration, Patience.of(clocks), ["dead_letter"])
        inbox = PostgresInbox(db, planner, sinks=["dead_letter"])
        ledger = PostgresLedger(
            db,
            configuration,
            planner,
            limits=limits,
            clocks=clocks,
            sinks=["dead_letter"],
            max_documents=documents,
        )
        connections = PostgresConnections(db, bytes, bytes)
        wishes = [
            Wish(
                Connection(
                    0,
                    code := f"acme-{i}" if i else "acme",
                    organization_id,
                    uuid4(),
                    name=code,
                    billing_entities=frozenset({code}),
                    mappings=MAPPINGS,
                ),
                f"client-{i}",
                "secret",
                CHART,
            )
            for i in range(tenants)
        ]
        await connections.store(wishes, "tests", [])
        yield Books(
            db,
            inbox,
            ledger,
            PostgresBudget(db, limits, clocks),
            PostgresOutbox(db),
            connections,
            Intake(inbox, Metrics(), lambda: None),
            [wish.connection.tenant_id for wish in wishes],
            organization_id,
            RandomChoices(Random(7)),
        )


__all__ = ["Books", "books", "saved", "updated"]
