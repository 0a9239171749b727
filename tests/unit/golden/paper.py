"""A ledger on paper: records in, the requests of Xero's that follow out; no database, no Xero.

Between the words stands the service's own pure code: decode, merge, plan, rest, assemble (translate) and
the operations. Every request is answered at once, with success.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from consumer.domain.batching import Batch, assemble, findings_of
from consumer.domain.causes import BELOW_CENT, VOID_WITH_MONEY
from consumer.domain.chart import Chart
from consumer.domain.documents import Planned, as_linked, rest
from consumer.domain.events import Ignored, decode
from consumer.domain.invoices import left_open
from consumer.domain.mapping import Connection
from consumer.domain.objects import Object, ObjectKey, merge
from consumer.domain.operations import OPERATIONS, Operation
from consumer.domain.overpayments import InXero
from consumer.domain.planning import plan_family
from tests.unit.golden.documents import Document, Documents
from tests.unit.golden.messages import without_ids

_NOW = datetime(2026, 6, 1, tzinfo=UTC)
_IN_ORDER = (
    *("allocation_delete", "refund_delete", "payment_delete", "overpayment_delete"),
    *("credit_note_void", "invoice_void", "contact_create", "contact_update"),
    *("invoice_create", "invoice_update", "credit_note_create", "credit_note_update"),
    *("allocation_create", "payment_create", "refund_create", "overpayment_create"),
)


class Sent(NamedTuple):
    """One request."""

    operation: Operation
    path: str
    body: bytes


class Ledger:
    """What is known of Lago and what Xero has."""

    def __init__(self, connections: Sequence[Connection], chart: Chart) -> None:
        self.connections = {one.id: one for one in connections}
        self.chart = chart
        self.objects: dict[ObjectKey, Object] = {}
        self.documents = Documents()
        self.told: list[str] = []
        self._clock = 0

    def hear(self, records: Iterable[bytes], *, patience_over: bool = False) -> list[Sent]:
        """Take in records and send what follows, dependencies first."""
        known = dict(self.objects)
        for value in records:
            self._clock += 1
            event = decode(value, appended=self._clock, digest=hashlib.sha256(value).hexdigest())
            if isinstance(event, Ignored):
                self.told.append(f"{event.type} ignored")
                continue
            for news in event.contributions:
                merged = merge(self.objects.get(news.key), news)
                seen = merged.first_seen or _NOW + timedelta(seconds=self._clock)
                self.objects[news.key] = replace(merged, first_seen=seen)
        self._plan(known, patience_over)
        return [sent for name in _IN_ORDER for sent in self._send(OPERATIONS[name])]

    def apart(self) -> list[str]:
        """The documents that are not simply in Xero, and why."""
        return [f"{one.name}: {one.outcome}" for one in self.documents.values() if one.outcome]

    def _plan(self, known: dict[ObjectKey, Object], patience_over: bool) -> None:
        there = [one for one in self.documents.values() if one.stands.xero_id]
        places = [(p.kind, p.lago_id, p.connection_id or 0) for p in (one.planned for one in there)]
        plan = plan_family(
            known,
            self.objects,
            self.connections,
            {
                id: [at for kind, of, at in places if (kind, of) == ("contact", id)]
                for _, id in self.objects
            },
            now=_NOW,
            patience=timedelta(0),
            due=[id for kind, id in self.objects if kind == "invoice" and patience_over],
            in_xero=_money(there),
            placed={one.planned.lago_id: one.placed for one in there if one.placed},
            notes_there=[(id, at) for kind, id, at in places if kind == "credit_note"],
        )
        self.objects |= plan.objects
        for planned in plan.documents:
            self._take(planned)

    def _take(self, p: Planned) -> None:
        key = (p.kind, p.lago_id, p.part, p.target, p.connection_id)
        if key not in self.documents:
            if p.optional or (p.kind == "overpayment" and p.wanted is None):
                return
            self.documents[key] = Document(len(self.documents), p)
        one = self.documents[key]
        there = as_linked(one.stands, p)
        found = rest(p.kind, there, p)
        one.planned, one.stands = p, replace(there, wanted=p.wanted)
        if found.state != "failed":  # what it has failed with is said already
            one.settle(found.state, "drift" if found.drift else found.cause)
        self.told += [f"{one.name}: {finding}" for finding in p.findings]
        if found.cause == VOID_WITH_MONEY:
            asked = left_open(self.objects[ObjectKey("invoice", p.lago_id)], draft=there.draft)
            self.told += [f"{one.name}: {asked.code}, a person decides"] if asked else []

    def _send(self, operation: Operation) -> Iterator[Sent]:
        """The requests of one operation, as many as it takes."""
        for id in self.connections:
            while ready := list(self._ready(operation, id)):
                batch = assemble(
                    [self.documents.candidate(one, self.objects) for one in ready],
                    operation,
                    self.connections,
                    {one.tenant_id: self.chart for one in self.connections.values()},
                    max_elements=50,
                    max_bytes=3_000_000,
                )
                by = {one.number: one for one in ready}
                first = by[batch.elements[0].document_id] if batch.elements else ready[0]
                source = self.documents.rests_on(first, "credit_note")
                source_id = source.stands.xero_id if source else None
                path = operation.path_of(first.stands.xero_id, source_id)
                self._settle(by, batch)
                if batch.elements:
                    yield Sent(operation, path, operation.body([e.body for e in batch.elements]))

    def _ready(self, operation: Operation, connection: int) -> Iterator[Document]:
        for one in self.documents.values():
            at = one.planned.kind, one.planned.connection_id, one.step
            if one.stands.state == "ready" and at == (operation.kind, connection, operation.step):
                if lack := self.documents.missing(one):
                    one.settle(*lack)
                else:
                    yield one

    def _settle(self, by: dict[int, Document], batch: Batch) -> None:
        for failure in batch.failures:
            code, cause = failure.error.code, failure.error.cause
            by[failure.document_id].settle(
                "failed", code + (f", waits for {cause}" if cause else "")
            )
        for number in batch.dust:
            by[number].stands = replace(by[number].stands, synced=by[number].stands.wanted)
            by[number].settle("synced", BELOW_CENT)
        for number in batch.locked:
            by[number].settle("synced", "still a draft")
        for element in batch.elements:
            by[element.document_id].accept(element)
        for number, classes in findings_of(batch.notes).items():
            for finding, facts in classes.items():
                of = without_ids(", ".join(facts["of"]))
                self.told.append(f"{by[number].name}: {finding} {facts['amount']} ({of})")
        assert not batch.stale, f"{[by[number].name for number in batch.stale]}: planned otherwise"


def _money(there: Iterable[Document]) -> dict[UUID, dict[UUID, InXero]]:
    """What Xero has of payments, by invoice and payment."""
    money: dict[UUID, dict[UUID, InXero]] = {}
    for one in there:
        p = one.planned
        if p.kind in ("payment", "overpayment") and p.target:
            here = money.setdefault(p.target, {})
            part = {"on_invoice" if p.kind == "payment" else "excess": p.amount_cents}
            here[p.lago_id] = replace(here.get(p.lago_id, InXero()), **part)
    return money
