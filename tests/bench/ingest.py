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
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from consumer.adapters.postgres.migrate import migrate
from consumer.domain.events import decode
from consumer.ports import Record
from consumer.sandbox.services import postgres
from tests.integration.ledger import Books, books

BATCH = 500
INVOICES = 9
"""For each customer, as many invoices follow."""


def _records(b: Books, count: int) -> list[Record]:
    """Customers and their invoices: a few made in full, the others their bytes under other ids."""
    who = b.customer()
    made = [b.record(b.said(who)), *(b.record(b.said(b.invoice(who))) for _ in range(INVOICES))]
    ids = [
        one.split('"')[0] for r in made for one in (r.value or b"").decode().split('lago_id":"')[1:]
    ]
    records: list[Record] = []
    while len(records) < count:
        fresh = {old: str(uuid.uuid4()) for old in ids}
        for record in made:
            value = (record.value or b"").decode()
            for old, new in fresh.items():
                value = value.replace(old, new)
            value = value.replace("INV-", f"INV-{len(records)}-")
            b.offset += 1
            records.append(
                Record(record.topic, 0, b.offset, record.timestamp, record.key, value.encode(), ())
            )
    return records[:count]


async def _store(b: Books, records: Sequence[Record]) -> float:
    began = time.perf_counter()
    for start in range(0, len(records), BATCH):
        await b.ingest.store(records[start : start + BATCH])
    return len(records) / (time.perf_counter() - began)


async def measure(count: int) -> dict[str, float]:
    """Events a second: decoded only, taken in as new ones, and the same again as known ones."""
    async with postgres() as server:
        url = await server.create_database()
        await migrate(url)
        async with books(url) as b:
            records = _records(b, count)
            began = time.perf_counter()
            for record in records:
                decode(record.value, appended=0, digest="")
            decoded = count / (time.perf_counter() - began)
            new = await _store(b, records)
            known = await _store(b, records)
            size = sum(len(r.value or b"") for r in records) / count
    return {
        "events": count,
        "bytes an event": round(size),
        "decoded / s": round(decoded),
        "new / s": round(new),
        "known / s": round(known),
        "known : new": round(known / new, 1),
    }


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="events (at most 1,000,000)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options = parser.parse_args()
    figures = asyncio.run(measure(min(max(options.count, BATCH), 1_000_000)))
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    table = Table(title="ingest", show_header=False)
    for name, figure in figures.items():
        table.add_row(name, f"{figure:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
