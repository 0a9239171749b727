"""Running: the service's parts in, one process with one loop until it is told to stop out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from consumer.adapters.http import HttpServer, application
from consumer.adapters.postgres.migrate import newest
from consumer.adapters.postgres.sampling import Sampler
from consumer.app.assembling import Service, assemble
from consumer.app.parts import must_be_migrated, revision_of
from consumer.config import Settings
from consumer.ports import Unavailable
from consumer.stopping import on_signals, unless

log = structlog.get_logger()

DRAIN = 20.0
"""Seconds that calls under way get to be answered once a stop is asked for."""
SAMPLE = 15.0
"""Seconds between two samples of the ledger."""


async def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; returns the process's exit code.

    Raises:
        Halt: something that only a person can mend.
    """
    stop = on_signals()
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
            found = await revision_of(service.database)
            if found != newest():
                checks["migrations"] = f"the schema is at {found}, not at {newest()}"
        except Unavailable as error:
            checks["postgres"] = f"not reachable: {error}"
        return checks

    return ready
