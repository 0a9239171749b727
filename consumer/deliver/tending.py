"""Tending: what is looked at now and then: releases, ended waits, consents, charts, audits, pruning."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog

from consumer.deliver.calling import Caller
from consumer.deliver.sending import count_fates
from consumer.domain.clocks import Clocks
from consumer.metrics import Metrics
from consumer.ports import Ledger, Unavailable
from consumer.stopping import either, unless

log = structlog.get_logger()

T = TypeVar("T")
F = TypeVar("F")

CAUSES = 20
WAITS = 200
RENEW_LOOKS = 60
"""Looks for work between two looks for consents to renew."""
CHART_LOOKS = 60
"""Looks for work between two looks for charts to read again."""
AUDIT_LOOKS = 10
"""Looks for work between two looks for requests to audit."""
PRUNE_LOOKS = 86_400
"""Looks for work between two passes of pruning; within a pass there is one between two pages."""

FAULT_LOOKS = 60
"""Looks for work until a page of pruning that failed is tried again."""


class Tender:
    """Looks at each of them once an interval, and again at once while there is more to do."""

    def __init__(
        self,
        ledger: Ledger,
        caller: Caller,
        metrics: Metrics,
        clocks: Clocks,
        on_work: Callable[[], None],
        refresh_chart: Callable[[], Awaitable[int]],
        audit: Callable[[], Awaitable[int]],
        prune: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.ledger = ledger
        self.caller = caller
        self.metrics = metrics
        self.clocks = clocks
        self.on_work = on_work
        self.refresh_chart = refresh_chart
        self.audit = audit
        self.prune = prune
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A cause may have gone."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; the transaction at hand is finished."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(stop, self._release, wake=self._wake))
            tasks.create_task(self._every(stop, self._expire))
            tasks.create_task(self._every(stop, self._renew, rests=RENEW_LOOKS))
            charts = partial(self._cut_off, stop, self.refresh_chart)
            tasks.create_task(self._every(stop, charts, rests=CHART_LOOKS))
            audits = partial(self._cut_off, stop, self.audit)
            tasks.create_task(self._every(stop, audits, rests=AUDIT_LOOKS))
            if self.prune is not None:
                tasks.create_task(self._prune(stop, self.prune))

    async def _every(
        self,
        stop: asyncio.Event,
        work: Callable[[], Awaitable[int]],
        *,
        wake: asyncio.Event | None = None,
        rests: int = 1,
    ) -> None:
        wake = wake or asyncio.Event()
        while not stop.is_set():
            if await _tried(work(), 0):
                self.on_work()
                continue
            await either(stop, wake, rests * self.clocks.look_for_work)
            wake.clear()

    async def _prune(self, stop: asyncio.Event, prune: Callable[[], Awaitable[bool]]) -> None:
        """A page at a time, never in haste: nobody waits for it, and others wait for Postgres."""
        while not stop.is_set():
            more = await _tried(prune(), None)
            rests = FAULT_LOOKS if more is None else 1 if more else PRUNE_LOOKS
            await unless(stop, asyncio.sleep(rests * self.clocks.look_for_work), None)

    async def _release(self) -> int:
        return await self.ledger.release(CAUSES)

    async def _renew(self) -> int:
        await self.caller.renew_resting()
        return 0  # what could not be renewed now is not tried again at once

    async def _expire(self) -> int:
        fates = await self.ledger.expire(WAITS)
        count_fates(self.metrics, fates)
        return len(fates) + await self.ledger.end_patience(WAITS)

    async def _cut_off(self, stop: asyncio.Event, work: Callable[[], Awaitable[int]]) -> int:
        """It only reads, and may have to wait for its turn: a stop cuts it off."""
        return await unless(stop, work(), 0)


async def _tried(work: Awaitable[T], failed: F) -> T | F:
    """What ``work`` gives, or ``failed``: one bad row must not stop the service."""
    try:
        return await work
    except Unavailable as error:
        log.warning("ledger_away", why=str(error))
    except Exception:
        log.exception("tending_fault")
    return failed
