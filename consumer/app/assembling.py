"""Assembling: settings in, all of the service's parts, connected to one another, out."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import ProcessCollector

from consumer.adapters.kafka.publisher import KafkaPublisher
from consumer.adapters.kafka.source import GroupSettings, KafkaSource
from consumer.adapters.postgres.asking import PostgresQuestions
from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.charts import PostgresCharts
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.ledger import PostgresLedger
from consumer.adapters.postgres.outbox import PostgresOutbox
from consumer.adapters.postgres.pruning import Pruner
from consumer.adapters.postgres.sampling import Sampler
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.xero import XeroAccounting, open_client
from consumer.announce import Announcer
from consumer.app.parts import (
    authorisations_of,
    inbox_of,
    lago_api_of,
    limits_of,
    open_database,
    planner_of,
    sinks_of,
    webhook_of,
    xero_tokens,
)
from consumer.apply import ChartReader, ChartWatch
from consumer.asking import MESSAGE_WAIT, Asker
from consumer.config import Settings
from consumer.deliver.auditing import Auditor
from consumer.deliver.calling import Caller, Measured
from consumer.deliver.looking import LookUps
from consumer.deliver.resolving import Resolver
from consumer.deliver.sending import Sender
from consumer.deliver.tending import Tender
from consumer.ingest import Ingest
from consumer.metrics import Metrics

LEASE = 120
"""Seconds after which another pod announces what a dead one had begun to."""


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
        planner = planner_of(settings, configuration)
        inbox = inbox_of(settings, db, planner)
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
        lago_api = await stack.enter_async_context(lago_api_of(settings))
        if lago_api is not None:
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
