"""A ledger that asks a simulated Lago over real HTTP, and what it lacks."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.postgres.asking import PostgresQuestions
from consumer.asking import Asker
from consumer.domain.clocks import Clocks
from consumer.metrics import Metrics
from consumer.ports import Record
from consumer.sandbox.lago import (
    FeeFacts,
    InvoiceFacts,
    LagoApi,
    Money,
    Price,
    activity_log,
    invoice,
    log_record,
    serve_api,
)
from consumer.sandbox.lago import Item as Plan
from tests.integration.ledger import AT, Books, books

Json = dict[str, Any]


@dataclass
class Inquiry:
    """A ledger, a Lago and whoever asks it; his clock leaps ten seconds with each look at it."""

    b: Books
    lago: LagoApi
    api: HttpLagoApi
    metrics: Metrics
    step: float = 10.0

    def asker(self, inbox: Any = None) -> Asker:
        """As a replica that has just begun."""
        ticks = itertools.count()
        return Asker(
            PostgresQuestions(self.b.database, 0.0), self.api, inbox or self.b.inbox, self.metrics,
            Clocks(), lambda: None, clock=lambda: next(ticks) * self.step,
        )  # fmt: skip

    async def ask(self, asker: Asker | None = None) -> Asker:
        """Until there is nothing to ask."""
        asker = asker or self.asker()
        while await asker.run_once():
            pass
        return asker

    async def due(self, kind: str = "") -> None:
        """All that is noted, or all of a kind, is due again."""
        await self.b.database.execute(
            "update question set next_at = now() where $1 in ('', kind)", kind
        )

    async def questions(self) -> list[tuple[str, str | None]]:
        """What is noted, with what came of it last."""
        rows = await self.b.database.fetch("select kind, last_error from question order by kind")
        return [tuple(row) for row in rows]

    async def states(self, kind: str) -> list[tuple[str, str | None]]:
        """Of the documents of a kind."""
        rows = await self.b.documents(kind=kind)
        return [(row["state"], (row["cause"] or "").partition(":")[0] or None) for row in rows]

    def counted(self, kind: str, outcome: str) -> float:
        """How many questions ended so."""
        return float(self.metrics.questions.labels(kind, outcome)._value.get())

    def paths(self) -> list[str]:
        """What was asked for, by its first part."""
        return [path.partition("/")[0].partition("?")[0] for path in self.lago.calls]


@asynccontextmanager
async def inquiry(database_url: str, tenants: int = 1) -> AsyncIterator[Inquiry]:
    async with books(database_url, tenants=tenants) as b:
        lago = LagoApi(str(b.organization_id), "key-of-the-tests")
        async with serve_api(lago) as url:
            api = HttpLagoApi(url, lago.key, timeout=0.5)
            try:
                yield Inquiry(b, lago, api, Metrics())
            finally:
                await api.close()


def large(b: Books, fees: int = 40) -> Json:
    """An invoice of so many fees."""
    sold = tuple(
        FeeFacts("subscription", Plan.named("basic", "Basic"), Price.of_amount(1, n + 1))
        for n in range(fees)
    )
    facts = InvoiceFacts(
        b.customer(), Money("EUR", sold), issuing_date=date(2026, 5, 1), at=AT, number="INV-40"
    )
    return invoice(b.choices, facts)


async def logged(b: Books, told: Json) -> None:
    """Lago's own topic tells of it, without its fees."""
    log = activity_log(b.choices, "invoice.created", told, str(b.organization_id), at=AT)
    made = log_record(log)
    b.offset += 1
    await b.ingest.store(
        [Record("activity_logs", 0, b.offset, 1_777_636_800_000, made.key, made.value)]
    )
