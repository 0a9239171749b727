"""Ingest: generated Lago events in; events a second that reach the ledger, new and known again, and
where the time goes, out.

The service's own ``Ingest`` and inbox run in this process on one core against a real Postgres on the
others, in batches of the size that it polls; with ``--kafka`` they read from a real topic.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from rich.console import Console

from consumer.adapters.kafka.cluster import Cluster
from consumer.adapters.kafka.source import GroupSettings, KafkaSource
from consumer.ingest import Ingest
from consumer.metrics import Metrics
from consumer.ports import Record
from consumer.sandbox.lago import Record as Sent
from consumer.sandbox.services import KafkaService, PostgresService, kafka
from tests.bench.events import KINDS
from tests.bench.machine import Watched, left_alone, pin, watching
from tests.bench.stage import Report, chunks, database_server, main
from tests.bench.timing import Stages, timing
from tests.integration.ledger import Books, books

Json = dict[str, Any]

BATCH = GroupSettings().max_poll_records
GOAL = 10_000
WARM_UP = 4
"""Batches before the clock starts: statements are prepared, connections read."""
PATIENCE = 120.0
STAMP = 1_777_636_800_000
READINGS = 10
"""Times that known events are read: one would be over too soon."""


@dataclass(frozen=True)
class Pass:
    """One reading of all records."""

    events: int
    seconds: float
    cpu: float
    postgres: float
    others: float
    """CPU seconds that the rest of the machine took: above some per cent the rate is not ours."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    def figures(self) -> Json:
        """For machines; ``a_core`` is what one core would do if Postgres never let it wait."""
        return {
            "events_per_s": round(self.rate),
            "consumer_core_percent": round(100 * self.cpu / self.seconds),
            "postgres_core_percent": round(100 * self.postgres / self.seconds),
            "others_core_percent": round(100 * self.others / self.seconds),
            "events_per_s_of_a_core": round(self.events / self.cpu),
        }


def _passed(events: int, watched: Watched) -> Pass:
    cpu = watched.cpu
    others = watched.others()
    ours, postgres = cpu["load and measuring"], cpu.get("Postgres", 0.0)
    return Pass(events, watched.seconds, ours, postgres, others)


def _polled(records: Sequence[Sent], start: int) -> list[Record]:
    return [
        Record("bench", 0, start + n, STAMP + n, r.key, r.value, r.headers)
        for n, r in enumerate(records)
    ]


async def _check(opened: Books, count: int) -> None:
    """A rate of events that came to nothing would be none."""
    merged = await opened.database.fetch("select count(*) from event where outcome = 'merged'")
    homeless = await opened.database.fetch("select count(*) from document where tenant_id is null")
    assert (merged[0][0], homeless[0][0]) == (count, 0)


@dataclass
class Bench:
    """A server and what was asked for."""

    options: argparse.Namespace
    server: PostgresService
    template: str
    broker: KafkaService | None

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Books]:
        """A fresh one."""
        url = await self.server.create_database(template=self.template)
        try:
            async with books(url, tenants=self.options.connections) as opened:
                if self.options.pin:
                    pin()
                yield opened
        finally:
            await self.server.drop_database(url)

    async def rates(self, kind: str) -> tuple[Json, Pass, Pass]:
        """Read all of a kind twice: the first time they are new, then known."""
        async with self.ledger() as opened:
            warm = WARM_UP * self.options.batch
            made = list(KINDS[kind](str(opened.organization_id), warm + self.options.count))
            size = sum(len(r.value) for r in made) / len(made)
            if self.broker is not None:
                first, second = await self._from_kafka(opened, made)
            else:
                records = _polled(made, 0)
                await self._store(opened, records[:warm])
                first = await self._store(opened, records[warm:])
                second = await self._store(opened, records[warm:], READINGS)
            await _check(opened, len(made))
        figures = {
            "bytes": round(size),
            "new": first.figures(),
            "known": second.figures(),
            "known_to_new": round(second.rate / first.rate, 2),
        }
        return figures, first, second

    async def _store(self, opened: Books, records: Sequence[Record], readings: int = 1) -> Pass:
        with left_alone():
            async with watching(naps=False) as watched:
                for _ in range(readings):
                    for batch in chunks(records, self.options.batch):
                        await opened.ingest.store(batch)
        return _passed(len(records) * readings, watched)

    async def _from_kafka(self, opened: Books, made: Sequence[Sent]) -> tuple[Pass, Pass]:
        assert self.broker is not None
        topic = f"bench.{secrets.token_hex(4)}"
        await self.broker.create_topic(topic, 4)
        async with AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap_servers) as producer:
            told = [
                await producer.send(topic, r.value, key=r.key, headers=list(r.headers))
                for r in made
            ]
            await asyncio.gather(*told)
        return await self._follow(opened, topic, len(made)), await self._follow(
            opened, topic, len(made)
        )

    async def _follow(self, opened: Books, topic: str, count: int) -> Pass:
        """A group of its own reads the topic from its beginning; joining is not counted."""
        assert self.broker is not None
        stop, metrics, name = asyncio.Event(), Metrics(), f"bench.{secrets.token_hex(4)}"
        source = KafkaSource(
            Cluster(self.broker.bootstrap_servers),
            [topic],
            name,
            metrics,
            GroupSettings(max_poll_records=self.options.batch),
        )

        def read() -> float:
            return sum(
                s.value for m in metrics.events.collect() for s in m.samples if "_total" in s.name
            )

        def look() -> None:
            if read() >= count:
                stop.set()

        ingest = Ingest(source, opened.inbox, metrics, look)
        await source.start()
        try:
            async with asyncio.timeout(PATIENCE):
                while not source.health().assigned:
                    await asyncio.sleep(0.01)
                with left_alone():
                    async with watching(naps=False) as watched:
                        await ingest.run(stop)
        finally:
            await source.stop()
        return _passed(count, watched)

    async def stages(self, kind: str) -> tuple[Stages, int]:
        """Time the parts, on a fresh ledger: new events, then the same again."""
        async with self.ledger() as opened:
            warm = WARM_UP * self.options.batch
            count = min(self.options.count, 20 * self.options.batch)
            made = list(KINDS[kind](str(opened.organization_id), warm + count))
            await self._store(opened, _polled(made[:warm], 0))
            records = _polled(made[warm:], warm)
            with timing(opened.inbox) as spent, spent.within("the rest"):
                await self._store(opened, records)
        return spent, count

    async def profile(self, kind: str) -> None:
        """Print the functions that took most, on a fresh ledger."""
        async with self.ledger() as opened:
            made = list(KINDS[kind](str(opened.organization_id), 20 * self.options.batch))
            await self._store(opened, _polled(made[: self.options.batch], 0))
            profiler = cProfile.Profile(time.thread_time)
            profiler.enable()
            await self._store(opened, _polled(made[self.options.batch :], self.options.batch))
            profiler.disable()
        for order in ("tottime", "cumulative"):
            pstats.Stats(profiler, stream=sys.stderr).sort_stats(order).print_stats(30)


async def benchmark(options: argparse.Namespace, console: Console) -> Report:
    """All kinds asked for."""
    report = Report({"goal_events_per_s": GOAL, "batch": options.batch, "kinds": {}, "stages": {}})
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(kafka()) if options.kafka else None
        server, template = await stack.enter_async_context(database_server(options.fsync))
        report.figures["cores"] = pin() if options.pin else "not pinned"
        bench = Bench(options, server, template, broker)
        rows = []
        for kind in options.kinds:
            console.print(f"ingesting {options.count:,} {kind} in batches of {options.batch}")
            figures, first, second = await bench.rates(kind)
            report.figures["kinds"][kind] = figures
            for name, one in (("new", first), ("known", second)):
                told = one.figures()
                rows.append((kind, figures["bytes"], name, *told.values()))
            rows.append((kind, figures["bytes"], "known ÷ new", figures["known_to_new"], *[""] * 4))
        report.table(
            f"Events a second ({report.figures['cores']}); the goal is {GOAL:,} new ones of 0.7 KB, "
            "and twice that known",
            (
                "kind",
                "bytes",
                "seen",
                "events/s",
                "consumer %",
                "Postgres %",
                "others %",
                "a core of its own",
            ),
            rows,
        )
        for kind in options.stages:
            console.print(f"timing the stages of {kind}")
            spent, count = await bench.stages(kind)
            _show_stages(report, kind, spent, count)
        for kind in options.cprofile:
            await bench.profile(kind)
    return report


def _show_stages(report: Report, kind: str, spent: Stages, count: int) -> None:
    stages = spent.without_timing()
    whole = sum(stage.wall for stage in stages.values())
    ordered = sorted(stages.items(), key=lambda item: -item[1].wall)
    rows = [
        (
            name,
            stage.times,
            round(1e6 * stage.wall / count, 1),
            round(1e6 * stage.cpu / count, 1),
            round(1e6 * (stage.wall - stage.cpu) / count, 1),
            round(100 * stage.wall / whole, 1),
        )
        for name, stage in ordered
    ]
    total = sum(stage.cpu for stage in stages.values())
    rows.append(
        (
            "together",
            count,
            round(1e6 * whole / count, 1),
            round(1e6 * total / count, 1),
            round(1e6 * (whole - total) / count, 1),
            100.0,
        )
    )
    columns = ("stage", "times", "µs an event", "of which CPU", "of which waiting", "%")
    report.table(f"Where new events ({kind}) spend their time", columns, rows)
    report.figures["stages"][kind] = {
        name: dict(zip(("times", "us", "cpu_us", "waiting_us", "percent"), rest, strict=True))
        for name, *rest in rows
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.ingest_stages", description=__doc__
    )
    parser.add_argument("--count", type=int, default=20_000, help="events of each kind")
    parser.add_argument("--batch", type=int, default=BATCH, help="events in one transaction")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--stages", nargs="*", choices=KINDS, default=["small", "invoices"])
    parser.add_argument("--cprofile", nargs="*", choices=KINDS, default=[], help="to stderr")
    parser.add_argument("--connections", type=int, default=1, help="that there are in all")
    parser.add_argument("--kafka", action="store_true", help="read from a real topic")
    parser.add_argument("--pin", action=argparse.BooleanOptionalAction, default=True)
    sys.exit(main(parser, benchmark))
