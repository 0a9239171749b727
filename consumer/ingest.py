"""Ingest: Kafka records in, what Lago says in the ledger out; then, and only then, the offsets."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from pydantic import ValidationError

from consumer.domain.errors import TooManyRejects, Undecodable
from consumer.domain.events import Ignored, decode
from consumer.metrics import Metrics
from consumer.ports import Inbox, Incoming, Ingested, Record, Source, Unavailable, Unstorable

log = structlog.get_logger()

POLL = 0.5
RETRY = 1.0
FAULTS_IN_A_ROW = 50
"""So many records that we, not their sender, are at fault for, and the service stops: a release
that can decode or store nothing must not turn a topic into dead letters."""
OF_A_VALUE = (Unstorable, ArithmeticError, ValueError, RecursionError)
"""What the values of a single message bring about: however many such messages come in a row, their
sender is at fault for each."""


class Intake:
    """Decodes records and stores what they tell, a transaction a batch; known events cost a look-up."""

    def __init__(self, inbox: Inbox, metrics: Metrics, on_work: Callable[[], None]) -> None:
        self.inbox = inbox
        self.metrics = metrics
        self.on_work = on_work
        self._faults = {"decoding": 0, "storing": 0}

    async def store(self, records: Sequence[Record]) -> Ingested:
        """Decode what is not known and store it; returns what changed."""
        started = time.perf_counter()
        by_digest: dict[bytes, Record] = {}
        for record in records:  # the first of equal ones, as if each came in a batch of its own
            by_digest.setdefault(digest_of(record), record)
        known = await self.inbox.known(list(by_digest))
        self._count("known", len(records) - len(by_digest) + len(known))
        batch = []
        for digest, record in by_digest.items():
            if digest in known:
                continue
            incoming = self._decode(record, digest)
            if incoming is None:
                self._count("ignored", 1)
            else:
                batch.append(incoming)
        ingested = await self._ingest(batch) if batch else Ingested()
        for one in batch:
            if one.error is not None:
                _log_dead(one)
        if batch:
            duration_ms = round((time.perf_counter() - started) * 1000)
            log.info("events_stored", records=len(records), merged=ingested.merged,
                     dead=ingested.dead + ingested.still_dead, duration_ms=duration_ms)  # fmt: skip
        self._count("merged", ingested.merged)
        self._count("dead", ingested.dead + ingested.still_dead)
        for code in ingested.codes:
            self.metrics.failures.labels(code).inc()
        self.metrics.ingest_seconds.observe(time.perf_counter() - started)
        self.on_work()
        return ingested

    async def store_all(
        self, records: Sequence[Record], again: Callable[[int], Awaitable[bool]]
    ) -> int:
        """Store all of them; how many are dead.

        In ever smaller parts: Postgres also ends a transaction whose batch takes us too long to plan.

        Args:
            again: waits, and says whether to go on, when it was away so many times in a row.

        Raises:
            Unavailable: it was away, and nobody wants to go on.
        """
        left, most, away, dead = records, len(records), 0, 0
        while left:
            try:
                dead += (await self.store(left[:most])).dead
            except Unavailable as error:
                log.warning("ledger_away", why=str(error), records=len(left[:most]))
                away += 1
                if not await again(away):
                    raise
                most = max(1, min(most, len(left)) // 2)
            else:
                left, most, away = left[most:], most * 2, 0
        return dead

    def _decode(self, record: Record, digest: bytes) -> Incoming | None:
        """None for a message of a type that says nothing to us."""
        try:
            event = decode(record.value, appended=record.appended, digest=digest.hex())
        except Undecodable as error:
            return Incoming(record, digest, error=error)
        except Exception as error:  # noqa: BLE001 - one record must not stop the topic
            log.error("decoder_fault", error=type(error).__name__, topic=record.topic,
                      partition=record.partition, offset=record.offset)  # fmt: skip
            self._judge("decoding", error)
            fault = Undecodable(
                "decoder_fault",
                f"Decoding failed with {type(error).__name__}.",
                "This is a fault of ours: report it; the record is kept and can be read again.",
            )
            return Incoming(record, digest, error=fault)
        self._faults["decoding"] = 0
        return None if isinstance(event, Ignored) else Incoming(record, digest, event=event)

    async def _ingest(self, batch: Sequence[Incoming]) -> Ingested:
        """Store it; a record that cannot be stored or planned is found by halving, and dead."""
        try:
            ingested = await self.inbox.ingest(batch)
            if ingested.merged:
                self._faults["storing"] = 0
            return ingested
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one record must not stop the topic
            why = _why(error)
            log.warning("batch_unstorable", why=why, events=len(batch))
            if len(batch) > 1:
                half = len(batch) // 2
                first, second = await self._ingest(batch[:half]), await self._ingest(batch[half:])
                return Ingested(
                    first.merged + second.merged,
                    first.dead + second.dead,
                    first.codes + second.codes,
                    first.still_dead + second.still_dead,
                )
            [one] = batch
            self._judge("storing", error)
            dead = Undecodable(
                "unstorable",
                f"This message cannot be stored ({why}).",
                "Look for absurd numbers or dates in it; if there are none, report it.",
            )
            unstorable = Incoming(one.record, one.digest, error=dead)
            ingested = await self.inbox.ingest([unstorable])
            _log_dead(unstorable)
            return ingested

    def _judge(self, stage: str, error: Exception) -> None:
        """Count a record that its sender is not at fault for.

        What pydantic refuses after decoding, it took while decoding: no sender brings that about.
        """
        if isinstance(error, OF_A_VALUE) and not isinstance(error, ValidationError):
            return
        self._faults[stage] += 1
        if self._faults[stage] >= FAULTS_IN_A_ROW:
            raise TooManyRejects(
                "too_many_rejects",
                f"{self._faults[stage]} messages in a row cannot be taken in ({_why(error)}).",
                "The fault is ours or the database's: run the version before, and report it. "
                "Nothing is lost: reading goes on where it stopped.",
            )

    def _count(self, outcome: str, number: int) -> None:
        if number:
            self.metrics.events.labels(outcome).inc(number)


class Ingest(Intake):
    """One poll batch is one transaction, then one offset commit."""

    def __init__(
        self, source: Source, inbox: Inbox, metrics: Metrics, on_work: Callable[[], None]
    ) -> None:
        super().__init__(inbox, metrics, on_work)
        self.source = source

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``: the batch at hand is finished or left uncommitted, never half done."""
        while not stop.is_set():
            records = await self.source.poll(POLL)
            if records and await self._store(records, stop):
                await self.source.commit()

    async def _store(self, records: Sequence[Record], stop: asyncio.Event) -> bool:
        """Store until it is stored; while Postgres is away, stay in the group without reading on."""

        async def again(_: int) -> bool:
            if not stop.is_set():
                await self.source.hold(RETRY)
                return True
            return False

        try:
            await self.store_all(records, again)
        except Unavailable:
            return False
        return True


def digest_of(record: Record) -> bytes:
    """The event's key: of the value; a record without one is only itself."""
    if record.value:
        return hashlib.sha256(record.value).digest()
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return hashlib.sha256(place.encode()).digest()


def _log_dead(incoming: Incoming) -> None:
    record, error = incoming.record, incoming.error
    log.warning("event_dead", event_id=incoming.digest.hex(), topic=record.topic,
                partition=record.partition, offset=record.offset,
                error_code=error.code if error else None)  # fmt: skip


def _why(error: Exception) -> str:
    """Its kind: an error's own words may quote a message."""
    return str(error) if isinstance(error, Unstorable) else type(error).__name__
