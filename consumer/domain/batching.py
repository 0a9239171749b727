"""Batching: ready documents with their facts in, one request body and what could not be translated out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import ValidationError

from consumer.domain.chart import Chart
from consumer.domain.documents import fingerprint
from consumer.domain.errors import Refused, Reject
from consumer.domain.mapping import Connection
from consumer.domain.translate.contact import name_key, name_suffix, translate_contact
from consumer.domain.translate.invoice import translate_invoice
from consumer.domain.translate.types import Note, Totals
from schemas import lago

Purpose = Literal["contact_create", "contact_update", "invoice_create"]

COLLECTION: Mapping[str, str] = {
    "contact_create": "Contacts",
    "contact_update": "Contacts",
    "invoice_create": "Invoices",
}
METHOD: Mapping[str, Literal["PUT", "POST"]] = {
    "contact_create": "PUT",
    "contact_update": "POST",
    "invoice_create": "PUT",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready document and the facts it is to be made of."""

    id: int
    connection_id: int
    wanted: bytes
    customer: lago.Customer | None
    invoice: lago.Invoice | None = None
    contact_id: UUID | None = None
    """The contact itself for an update, the invoice's contact for an invoice."""
    suffix: str = ""
    batch_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """One document of a request: its JSON and the totals that Xero must answer."""

    document_id: int
    wanted: bytes
    body: bytes
    suffix: str = ""
    number: str | None = None
    totals: Totals | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that cannot be sent as it is."""

    document_id: int
    error: Reject


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one request, what fails, and facts for people by document."""

    elements: tuple[Element, ...]
    failures: tuple[Failure, ...]
    notes: tuple[tuple[int, Note], ...]
    stale: tuple[int, ...] = ()
    """Documents whose facts are not the wanted ones: to be planned again."""

    def body(self, purpose: Purpose) -> bytes:
        """The request's body."""
        return b'{"%s":[%s]}' % (
            COLLECTION[purpose].encode(),
            b",".join(element.body for element in self.elements),
        )


def assemble(
    candidates: Sequence[Candidate],
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
    names: set[str] = set()
    room, size = max_elements, 0
    for candidate in candidates:
        room = min(room, candidate.batch_limit or room)
        if len(elements) >= room:
            break
        try:
            element, noted = _element(candidate, connections, charts, names)
        except Reject as error:
            failures.append(Failure(candidate.id, error))
            continue
        except ValidationError as error:  # a value outside Xero's limits that no rule caught
            fields = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            failures.append(Failure(candidate.id, _unsendable(fields)))
            continue
        except Exception as error:  # noqa: BLE001 - one document must not stop its tenant
            failures.append(Failure(candidate.id, _fault(error)))
            continue
        if element is None:
            stale.append(candidate.id)
            continue
        if elements and size + len(element.body) > max_bytes:
            break
        size += len(element.body) + 1
        elements.append(element)
        notes += [(candidate.id, note) for note in noted]
    return Batch(tuple(elements), tuple(failures), tuple(notes), tuple(stale))


def _fault(error: Exception) -> Refused:
    return Refused(
        "translator_fault",
        f"Translating the document failed with {type(error).__name__}.",
        "This is a fault of ours: report it with the document's number; a new version retries it.",
    )


def _unsendable(fields: str) -> Refused:
    return Refused(
        "outside_xero_limits",
        f"Xero's limits do not allow these fields: {fields}.",
        "Correct them in Lago; the next message is tried again.",
    )


def _element(
    candidate: Candidate,
    connections: Mapping[int, Connection],
    charts: Mapping[UUID, Chart],
    names: set[str],
) -> tuple[Element | None, Sequence[Note]]:
    connection = connections[candidate.connection_id]
    if candidate.invoice is not None:
        if fingerprint(candidate.invoice) != candidate.wanted or candidate.contact_id is None:
            return None, ()
        entity = candidate.customer.billing_entity_code if candidate.customer else None
        made = translate_invoice(
            candidate.invoice,
            entity=entity or "",
            connection=connection,
            chart=charts.get(connection.tenant_id, Chart()),
            contact_id=candidate.contact_id,
        )
        body = made.payload.body()
        number = made.payload.invoice_number
        element = Element(candidate.id, candidate.wanted, body, "", number, made.totals)
        return element, made.notes
    customer = candidate.customer
    if customer is None or fingerprint(customer) != candidate.wanted:
        return None, ()
    suffix = candidate.suffix
    contact = translate_contact(customer, suffix=suffix, contact_id=candidate.contact_id)
    if name_key(contact.name) in names and not suffix:
        suffix = name_suffix(customer, 1)
        contact = translate_contact(customer, suffix=suffix, contact_id=candidate.contact_id)
    names.add(name_key(contact.name))
    return Element(candidate.id, candidate.wanted, contact.body(), suffix), ()
