"""Batching: candidates in, the elements of one request and what could not be translated out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from consumer.domain.candidates import Candidate, Element
from consumer.domain.chart import Chart
from consumer.domain.errors import BelowCent, Refused, Reject, StillDraft, fault
from consumer.domain.making import element_of
from consumer.domain.mapping import Connection
from consumer.domain.money import ZERO
from consumer.domain.operations import Operation
from consumer.domain.translate.types import Note, Posted

SUBJECTS = 10
"""Mappings or lines that a finding names at most."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that cannot be sent as it is."""

    document_id: int
    error: Reject


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one request, what fails, and what was noted, by document."""

    elements: tuple[Element, ...]
    failures: tuple[Failure, ...]
    notes: tuple[tuple[int, Note], ...]
    stale: tuple[int, ...] = ()
    """Documents whose facts are not the wanted ones: to be planned again."""
    dust: tuple[int, ...] = ()
    """Documents of less than a cent: counted, but nothing is to be sent."""
    locked: tuple[int, ...] = ()
    """Drafts that a lock date holds: nothing is to be sent before it moves."""


def assemble(
    candidates: Sequence[Candidate],
    operation: Operation,
    connections: Mapping[int, Connection],
    charts: Mapping[UUID, Chart],
    *,
    max_elements: int,
    max_bytes: int,
) -> Batch:
    """Translate candidates in order until the request is full.

    A candidate whose facts are not the wanted ones is stale: its news are just being written, or an
    older version of the service planned it.
    Equal contact names within the batch get their visible suffix here, as Xero would refuse them.
    """
    elements: list[Element] = []
    failures: list[Failure] = []
    notes: list[tuple[int, Note]] = []
    stale: list[int] = []
    dust: list[int] = []
    locked: list[int] = []
    names: set[str] = set()
    settled: dict[UUID, Posted] = {}
    room, size = min(max_elements, operation.most), 0
    for candidate in candidates:
        room = min(room, candidate.batch_limit or room)
        if len(elements) >= room:
            break
        on = _settles(candidate)
        if on in settled:
            candidate = _after(candidate, settled[on])
        try:
            element, noted = element_of(candidate, operation, connections, charts, names)
        except BelowCent:
            dust.append(candidate.id)
            if on is not None:
                settled[on] = _and(candidate, ZERO)
            continue
        except StillDraft:
            locked.append(candidate.id)
            continue
        except Exception as error:  # noqa: BLE001 - one document must not stop its tenant
            failures.append(Failure(candidate.id, _why(error)))
            continue
        if element is None:
            stale.append(candidate.id)
            continue
        if elements and size + len(element.body) > max_bytes:
            break
        size += len(element.body) + 1
        elements.append(element)
        if on is not None and element.totals is not None:
            settled[on] = _and(candidate, element.totals.total)
        notes += [(candidate.id, note) for note in noted]
    return Batch(
        tuple(elements),
        tuple(failures),
        tuple(notes),
        tuple(stale),
        tuple(dust),
        tuple(locked),
    )


def findings_of(notes: Iterable[tuple[int, Note]]) -> dict[int, dict[str, dict[str, Any]]]:
    """Documents' notes as findings: of each class the amounts together, and what they concern."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for id, note in notes:
        facts = found.setdefault(id, {}).setdefault(note.kind, {"amount": ZERO, "of": []})
        facts["amount"] += note.amount or ZERO
        if note.subject not in facts["of"] and len(facts["of"]) < SUBJECTS:
            facts["of"].append(note.subject)
    for classes in found.values():
        for facts in classes.values():
            facts["amount"] = f"{facts['amount']:f}"
    return found


def _why(error: Exception) -> Reject:
    """What the document fails with."""
    if isinstance(error, Reject):
        return error
    if not isinstance(error, ValidationError):
        return fault(error)
    # A value outside Xero's limits that no rule has caught.
    fields = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
    return Refused(
        "outside_xero_limits",
        f"Xero's limits do not allow these fields: {fields}.",
        "Correct them in Lago; the next message is tried again.",
    )


def _settles(candidate: Candidate) -> UUID | None:
    """The document in Xero that a payment, an allocation or a refund lowers."""
    if candidate.payment is not None:
        return candidate.payment.invoice_id
    if candidate.allocation is not None:
        return candidate.allocation.invoice_id
    return candidate.source_id


def _gives_back(candidate: Candidate) -> bool:
    """Whether it lowers its credit note, and no invoice."""
    return candidate.payment is None and candidate.allocation is None


def _after(candidate: Candidate, posted: Posted) -> Candidate:
    """With what those before it in the request make of its document."""
    if _gives_back(candidate):
        return replace(candidate, taken=posted)
    return replace(candidate, settled=posted)


def _and(candidate: Candidate, amount: Decimal) -> Posted:
    """What lowers the document with this amount too."""
    before = candidate.taken if _gives_back(candidate) else candidate.settled
    return Posted(before.subunits + (candidate.amount_cents or 0), before.cents + int(amount * 100))
