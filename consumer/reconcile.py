"""Reconciling: a connection and a period in; Xero's books mirrored, both sides compared, exceptions out.

Reading is the lowest of all lanes: its budget leaves the reserve of each minute and day to live documents.
A run that is cut off anywhere has done nothing that matters: the next one goes on at the page it was at.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from consumer.domain.answers import Reply
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, Halt, NotExecuted
from consumer.domain.reconciling import (
    NOTED,
    Discrepancy,
    MirrorKind,
    Period,
    Sides,
    Total,
    compare,
    control_totals,
    mirror_kind,
)
from consumer.domain.reconciling.reading import (
    Page,
    UnreadablePage,
    lookup_paths,
    page_path,
    parse_page,
)
from consumer.ports import Accounting, Budget, Call
from consumer.ports.reconciling import Mirror, Noted, Reading, Run, Subject

PURPOSE = "reconcile"
PATIENCE = 900.0
"""Seconds to wait for the tenant's budget until the run is left to another time."""
PAUSE = 5.0
"""Seconds between two looks whether a call may be made; others may have spent what there was."""
LOOKUPS = 60
"""Documents other than invoices that are looked up singly in one run, because Xero's lists lack them."""

Token = Callable[[], Awaitable[str]]


class Progress(Protocol):
    """Who watches."""

    def read(self, kind: MirrorKind, page: int, pages: int) -> None:
        """A page was read."""

    def waits(self, seconds: float) -> None:
        """Xero's limits leave no room for so long."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a run has found. ``as_of`` is when each kind was read, ``compared_at`` when the ledger was.

    ``unverified`` counts the documents that Xero's lists lack and that were not looked up singly.
    """

    subject: Subject
    period: Period
    totals: tuple[Total, ...]
    exceptions: tuple[Discrepancy, ...]
    first_seen: Mapping[tuple[object, ...], datetime]
    repaired: frozenset[tuple[object, ...]]
    as_of: Mapping[MirrorKind, datetime]
    compared_at: datetime
    calls: int
    unverified: int

    @property
    def counts(self) -> dict[str, int]:
        """Exceptions by class."""
        return dict(sorted(Counter(one.name for one in self.exceptions).items()))

    @property
    def differences(self) -> dict[str, int]:
        """Those in which the sides differ, by class."""
        return {name: count for name, count in self.counts.items() if name not in NOTED}


class Reconcile:
    """Runs one reconciliation after another."""

    def __init__(self, mirror: Mirror, reader: Reader, now: Callable[[], datetime]) -> None:
        self.mirror = mirror
        self.reader = reader
        self.now = now

    async def run(
        self, subject: Subject, period: Period, *, full: bool = False, repair: str | None = None
    ) -> Reconciled:
        """Read what is new in Xero, compare, and repair what is safe if ``repair`` says who asks for it.

        Raises:
            Halt: Xero cannot be asked now; what was read is kept.
        """
        run = await self.mirror.begin(subject, period)
        for kind in subject.kinds:
            await self._mirror(subject, kind, period, run, full=full)
        compared_at = self.now()
        sides = await self.mirror.sides(subject, period, run.started_at)
        unverified = 0
        if lacking := _lacking(subject, sides):
            unverified = await self._look_up(subject, lacking)
            compared_at = self.now()
            sides = await self.mirror.sides(subject, period, run.started_at)
        found = compare(sides, period)
        noted = await self.mirror.note(subject, period, found)
        exceptions = tuple(_once(one, noted.get(one.key)) for one in found)
        repaired: tuple[Discrepancy, ...] = ()
        if repair is not None:
            repaired = tuple(one for one in exceptions if one.action is not None)
            await self.mirror.repair(subject, repaired, repair)
        reconciled = Reconciled(
            subject,
            period,
            control_totals(sides, period),
            exceptions,
            {key: one.first_seen for key, one in noted.items()},
            frozenset(one.key for one in repaired),
            await self.mirror.read_at(subject.tenant_id),
            compared_at,
            self.reader.calls,
            unverified,
        )
        await self.mirror.end(
            run,
            {
                "exceptions": reconciled.differences,
                "noted": {n: c for n, c in reconciled.counts.items() if n in NOTED},
                "repaired": len(repaired),
                "calls": reconciled.calls,
                "totals_agree": all(one.agrees for one in reconciled.totals),
            },
        )
        return reconciled

    async def _mirror(
        self, subject: Subject, kind: MirrorKind, period: Period, run: Run, *, full: bool
    ) -> None:
        """A reading that was cut off long ago is completed, and then brought up to date."""
        while reading := await self.mirror.reading(
            subject, kind, period.first, full=full, as_of=run.started_at
        ):
            page = await self.reader.page(reading)
            await self.mirror.keep(reading, page.shown, page.pages, page.items)

    async def _look_up(self, subject: Subject, lacking: Mapping[MirrorKind, list[UUID]]) -> int:
        """Mirror these too, as far as one run may; how many are left out."""
        left = LOOKUPS
        unverified = 0
        for kind, ids in lacking.items():
            asked = ids if kind == "invoice" else ids[:left]
            left -= 0 if kind == "invoice" else len(asked)
            unverified += len(ids) - len(asked)
            for path in lookup_paths(kind, asked):
                page = await self.reader.lookup(subject.tenant_id, kind, path)
                await self.mirror.seen(subject.tenant_id, page.shown)
        return unverified


def _lacking(subject: Subject, sides: Sides) -> Mapping[MirrorKind, list[UUID]]:
    """What the ledger has and no list showed: it may be dated before all that was read."""
    lacking: dict[MirrorKind, list[UUID]] = {}
    for entry in sides.entries:
        kind, xero_id = mirror_kind(entry.kind), entry.shown_as
        unseen = entry.in_xero and not entry.moved and sides.of(entry) is None
        if unseen and kind is not None and xero_id is not None and kind in subject.kinds:
            lacking.setdefault(kind, []).append(xero_id)
    return lacking


def _once(one: Discrepancy, noted: Noted | None) -> Discrepancy:
    """What was tried again once already, and is there still, is for a person."""
    if noted is None or not noted.tried or one.action is None:
        return one
    repair = f"It was repaired once already, which did not last. {one.repair}"
    return replace(one, repair=repair, safety="needs_approval", action=None)


class Reader:
    """Reads pages within the tenant's spare budget; ``calls`` counts what was asked."""

    def __init__(
        self,
        accounting: Accounting,
        budget: Budget,
        token: Token,
        clocks: Clocks,
        progress: Progress,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.accounting = accounting
        self.budget = budget
        self.token = token
        self.clocks = clocks
        self.progress = progress
        self.sleep = sleep
        self.calls = 0

    async def page(self, reading: Reading) -> Page:
        """The page that is next.

        Raises:
            Halt: it cannot be read now.
        """
        since = reading.covers if reading.since is None else None
        path = page_path(reading.kind, reading.page, since)
        reply = await self._get(reading.tenant_id, path, reading.since)
        page = _parsed(reply, reading.kind)
        self.progress.read(reading.kind, reading.page, page.pages)
        return page

    async def lookup(self, tenant_id: UUID, kind: MirrorKind, path: str) -> Page:
        """What Xero shows there; 404 is nothing. Raises as ``page`` does."""
        reply = await self._get(tenant_id, path, None, absent=True)
        return Page((), 1, 0) if reply.status == 404 else _parsed(reply, kind)

    async def _get(
        self, tenant_id: UUID, path: str, since: datetime | None, *, absent: bool = False
    ) -> Reply:
        waited = 0.0
        while True:
            taken = await self.budget.take(tenant_id, PURPOSE, "GET", path)
            if isinstance(taken, float | int):
                waited = await self._wait(float(taken), waited)
                continue
            reply = await self._call(taken, tenant_id, path, since)
            if reply.status == 429:
                waited = await self._wait(reply.limits.retry_after or PAUSE, waited)
                continue
            if reply.status == 200 or (absent and reply.status == 404):
                return reply
            what = path.partition("?")[0]
            if reply.status in (401, 403):
                raise Halt(
                    "xero_closed",
                    f"Xero does not show {what} (status {reply.status}).",
                    "Look at the client's scopes and its connection in Xero.",
                )
            raise Halt(
                "xero_unavailable",
                f"Xero answered {reply.status} to GET {what}.",
                "Run it again later: it goes on where it stopped.",
            )

    async def _wait(self, seconds: float, waited: float) -> float:
        if waited + seconds > self.clocks.stretched(PATIENCE):
            raise Halt(
                "budget_spent",
                f"What Xero allows the organisation leaves no room for {seconds:.0f} s.",
                "Run it again then: it goes on where it stopped.",
            )
        self.progress.waits(seconds)
        pause = min(seconds, PAUSE)
        await self.sleep(pause)
        return waited + pause

    async def _call(
        self, request_id: UUID, tenant_id: UUID, path: str, since: datetime | None
    ) -> Reply:
        reply = None
        try:
            self.calls += 1
            call = Call(
                tenant_id,
                await self.token(),
                "GET",
                path,
                if_modified_since=since,
                timeout=self.clocks.call_timeout,
            )
            reply = await self.accounting.call(call)
        except (NotExecuted, Doubt) as error:
            again = "Run it again later: it goes on where it stopped."
            said = f"Xero cannot be asked: {error.sentence}"
            raise Halt("xero_unreachable", said, again) from None
        finally:
            await self.budget.answered(request_id, reply)
        return reply


def _parsed(reply: Reply, kind: MirrorKind) -> Page:
    try:
        return parse_page(reply, kind)
    except UnreadablePage as error:
        raise Halt("unreadable_page", f"Xero's answer is unusable: {error}.") from None
