"""The composition root: settings in, the running service out; one process, one loop."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import httpx
import structlog
from prometheus_client import ProcessCollector

from consumer.adapters.http import HttpServer, application
from consumer.adapters.kafka.publisher import KafkaPublisher
from consumer.adapters.kafka.source import GroupSettings, KafkaSource
from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.postgres.asking import PostgresQuestions
from consumer.adapters.postgres.authorisations import PostgresAuthorisations
from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.changing import Patience
from consumer.adapters.postgres.charts import PostgresCharts
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Database, Timeouts, database
from consumer.adapters.postgres.inbox import PostgresInbox
from consumer.adapters.postgres.ledger import PostgresLedger
from consumer.adapters.postgres.migrate import newest
from consumer.adapters.postgres.outbox import PostgresOutbox
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.pruning import Pruner
from consumer.adapters.postgres.sampling import Sampler
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.webhook import HttpWebhook
from consumer.adapters.xero import XeroAccounting, open_client
from consumer.adapters.xero_auth import IdentityServer, XeroTokens
from consumer.announce import Announcer
from consumer.apply import ChartReader, ChartWatch
from consumer.asking import MESSAGE_WAIT, Asker
from consumer.config import Settings
from consumer.deliver.auditing import Auditor
from consumer.deliver.calling import Caller, Measured
from consumer.deliver.looking import LookUps
from consumer.deliver.resolving import Resolver
from consumer.deliver.sending import Sender
from consumer.deliver.tending import Tender
from consumer.domain.errors import Halt
from consumer.domain.pacing import Limits
from consumer.ingest import Ingest
from consumer.metrics import Metrics
from consumer.ports import Sink, Unavailable
from consumer.stopping import unless

log = structlog.get_logger()

DRAIN = 20.0
"""Seconds that calls under way get to be answered once a stop is asked for."""
LEASE = 120
"""Seconds after which another pod announces what a dead one had begun to."""
SAMPLE = 15.0
"""Seconds between two samples of the ledger."""


def limits_of(settings: Settings) -> Limits:
    """Xero's limits as configured."""
    return Limits(
        settings.xero_minute_limit,
        settings.xero_day_limit,
        settings.xero_concurrency,
        settings.xero_app_minute_limit,
    )


def sinks_of(settings: Settings) -> list[Sink]:
    """Where failures are announced."""
    told = settings.webhook_url is not None and settings.webhook_secret is not None
    return ["dead_letter", "webhook"] if told else ["dead_letter"]


def webhook_of(settings: Settings) -> HttpWebhook | None:
    """Where failures are posted, to be closed by the caller; None: nowhere."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    secret = settings.webhook_secret.get_secret_value()
    return HttpWebhook(settings.webhook_url, secret, allow_http=settings.webhook_allow_http)


def authorisations_of(settings: Settings, db: Database) -> PostgresAuthorisations:
    """Secrets and tokens, opened with the settings' keys."""
    vault = settings.vault()
    return PostgresAuthorisations(db, vault.encrypt, vault.decrypt)


def inbox_of(settings: Settings, db: Database) -> PostgresInbox:
    """Where events are stored and planned, with the settings in force."""
    patience, sinks = Patience.of(settings.clocks()), sinks_of(settings)
    return PostgresInbox(db, Planner(Configuration(load_snapshot), patience, sinks), sinks=sinks)


def xero_tokens(
    settings: Settings, client: httpx.AsyncClient, store: PostgresAuthorisations
) -> XeroTokens:
    """Tokens of either kind of authorisation."""
    identity = IdentityServer(client, settings.xero_identity_url, settings.xero_api_url)
    return XeroTokens.over(identity, store, settings.xero_login_url)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The pool with the timeouts that every transaction sets."""
    timeouts = Timeouts(
        statement=settings.database_statement_timeout,
        lock=settings.database_lock_timeout,
        idle=settings.database_idle_timeout,
    )
    async with database(
        settings.database_url.get_secret_value(),
        timeouts=timeouts,
        max_size=settings.database_pool_size,
        statement_cache=settings.database_statement_cache,
    ) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that run, each until the stop event."""

    source: KafkaSource
    publisher: KafkaPublisher
    database: Database
    metrics: Metrics
    ingest: Ingest
    sender: Sender
    resolver: Resolver
    tender: Tender
    announcer: Announcer
    sampler: Sampler
    asker: Asker | None


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Service]:
    """All parts, connected to one another and to the outside, but not started."""
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        metrics.build.labels(version("lago-xero")).set(1)
        ProcessCollector(registry=metrics.registry)
        clocks = settings.clocks()
        limits = limits_of(settings)
        db = await stack.enter_async_context(open_database(settings))
        sinks = sinks_of(settings)
        webhook = webhook_of(settings)
        if webhook is not None:
            stack.push_async_callback(webhook.close)
        client = await stack.enter_async_context(open_client())
        configuration = Configuration(load_snapshot)
        planner = Planner(configuration, Patience.of(clocks), sinks)
        inbox = PostgresInbox(db, planner, sinks=sinks)
        ledger = PostgresLedger(
            db, configuration, planner, limits=limits, clocks=clocks, sinks=sinks,
            max_documents=settings.batch_documents,
        )  # fmt: skip
        authorisations = authorisations_of(settings, db)
        caller = Caller(
            XeroAccounting(client, settings.xero_api_url),
            xero_tokens(settings, client, authorisations),
            authorisations,
            ledger,
            metrics,
            clocks,
        )
        publisher = KafkaPublisher(settings.cluster(), max_bytes=settings.dead_letter_max_bytes)
        announcer = Announcer(
            PostgresOutbox(db),
            publisher,
            webhook,
            metrics,
            settings.dead_letter_topic,
            jitter=random.random,
            version=version("lago-xero"),
            lease=clocks.stretched(LEASE),
            interval=clocks.look_for_work,
        )

        def on_work() -> None:
            sender.wake()
            announcer.wake()

        tender: Tender
        sender = Sender(ledger, caller, metrics, clocks, on_accepted=lambda: tender.wake())
        budget = PostgresBudget(db, limits, clocks)
        charts = ChartWatch(
            PostgresCharts(db, sinks), ChartReader(Measured(caller, "chart"), budget),
            caller.token, metrics, clocks,
        )  # fmt: skip
        prune = _pruning(Pruner(db, settings.keeping()), metrics) if settings.prune else None
        lookups = LookUps(caller, budget, clocks)
        auditor = Auditor(ledger, lookups, metrics, on_work)
        tender = Tender(
            ledger, caller, metrics, clocks, on_work, charts.run_once, auditor.run_once, prune
        )
        resolver = Resolver(ledger, lookups, metrics, clocks, on_work)
        source = KafkaSource(
            settings.cluster(),
            settings.kafka_topics,
            settings.kafka_group_id,
            metrics,
            GroupSettings(
                max_poll_records=settings.kafka_max_poll_records,
                watch_interval=clocks.stretched(10),
            ),
        )
        ingest = Ingest(source, inbox, metrics, on_work)
        asker: Asker | None = None
        url, key = settings.lago_api_url, settings.lago_api_key
        if url is not None and key is not None:
            lago_api = HttpLagoApi(url, key.get_secret_value())
            stack.push_async_callback(lago_api.close)
            questions = PostgresQuestions(db, clocks.stretched(MESSAGE_WAIT), day=clocks.day)
            asker = Asker(questions, lago_api, inbox, metrics, clocks, on_work)
        yield Service(
            source, publisher, db, metrics, ingest, sender, resolver, tender, announcer,
            Sampler(db, metrics, limits, clocks), asker,
        )  # fmt: skip


def _pruning(pruner: Pruner, metrics: Metrics) -> Callable[[], Awaitable[bool]]:
    async def prune() -> bool:
        step = await pruner.step()
        if step is not None and step.dropped:
            metrics.pruned.labels(step.what).inc(step.dropped)
        return step is not None

    return prune


async def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; returns the process's exit code.

    Raises:
        Halt: something that only a person can mend.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with assemble(settings) as service:
        await must_be_migrated(service.database)
        server = HttpServer(
            application(
                _live(service, settings.liveness_after), _ready(service), service.metrics.registry
            ),
            settings.http_host,
            settings.http_port,
        )
        await server.start()
        try:
            await unless(stop, service.publisher.start(), None)
            if not stop.is_set():
                log.info("started", topics=list(settings.kafka_topics), http_port=server.port)
                await _run_parts(service, stop)
        finally:
            await service.source.stop()
            await service.publisher.stop()
            await server.stop()
    log.info("stopped")
    return 0


async def _run_parts(service: Service, stop: asyncio.Event) -> None:
    """Each part as a task; the first that fails stops the others and is raised."""
    parts: dict[str, Awaitable[None]] = {
        "ingest": _ingest(service, stop),
        "sender": service.sender.run(stop, DRAIN),
        "resolver": service.resolver.run(stop, DRAIN),
        "tender": service.tender.run(stop),
        "announcer": service.announcer.run(stop),
        "sampler": _sample(service.sampler, stop),
    }
    if service.asker is not None:
        parts["asker"] = service.asker.run(stop)
    tasks = {asyncio.ensure_future(part): name for name, part in parts.items()}
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    stopped.cancel()
    _, late = await asyncio.wait(tasks, timeout=DRAIN + 5)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task, name in tasks.items():
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("part_failed", part=name, error=type(error).__name__)
            raise error


async def _ingest(service: Service, stop: asyncio.Event) -> None:
    """Join the group, then follow it. The other parts do not wait: after a crash the group takes
    the session timeout to let us in, and what is in the ledger needs no Kafka to be delivered."""
    await unless(stop, service.source.start(), None)
    if not stop.is_set():
        log.info("joined")
        await service.ingest.run(stop)


async def _sample(sampler: Sampler, stop: asyncio.Event) -> None:
    """Gauges that cost a query, now and then: a twentieth of the time at most."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            await sampler.sample()
        except Unavailable as error:
            log.warning("ledger_away", why=str(error))
        except Exception:
            log.exception("sampling_fault")  # who is not watched must not stand still for it
        took = time.monotonic() - began
        try:
            await asyncio.wait_for(stop.wait(), max(sampler.clocks.stretched(SAMPLE), 19 * took))
        except TimeoutError:
            continue


def _live(service: Service, patience: float) -> Callable[[], str | None]:
    def live() -> str | None:
        health = service.source.health()
        if health.poll_age > patience:
            return f"the consumer has not polled for {health.poll_age:.0f} s"
        if health.stuck_age > patience:
            return f"records lie ahead, but none has come for {health.stuck_age:.0f} s"
        return None

    return live


def _ready(service: Service) -> Callable[[], Awaitable[Mapping[str, str | None]]]:
    async def ready() -> Mapping[str, str | None]:
        checks: dict[str, str | None] = {"kafka": None, "postgres": None, "migrations": None}
        if not service.source.health().assigned:
            checks["kafka"] = "no partitions are assigned yet"
        try:
            found = await _revision(service.database)
            if found != newest():
                checks["migrations"] = f"the schema is at {found}, not at {newest()}"
        except Unavailable as error:
            checks["postgres"] = f"not reachable: {error}"
        return checks

    return ready


async def _revision(db: Database) -> str | None:
    rows = await db.fetch("select to_regclass('alembic_version') is not null as there")
    if not rows[0]["there"]:
        return None
    return str((await db.fetch("select version_num from alembic_version"))[0]["version_num"])


async def must_be_migrated(db: Database) -> None:
    """Halt: the schema is not this version's."""
    found = await _revision(db)
    if found != newest():
        behind = f"The database's schema is at {found}, this version needs {newest()}."
        said = behind if found else "The database has not been migrated."
        raise Halt("not_migrated", said, "run: lago-xero migrate")
