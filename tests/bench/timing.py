"""Where ingesting spends its time: an inbox and the functions it calls in; seconds by stage, our own
CPU and the waiting for Postgres apart, out."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch

import asyncpg

from consumer import ingest
from consumer.adapters.postgres import inbox
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements

NAMES = {
    text: f"SQL {name}"
    for file in ("connections", "ledger", "inbox")
    for name, text in statements(file).items()
}
PURE = (
    (ingest, "_digest", "digest"),
    (ingest, "_decode", "decode"),
    (inbox, "_event_row", "rows of events"),
    (inbox, "pack_headers", "headers to JSON"),
    (inbox, "load_facets", "facts from JSON"),
    (inbox, "merge", "merge"),
    (inbox, "choose_home", "find home"),
    (inbox, "plan_contact", "plan"),
    (inbox, "plan_invoice", "plan"),
    (inbox, "_change", "plan: changes"),
    (inbox, "dump_facets", "facts to JSON"),
    (inbox, "_columns", "rows to columns"),
)
"""Functions of one task that never await, and what they do."""
PROBES = 20_000


@dataclass
class Stage:
    """What was spent in it, without the stages inside it."""

    times: int = 0
    inside: int = 0
    """How often another stage was entered from it."""
    wall: float = 0.0
    cpu: float = 0.0


class Stages:
    """Stages of one task, nested; each counts its own time only."""

    def __init__(self) -> None:
        self.spent: dict[str, Stage] = {}
        self._open: list[Stage] = []
        self._wall = self._cpu = 0.0

    def enter(self, name: str) -> None:
        """From here on it is this stage's time."""
        wall, cpu = time.perf_counter(), time.thread_time()
        if self._open:
            stage = self._open[-1]
            stage.wall += wall - self._wall
            stage.cpu += cpu - self._cpu
            stage.inside += 1
        stage = self.spent.get(name) or self.spent.setdefault(name, Stage())
        stage.times += 1
        self._open.append(stage)
        self._wall, self._cpu = time.perf_counter(), time.thread_time()

    def leave(self) -> None:
        """From here on it is the stage's around it again."""
        wall, cpu = time.perf_counter(), time.thread_time()
        stage = self._open.pop()
        stage.wall += wall - self._wall
        stage.cpu += cpu - self._cpu
        self._wall, self._cpu = time.perf_counter(), time.thread_time()

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """The block's time is this stage's."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted; a generator's would be its reader's."""

        def call(*args: Any, **named: Any) -> Any:
            self.enter(name)
            try:
                return function(*args, **named)
            finally:
                self.leave()

        return call

    def without_timing(self) -> dict[str, Stage]:
        """The stages less what timing itself costs, as measured on a function that does nothing."""
        probe = Stages()
        nothing = probe.timed("nothing", lambda: None)
        with probe.within("around"):
            for _ in range(PROBES):
                nothing()
        inner, outer = probe.spent["nothing"], probe.spent["around"]
        return {
            name: Stage(
                stage.times,
                stage.inside,
                stage.wall - (stage.times * inner.wall + stage.inside * outer.wall) / PROBES,
                stage.cpu - (stage.times * inner.cpu + stage.inside * outer.cpu) / PROBES,
            )
            for name, stage in self.spent.items()
        }


class TimedConn:
    """A connection whose statements are stages."""

    def __init__(self, conn: Conn, stages: Stages) -> None:
        self._conn, self._stages = conn, stages

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._conn, method)

        async def statement(query: str, *args: Any) -> Any:
            with self._stages.within(NAMES.get(query, "SQL, other")):
                return await found(query, *args)

        return statement


class TimedDatabase(Database):
    """A database whose transactions and statements are stages."""

    def __init__(self, of: Database, stages: Stages) -> None:
        super().__init__(of.pool, of.timeouts)
        self._stages = stages

    @asynccontextmanager
    async def transaction(self, *, configuring: bool = False) -> AsyncIterator[Conn]:
        """As without timing."""
        context = super().transaction(configuring=configuring)
        with self._stages.within("SQL begin, set local"):
            conn = await context.__aenter__()
        try:
            yield cast(Conn, TimedConn(conn, self._stages))
        except BaseException:
            await context.__aexit__(*sys.exc_info())
            raise
        with self._stages.within("SQL commit"):
            await context.__aexit__(None, None, None)

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """As without timing."""
        with self._stages.within(NAMES.get(query, "SQL, other")):
            return await super().fetch(query, *args)


@contextmanager
def timing(target: inbox.PostgresInbox) -> Iterator[Stages]:
    """Within the block everything that ingests into this inbox is timed."""
    stages = Stages()
    with ExitStack() as stack:
        stack.enter_context(
            patch.object(target, "database", TimedDatabase(target.database, stages))
        )
        for module, name, stage in PURE:
            timed = stages.timed(stage, getattr(module, name))
            stack.enter_context(patch.object(module, name, timed))
        yield stages
