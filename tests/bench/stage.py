"""What the benchmarks share: options in; services, a simulated Xero in a process of its own, the CPU
each process took, and tables for people or JSON for machines out."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]
import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette

from consumer.adapters.postgres.migrate import migrate
from consumer.sandbox.receiver import receiving
from consumer.sandbox.services import PostgresService, ServiceUnavailable, kafka, postgres
from consumer.sandbox.services.processes import KeptProcess, last_line, text_of
from consumer.sandbox.xero import Simulator, SimulatorSettings
from tests.acceptance.harness import SECRET, Tenant, World

Json = dict[str, Any]

SIMULATOR_START = 20.0
NAP = 0.01
PAPER = 120
"""Columns where no terminal says how many."""
UNLIMITED = 10_000_000
APPENDED_BY_BROKER = {"message.timestamp.type": "LogAppendTime"}
"""The record's stamp is then the broker's, not the producer's, which may wait in a queue."""


# ── The run ───────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Report:
    """What one benchmark saw: ``figures`` for machines, ``tables`` of the same for people."""

    figures: Json = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; numbers are rounded to what matters and stand to the right."""
        made = Table(title=title, title_justify="left", title_style="bold")
        for at, column in enumerate(columns):
            words = all(isinstance(row[at], str) for row in rows)
            made.add_column(column, justify="left" if words else "right")
        for row in rows:
            made.add_row(*map(shown, row))
        self.tables.append(made)


Benchmark = Callable[[argparse.Namespace, Console], Awaitable[Report]]


def main(parser: argparse.ArgumentParser, benchmark: Benchmark) -> int:
    """Run it to its end or until a signal; everything it started is ended on the way out."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    parser.add_argument(
        "--fsync",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="commits are durable, as in production",
    )
    options = parser.parse_args()
    console = Console(
        stderr=options.json, highlight=False, width=None if sys.stdout.isatty() else PAPER
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(_until_signal(benchmark(options, console)))
    except ServiceUnavailable as missing:
        console.print(str(missing))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    if options.json:
        sys.stdout.write(json.dumps(report.figures, indent=2) + "\n")
    else:
        for table in report.tables:
            console.print(table)
    return 0


async def _until_signal(work: Awaitable[Report]) -> Report:
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    return await work


def shown(value: object) -> str:
    """A cell: three significant digits of a fraction, thousands apart."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share is not above; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


# ── Services ──────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def database_server(fsync: bool) -> AsyncIterator[tuple[PostgresService, str]]:
    """Postgres with a migrated database to copy."""
    async with postgres(fsync=fsync) as service:
        template = await service.create_database()
        try:
            await migrate(template)
            yield service, template
        finally:
            await service.drop_database(template)


@asynccontextmanager
async def simulator(settings: SimulatorSettings, directory: Path) -> AsyncIterator[Simulator]:
    """The simulated Xero in a process of its own, so that it competes with nobody for the loop."""
    log = directory / "xero.log"
    words = [sys.executable, "-m", "consumer.sandbox.xero"]
    usual = asdict(SimulatorSettings())
    for name, value in asdict(settings).items():
        if value != usual[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    process = await KeptProcess.start(words, log=log, stop_signal=signal.SIGTERM)
    try:
        async with asyncio.timeout(SIMULATOR_START):
            while not text_of(log).endswith("}\n"):
                if not process.running:
                    raise ServiceUnavailable(f"The simulated Xero ended: {last_line(log)}")
                await asyncio.sleep(NAP)
        yield Simulator(**json.loads(last_line(log)), app=Starlette())
    finally:
        await process.close()


class OwnWorld(World):
    """A world on a Kafka of its own, whose group may not be there yet."""

    async def ingested(self) -> bool:
        """As of any world; no until the group has a coordinator."""
        try:
            return await super().ingested()
        except KafkaError:
            return False


@asynccontextmanager
async def world(
    tenants: Sequence[Tenant], settings: SimulatorSettings, *, partitions: int, fsync: bool
) -> AsyncIterator[World]:
    """Kafka, Postgres, Xero and the tenants' connections in real time; no consumer runs yet."""
    async with AsyncExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lago-xero-bench-"))
        )
        broker = await stack.enter_async_context(kafka())
        server, template = await stack.enter_async_context(database_server(fsync))
        xero = await stack.enter_async_context(simulator(settings, directory))
        receiver = await stack.enter_async_context(receiving(SECRET))
        url = await server.create_database(f"lago_xero_bench_{secrets.token_hex(6)}", template)
        stack.push_async_callback(server.drop_database, url)
        made = OwnWorld(broker, url, xero, receiver, directory, tenants, 1.0)
        stack.push_async_callback(made.close)
        await broker.create_topic(made.topic, partitions, APPENDED_BY_BROKER)
        await broker.create_topic(made.dead_letters)
        made.database = await stack.enter_async_context(
            asyncpg.create_pool(url, min_size=1, max_size=3)
        )
        await made.open_tenants()
        await made.apply()
        yield made


def organization_of(number: int) -> str:
    """The Lago organization of the tenant with this number."""
    return f"{number:08x}-1a90-4a90-9a90-1a901a901a90"


# ── The machine ───────────────────────────────────────────────────────────────────────────────────


def pin() -> str:
    """This process on the first core, Postgres and all else we started on the others."""
    first, *others = sorted(psutil.Process().cpu_affinity())
    if not others:
        return "one core for everything"
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.cpu_affinity(others)
    os.sched_setaffinity(0, {first})
    return f"consumer on core {first}, services on {', '.join(map(str, others))}"


def _role(process: psutil.Process, consumers: list[int]) -> str | None:
    name, words = process.name(), " ".join(process.cmdline())
    if name == "java":
        return "Kafka"
    if name.startswith("postgres"):
        return "Postgres"
    if "keeper.py" in words:
        return None
    if "consumer.sandbox.xero" in words:
        return "simulated Xero"
    if words.endswith("lago-xero run"):
        consumers.append(process.pid)
        return f"consumer {len(consumers)}"
    return None


def cpu() -> dict[str, float]:
    """CPU seconds so far of each process that we started, of us, and of the whole machine.

    Services in containers or elsewhere are not ours to see; theirs is in the machine's.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    me = psutil.Process()
    own = me.cpu_times()
    seconds["load and measuring"] = own.user + own.system
    consumers: list[int] = []
    for process in sorted(me.children(recursive=True), key=lambda process: process.pid):
        with contextlib.suppress(psutil.Error):
            role = _role(process, consumers)
            if role is None:
                continue
            spent = process.cpu_times()
            # Also of children that have ended: Postgres' connections are processes.
            seconds[role] += sum(spent[:4])
    machine = psutil.cpu_times()
    seconds["steal"] = float(getattr(machine, "steal", 0))
    seconds["machine"] = sum(machine[:3]) + sum(machine[5:8])
    return dict(seconds)


@dataclass
class Watched:
    """A stretch of time: its length and the CPU seconds that each process took in it."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    """By how many seconds this process woke too late from naps: the machine's noise."""

    def ours(self) -> dict[str, float]:
        """CPU seconds of this process and of those that it started."""
        return {k: v for k, v in self.cpu.items() if k not in ("machine", "steal")}

    def others(self) -> float:
        """CPU seconds of everything else on the machine, stolen ones included."""
        return max(0.0, self.cpu.get("machine", 0.0) - sum(self.ours().values()))

    def rows(self) -> list[tuple[str, float, float]]:
        """Process, CPU seconds, share of one core in per cent."""
        stolen = self.cpu.get("steal", 0.0)
        named = {**self.ours(), "everything else": self.others(), "of which stolen": stolen}
        return [(k, round(v, 2), round(100 * v / self.seconds, 1)) for k, v in named.items()]

    def figures(self) -> Json:
        """For machines."""
        return {
            "seconds": round(self.seconds, 2),
            "cores": psutil.cpu_count(),
            "cpu_percent_of_a_core": {name: share for name, _, share in self.rows()},
            "woke_late_ms": {
                name: round(1000 * quantile(self.late, share), 2)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
        }

    def add_to(self, report: Report) -> None:
        """Its table and figures."""
        report.figures["machine"] = figures = self.figures()
        late = figures["woke_late_ms"]
        report.table(
            f"CPU in {self.seconds:.0f} s on {psutil.cpu_count()} cores; naps of 10 ms ended late by "
            f"{late['p50']} ms (p50), {late['p99']} ms (p99), {late['max']} ms (most)",
            ("process", "CPU s", "% of a core"),
            self.rows(),
        )


@asynccontextmanager
async def watching(naps: bool = True) -> AsyncIterator[Watched]:
    """Fill in the value when the block ends."""
    watched = Watched()

    async def doze() -> None:
        while True:
            due = time.perf_counter() + NAP
            await asyncio.sleep(NAP)
            watched.late.append(time.perf_counter() - due)

    before, started = cpu(), time.perf_counter()
    dozing = asyncio.create_task(doze()) if naps else None
    try:
        yield watched
    finally:
        if dozing is not None:
            dozing.cancel()
        watched.seconds = time.perf_counter() - started
        watched.cpu = {name: spent - before.get(name, 0.0) for name, spent in cpu().items()}


@contextmanager
def left_alone() -> Iterator[None]:
    """What exists now is the benchmark's: the garbage collector does not look through it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Cut into pieces of this size."""
    return (items[at : at + size] for at in range(0, len(items), size))
