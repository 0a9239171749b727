"""Batching: ready documents with their facts in, one request body and what could not be translated out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import ValidationError

from consumer.domain.chart import Chart
from consumer.domain.documents import before_start, fingerprint
from consumer.domain.errors import BelowCent, Refused, Reject
from consumer.domain.mapping import Connection
from consumer.domain.money import ZERO
from consumer.domain.objects import Money
from consumer.domain.operations import Operation
from consumer.domain.payments import payment_fingerprint
from consumer.domain.translate.allocation import translate_allocation
from consumer.domain.translate.contact import name_key, name_suffix, translate_contact
from consumer.domain.translate.credit_note import translate_credit_note
from consumer.domain.translate.invoice import translate_invoice
from consumer.domain.translate.locks import check_removal, unlocked
from consumer.domain.translate.payment import translate_payment, translate_refund
from consumer.domain.translate.portions import NOTHING
from consumer.domain.translate.types import Note, Posted, Totals
from schemas import lago, xero


@dataclass(frozen=True, slots=True)
class PaymentPart:
    """What one invoice gets of a payment; ids are Lago's but for ``invoice_id``, which is Xero's."""

    lago_id: UUID
    target: UUID
    amount_cents: int
    money: Money
    invoice_currency: str | None
    invoice_id: UUID | None


@dataclass(frozen=True, slots=True)
class AllocationPart:
    """What an invoice takes from a credit note; ``invoice_id`` is Xero's."""

    amount_cents: int
    currency: str
    note_date: date
    invoice_date: date
    invoice_id: UUID | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready document and the facts it is to be made of."""

    id: int
    connection_id: int
    wanted: bytes | None
    customer: lago.Customer | None = None
    invoice: lago.Invoice | None = None
    allocated: frozenset[UUID] = frozenset()
    """The credits of the invoice that are allocated to it and need no line."""
    note: lago.CreditNote | None = None
    payment: PaymentPart | None = None
    allocation: AllocationPart | None = None
    amount_cents: int | None = None
    settled: Posted = NOTHING
    """What settles the same invoice or credit note already."""
    source_id: UUID | None = None
    """The Xero id of the credit note that it takes from."""
    xero_id: UUID | None = None
    xero_status: str | None = None
    contact_id: UUID | None = None
    """The Xero id of the document's contact."""
    dated: date | None = None
    suffix: str = ""
    batch_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """One document of a request: its JSON and the totals that Xero must answer."""

    document_id: int
    wanted: bytes | None
    body: bytes
    suffix: str = ""
    number: str | None = None
    totals: Totals | None = None
    allocated: frozenset[UUID] = frozenset()
    """The credits that an invoice leaves to allocations."""


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
    dust: tuple[int, ...] = ()
    """Documents of less than a cent: counted, but nothing is to be sent."""


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
    names: set[str] = set()
    settled: dict[UUID, Posted] = {}
    room, size = min(max_elements, operation.most), 0
    for candidate in candidates:
        room = min(room, candidate.batch_limit or room)
        if len(elements) >= room:
            break
        on = _settles(candidate)
        if on in settled:
            candidate = replace(candidate, settled=settled[on])
        try:
            element, noted = _element(candidate, operation, connections, charts, names)
        except BelowCent:
            dust.append(candidate.id)
            if on is not None:
                settled[on] = _and(candidate, ZERO)
            continue
        except Reject as error:
            failures.append(Failure(candidate.id, error))
            continue
        except ValidationError as error:  # a value outside Xero's limits that no rule caught
            fields = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            failures.append(Failure(candidate.id, _unsendable(fields)))
            continue
        except Exception as error:  # noqa: BLE001 - one document must not stop its tenant
            failures.append(Failure(candidate.id, fault(error)))
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
    return Batch(tuple(elements), tuple(failures), tuple(notes), tuple(stale), tuple(dust))


def fault(error: Exception) -> Refused:
    """``translator_fault``: what a document fails with that we stumble over ourselves."""
    return Refused(
        "translator_fault",
        f"Planning or translating the document failed with {type(error).__name__}.",
        "This is a fault of ours: report it with the document's number; retry it with a new version.",
    )


def _unsendable(fields: str) -> Refused:
    return Refused(
        "outside_xero_limits",
        f"Xero's limits do not allow these fields: {fields}.",
        "Correct them in Lago; the next message is tried again.",
    )


def _element(
    candidate: Candidate,
    operation: Operation,
    connections: Mapping[int, Connection],
    charts: Mapping[UUID, Chart],
    names: set[str],
) -> tuple[Element | None, Sequence[Note]]:
    """The document's part of the request; None if its facts are not the wanted ones."""
    connection = connections[candidate.connection_id]
    chart = charts.get(connection.tenant_id, Chart())
    if operation.step == "remove":
        check_removal(candidate.dated, chart.organisation, connection)
        return Element(candidate.id, None, _removal(candidate, operation)), ()
    if _left_out(candidate, operation, connection):
        return None, ()
    if operation.kind == "contact":
        return _contact(candidate, names), ()
    if operation.kind == "payment":
        return _payment(candidate, connection, chart), ()
    if operation.kind == "credit_note":
        return _credit_note(candidate, connection, chart)
    if operation.kind == "refund":
        return _refund(candidate, connection, chart), ()
    if operation.kind == "allocation":
        return _allocation(candidate, connection, chart), ()
    return _invoice(candidate, connection, chart)


def _left_out(candidate: Candidate, operation: Operation, connection: Connection) -> bool:
    """Whether a switch or the start date, changed since it was planned, keeps it from Xero."""
    switched_on = {
        "contact": True,
        "invoice": connection.sync_invoices,
        "payment": connection.sync_payments,
    }.get(operation.kind, connection.sync_credit_notes)
    of = {"invoice": candidate.invoice, "credit_note": candidate.note}.get(operation.kind)
    return not switched_on or (of is not None and before_start(connection, of.issuing_date))


def _removal(candidate: Candidate, operation: Operation) -> bytes:
    """A draft and a payment are deleted, what was approved is voided (xero.md 5)."""
    if operation.kind in ("payment", "refund"):
        return xero.PaymentDeletion().body()
    if operation.kind == "allocation":
        return b""
    deleted = candidate.xero_status in ("DRAFT", "SUBMITTED")
    status: Literal["DELETED", "VOIDED"] = "DELETED" if deleted else "VOIDED"
    if operation.kind == "credit_note":
        return xero.StatusChange(credit_note_id=candidate.xero_id, status=status).body()
    return xero.StatusChange(invoice_id=candidate.xero_id, status=status).body()


def _credit_note(
    candidate: Candidate, connection: Connection, chart: Chart
) -> tuple[Element | None, Sequence[Note]]:
    note, contact_id = candidate.note, candidate.contact_id
    if note is None or contact_id is None or fingerprint(note) != candidate.wanted:
        return None, ()
    entity = candidate.customer.billing_entity_code if candidate.customer else None
    made = translate_credit_note(
        note, entity=entity or "", connection=connection, chart=chart, contact_id=contact_id
    )
    body = unlocked(made.payload, chart.organisation, connection).body()
    number = made.payload.credit_note_number
    return Element(candidate.id, candidate.wanted, body, "", number, made.totals), made.notes


def _refund(candidate: Candidate, connection: Connection, chart: Chart) -> Element | None:
    note, amount, source_id = candidate.note, candidate.amount_cents, candidate.source_id
    if note is None or amount is None or source_id is None:
        return None
    made = translate_refund(
        note,
        amount_cents=amount,
        connection=connection,
        credit_note_id=source_id,
        posted=candidate.settled,
    )
    body = unlocked(made, chart.organisation, connection).body()
    totals = Totals(made.amount, ZERO, made.amount)
    return Element(candidate.id, candidate.wanted, body, totals=totals)


def _allocation(candidate: Candidate, connection: Connection, chart: Chart) -> Element | None:
    part = candidate.allocation
    if part is None or part.invoice_id is None or candidate.source_id is None:
        return None
    made = translate_allocation(
        amount_cents=part.amount_cents,
        currency=part.currency,
        note_date=part.note_date,
        invoice_date=part.invoice_date,
        invoice_id=part.invoice_id,
        posted=candidate.settled,
    )
    body = unlocked(made, chart.organisation, connection).body()
    totals = Totals(made.amount, ZERO, made.amount)
    return Element(candidate.id, candidate.wanted, body, totals=totals)


def _payment(candidate: Candidate, connection: Connection, chart: Chart) -> Element | None:
    part = candidate.payment
    if part is None or part.invoice_id is None:
        return None
    if payment_fingerprint(part.money, part.amount_cents) != candidate.wanted:
        return None
    made = translate_payment(
        lago_id=part.lago_id,
        target=part.target,
        amount_cents=part.amount_cents,
        currency=part.money.currency,
        invoice_currency=part.invoice_currency,
        paid_at=part.money.paid_at,
        reference=part.money.reference,
        connection=connection,
        chart=chart,
        invoice_id=part.invoice_id,
        posted=candidate.settled,
    )
    body = unlocked(made, chart.organisation, connection).body()
    totals = Totals(made.amount, ZERO, made.amount)
    return Element(candidate.id, candidate.wanted, body, totals=totals)


def _contact(candidate: Candidate, names: set[str]) -> Element | None:
    customer = candidate.customer
    if customer is None or fingerprint(customer) != candidate.wanted:
        return None
    suffix = candidate.suffix
    contact = translate_contact(customer, suffix=suffix, contact_id=candidate.xero_id)
    if name_key(contact.name) in names and not suffix:
        suffix = name_suffix(customer, 1)
        contact = translate_contact(customer, suffix=suffix, contact_id=candidate.xero_id)
    names.add(name_key(contact.name))
    return Element(candidate.id, candidate.wanted, contact.body(), suffix)


def _invoice(
    candidate: Candidate, connection: Connection, chart: Chart
) -> tuple[Element | None, Sequence[Note]]:
    invoice, contact_id = candidate.invoice, candidate.contact_id
    if invoice is None or contact_id is None or fingerprint(invoice) != candidate.wanted:
        return None, ()
    entity = candidate.customer.billing_entity_code if candidate.customer else None
    left = candidate.allocated if connection.sync_credit_notes else frozenset()
    made = translate_invoice(
        _without(invoice, left),
        entity=entity or "",
        connection=connection,
        chart=chart,
        contact_id=contact_id,
    )
    body = unlocked(made.payload, chart.organisation, connection).body()
    number = made.payload.invoice_number
    return Element(candidate.id, candidate.wanted, body, "", number, made.totals, left), made.notes


def _without(invoice: lago.Invoice, allocated: frozenset[UUID]) -> lago.Invoice:
    """The invoice as it would be without these credits: they lower what is due, not the total."""
    kept = tuple(one for one in invoice.credits or () if one.lago_id not in allocated)
    taken = sum(one.amount_cents for one in invoice.credits or () if one.lago_id in allocated)
    if not taken:
        return invoice
    return invoice.model_copy(
        update={
            "credits": kept,
            "credit_notes_amount_cents": invoice.credit_notes_amount_cents - taken,
            "total_amount_cents": (invoice.total_amount_cents or 0) + taken,
        }
    )


def _settles(candidate: Candidate) -> UUID | None:
    """The document in Xero that a payment, an allocation or a refund lowers."""
    if candidate.payment is not None:
        return candidate.payment.invoice_id
    if candidate.allocation is not None:
        return candidate.allocation.invoice_id
    return candidate.source_id


def _and(candidate: Candidate, amount: Decimal) -> Posted:
    """What settles the document with this amount too."""
    before = candidate.settled
    return Posted(before.subunits + (candidate.amount_cents or 0), before.cents + int(amount * 100))
