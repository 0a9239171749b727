"""What the benchmarks share: options in; services, a simulated Xero in a process of its own, and
tables for people or JSON for machines out."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette

from consumer.adapters.postgres.migrate import migrate
from consumer.sandbox.receiver import receiving
from consumer.sandbox.services import PostgresService, ServiceUnavailable, kafka, postgres
from consumer.sandbox.services.processes import KeptProcess, last_line, text_of
from consumer.sandbox.xero import Simulator, SimulatorSettings
from tests.acceptance.harness import SECRET, World
from tests.acceptance.xero import Tenant
from tests.bench.machine import Watched

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

    def machine(self, watched: Watched) -> None:
        """Add what each process took."""
        self.figures["machine"] = figures = watched.figures()
        late = figures["woke_late_ms"]
        self.table(
            f"CPU in {watched.seconds:.0f} s on {figures['cores']} cores; naps of 10 ms ended late by "
            f"{late['p50']} ms (p50), {late['p99']} ms (p99), {late['max']} ms (most)",
            ("process", "CPU s", "% of a core"),
            watched.rows(),
        )


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
        made = World(broker, url, xero, receiver, directory, tenants, 1.0)
        await made.open(stack, partitions, APPENDED_BY_BROKER)
        yield made


def organization_of(number: int) -> str:
    """The Lago organization of the tenant with this number."""
    return f"{number:08x}-1a90-4a90-9a90-1a901a901a90"
