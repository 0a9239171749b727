"""Sending: tenants with work in, frozen requests called and their answers settled out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from consumer.deliver.calling import Caller, kind_of
from consumer.domain.answers import InDoubt, NotDone, Reply, Verdict
from consumer.domain.classifying import classify
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted
from consumer.domain.operations import elements_of
from consumer.metrics import Metrics
from consumer.ports import Call, Fate, Frozen, Ledger, Unavailable
from consumer.stopping import drain, either

log = structlog.get_logger()

TENANTS_AT_ONCE = 6
"""Tenants whose requests this process freezes at the same time: each takes a database connection."""
CALLS_AT_ONCE = 100
BUSY = 0.03
"""Seconds to leave a tenant alone whose row another pod holds."""


class Sender:
    """Freezes one request after another for each tenant with work, and calls them side by side."""

    def __init__(
        self,
        ledger: Ledger,
        caller: Caller,
        metrics: Metrics,
        clocks: Clocks,
        on_accepted: Callable[[], None],
    ) -> None:
        self.on_accepted = on_accepted
        self.ledger = ledger
        self.caller = caller
        self.metrics = metrics
        self.clocks = clocks
        self._wake = asyncio.Event()
        self._serving: dict[UUID, asyncio.Task[None]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._left_alone: dict[UUID, float] = {}
        self._room = asyncio.Semaphore(CALLS_AT_ONCE)

    def wake(self) -> None:
        """There may be work."""
        self._wake.set()

    async def run(self, stop: asyncio.Event, patience: float = 20.0) -> None:
        """Until ``stop``; calls under way then have ``patience`` seconds to be answered and settled.

        What is cut off stays an open request: whoever looks next finds out what became of it.
        """
        while not stop.is_set():
            self._wake.clear()
            try:
                wait = await self._look(stop)
            except Unavailable as error:
                log.warning("ledger_away", why=str(error))
                wait = self.clocks.look_for_work
            if wait > 0 and not stop.is_set():
                await either(self._wake, stop, wait)
        await drain(lambda: {*self._serving.values(), *self._calls}, patience)

    async def _look(self, stop: asyncio.Event) -> float:
        """Serve tenants that are due; returns the seconds until it is worth looking again."""
        due, wait = await self.ledger.due(TENANTS_AT_ONCE * 8)
        now = time.monotonic()
        started = False
        for tenant_id, authorisation_id in due:
            if len(self._serving) >= TENANTS_AT_ONCE:
                return self.clocks.look_for_work  # a tenant that is done wakes us
            if tenant_id in self._serving:
                continue
            rested = self._left_alone.get(tenant_id, 0.0) - now
            if rested > 0:
                wait = min(wait, rested)
                continue
            task = asyncio.create_task(self._serve(tenant_id, authorisation_id, stop))
            self._serving[tenant_id] = task
            started = True
        return 0.001 if started else max(wait, 0.001)

    async def _serve(self, tenant_id: UUID, authorisation_id: int, stop: asyncio.Event) -> None:
        busy = False
        try:
            token = await self.caller.token(tenant_id, authorisation_id)
            while token is not None and not stop.is_set():
                await self._room.acquire()
                began = time.monotonic()
                try:
                    freezing = await self.ledger.freeze(tenant_id)
                except BaseException:
                    self._room.release()
                    raise
                count_fates(self.metrics, freezing.fates)
                for note in freezing.notes:
                    self.metrics.notes.labels(note.kind).inc()
                if freezing.frozen is None:
                    self._room.release()
                else:
                    self._start(freezing.frozen, token, began)
                if not freezing.more:
                    busy = freezing.busy
                    break
        except Unavailable as error:
            log.warning("ledger_away", why=str(error))
        except Exception:
            log.exception("serve_fault", tenant=str(tenant_id))
            await self._leave(tenant_id)
        finally:
            del self._serving[tenant_id]
            if busy:
                self._left_alone = {
                    t: until for t, until in self._left_alone.items() if until > time.monotonic()
                }
                self._left_alone[tenant_id] = time.monotonic() + BUSY
            self.wake()

    async def _leave(self, tenant_id: UUID) -> None:
        """A fault of ours with one tenant must not keep the others from their turn."""
        try:
            await self.ledger.block(tenant_id, self.clocks.stretched(30), "fault")
        except Unavailable as error:
            log.warning("ledger_away", why=str(error))

    def _start(self, frozen: Frozen, token: str, began: float) -> None:
        task = asyncio.create_task(self._send(frozen, token, began))
        self._calls.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._calls.discard(task)
            self._room.release()
            self.wake()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error(
                    "send_fault", error=type(error).__name__, request_id=str(frozen.request_id)
                )

        task.add_done_callback(done)

    async def _send(self, frozen: Frozen, token: str, began: float) -> None:
        self.metrics.batch_size.labels(kind_of(frozen.purpose)).observe(frozen.count)
        call = Call(
            tenant_id=frozen.tenant_id,
            token=token,
            method=frozen.method,
            path=frozen.path,
            body=frozen.body or None,
            idempotency_key=str(frozen.request_id),
            first_byte_by=began + self.clocks.freeze_to_first_byte,
            timeout=self.clocks.call_timeout,
        )
        reply: Reply | None = None
        verdict: Verdict | None = None
        called = time.monotonic()
        try:
            reply = await self.caller.call(call, frozen.purpose)
            verdict = classify(reply, kind_of(frozen.purpose), elements_of(frozen.body))
        except NotExecuted:
            verdict = None
        except Doubt as doubt:
            verdict = InDoubt(doubt.code)
        duration_ms = round((time.monotonic() - called) * 1000)
        fates = await self._settle(frozen, verdict, reply)
        count_fates(self.metrics, fates)
        if any(fate.state == "synced" for fate in fates):
            self.on_accepted()
        log.info(
            "request_settled",
            request_id=str(frozen.request_id),
            tenant=str(frozen.tenant_id),
            purpose=frozen.purpose,
            documents=frozen.count,
            status=reply.status if reply else None,
            verdict=type(verdict).__name__ if verdict else "NotExecuted",
            states=dict(Counter(fate.state for fate in fates)),
            error_codes=sorted({fate.code for fate in fates if fate.code is not None}),
            duration_ms=duration_ms,
            xero_correlation=reply.correlation if reply else None,
        )
        if isinstance(verdict, NotDone):
            await self.caller.refused(frozen.tenant_id, frozen.authorisation_id, token, verdict)
        elif reply is not None:
            self.caller.accepted(frozen.authorisation_id)

    async def _settle(
        self, frozen: Frozen, verdict: Verdict | None, reply: Reply | None
    ) -> Sequence[Fate]:
        """Answers are facts: tried until the ledger takes it, or the process ends."""
        wait = 0.05
        while True:
            try:
                return await self.ledger.settle(frozen.request_id, verdict, reply)
            except Unavailable as error:
                log.warning("ledger_away", why=str(error), request_id=str(frozen.request_id))
                await asyncio.sleep(wait)
                wait = min(wait * 2, self.clocks.look_for_work)


def count_fates(metrics: Metrics, fates: Sequence[Fate]) -> None:
    """Documents by what became of them, failures by code, and how long acceptance took."""
    for fate in fates:
        if fate.state != "noticed":  # told of beside what became of it
            metrics.documents.labels(fate.kind, fate.state).inc()
        if fate.code is not None and fate.state != "dissolved":
            metrics.failures.labels(fate.code).inc()
        if fate.accepted_after is not None:
            metrics.accepted_seconds.labels(fate.kind).observe(fate.accepted_after)
