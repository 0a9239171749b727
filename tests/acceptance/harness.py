"""A world of its own for one test: records in; what the installed command made of them, in Xero's
books, the arrival log, the ledger, the dead-letter topic and the webhook, out."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from cryptography.fernet import Fernet

from consumer.sandbox import sample
from consumer.sandbox.lago import Organization, Record
from consumer.sandbox.receiver import Receiver, receiving
from consumer.sandbox.services import KafkaService, PostgresService
from consumer.sandbox.xero import Simulator, SimulatorSettings, serve
from tests.acceptance.shop import Amounts

Json = dict[str, Any]
COMMAND = [str(Path(sys.executable).with_name("lago-xero"))]
SECRET = "whsec_YWNjZXB0YW5jZS10ZXN0cy1zaWduaW5nLWtleQ=="
SCALE = 0.05
"""Xero's minute takes three seconds, and doubt is looked at again after five."""
API = "/api.xro/2.0"
DOCUMENTS = ("Contacts", "Invoices", "CreditNotes", "Payments")
"""Collections that carry documents; ``apply`` reads others."""
POLL = 0.05
PATIENCE = 30.0
MAPPINGS: Json = {
    kind: target
    for kind, target in sample.MAPPINGS.items()
    if kind not in ("billable_metrics", "add_ons")
}
"""Without metrics and add-ons: the fallback item takes them."""


@dataclass
class Tenant:
    """A Xero organisation and the connection of a Lago organization to it."""

    code: str
    organization_id: str = Organization().organization_id
    serves: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)
    """Further keys of the connection."""
    mappings: Json = field(default_factory=lambda: dict(MAPPINGS))
    tenant_id: str = field(default_factory=lambda: str(uuid4()))
    secret: str = "correct"

    @property
    def client_id(self) -> str:
        """Of its custom connection."""
        return f"client-{self.code}"

    def connection(self) -> Json:
        """As connections.yaml has it."""
        return {
            "code": self.code,
            "organization_id": self.organization_id,
            "xero": {
                "tenant_id": self.tenant_id,
                "client_id": self.client_id,
                "client_secret": {"file": f"{self.code}.secret"},
            },
            **({"serves": self.serves} if self.serves else {}),
            "mappings": self.mappings,
            "policies": {"residual_payments": "ignore"},  # the shop's invoices come half paid
            **self.more,
        }


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


class World:
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
        name = secrets.token_hex(6)
        self.kafka = kafka
        self.database_url = database_url
        self.simulator = simulator
        self.receiver = receiver
        self.directory = directory
        self.tenants = list(tenants)
        self.topic, self.dead_letters, self.group = f"lago.{name}", f"dlq.{name}", f"group.{name}"
        self.replicas: list[Replica] = []
        self.ends: dict[TopicPartition, int] = {}
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
        self.control = httpx.AsyncClient(base_url=simulator.control_url, timeout=10)
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

    async def open_tenants(self) -> None:
        """Create the organisations and the clients that reach them."""
        for tenant in self.tenants:
            organisation = {"tenant_id": tenant.tenant_id, "currencies": sample.CURRENCIES}
            await self.order("tenants", {**organisation, "name": tenant.code})
            await self.register(tenant)

    async def register(self, tenant: Tenant, secret: str | None = None) -> None:
        """Make its client known under a secret; the old one is revoked."""
        client = {"client_id": tenant.client_id, "client_secret": secret or tenant.secret}
        await self.order("clients", {**client, "tenant_ids": [tenant.tenant_id]})

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
            *COMMAND,
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
                    *COMMAND, "run", env={**self.environment, **own}, stdout=out, stderr=out
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

    # ── Records ───────────────────────────────────────────────────────────────────────────────────

    async def produce(self, records: Iterable[Record]) -> None:
        """Append them in this order, each to its key's partition."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers, linger_ms=5, acks="all"
        )
        await producer.start()
        try:
            sent = [
                await producer.send(self.topic, r.value, key=r.key, headers=list(r.headers))
                for r in records
            ]
            for future in sent:
                told = await future
                self.ends[TopicPartition(told.topic, told.partition)] = told.offset + 1
        finally:
            await producer.stop()

    async def offsets(self) -> dict[TopicPartition, int]:
        """What the group has committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(self.group)
        finally:
            await admin.close()
        return {part: one.offset for part, one in committed.items()}

    async def ingested(self) -> bool:
        """Whether the group has committed all that was produced."""
        try:
            offsets = await self.offsets()
        except KafkaError:  # the group has no coordinator yet
            return False
        return all(part in offsets and offsets[part] >= end for part, end in self.ends.items())

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

    # ── Xero ──────────────────────────────────────────────────────────────────────────────────────

    async def order(self, path: str, body: Json) -> Json:
        """An order to the simulator."""
        answer = await self.control.post(f"{self.simulator.control_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def fault(self, kind: str, times: int = 1, **match: str) -> None:
        """The next calls that match suffer this; by default writes of invoices."""
        where = {"method": "PUT", "path_prefix": f"{API}/Invoices", **match}
        seconds = float(where.pop("seconds", "1"))
        await self.order(
            "faults", {"kind": kind, "times": times, "seconds": seconds, "match": where}
        )

    async def latency(self, seconds: float) -> None:
        """How long each call takes from now on."""
        await self.order("settings", {"latency": seconds})

    async def arrivals(self, path: str = API, method: str | None = None) -> list[Json]:
        """The calls that arrived, but for what ``apply`` asked."""
        answer = await self.control.get(f"{self.simulator.control_url}/arrivals")
        assert answer.status_code == 200
        return [
            one
            for one in answer.json()
            if one["path"].startswith(tuple(f"{API}/{name}" for name in DOCUMENTS))
            and one["path"].startswith(path)
            and method in (None, one["method"])
        ]

    async def tokens_refused(self) -> int:
        """How often the identity server turned a client away."""
        answer = await self.control.get(f"{self.simulator.control_url}/arrivals")
        asked = [one for one in answer.json() if one["path"] == "/connect/token"]
        return sum(one["status"] != 200 for one in asked)

    async def writes(self, kind: str = "Invoices") -> list[Json]:
        """The writes of a kind that arrived."""
        return [one for one in await self.arrivals(f"{API}/{kind}") if one["method"] != "GET"]

    async def books(self, tenant: Tenant | None = None) -> Json:
        """The organisation's contacts and invoices; amounts are Decimal."""
        tenant_id = (tenant or self.tenants[0]).tenant_id
        answer = await self.control.get(f"{self.simulator.control_url}/books/{tenant_id}")
        assert answer.status_code == 200, answer.text
        return dict(json.loads(answer.text, parse_float=Decimal, parse_int=Decimal))

    async def numbers(self, tenant: Tenant | None = None) -> list[str]:
        """The invoices' numbers, sorted; one that is there twice is shown twice."""
        books = await self.books(tenant)
        return sorted(one["InvoiceNumber"] for one in books["invoices"])

    async def summary(self, tenant: Tenant | None = None) -> tuple[list[Any], list[Any]]:
        """The books without Xero's ids: comparable between two runs."""
        books = await self.books(tenant)
        contacts = sorted(
            (one["ContactNumber"], one["Name"], one["EmailAddress"]) for one in books["contacts"]
        )
        invoices = sorted(
            (one["InvoiceNumber"], one["Total"], one["TotalTax"], one["Contact"]["Name"])
            for one in books["invoices"]
        )
        return contacts, invoices

    # ── What must hold ────────────────────────────────────────────────────────────────────────────

    async def assert_booked(
        self, expected: Mapping[str, Amounts], tenant: Tenant | None = None, *, exact: bool = True
    ) -> None:
        """Each invoice once, with Lago's figures, and no other but voided ones; no contact twice."""
        books = await self.books(tenant)
        invoices = Counter(one["InvoiceNumber"] for one in books["invoices"])
        contacts = Counter(one["ContactNumber"] for one in books["contacts"])
        assert [n for n, times in (invoices + contacts).items() if times > 1] == []
        booked = {
            one["InvoiceNumber"]: Amounts(one["Total"], one["TotalTax"])
            for one in books["invoices"]
            if one["Status"] != "VOIDED"  # or never posted: whichever message was faster
        }
        if exact:
            assert sorted(booked.keys() - expected.keys()) == []
        assert sorted(expected.keys() - booked.keys()) == []
        differing = {n: (booked.get(n), a) for n, a in expected.items() if booked.get(n) != a}
        assert differing == {}

    async def assert_within_limits(self) -> None:
        """No call was one too many; a 429 that a test ordered does not count."""
        assert [
            one
            for one in await self.arrivals()
            if one["fault"] is None and (one["status"] == 429 or one["problem"])
        ] == []

    async def dead_letter_records(self) -> list[Any]:
        """All records of the dead-letter topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap_servers, auto_offset_reset="earliest"
        )
        part = TopicPartition(self.dead_letters, 0)
        records: list[Any] = []
        async with asyncio.timeout(PATIENCE):
            await consumer.start()
            try:
                consumer.assign([part])
                end = (await consumer.end_offsets([part]))[part]
                while await consumer.position(part) < end:
                    records += (await consumer.getmany(timeout_ms=500)).get(part, [])
            finally:
                await consumer.stop()
        return records


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
