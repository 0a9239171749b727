"""How fast events are taken in: generated events in, events a second on a real Postgres out.

Run by ``make bench``. One process and one database share the machine; compare figures of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]
import uvloop
from rich.console import Console
from rich.table import Table

from consumer.adapters.postgres.migrate import migrate
from consumer.domain.events import decode
from consumer.ports import Record
from consumer.sandbox.lago.payments import payment, payment_event
from consumer.sandbox.services import postgres
from tests.bench.machine import left_alone
from tests.integration.ledger import Books, books

BATCH = 500
INVOICES = 9
"""For each customer, as many invoices follow."""


def _records(b: Books, count: int) -> tuple[list[Record], list[Record]]:
    """``count`` of customers and their invoices, then a payment of each invoice: a few made in full,
    the others their bytes under other ids."""
    who = b.customer()
    owed = [b.invoice(who) for _ in range(INVOICES)]
    made = [b.record(b.said(who)), *(b.record(b.said(one)) for one in owed)]
    organization = str(b.organization_id)
    paying = [b.record(payment_event(payment(b.choices, [one]), organization)) for one in owed]
    ids = {
        one.split('"')[0]
        for record in (*made, *paying)
        for one in (record.value or b"").decode().split('lago_id":"')[1:]
    }
    told: list[Record] = []
    paid: list[Record] = []
    while len(told) < count:
        fresh = {old: str(uuid.uuid4()) for old in ids} | {"INV-": f"INV-{len(told)}-"}
        told += [_renamed(b, record, fresh) for record in made]
        paid += [_renamed(b, record, fresh) for record in paying]
    return told[:count], paid[: count * INVOICES // (INVOICES + 1)]


def _renamed(b: Books, record: Record, names: Mapping[str, str]) -> Record:
    value = (record.value or b"").decode()
    for old, new in names.items():
        value = value.replace(old, new)
    b.offset += 1
    return Record(record.topic, 0, b.offset, record.timestamp, record.key, value.encode(), ())


@dataclass
class Timed:
    """How fast records went in, and the CPU that the consumer took for each."""

    a_second: float
    cpu: float

    def figures(self, name: str) -> dict[str, float]:
        """By what is shown for them."""
        return {f"{name} / s": round(self.a_second), f"{name}, µs of CPU": round(self.cpu * 1e6)}


async def _store(b: Books, records: Sequence[Record]) -> Timed:
    process = psutil.Process()
    began, spent = time.perf_counter(), sum(process.cpu_times()[:2])
    for start in range(0, len(records), BATCH):
        await b.ingest.store(records[start : start + BATCH])
    count = len(records)
    took = time.perf_counter() - began
    return Timed(count / took, (sum(process.cpu_times()[:2]) - spent) / count)


def _size(records: Sequence[Record]) -> int:
    return round(sum(len(r.value or b"") for r in records) / len(records))


async def measure(count: int) -> dict[str, float]:
    """Events a second: decoded only, taken in as new ones, and the same again as known ones; then
    the payments of these invoices, which are small."""
    async with postgres() as server:
        url = await server.create_database()
        await migrate(url)
        async with books(url) as b:
            records, payments = _records(b, count)
            with left_alone():
                began = time.perf_counter()
                for record in records:
                    decode(record.value, appended=0, digest="")
                decoded = count / (time.perf_counter() - began)
                new = await _store(b, records)
                known = await _store(b, records)
                paid = await _store(b, payments)
    return {
        "events": count,
        "bytes an event": _size(records),
        "decoded / s": round(decoded),
        **new.figures("new"),
        "known / s": round(known.a_second),
        "known : new": round(known.a_second / new.a_second, 1),
        "bytes a payment": _size(payments),
        **paid.figures("new payments"),
    }


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="events (at most 1,000,000)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(min(max(options.count, BATCH), 1_000_000)))
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    table = Table(title="ingest", show_header=False)
    for name, figure in figures.items():
        table.add_row(name, f"{figure:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
