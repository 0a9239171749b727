"""Reconciling: a connection and a period in; Xero's books mirrored, compared with the ledger, and the ledger
with Lago's API where that is configured; exceptions out.

Reading Xero is the lowest of all lanes: its budget leaves a reserve of each minute and day to live documents.
A run that is cut off anywhere has done nothing that matters: the next one goes on at the page it was at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from consumer.domain.reconciling import (
    AGAINST_LAGO,
    NOTED,
    PERSISTED,
    Discrepancy,
    MirrorKind,
    Period,
    Sides,
    ToCome,
    Total,
    compare,
    control_totals,
    mirror_kind,
    to_come,
)
from consumer.domain.reconciling.reading import lookup_paths
from consumer.ports import Unanswered
from consumer.ports.reconciling import Mirror, Noted, Run, Subject
from consumer.reconcile.lago import NOT_CONFIGURED, Lago, LagoCompared
from consumer.reconcile.reading import Reader

LOOKUPS = 60
"""Documents other than invoices that are looked up singly in one run, because Xero's lists lack them."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a run has found. ``as_of`` is when each kind was read, ``compared_at`` when the ledger was.

    ``unverified`` counts the documents that Xero's lists lack and that were not looked up singly.
    """

    subject: Subject
    period: Period
    totals: tuple[Total, ...]
    to_come: tuple[ToCome, ...]
    exceptions: tuple[Discrepancy, ...]
    first_seen: Mapping[tuple[object, ...], datetime]
    repaired: frozenset[tuple[object, ...]]
    as_of: Mapping[MirrorKind, datetime]
    compared_at: datetime
    calls: int
    unverified: int
    lago: LagoCompared = NOT_CONFIGURED

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

    def __init__(
        self,
        mirror: Mirror,
        reader: Reader,
        now: Callable[[], datetime],
        lago: Lago | None = None,
    ) -> None:
        self.mirror = mirror
        self.reader = reader
        self.now = now
        self.lago = lago

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
        lago = NOT_CONFIGURED
        if self.lago is not None:
            lago = await self.lago.compare(subject, period, sides.entries)
        found = (*compare(sides, period), *lago.exceptions)
        looked_for = PERSISTED if lago.why is None else PERSISTED - AGAINST_LAGO
        noted = await self.mirror.note(subject, period, found, looked_for)
        exceptions = tuple(_once(one, noted.get(one.key)) for one in found)
        repaired: tuple[Discrepancy, ...] = ()
        if repair is not None:
            lago, repaired = await self._repair(subject, exceptions, repair, lago)
        reconciled = Reconciled(
            subject,
            period,
            control_totals(sides, period),
            to_come(sides, period),
            exceptions,
            {key: one.first_seen for key, one in noted.items()},
            frozenset(one.key for one in repaired),
            await self.mirror.read_at(subject.tenant_id),
            compared_at,
            self.reader.calls,
            unverified,
            lago,
        )
        await self.mirror.end(
            run,
            {
                "exceptions": reconciled.differences,
                "noted": {n: c for n, c in reconciled.counts.items() if n in NOTED},
                "repaired": len(repaired),
                "calls": reconciled.calls,
                "lago": lago.why or "compared",
                "totals_agree": all(one.agrees for one in reconciled.totals),
            },
        )
        return reconciled

    async def _repair(
        self,
        subject: Subject,
        exceptions: tuple[Discrepancy, ...],
        who: str,
        lago: LagoCompared,
    ) -> tuple[LagoCompared, tuple[Discrepancy, ...]]:
        """Do what is safe: what came of asking Lago, and all that was repaired. A Lago that is away, or asks
        to wait longer than we do, is not asked for each of the others too."""
        repaired = []
        silent = False
        for one in exceptions:
            if one.action == "take_in" and self.lago is not None:
                if silent:
                    continue
                try:
                    await self.lago.take_in(one)
                except Unanswered as error:
                    lago = replace(lago, why=error.sentence)
                    silent = error.why in ("refused", "throttled", "unavailable")
                    continue
                repaired.append(one)
            elif one.action is not None:
                repaired.append(one)
        await self.mirror.repair(subject, repaired, who)
        calls = lago.calls if self.lago is None else self.lago.reader.calls
        return replace(lago, calls=calls), tuple(repaired)

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
