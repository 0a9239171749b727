"""Latency: a steady stream of Lago events in; how long each took from Kafka's append to Xero's
acceptance, and which part of the way, out.

Real Kafka, real Postgres, the simulated Xero and one installed consumer, each a process; the minute
limit is lifted.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer
from rich.console import Console

from consumer.sandbox.lago import Organization, Record
from consumer.sandbox.xero import SimulatorSettings
from tests.acceptance.harness import World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import Tenant
from tests.bench.machine import left_alone, quantile, watching
from tests.bench.stage import UNLIMITED, Report, main, organization_of, world

Json = dict[str, Any]

GOALS = {"p50": 25.0, "p99": 150.0}
"""Milliseconds (DESIGN, "What it must reach")."""
PATIENCE = 30.0
OLD_CUSTOMERS = 5
"""Of each tenant, in Xero before the stream begins."""
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
ACCEPTED = """
select d.kind,
       extract(epoch from d.accepted_at - d.appended_at)::float8 as whole,
       extract(epoch from e.received_at - d.appended_at)::float8 as to_the_ledger,
       extract(epoch from r.started_at - e.received_at)::float8 as to_the_call,
       extract(epoch from d.accepted_at - r.started_at)::float8 as to_the_acceptance
  from document d
  join event e on e.id = d.event_id
  join member m on m.document_id = d.id
  join request r on r.id = m.request_id and r.outcome = 'answered'
 where d.appended_at >= $1 and d.accepted_at is not null
"""
LEFT = """
select count(*) from document where appended_at >= $1 and accepted_at is null and state <> 'skipped'
"""
CALLS = """
select count(*) as calls, count(*) filter (where status = 429) as throttled
  from request where started_at >= $1
"""
PARTS = {
    "whole": "appended → accepted",
    "to_the_ledger": "appended → its batch's transaction begins",
    "to_the_call": "… → its call is counted",
    "to_the_acceptance": "… → its answer is being settled",
}


@dataclass
class Stream:
    """What is told, by turns of all tenants; the same options tell the same."""

    tenants: Sequence[Tenant]
    new_customers: int
    """Of a hundred events; the others are invoices to customers whom Xero knows."""
    shops: list[Shop] = field(init=False)

    def __post_init__(self) -> None:
        self.shops = [
            Shop(seed=n, organization=Organization(tenant.organization_id))
            for n, tenant in enumerate(self.tenants)
        ]
        self._old = [[shop.customer() for _ in range(OLD_CUSTOMERS)] for shop in self.shops]

    def old_customers(self) -> list[Record]:
        """Those to begin with."""
        pairs = zip(self.shops, self._old, strict=True)
        return [shop.told(customer) for shop, old in pairs for customer in old]

    def events(self, count: int) -> list[Record]:
        """The next so many."""
        records = []
        for n in range(count):
            at = n % len(self.shops)
            shop = self.shops[at]
            if n * self.new_customers % 100 < self.new_customers:
                records.append(shop.told(shop.customer()))
            else:
                customer = self._old[at][n // len(self.shops) % OLD_CUSTOMERS]
                records.append(shop.billed(shop.invoice(customer)))
        return records


@dataclass
class Sent:
    """How the stream was told: when its first record was appended, and how well the pace was kept."""

    first: datetime
    behind: list[float]
    """Seconds by which a record left later than the pace asks."""


async def tell(made: World, records: Sequence[Record], rate: float) -> Sent:
    """Append at a steady rate, whatever the answers: who waits for them measures too little."""
    producer = AIOKafkaProducer(bootstrap_servers=made.kafka.bootstrap_servers, acks="all")
    behind, sent = [], []
    async with producer:
        await producer.partitions_for(made.topic)
        started = time.perf_counter()
        for n, one in enumerate(records):
            due = started + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            behind.append(time.perf_counter() - due)
            sent.append(
                await producer.send(
                    made.topic, key=one.key, value=one.value, headers=list(one.headers)
                )
            )
        told = [await future for future in sent]
    return Sent(datetime.fromtimestamp(told[0].timestamp / 1000, UTC), behind)


async def accepted(made: World, since: datetime) -> None:
    """Until Xero has all that was appended since; a stream that cannot be followed is a fault."""

    async def done() -> bool:
        return not await made.value(LEFT, since)

    await made.until(done, "Xero has accepted all", PATIENCE)


async def benchmark(options: argparse.Namespace, console: Console) -> Report:
    """One run."""
    tenants = [Tenant(f"t{n}", organization_of(n)) for n in range(options.tenants)]
    xero = SimulatorSettings(
        minute_limit=UNLIMITED,
        day_limit=UNLIMITED,
        app_minute_limit=UNLIMITED,
        latency=options.rtt,
    )
    stream = Stream(tenants, options.new_customers)
    console.print("starting Kafka, Postgres, Xero and the consumer")
    async with world(tenants, xero, partitions=options.partitions, fsync=options.fsync) as made:
        limits = {"xero_minute_limit": UNLIMITED, "xero_day_limit": UNLIMITED}
        await made.start(options.replicas, **limits, freeze_to_first_byte=5, call_timeout=90)
        await made.produce(stream.old_customers())
        await made.settled()
        warm = stream.events(int(options.rate * options.warm_up))
        records = stream.events(int(options.rate * options.seconds))
        console.print(
            f"{options.rate:g} events a second to {len(tenants)} tenants: "
            f"{options.warm_up:g} s to warm up, then {options.seconds:g} s"
        )
        with left_alone():
            await accepted(made, (await tell(made, warm, options.rate)).first)
            async with watching() as watched:
                sent = await tell(made, records, options.rate)
            await accepted(made, sent.first)
        rows = await made.rows(ACCEPTED, sent.first)
        [calls] = await made.rows(CALLS, sent.first)
    report = Report({"goals_ms": GOALS, "events": len(records), **calls})
    _show(report, rows, sent)
    report.machine(watched)
    return report


def _show(report: Report, rows: Sequence[Json], sent: Sent) -> None:
    shown = []
    for kind in ("contact", "invoice", None):
        mine = [row for row in rows if kind in (None, row["kind"])]
        for part, words in PARTS.items():
            if kind is not None and part != "whole":
                continue
            told = {n: 1000 * quantile([r[part] for r in mine], s) for n, s in SHARES.items()}
            name = kind or "all"
            report.figures.setdefault("ms", {}).setdefault(name, {})[part] = {
                n: round(ms, 1) for n, ms in told.items()
            }
            shown.append((name, words, len(mine), *told.values()))
    goals = ", ".join(f"{name} ≤ {ms:g} ms" for name, ms in GOALS.items())
    figures = report.figures
    report.table(
        f"Milliseconds; the goal is {goals}. {figures['events']:,} events made "
        f"{figures['calls']:,} calls, {figures['throttled']} of them answered 429",
        ("documents", "from → to", "number", *SHARES),
        shown,
    )
    late = {n: round(1000 * quantile(sent.behind, share), 1) for n, share in SHARES.items()}
    figures["sent_late_ms"] = late
    report.table(
        "Records left later than the pace asks, in milliseconds",
        tuple(late),
        [tuple(late.values())],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.latency", description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds not counted")
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--new-customers", type=int, default=20, help="of a hundred events")
    parser.add_argument("--rtt", type=float, default=0.0, help="seconds that Xero takes for a call")
    sys.exit(main(parser, benchmark))
