"""A world of its own for one test: records in; what the installed command made of them, in Xero's
books, the arrival log, the ledger, the dead-letter topic and the webhook, out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import yaml
from cryptography.fernet import Fernet

from consumer.sandbox.receiver import Receiver, receiving
from consumer.sandbox.services import KafkaService, PostgresService
from consumer.sandbox.xero import Simulator, SimulatorSettings, serve
from tests.acceptance.shell import COMMAND
from tests.acceptance.topics import PATIENCE, Topics
from tests.acceptance.xero import Json, Tenant, Xero

SECRET = "whsec_YWNjZXB0YW5jZS10ZXN0cy1zaWduaW5nLWtleQ=="
SCALE = 0.05
"""Xero's minute takes three seconds, and doubt is looked at again after five."""
POLL = 0.05


@dataclass
class Replica:
    """One running ``lago-xero run``."""

    process: asyncio.subprocess.Process
    log: Path

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self.process.kill()
        await self.process.wait()

    async def stop(self, timeout: float = 15.0) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        async with asyncio.timeout(timeout):
            return await self.process.wait()

    def said(self) -> list[Json]:
        """The log so far, but for a line still being written."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


class World(Topics, Xero):
    """Everything of one test: topic, group, database, simulated Xero, webhook, processes."""

    def __init__(
        self,
        kafka: KafkaService,
        database_url: str,
        simulator: Simulator,
        receiver: Receiver,
        directory: Path,
        tenants: Sequence[Tenant],
        scale: float,
    ) -> None:
        Topics.__init__(self, kafka)
        Xero.__init__(self, simulator, tenants)
        self.database_url = database_url
        self.receiver = receiver
        self.directory = directory
        self.replicas: list[Replica] = []
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("LAGO_XERO_")},
            "LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "LAGO_XERO_KAFKA_TOPICS": self.topic,
            "LAGO_XERO_KAFKA_GROUP_ID": self.group,
            "LAGO_XERO_DEAD_LETTER_TOPIC": self.dead_letters,
            "LAGO_XERO_DATABASE_URL": database_url,
            "LAGO_XERO_XERO_API_URL": simulator.api_url,
            "LAGO_XERO_XERO_IDENTITY_URL": simulator.identity_url,
            "LAGO_XERO_TIME_SCALE": str(scale),
            # A second on a busy machine, and the whole call is still over before the second one.
            "LAGO_XERO_FREEZE_TO_FIRST_BYTE": str(1 / scale),
            "LAGO_XERO_CALL_TIMEOUT": str(99 - 1 / scale),
            "LAGO_XERO_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "LAGO_XERO_WEBHOOK_URL": receiver.url,
            "LAGO_XERO_WEBHOOK_SECRET": SECRET,
            "LAGO_XERO_HTTP_HOST": "127.0.0.1",
            "LAGO_XERO_HTTP_PORT": "0",
            "LAGO_XERO_LOG_FORMAT": "json",
        }
        self.database: asyncpg.Pool

    async def open(
        self, stack: AsyncExitStack, partitions: int, config: Mapping[str, str] | None = None
    ) -> None:
        """Topics, tenants and their connections; ``stack`` ends what this starts."""
        stack.push_async_callback(self.close)
        await self.kafka.create_topic(self.topic, partitions, config)
        await self.kafka.create_topic(self.dead_letters)
        self.database = await asyncpg.create_pool(self.database_url, min_size=1, max_size=3)
        await self.open_tenants()
        await self.apply()

    # ── Set-up ────────────────────────────────────────────────────────────────────────────────────

    async def apply(self) -> str:
        """``lago-xero apply`` with the tenants as they are now; what it printed."""
        file = self.directory / "connections.yaml"
        file.write_text(yaml.safe_dump({"connections": [t.connection() for t in self.tenants]}))
        for tenant in self.tenants:
            (self.directory / f"{tenant.code}.secret").write_text(tenant.secret)
        return await self.command("apply", "-f", str(file))

    async def command(self, *arguments: str) -> str:
        """Run ``lago-xero`` with these arguments to its end, which must be a good one."""
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            *arguments,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode == 0, f"{arguments}: {out.decode()}\n{err.decode()}"
        return out.decode()

    async def copy_database(self, postgres: PostgresService) -> str:
        """A copy of the ledger as it is; nothing may run. The caller drops it."""
        await self.database.close()
        copy = await postgres.create_database(template=self.database_url)
        await self.use_database(self.database_url)
        return copy

    async def use_database(self, url: str) -> None:
        """From now on this is the ledger."""
        await self.database.close()
        self.database_url = self.environment["LAGO_XERO_DATABASE_URL"] = url
        self.database = await asyncpg.create_pool(url, min_size=1, max_size=3)

    # ── The consumer ──────────────────────────────────────────────────────────────────────────────

    async def start(self, count: int = 1, **settings: object) -> list[Replica]:
        """Start replicas and wait until they run; settings without their prefix, lower case."""
        own = {f"LAGO_XERO_{name.upper()}": str(value) for name, value in settings.items()}
        started = []
        for _ in range(count):
            log = self.directory / f"consumer-{len(self.replicas)}.log"
            with log.open("wb") as out:
                process = await asyncio.create_subprocess_exec(
                    COMMAND, "run", env={**self.environment, **own}, stdout=out, stderr=out
                )
            started.append(Replica(process, log))
            self.replicas.append(started[-1])

        async def running() -> bool:
            for replica in started:
                assert replica.process.returncode is None, replica.log.read_text()[-3000:]
            return all(any(s["event"] == "started" for s in r.said()) for r in started)

        await self.until(running, "the consumer runs", 60.0)
        return started

    async def close(self) -> None:
        """End what still runs."""
        for replica in self.replicas:
            if replica.process.returncode is None:
                await replica.kill()
        await self.database.close()
        await self.control.aclose()

    def logs(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"{r.log.name}:\n{r.log.read_text()[-6000:]}" for r in self.replicas)

    # ── Waiting ───────────────────────────────────────────────────────────────────────────────────

    async def until(
        self, holds: Callable[[], Awaitable[bool]], what: str, timeout: float = PATIENCE
    ) -> None:
        """Look every 50 ms until it holds; a timeout shows where everything stands."""
        try:
            async with asyncio.timeout(timeout):
                while not await holds():
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise AssertionError(
                f"after {timeout:.0f} s not: {what}\n{await self.standing()}"
            ) from None

    async def until_ingested(self, timeout: float = PATIENCE) -> None:
        """All that was produced is stored and committed."""
        await self.until(self.ingested, "all records are ingested", timeout)

    async def settled(self, timeout: float = PATIENCE) -> None:
        """All is ingested, nothing is left to send, to release, to find out or to announce."""
        await self.until_ingested(timeout)
        await self.until(self.at_rest, "all documents are at rest", timeout)

    async def at_rest(self) -> bool:
        """Whether nothing moves any more."""
        return not await self.value(
            """select exists (select from document where state in ('ready', 'sending', 'waiting'))
                   or exists (select from request where outcome is null and look_at is not null)
                   or exists (select from release) or exists (select from outbox where done_at is null)"""
        )

    # ── The ledger ────────────────────────────────────────────────────────────────────────────────

    async def rows(self, query: str, *args: object) -> list[Json]:
        """Rows of the ledger."""
        return [dict(row) for row in await self.database.fetch(query, *args)]

    async def value(self, query: str, *args: object) -> Any:
        """One value of the ledger."""
        return await self.database.fetchval(query, *args)

    async def count(self, state: str, kind: str = "invoice") -> int:
        """Documents of a kind in a state."""
        query = "select count(*) from document where state = $1 and kind = $2"
        return int(await self.value(query, state, kind))

    async def ledger(self) -> list[tuple[object, ...]]:
        """What the ledger says of each document, without what differs from run to run."""
        rows = await self.database.fetch(
            """select c.code, d.kind, d.lago_id, d.state, d.cause, d.code, d.number, d.xero_net,
                      d.xero_tax, d.xero_total, d.wanted = d.synced, d.xero_id is not null
                 from document d left join connection c on c.id = d.connection_id
                order by d.kind, d.lago_id"""
        )
        return [tuple(row) for row in rows]

    async def standing(self) -> str:
        """Documents and open requests, for a failure's message."""
        documents = await self.rows(
            "select kind, state, cause, code, count(*) from document group by 1, 2, 3, 4"
        )
        requests = await self.rows(
            """select purpose, status, doubt, looks, started_at, look_at, now() from request
                where outcome is null"""
        )
        tenants = await self.rows("select due_at, blocked_until, blocked_why, now() from tenant")
        groups = ("documents", documents), ("open requests", requests), ("tenants", tenants)
        shown = [f"{name}:\n  " + "\n  ".join(map(str, rows)) for name, rows in groups]
        return "\n".join([*shown, self.logs()])


@asynccontextmanager
async def world(
    kafka: KafkaService,
    postgres: PostgresService,
    template: str,
    directory: Path,
    *,
    tenants: Sequence[Tenant] | None = None,
    simulator: SimulatorSettings | None = None,
    partitions: int = 2,
    scale: float = SCALE,
) -> AsyncIterator[World]:
    """A world with its connections applied and nothing running yet."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = simulator or SimulatorSettings(time_scale=scale, minute_limit=60)
    url = await postgres.create_database(template=template)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(postgres.drop_database, url)
        xero = await stack.enter_async_context(serve(settings))
        receiver = await stack.enter_async_context(receiving(SECRET))
        made = World(kafka, url, xero, receiver, directory, tenants or [Tenant("acme-nz")], scale)
        await made.open(stack, partitions)
        yield made
