"""The demo's report: the ledger and the simulated Xero in, tables, checks and the last line out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from consumer.sandbox.lago import Expected, ExpectedInvoice, cents
from consumer.sandbox.receiver import Receiver, code_of

Row = tuple[Any, ...]
_NAME = 22
"""Characters of a customer's name in the tables."""


Account = tuple[str, str]
"""A customer's Lago id and a currency."""


@dataclass(frozen=True, slots=True)
class Tied:
    """What a customer owes in a currency; ``due_in_xero`` is Lago's figure in cents."""

    lago: Decimal = Decimal(0)
    due_in_xero: Decimal = Decimal(0)
    xero: Decimal = Decimal(0)


class Booked(NamedTuple):
    """An invoice in Xero; ``paid`` is what payments make up."""

    connection: str
    currency: str
    total: Decimal
    tax: Decimal
    paid: Decimal


TEXTS = ("for example", "hint")
"""Columns that may be broken into lines."""

DOCUMENTS = "select kind, state, code, count(*) from document group by kind, state, code"
FAILED = """
select code, min(said), min(hint), count(*) from document where state = 'failed' group by code
union all
select code, min(said), '', count(*) from event where outcome = 'dead' group by code
order by 1
"""
ANNOUNCED = """
select code, count(*) from outbox where sink = 'dead_letter' and done_at is not null group by code
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
    announced: Counter[str]
    """Codes of the failures that went to the dead-letter topic."""
    told: Counter[str]
    """Codes of the failures that the webhook's receiver got, and in how many posts."""
    posts: int
    books: dict[str, Booked]
    contacts: int
    owed: Mapping[Account, Decimal]
    """What customers owe by Xero's books: invoices' AmountDue less credit notes' RemainingCredit."""
    calls: Counter[str]
    """To the Accounting API, by status."""
    reads: int
    """Calls that read; here the charts."""
    seconds: tuple[float, float]

    def count(self, state: str) -> int:
        """Documents in a state."""
        return sum(n for (_, one), n in self.states.items() if one == state)

    @property
    def failures(self) -> int:
        """Failed documents and dead records."""
        return sum(row[3] for row in self.failed)

    @property
    def codes(self) -> Counter[str]:
        """How many failures have each code."""
        return Counter({code: number for code, _, _, number in self.failed})

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
            i.number: (i.entity, i.currency, *map(cents, (i.total, i.tax, i.paid)))
            for i in expected.invoices
        }
        problems = [
            f"invoice {number}: {self.books.get(number, 'missing')} in Xero, {wanted.get(number)} due"
            for number in sorted(wanted.keys() | self.books.keys())
            if wanted.get(number) != self.books.get(number)
        ]
        pairs: list[tuple[str, object, object]] = [
            ("contacts in Xero", self.contacts, expected.contacts),
            ("skipped", self.states["invoice", "skipped"], sum(expected.skipped.values())),
            ("failures", self.failures, sum(expected.failed.values()) + expected.dead),
            *((f"failures {c}", self.codes[c], n) for c, n in sorted(expected.failed.items())),
            ("dead letters", dict(self.announced), dict(self.codes)),
            ("failures that the webhook told", dict(self.told), dict(self.codes)),
            ("429s", self.calls["429"], 0),
        ]
        pairs += [
            (f"owed by {expected.customers[who]} in {currency}", one.xero, one.due_in_xero)
            for (who, currency), one in tie_out(self.owed, expected).items()
        ]
        return problems + [f"{what}: {is_}, not {due}" for what, is_, due in pairs if is_ != due]


async def outcome(
    database: asyncpg.Connection,
    control_url: str,
    receiver: Receiver,
    events: int,
) -> Outcome:
    """Read the ledger, the receiver, and the books over the simulator's control API."""
    states: Counter[tuple[str, str]] = Counter()
    for kind, state, _, number in await database.fetch(DOCUMENTS):
        states[kind, state] += number
    books: dict[str, Booked] = {}
    contacts = 0
    owed: dict[Account, Decimal] = {}
    async with httpx.AsyncClient(base_url=control_url, timeout=30) as control:
        for code, tenant_id in await database.fetch(TENANTS):
            found = (await control.get(f"/books/{tenant_id}")).json()
            contacts += len(found["contacts"])
            owed |= _owed(found)
            for invoice in found["invoices"]:
                if invoice["Status"] == "VOIDED":
                    continue
                books[invoice["InvoiceNumber"]] = Booked(
                    code,
                    invoice["CurrencyCode"],
                    Decimal(str(invoice["Total"])),
                    Decimal(str(invoice["TotalTax"])),
                    Decimal(str(invoice["AmountPaid"])),
                )
        arrivals = (await control.get("/arrivals", params={"path_prefix": "/api.xro"})).json()
    [(p50, p99)] = await database.fetch(SPEED)
    return Outcome(
        events=events,
        states=states,
        failed=[tuple(row) for row in await database.fetch(FAILED)],
        announced=Counter({r["code"]: r["count"] for r in await database.fetch(ANNOUNCED)}),
        told=Counter(code_of(one) for one in {f["id"]: f for f in receiver.failures}.values()),
        posts=len(receiver.posts),
        books=books,
        contacts=contacts,
        owed=owed,
        calls=Counter(str(one["status"]) for one in arrivals),
        reads=sum(one["method"] == "GET" for one in arrivals),
        seconds=(p50, p99),
    )


def show(console: Console, result: Outcome, expected: Expected) -> None:
    """What is in Xero with both totals, what failed and why, what it cost."""
    due: dict[tuple[str, str], list[ExpectedInvoice]] = {}
    for invoice in expected.invoices:
        due.setdefault((invoice.entity, invoice.currency), []).append(invoice)
    rows: list[Row] = []
    for key, invoices in sorted(due.items()):
        found = [booked for booked in result.books.values() if booked[:2] == key]
        figures = [(i.total, i.tax, i.paid) for i in invoices]
        lago = [_sum(column) for column in zip(*figures, strict=True)]
        kept = [_sum(map(cents, column)) for column in zip(*figures, strict=True)]
        xero = [_sum(getattr(one, name) for one in found) for name in ("total", "tax", "paid")]
        subcent, difference = kept[0] - lago[0], [x - c for x, c in zip(xero, kept, strict=True)]
        rows.append(
            (
                f"{' '.join(key)}\n{len(found):>11}",
                f"{_plain(lago[0])}\n{_plain(xero[0])}",
                f"{_plain(lago[1])}\n{_plain(xero[1])}",
                f"{_plain(lago[2])}\n{_plain(xero[2])}",
                f"\n{_left(subcent)}",
                "\n" + (" and ".join(map(_plain, difference)) if any(difference) else "0"),
            )
        )
    columns = ("to, in, no.", "total", "tax", "paid", "subcent", "≠")
    _table(console, "Invoices by Lago's figures, and below them by Xero's", columns, rows)
    _table(
        console,
        "What each customer owes, by both books",
        ("customer", "in", "Lago", "Xero", "subcent", "≠"),
        [
            (
                _short(expected.customers[who]),
                currency,
                _plain(one.lago),
                _plain(one.xero),
                _left(one.due_in_xero - one.lago),
                _left(one.xero - one.due_in_xero) or "0",
            )
            for (who, currency), one in sorted(
                tie_out(result.owed, expected).items(),
                key=lambda pair: (expected.customers[pair[0][0]], pair[0][1]),
            )
        ],
    )
    _table(console, "Failed and announced", ("code", "for example", "hint", "count"), result.failed)
    documents = result.count("synced")
    calls = result.calls.total()
    console.print(
        f"{result.announced.total()} records on the dead-letter topic; {result.told.total()} "
        f"failures posted to the webhook in {result.posts} signed posts"
    )
    console.print(
        f"{calls} calls to Xero: {result.reads} read the charts, {calls - result.reads} wrote, "
        f"{(calls - result.reads) / max(documents, 1):.3f} a document; "
        f"{result.calls['429']} were refused for a limit"
    )
    console.print(
        f"from Kafka's append to Xero's acceptance: p50 {result.seconds[0]:.2f} s, "
        f"p99 {result.seconds[1]:.2f} s, the consumer's start included"
    )


def tie_out(owed: Mapping[Account, Decimal], expected: Expected) -> dict[Account, Tied]:
    """Every customer's balance in each currency, by both books (ACCOUNTING.md 1)."""
    tied: dict[Account, Tied] = {}
    for one in expected.invoices:
        account = one.customer_id, one.currency
        before = tied.get(account, Tied())
        tied[account] = replace(
            before,
            lago=before.lago + one.owed,
            due_in_xero=before.due_in_xero + one.owed_in_cents,
            xero=owed.get(account, Decimal(0)),
        )
    for account, open_credit in expected.credits.items():
        before = tied[account]
        tied[account] = replace(
            before,
            lago=before.lago - open_credit,
            due_in_xero=before.due_in_xero - cents(open_credit),
        )
    return tied


def _owed(books: Any) -> dict[Account, Decimal]:
    """By customer's Lago id and currency."""
    who = {one["ContactID"]: one["ContactNumber"] for one in books["contacts"]}
    owed: dict[Account, Decimal] = defaultdict(Decimal)
    for invoice in books["invoices"]:
        account = who[invoice["Contact"]["ContactID"]], invoice["CurrencyCode"]
        owed[account] += Decimal(str(invoice["AmountDue"]))
    for note in books["credit_notes"]:
        account = who[note["Contact"]["ContactID"]], note["CurrencyCode"]
        owed[account] -= Decimal(str(note["RemainingCredit"]))
    return owed


def _plain(amount: Decimal) -> str:
    """With two decimals, and with those below a cent only where there is something below a cent."""
    return f"{amount:,.2f}" if amount == cents(amount) else f"{amount.normalize():,f}"


def _left(amount: Decimal) -> str:
    return _plain(amount) if amount else ""


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _table(console: Console, title: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=column not in TEXTS, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
