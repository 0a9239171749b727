"""The documents of the ledger on paper: what is planned in, where each stands and what it is made of out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from pydantic_core import from_json

from consumer.adapters.postgres.candidates import candidate_of
from consumer.domain.candidates import Candidate, Element
from consumer.domain.credit_notes import Placed, consumed
from consumer.domain.documents import CLEARING, Planned, Stands, State, consumes, object_of
from consumer.domain.objects import Object, ObjectKey, dump_facets
from consumer.domain.operations import Step
from consumer.domain.residuals import RESIDUAL
from tests.unit.golden.messages import with_ids, without_ids

_PLANNED = (
    "connection_id",
    "kind",
    "part",
    "lago_id",
    "wanted",
    "target",
    "amount_cents",
    "currency",
)


@dataclass
class Document:
    """One document: what is planned, where it stands, what Xero was asked for."""

    number: int
    planned: Planned
    stands: Stands = field(default_factory=lambda: Stands("waiting"))
    total: Decimal | None = None
    dated: date | None = None
    contact_id: UUID | None = None
    placed: Placed | None = None
    cleared: Mapping[UUID, Decimal] = field(default_factory=dict)
    outcome: str = ""
    """Of what is not simply in Xero."""

    @property
    def name(self) -> str:
        """For people: ``payment lago-401 on lago-101``."""
        p = self.planned
        own = [] if p.part == RESIDUAL else [str(p.lago_id)]
        part = [p.part.partition(":")[0]] if p.part else []
        on = [f"on {p.target}"] if p.target else []
        return without_ids(" ".join([p.kind, *own, *part, *on]))

    @property
    def step(self) -> Step:
        """What is to happen to it."""
        if self.planned.wanted is None:
            return "remove"
        return "update" if self.stands.xero_id else "create"

    def settle(self, state: State, why: str | None) -> None:
        """It is in this state now, and why."""
        self.stands = replace(self.stands, state=state, cause=why)
        plain = state == "ready" or (state == "synced" and why is None)
        self.outcome = "" if plain else f"{state}, {without_ids(why or '')}"

    def accept(self, element: Element) -> None:
        """Xero has done what it was asked for. It gives ids that look like Lago's."""
        if self.step == "remove":
            self.stands = replace(self.stands, xero_id=None, synced=None, status=None)
            self.settle("skipped", self.stands.cause)
            return
        xero_id = UUID(with_ids(without_ids(str(self.planned.lago_id)).replace("lago", "xero")))
        status = from_json(element.body).get("Status")
        self.stands = replace(self.stands, xero_id=self.stands.xero_id or xero_id, status=status)
        self.stands = replace(self.stands, synced=self.stands.wanted)
        self.settle("synced", None)
        self.total = element.totals.total if element.totals else None
        self.dated, self.cleared = element.dated, element.cleared
        self.contact_id = element.contact_id
        if element.allocated is not None:
            self.placed = Placed(element.allocated, frozenset(element.cleared))


class Documents(dict[tuple[Any, ...], Document]):
    """All of them, by what they are."""

    def rests_on(self, one: Document, kind: str) -> Document | None:
        """Its contact, its invoice or its credit note."""
        p = one.planned
        id = {"contact": p.customer_id, "invoice": p.target, "credit_note": p.source}[kind]
        return self.get((kind, id, "", None, p.connection_id))

    def missing(self, one: Document) -> tuple[State, str | None] | None:
        """Why it cannot be made yet: Xero lacks what it rests on."""
        needs = {
            "contact": one.planned.kind in ("invoice", "credit_note"),
            "invoice": one.planned.target is not None,
            "credit_note": one.planned.source is not None,
        }
        for kind in needs if one.step == "create" else ():
            if needs[kind] and not self.has(one, kind):
                other = self.rests_on(one, kind)
                left_out = other is not None and other.stands.state == "skipped"
                cause = other.stands.cause if other and left_out else f"for its {kind}"
                return ("skipped" if left_out else "waiting"), cause
        return None

    def has(self, one: Document, kind: str) -> bool:
        """Whether Xero has what it rests on, as more than a draft."""
        other = self.rests_on(one, kind)
        return other is not None and other.stands.xero_id is not None and not other.stands.draft

    def candidate(self, one: Document, objects: Mapping[ObjectKey, Object]) -> Candidate:
        """Made of a row as the statement ``ready`` gives it."""

        def facts(kind: Any, id: UUID | None) -> str | None:
            known = objects.get(ObjectKey(kind, id)) if id else None
            return dump_facets(known.facets) if known else None

        p, stands = one.planned, one.stands
        contact, invoice, note = (
            self.rests_on(one, k) for k in ("contact", "invoice", "credit_note")
        )
        of = object_of(p.kind, p.part, p.lago_id, p.target)
        settled, taken = self._posted(one, "target"), self._posted(one, "source")
        credit = UUID(p.part.removeprefix(CLEARING)) if p.part.startswith(CLEARING) else None
        row = {
            **{name: getattr(p, name) for name in _PLANNED},
            **{name: getattr(stands, name) for name in ("synced", "xero_id", "linked")},
            "id": one.number,
            "xero_status": stands.status,
            "dated": one.dated,
            "suffix": "",
            "batch_limit": None,
            "facts": facts("credit_note", p.lago_id) if p.kind == "refund" else facts(*of),
            "customer_facts": facts("customer", p.customer_id),
            "contact_id": self._contact_of_invoice(one, objects.get(of))
            or (contact and contact.stands.xero_id),
            "target_id": invoice and invoice.stands.xero_id,
            "target_currency": invoice and invoice.planned.currency,
            "target_dated": invoice and invoice.dated,
            "target_number": invoice and invoice.planned.number,
            "target_facts": facts("invoice", p.target),
            "source_id": note and note.stands.xero_id,
            "source_dated": note and note.dated,
            "source_total": note and note.total,
            "cleared_amount": invoice and credit and invoice.cleared.get(credit),
            "settled_subunits": settled[0],
            "settled_cents": settled[1],
            "taken_subunits": taken[0],
            "taken_cents": taken[1],
        }
        credits = self._credits(objects[of]) if p.kind == "invoice" else ()
        return candidate_of(cast(Any, row), *credits)

    def _contact_of_invoice(self, one: Document, note: Object | None) -> UUID | None:
        """That which the invoice of a credit note is on in Xero."""
        if one.planned.kind != "credit_note" or note is None or not note.invoice_ids:
            return None
        invoice = self.get(("invoice", note.invoice_ids[0], "", None, one.planned.connection_id))
        return invoice.contact_id if invoice and invoice.stands.xero_id else None

    def _credits(self, invoice: Object) -> tuple[list[UUID], list[UUID], list[UUID]]:
        """Those of the invoice that are allocated, cleared, and whose notes Xero has."""
        ways: tuple[list[UUID], list[UUID], list[UUID]] = ([], [], [])
        credits = consumed(invoice)
        for one in self.values():
            p = one.planned
            if p.target == invoice.key.lago_id and consumes(p.kind, p.part) and p.source in credits:
                credit = credits[p.source].lago_id
                if p.wanted is not None and one.stands.state != "skipped":
                    ways[0 if p.kind == "allocation" else 1].append(credit)
                if self.has(one, "credit_note"):
                    ways[2].append(credit)
        return ways

    def _posted(self, one: Document, on: str) -> tuple[int, int]:
        """What settles the same invoice, or is taken from the same note: as Lago tells, in Xero's cents."""
        others = [
            other
            for other in self.values()
            if other is not one
            and other.stands.synced is not None
            and None is not getattr(other.planned, on) == getattr(one.planned, on)
            and (other.planned.kind == "overpayment") == (one.planned.kind == "overpayment")
            and (on == "source" or other.planned.kind != "refund")
        ]
        cents = sum(int((other.total or 0) * 100) for other in others)
        return sum(other.planned.amount_cents or 0 for other in others), cents
