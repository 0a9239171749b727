"""Resolving: requests in doubt in; each sent again, adopted or dissolved out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import structlog

from consumer.deliver.calling import kind_of
from consumer.deliver.looking import LookUps
from consumer.deliver.reading import Postponed
from consumer.deliver.sending import count_fates
from consumer.domain.answers import InDoubt, NotDone, Saved
from consumer.domain.classifying import classify
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted
from consumer.domain.lookup import LOOK_FIRST, UNRESOLVED
from consumer.domain.operations import elements_of
from consumer.metrics import Metrics
from consumer.ports import Absent, Doubtful, Ledger, Sighting, Unavailable
from consumer.stopping import drain, either

log = structlog.get_logger()

AT_ONCE = 20
"""Requests that this process looks up side by side."""
A_TENANT = 2
"""Of them, those of one tenant: whose answers are slow must not hold up the others."""


class Resolver:
    """Finds out what became of requests without a usable answer.

    Args:
        on_work: told when documents have moved on or something is to be announced.
    """

    def __init__(
        self,
        ledger: Ledger,
        lookups: LookUps,
        metrics: Metrics,
        clocks: Clocks,
        on_work: Callable[[], None],
    ) -> None:
        self.ledger = ledger
        self.lookups = lookups
        self.metrics = metrics
        self.clocks = clocks
        self.on_work = on_work
        self._wake = asyncio.Event()
        self._looks: dict[asyncio.Task[None], UUID] = {}
        """Under way, each with its tenant."""

    async def run(self, stop: asyncio.Event, patience: float = 20.0) -> None:
        """Until ``stop``; look-ups under way then have ``patience`` seconds to end."""
        while not stop.is_set():
            self._wake.clear()
            try:
                await self._begin()
            except Unavailable as error:
                log.warning("ledger_away", why=str(error))
            except Exception:
                log.exception("resolving_fault")  # one bad row must not stop the service
            await either(self._wake, stop, self.clocks.look_for_work)
        await drain(lambda: self._looks, patience)

    async def _begin(self) -> None:
        """Look at what is due, as far as there is room for its tenant."""
        busy = Counter(self._looks.values())
        full = [tenant_id for tenant_id, looks in busy.items() if looks >= A_TENANT]
        room = AT_ONCE - len(self._looks)
        for request_id, tenant_id in await self.ledger.doubtful(room, A_TENANT, full):
            if busy[tenant_id] < A_TENANT:
                busy[tenant_id] += 1
                task = asyncio.create_task(self._resolve(request_id))
                self._looks[task] = tenant_id
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._looks[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("resolving_fault", error=type(error).__name__)

    async def _resolve(self, request_id: UUID) -> None:
        try:
            doubtful = await self.ledger.take_doubt(request_id)
            if doubtful is not None:
                await self._take_up(doubtful)
        except Unavailable as error:  # the claim ends by itself
            log.warning("ledger_away", why=str(error), request_id=str(request_id))

    async def _take_up(self, doubtful: Doubtful) -> None:
        request_id = doubtful.frozen.request_id
        try:
            await (self._resend(doubtful) if doubtful.resend else self._find_out(doubtful))
        except Postponed as later:
            await self.ledger.postpone(request_id, later.seconds)
        except (NotExecuted, Doubt) as error:
            await self._failed(doubtful, error.code)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("resolving_fault", request_id=str(request_id))
            await self._failed(doubtful, type(error).__name__)

    async def _find_out(self, doubtful: Doubtful) -> None:
        sightings = await self.lookups.sightings(doubtful)
        fates = await self.ledger.resolve(doubtful.frozen.request_id, sightings)
        count_fates(self.metrics, fates)
        self.on_work()
        if len(sightings) == len(doubtful.members):
            self._ended(doubtful, sightings)
        else:  # the rest may still arrive
            raise Postponed(min(doubtful.final_in, self.clocks.stretched(60)))

    async def _failed(self, doubtful: Doubtful, why: str) -> None:
        """The look-up told nothing: the next comes later than the last one did."""
        wait = self.clocks.backoff(doubtful.looks)
        announced = await self.ledger.look_failed(doubtful.frozen.request_id, why, wait)
        if announced:
            self.metrics.doubts.labels("unresolved").inc()
            self.metrics.failures.labels(UNRESOLVED).inc(announced)
            self.on_work()
        log.warning(
            "look_up_failed",
            request_id=str(doubtful.frozen.request_id),
            tenant=str(doubtful.frozen.tenant_id),
            why=why,
            looks=doubtful.looks + 1,
            again_in=wait,
        )

    def _ended(self, doubtful: Doubtful, sightings: dict[int, Sighting]) -> None:
        if doubtful.why == LOOK_FIRST:
            return  # it was never in doubt
        adopted = sum(isinstance(f, Saved) for f in sightings.values())
        self.metrics.doubts.labels("adopted" if adopted else "dissolved").inc()
        log.info(
            "doubt_resolved",
            request_id=str(doubtful.frozen.request_id),
            tenant=str(doubtful.frozen.tenant_id),
            why=doubtful.why,
            adopted=adopted,
            absent=sum(isinstance(f, Absent) for f in sightings.values()),
        )

    async def _resend(self, doubtful: Doubtful) -> None:
        """The same bytes under the same key: Xero answers as it did, or does it now."""
        frozen = doubtful.frozen
        try:
            reply = await self.lookups.reader.call(
                doubtful, frozen.method, frozen.path, "resend", frozen.body or None
            )
        except NotExecuted:
            raise Postponed(self.clocks.look_for_work) from None
        except Doubt:  # not again while this one may be under way
            lease = self.clocks.freeze_to_first_byte + self.clocks.call_timeout
            raise Postponed(lease) from None
        verdict = classify(reply, kind_of(frozen.purpose), elements_of(frozen.body))
        if isinstance(verdict, NotDone):
            # It says nothing of the first call, which may well have been executed.
            raise Postponed(verdict.retry_after or self.clocks.look_for_work)
        fates = await self.ledger.settle(frozen.request_id, verdict, reply)
        count_fates(self.metrics, fates)
        self.on_work()
        if not isinstance(verdict, InDoubt):
            self.metrics.doubts.labels("resent").inc()
