"""Transactions: a unit of work in, its result out, with timeouts in force and conflicts retried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from consumer.ports import Unavailable

T = TypeVar("T")
Conn = asyncpg.pool.PoolConnectionProxy

CONFLICTS = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
OF_THE_DATA = (
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.IntegrityConstraintViolationError,
)
"""What the values of one record can bring about; the same statement may do with others."""
AWAY = (OSError, asyncpg.InterfaceError, asyncio.TimeoutError, asyncpg.PostgresError)
"""Everything else is Postgres' state, not ours to judge a record by: away, restarting, read-only,
its disk full, not migrated, or tired of a paused client."""


CONFIGURATION_LOCK = 0x1A61


class Raced(Exception):
    """Another transaction inserted the same row first: run the unit of work again."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, set local in each transaction, so a paused client cannot hold locks."""

    statement: float = 10.0
    lock: float = 5.0
    idle: float = 5.0


class _Conflict(Unavailable):
    """Another transaction was in the way: worth another try at once."""


@contextmanager
def _telling_whose() -> Iterator[None]:
    """Errors of Postgres' state become ``Unavailable``; those of a record's data pass."""
    try:
        yield
    except OF_THE_DATA:
        raise
    except CONFLICTS as error:
        raise _Conflict(type(error).__name__) from error
    except AWAY as error:
        raise Unavailable(type(error).__name__) from error


class Database:
    """A pool whose every transaction starts with ``set local`` timeouts (PgBouncer-safe)."""

    def __init__(self, pool: asyncpg.Pool, timeouts: Timeouts | None = None) -> None:
        self.pool = pool
        self.timeouts = timeouts or Timeouts()

    @asynccontextmanager
    async def transaction(self, *, configuring: bool = False) -> AsyncIterator[Conn]:
        """One transaction, committed on a clean exit.

        Whoever changes connections, mappings or charts is ``configuring``: he waits for all others
        and they for him, so that nobody writes a cause which the change has just removed.
        """
        async with self.pool.acquire() as conn:
            try:
                await conn.execute(self._begin(conn, configuring))
                yield conn
            except BaseException:
                await _roll_back(conn)
                raise
            await conn.execute("commit")

    def _begin(self, conn: Conn, configuring: bool) -> str:
        """All that a transaction begins with, in one trip to the server."""
        t = self.timeouts
        timeouts = {
            "statement_timeout": t.statement,
            "lock_timeout": t.lock,
            "idle_in_transaction_session_timeout": t.idle,
        }
        # A client that is paused between preparing and executing a statement is neither in a
        # statement nor idle to Postgres: only this timeout, of version 17, ends it.
        if conn.get_server_version().major >= 17:
            timeouts["transaction_timeout"] = t.statement + t.idle
        lock = "pg_advisory_xact_lock" + ("" if configuring else "_shared")
        return ";".join(
            ["begin"]
            + [f"set local {name} = {int(seconds * 1000)}" for name, seconds in timeouts.items()]
            + [f"select {lock}({CONFIGURATION_LOCK})"]
        )

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """One reading statement outside a transaction."""
        with _telling_whose():
            return await self.pool.fetch(query, *args)

    async def execute(self, query: str, *args: object) -> None:
        """One writing statement, a transaction of its own."""
        with _telling_whose():
            await self.pool.execute(query, *args)

    async def run(
        self, work: Callable[[Conn], Awaitable[T]], *, tries: int = 5, configuring: bool = False
    ) -> T:
        """Run ``work`` in a transaction; serialisation failures, deadlocks and races are retried.

        The result counts only when this returns: then the commit has been confirmed.
        """
        for left in reversed(range(tries)):
            try:
                with _telling_whose():
                    async with self.transaction(configuring=configuring) as conn:
                        return await work(conn)
            except (_Conflict, Raced) as error:
                if not left:
                    raise Unavailable(f"{error or type(error).__name__} {tries} times") from error
                await asyncio.sleep(0.01 * (tries - left))
        raise AssertionError("unreachable")


async def _roll_back(conn: Conn) -> None:
    """Unless the connection is lost, and the transaction with it."""
    with suppress(*AWAY):
        if conn.is_in_transaction():
            await conn.execute("rollback")


async def _as_it_is(conn: asyncpg.Connection) -> None:
    """What a connection goes back to the pool with: no session state is ever set on one."""


@asynccontextmanager
async def database(
    url: str,
    *,
    timeouts: Timeouts | None = None,
    max_size: int = 10,
    statement_cache: int = 256,
) -> AsyncIterator[Database]:
    """Open a pool. ``statement_cache=0`` is for PgBouncer before 1.21 in transaction mode."""
    async with asyncpg.create_pool(
        url,
        min_size=1,
        max_size=max_size,
        statement_cache_size=statement_cache,
        timeout=10,
        command_timeout=30,
        reset=_as_it_is,
    ) as pool:
        yield Database(pool, timeouts)
