"""A stage for drafts: the customer whose invoices pass over it, and a person who changes them in Xero."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from consumer.adapters.postgres.charts import PostgresCharts
from consumer.domain.chart import Organisation
from consumer.sandbox.xero.books import Invoice
from tests.integration.ledger import Books
from tests.lives.stage import CHART, Stage, stage

Json = dict[str, Any]


@dataclass
class Desk:
    """A stage and the customer whose invoices pass over it."""

    stage: Stage
    who: Json
    second: int = 0

    @property
    def books(self) -> Books:
        return self.stage.books

    @property
    def charts(self) -> PostgresCharts:
        return PostgresCharts(self.books.database, [])

    def draft(self, amount: int = 1000, **facts: Any) -> Json:
        """An invoice that Lago has not finalized."""
        return self.books.invoice(self.who, amount=amount, status="draft", **facts)

    def changed(self, draft: Json, amount: int) -> Json:
        """The same draft over another amount."""
        return {**self.draft(amount), "lago_id": draft["lago_id"]}

    def final(self, draft: Json, number: str = "ACM-001", **facts: Any) -> Json:
        """The invoice that it becomes."""
        return {**draft, "number": number, "status": "finalized", **facts}

    async def tell(self, thing: Json, kind: str | None = None) -> None:
        """Lago tells of it, a second later than of anything before."""
        self.second += 1
        at = f"2026-05-01T12:00:{self.second:02}Z"
        await self.books.told(self.books.said({**thing, "updated_at": at}, kind))

    async def hears(self, thing: Json, kind: str | None = None) -> None:
        """Lago tells of it, and all comes to rest."""
        await self.tell(thing, kind)
        await self.stage.rest(1.0)

    async def document(self, kind: str = "invoice") -> Json:
        """The only one of its kind."""
        [row] = await self.books.documents(kind=kind)
        return row

    @property
    def invoice(self) -> Invoice:
        """The only one in Xero."""
        [one] = self.stage.xero.invoices.values()
        return one

    @property
    def shown(self) -> tuple[str, str, Decimal]:
        """Number, status and total of the only one in Xero."""
        return self.invoice.number, self.invoice.status, self.invoice.total

    def by_hand(self, **changed: Any) -> None:
        """A person changes it in Xero."""
        self.stage.xero.keep_invoice(replace(self.invoice, **changed))

    def writes(self) -> int:
        """Calls that changed invoices in Xero."""
        arrivals = self.stage.world.arrivals.shown()
        return sum(one["method"] != "GET" and "/Invoices" in one["path"] for one in arrivals)

    async def lock(self, organisation: Organisation) -> None:
        """Xero's lock date is moved, and read again."""
        owner = self.stage.xero.organisation
        owner.period_lock_date = organisation.period_lock_date
        chart = replace(CHART, organisation=organisation)
        await self.charts.keep(self.stage.tenant, chart, "tests")
        await self.stage.rest(1.0)


@asynccontextmanager
async def desk(url: str, **policies: Any) -> AsyncIterator[Desk]:
    async with stage(url) as opened:
        await opened.books.settings(chart=CHART, **{"drafts": "post", **policies})
        who = opened.books.customer()
        await opened.books.told(opened.books.said(who))
        yield Desk(opened, who)


def name(draft: Json) -> str:
    """The number of its draft in Xero."""
    return f"DRAFT-{draft['lago_id'][:8]}"
