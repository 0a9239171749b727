"""Looking up: a request in doubt in, what Xero keeps of its documents out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from pydantic_core import from_json

from consumer.deliver import sight
from consumer.deliver.calling import Caller, kind_of
from consumer.deliver.reading import Reader
from consumer.domain.answers import Saved
from consumer.domain.classifying import SCOPE_MISSING
from consumer.domain.clocks import Clocks
from consumer.domain.elements import marker_in
from consumer.domain.errors import Doubt
from consumer.domain.lookup import (
    ALREADY_PAID,
    LOOK_FIRST,
    RESTORED,
    by_id_path,
    contact_by_number_path,
    contact_sweep_path,
    contacts_path,
    credit_note_path,
    invoice_lookup_path,
    overpayment_sweep_path,
    overpayments_path,
    payment_sweep_path,
    payments_on_path,
    refunds_path,
)
from consumer.domain.matching import (
    BY_HAND_WITHIN,
    match_allocations,
    match_marked,
    match_overpayments,
    match_payments,
    match_removed,
)
from consumer.domain.merging import Traced, trace, unread
from consumer.domain.operations import OPERATIONS, DocumentKind
from consumer.domain.pairing import target
from consumer.domain.refusals import ARCHIVED
from consumer.domain.settlement import DRAFT_REFUSED
from consumer.domain.translate.header import has_drafts_number
from consumer.ports import Absent, Budget, Doubtful, Sent, Sighting

Matches = Callable[[bytes, Iterable[Saved]], Sequence[Saved]]
MARKED: Mapping[DocumentKind, tuple[Callable[[int], str], Matches]] = {
    "payment": (payment_sweep_path, match_payments),
    "refund": (payment_sweep_path, match_payments),
    "overpayment": (overpayment_sweep_path, match_overpayments),
}
"""Kinds that are found by our marker alone: where they are swept up and how they are told."""


class LookUps:
    """Makes the calls that tell what became of a request."""

    def __init__(self, caller: Caller, budget: Budget, clocks: Clocks) -> None:
        self.reader = Reader(caller, budget, clocks)
        self._swept: dict[object, list[Saved]] = {}
        """What bears our marker, by tenant, kind and since when: the ledger was restored to that."""
        self._sweeping: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def sightings(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """What became of the members, by position; of a payment that may still arrive, nothing.

        Raises as ``Reader`` does.
        """
        if doubtful.why == ARCHIVED:
            return await self._archived(doubtful)
        operation = OPERATIONS[doubtful.frozen.purpose]
        if operation.step == "update" and operation.kind == "contact":
            return {m.position: Absent() for m in doubtful.members}  # as good as done once
        if operation.step == "update" or doubtful.why == DRAFT_REFUSED:
            return await self._drafts(doubtful)
        if operation.kind == "allocation":
            removed = operation.step == "remove"
            return await (self._unallocated(doubtful) if removed else self._made(doubtful))
        if operation.step == "remove":
            ids = [m.xero_id for m in doubtful.members if m.xero_id is not None]
            paths = by_id_path(operation.kind, ids)
            saved = await self.reader.read(doubtful, paths, single=operation.kind != "invoice")
            gone = {m.position: match_removed(m.xero_id, saved) for m in doubtful.members}
            return {n: one if one is not None else Absent() for n, one in gone.items()}
        if operation.kind == "invoice":
            numbers = [m.number for m in doubtful.members if m.number]
            saved = await self.reader.read(doubtful, invoice_lookup_path(numbers))
            found = await self._numbered(doubtful, saved)
            if doubtful.final:
                return found
            # Finalized, a draft has another number: it must not arrive under this one after that.
            drafts = {
                m.position for m in doubtful.members if has_drafts_number(m.number, m.lago_id)
            }
            return {n: o for n, o in found.items() if n not in drafts or not isinstance(o, Absent)}
        if operation.kind == "credit_note":
            paths = [credit_note_path(m.number) for m in doubtful.members if m.number]
            saved = await self.reader.read(doubtful, paths, single=True)
            return await self._numbered(doubtful, saved)
        if doubtful.why == ALREADY_PAID:
            return await self._entered(doubtful)
        if doubtful.why == LOOK_FIRST:
            return await self._entered_beyond(doubtful)
        if operation.kind in MARKED:
            return await self._made(doubtful)
        if doubtful.why == "number_taken":
            paths = [contact_by_number_path(str(m.lago_id)) for m in doubtful.members]
            saved = await self.reader.read(doubtful, paths, single=True)
        else:
            saved = await self.reader.sweep(doubtful, contact_sweep_path)
        return await self._contacts(doubtful, saved)

    async def _archived(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """Those refused for their archived contact by what became of it, the others as they would be
        alone."""
        named = {m.position: sight.contact_id(m) for m in doubtful.members if m.refused == ARCHIVED}
        traced = await self._traced(
            doubtful, {n: id for n, id in named.items() if id is not None}, {}
        )
        others = tuple(m for m in doubtful.members if m.position not in traced)
        if not others:
            return {**traced}
        step = OPERATIONS[doubtful.frozen.purpose].step
        why = DRAFT_REFUSED if step == "update" else "number_taken"
        return {**traced, **await self.sightings(replace(doubtful, why=why, members=others))}

    async def _numbered(self, doubtful: Doubtful, saved: Sequence[Saved]) -> dict[int, Sighting]:
        """By their numbers; on another contact where theirs was merged into it meanwhile."""
        found = {m.position: sight.numbered(m, saved) for m in doubtful.members}
        moved = {
            m.position: (id, one)
            for m in doubtful.members
            if (one := sight.moved(m, saved)) and (id := sight.contact_id(m))
        }
        traced = await self._traced(doubtful, {n: id for n, (id, _) in moved.items()}, {})
        into = {n: one for n, (_, one) in moved.items() if traced[n].active == one.contact_id}
        return {**found, **into}

    async def _contacts(self, doubtful: Doubtful, saved: Sequence[Saved]) -> dict[int, Sighting]:
        """Contacts by their numbers; of those that are archived by now, what became of them."""
        found = {m.position: sight.contact(m, saved) for m in doubtful.members}
        archived = {
            n: one.xero_id
            for n, one in found.items()
            if isinstance(one, Saved) and one.status == "ARCHIVED"
        }
        known = {one.xero_id: one for one in saved}
        return {**found, **await self._traced(doubtful, archived, known)}

    async def _traced(
        self, doubtful: Doubtful, wanted: Mapping[int, UUID], known: Mapping[UUID, Saved]
    ) -> dict[int, Traced]:
        """Where these contacts have gone, from ``known`` ones on: one call for each merge of the
        longest chain, however many contacts."""
        seen, asked = dict(known), set(known)
        while ids := unread(wanted.values(), seen) - asked:
            asked |= ids
            for path in contacts_path(sorted(ids)):
                found = await self.reader.page(doubtful, path, kind="contact")
                seen |= {one.xero_id: one for one in found.saved}
        return {n: trace(id, seen) for n, id in wanted.items()}

    async def _drafts(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """By their ids: those that are as they were to be, and what stands in the way of others that
        Xero refused. The rest are sent again: that changes nothing where they had arrived."""
        kind = kind_of(doubtful.frozen.purpose)
        ids = [m.xero_id for m in doubtful.members if m.xero_id is not None]
        saved = await self.reader.read(doubtful, by_id_path(kind, ids), single=kind != "invoice")
        refused = doubtful.why == DRAFT_REFUSED
        return {m.position: sight.draft(m, saved, refused=refused) for m in doubtful.members}

    async def _made(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """Xero keeps payments and allocations apart by nothing, so one may be made twice: it counts as
        absent only once neither the call nor a repetition under its key can still arrive."""
        matches = await self.all_of(doubtful)
        if doubtful.final:
            return {n: found[0] if found else Absent() for n, found in matches.items()}
        return {n: found[0] for n, found in matches.items() if found}

    async def _entered(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """By what is on the documents that they were to pay: Xero said that not so much is open."""
        elements = [from_json(m.element) for m in doubtful.members]
        if kind_of(doubtful.frozen.purpose) == "refund":
            days = _around(doubtful.members)
            saved = await self.reader.pages(doubtful, lambda page: refunds_path(*days, page))
        else:
            ids = dict.fromkeys(id for one in elements if (id := target(one)) is not None)
            saved = await self.reader.read(doubtful, [payments_on_path(id) for id in ids])
        return {m.position: sight.entered(m, saved) for m in doubtful.members}

    async def _entered_beyond(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """By the overpayments of those days: nothing was sent yet."""
        days = _around(doubtful.members)
        try:
            saved = await self.reader.pages(doubtful, lambda page: overpayments_path(*days, page))
        except Doubt as error:
            if error.code != SCOPE_MISSING:
                raise
            saved = []  # who may not read them may not create one either, and is told so then
        return {m.position: sight.entered_beyond(m, saved) for m in doubtful.members}

    async def _unallocated(self, doubtful: Doubtful) -> dict[int, Sighting]:
        """What was to be taken off, by its credit note, which names all that it has."""
        [member] = doubtful.members
        there = any(
            one.xero_id == member.xero_id for one in await self.reader.allocations(doubtful)
        )
        removed = None if there or member.xero_id is None else Saved(member.xero_id)
        return {member.position: removed or Absent()}

    async def all_of(self, doubtful: Doubtful) -> dict[int, Sequence[Saved]]:
        """Everything that Xero has of each payment, overpayment, refund or allocation, by position.

        Raises as ``Reader`` does.
        """
        kind = OPERATIONS[doubtful.frozen.purpose].kind
        if kind == "allocation":
            saved = await self.reader.allocations(doubtful)
            return {m.position: match_allocations(m.element, saved) for m in doubtful.members}
        path, match = MARKED[kind]
        if doubtful.why == RESTORED:
            ours = await self._sweep_once(doubtful, path)
            return {
                m.position: match(m.element, ours) or match_marked(m.element, ours)
                for m in doubtful.members
            }
        swept = await self.reader.sweep(doubtful, path)
        return {m.position: match(m.element, swept) for m in doubtful.members}

    async def _sweep_once(self, doubtful: Doubtful, path: Callable[[int], str]) -> list[Saved]:
        """What is ours of all that changed since the ledger was restored to; read but once by this process,
        if nothing from before can arrive any more: what came since is in the ledger."""
        key = doubtful.frozen.tenant_id, path, doubtful.started_at
        async with self._sweeping[key]:
            found = self._swept.get(key)
            if found is None:
                swept = await self.reader.sweep(doubtful, path)
                found = [one for one in swept if marker_in(one.number) is not None]
                if doubtful.final:
                    self._swept[key] = found
        return found


def _around(members: Sequence[Sent]) -> tuple[date, date]:
    """The first and the last day on which somebody may have entered one of these by hand."""
    days = [date.fromisoformat(from_json(m.element)["Date"]) for m in members]
    days += [m.own_day for m in members if m.own_day is not None]
    return min(days) - BY_HAND_WITHIN, max(days) + BY_HAND_WITHIN
