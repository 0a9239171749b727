"""Ledgers with a past, what was dead once in it, time that passes, and a pass of pruning."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer import ingest
from consumer.adapters.postgres.pruning import Keeping, Pruner
from consumer.domain.errors import Undecodable
from consumer.ports import Record
from tests.integration.ledger import Books, updated

AGES = {
    "event": ("received_at",),
    "outbox": ("created_at", "done_at"),
    "request": ("started_at", "deadline_at", "answered_at"),
    "finding": ("first_seen", "closed_at"),
}


async def prune(b: Books, keeping: Keeping | None = None, **options: Any) -> Counter[str]:
    """One pass; what it dropped."""
    pruner = Pruner(b.database, keeping or Keeping(), **options)
    dropped: Counter[str] = Counter()
    while (step := await pruner.step()) is not None:
        dropped[step.what] += step.dropped
    return +dropped


async def age(b: Books, days: float) -> None:
    """So many days pass."""
    for table, columns in AGES.items():
        older = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
        await b.database.execute(f"update {table} set {older}", timedelta(days=days))


async def left(b: Books, table: str, column: str = "id") -> list[Any]:
    rows = await b.database.fetch(f"select {column} from {table} order by {column}")
    return [row[column] for row in rows]


async def posted(b: Books, invoices: int = 1) -> list[dict[str, Any]]:
    """A customer and invoices that Xero has; a message each."""
    who = b.customer()
    told = [b.invoice(who) for _ in range(invoices)]
    await b.told(b.said(who), *map(b.said, told))
    await b.work()
    assert {row["state"] for row in await b.documents()} == {"synced"}
    return [who, *told]


async def dead(b: Books, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that a version before could not decode."""

    def undecodable(*args: object, **named: object) -> None:
        raise Undecodable("not_json", "The value is not JSON.")

    with monkeypatch.context() as patched:
        patched.setattr(ingest, "decode", undecodable)
        assert (await b.ingest.store([record])).dead == 1


async def announced(b: Books, event: str = "min(id)") -> None:
    """A failure of some document of the event's is to be told."""
    await b.database.execute(
        "insert into outbox (sink, event_id, class, code, said)"
        f" select 'dead_letter', {event}, 'Refused', 'odd', 'It is odd.' from event"
    )


async def two_requests(b: Books) -> tuple[UUID, UUID]:
    """A contact that was made, then changed."""
    who = b.customer()
    await b.told(b.said(who))
    first = await b.work()
    await b.told(b.said(updated(b.choices, who, seconds=60, name="Other"), "customer.updated"))
    second = await b.work()
    return first[0].request_id, second[0].request_id


async def superseded(b: Books) -> list[Any]:
    """An invoice's message that a later one replaced before it was sent; returns both."""
    who = b.customer()
    bill = b.invoice(who)
    poorer = b.record(b.said(bill, "invoice.payment_status_updated"))
    await b.told(b.said(who))
    await b.ingest.store([poorer])
    await b.told(b.said(bill))
    await b.work()
    return [poorer, bill]
