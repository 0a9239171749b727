"""The demo's report: the ledger and the simulated Xero in, tables, checks and the last line out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from consumer.sandbox.lago import Expected

Row = tuple[Any, ...]

DOCUMENTS = "select kind, state, code, count(*) from document group by kind, state, code"
FAILED = """
select code, min(said), min(hint), count(*) from document where state = 'failed' group by code
union all
select code, min(said), '', count(*) from event where outcome = 'dead' group by code
order by 1
"""
SPEED = """
select coalesce(percentile_cont(0.5) within group (order by seconds), 0),
       coalesce(percentile_cont(0.99) within group (order by seconds), 0)
  from (select extract(epoch from accepted_at - appended_at)::float as seconds
          from document where accepted_at is not null) as accepted
"""
TENANTS = "select c.code, c.tenant_id from connection c order by c.code"
INVOICES = """
select c.code, d.number, d.currency from document d join connection c on c.id = d.connection_id
 where d.kind = 'invoice' and d.state = 'synced'
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the demo's events. ``books`` is what Xero itself shows, by invoice number."""

    events: int
    states: Counter[tuple[str, str]]
    failed: list[Row]
    announced: int
    books: dict[str, tuple[str, str, Decimal, Decimal]]
    """number → connection, currency, total, tax."""
    contacts: int
    calls: Counter[str]
    seconds: tuple[float, float]

    def count(self, state: str) -> int:
        """Documents in a state."""
        return sum(n for (_, one), n in self.states.items() if one == state)

    @property
    def failures(self) -> int:
        """Failed documents and dead records."""
        return sum(row[3] for row in self.failed)

    @property
    def last_line(self) -> str:
        """The one that scripts read."""
        return (
            f"demo: {self.events} events, {self.count('synced')} synced, {self.failures} failed "
            f"and announced, {self.count('skipped')} skipped, {self.calls.total()} Xero calls"
        )

    def problems(self, expected: Expected) -> list[str]:
        """Where it differs from what must come of the events."""
        wanted = {
            i.number: (i.entity, i.currency, _cents(i.total), _cents(i.tax))
            for i in expected.invoices
        }
        problems = [
            f"invoice {number}: {self.books.get(number, 'missing')} in Xero, {wanted.get(number)} due"
            for number in sorted(wanted.keys() | self.books.keys())
            if wanted.get(number) != self.books.get(number)
        ]
        pairs = [
            ("contacts in Xero", self.contacts, expected.contacts),
            ("skipped", self.count("skipped"), sum(expected.skipped.values())),
            ("failures", self.failures, sum(expected.failed.values()) + expected.dead),
            ("announcements", self.announced, self.failures),
            ("429s", self.calls["429"], 0),
        ]
        return problems + [f"{what}: {is_}, not {due}" for what, is_, due in pairs if is_ != due]


async def outcome(
    database: asyncpg.Connection,
    control_url: str,
    events: int,
) -> Outcome:
    """Read the ledger, and the books over the simulator's control API."""
    states: Counter[tuple[str, str]] = Counter()
    for kind, state, _, number in await database.fetch(DOCUMENTS):
        states[kind, state] += number
    books: dict[str, tuple[str, str, Decimal, Decimal]] = {}
    contacts = 0
    async with httpx.AsyncClient(base_url=control_url, timeout=30) as control:
        for code, tenant_id in await database.fetch(TENANTS):
            found = (await control.get(f"/books/{tenant_id}")).json()
            contacts += len(found["contacts"])
            for invoice in found["invoices"]:
                books[invoice["InvoiceNumber"]] = (
                    code,
                    invoice["CurrencyCode"],
                    Decimal(str(invoice["Total"])),
                    Decimal(str(invoice["TotalTax"])),
                )
        log = (await control.get("/arrivals", params={"path_prefix": "/api.xro"})).json()
    arrivals = log["arrivals"] if isinstance(log, dict) else log
    [(p50, p99)] = await database.fetch(SPEED)
    announced = await database.fetchval(
        "select count(*) from outbox where sink = 'dead_letter' and done_at is not null"
    )
    return Outcome(
        events=events,
        states=states,
        failed=[tuple(row) for row in await database.fetch(FAILED)],
        announced=announced,
        books=books,
        contacts=contacts,
        calls=Counter(str(one["status"]) for one in arrivals),
        seconds=(p50, p99),
    )


def show(console: Console, result: Outcome, expected: Expected) -> None:
    """What is in Xero with both totals, what failed and why, what it cost."""
    wanted: Counter[tuple[str, str]] = Counter()
    lago: dict[tuple[str, str], Decimal] = {}
    subcent: dict[tuple[str, str], Decimal] = {}
    for invoice in expected.invoices:
        key = (invoice.entity, invoice.currency)
        wanted[key] += 1
        lago[key] = lago.get(key, Decimal(0)) + invoice.total
        lost = _cents(invoice.total) - invoice.total
        subcent[key] = subcent.get(key, Decimal(0)) + lost
    rows: list[Row] = []
    for key in sorted(wanted):
        found = [b for b in result.books.values() if b[:2] == key]
        total = sum((b[2] for b in found), Decimal(0))
        tax = sum((b[3] for b in found), Decimal(0))
        difference = total - lago[key] - subcent[key]
        rows.append((*key, len(found), f"{lago[key]:,}", f"{total:,.2f}", f"{tax:,.2f}",
                     f"{subcent[key]}" if subcent[key] else "", f"{difference:,.2f}"))  # fmt: skip
    _table(
        console,
        "Invoices in Xero",
        (
            "connection",
            "in",
            "no.",
            "Lago total",
            "Xero total",
            "Xero tax",
            "subcent",
            "difference",
        ),
        rows,
    )
    _table(console, "Failed and announced", ("code", "for example", "hint", "count"), result.failed)
    documents = result.count("synced")
    calls = result.calls.total()
    console.print(
        f"{calls} calls to Xero's Accounting API, {calls / max(documents, 1):.3f} a document "
        f"(10 of them read the two charts), {result.calls['429']} refused for a limit; from Kafka's "
        f"append to Xero's acceptance p50 {result.seconds[0]:.2f} s, p99 {result.seconds[1]:.2f} s, "
        "the consumer's start included"
    )


def _cents(amount: Decimal) -> Decimal:
    """Xero keeps two decimals; what a third one loses is the named exception ``subcent``."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _table(console: Console, title: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=column not in ("for example", "hint"))
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
