"""Making: a candidate with its connection and chart in, its element of a request out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar
from uuid import UUID

from consumer.domain.candidates import Candidate, Element
from consumer.domain.chart import Chart
from consumer.domain.contacts import is_partner
from consumer.domain.documents import IMMUTABLE, before_start
from consumer.domain.errors import Inconsistent, StillDraft
from consumer.domain.fingerprints import fingerprint, is_drafted
from consumer.domain.mapping import Connection
from consumer.domain.money import ZERO
from consumer.domain.operations import Operation
from consumer.domain.payments import payment_fingerprint
from consumer.domain.translate.allocation import translate_allocation
from consumer.domain.translate.contact import name_key, name_suffix, translate_contact
from consumer.domain.translate.credit_note import translate_credit_note
from consumer.domain.translate.invoice import translate_invoice
from consumer.domain.translate.locks import LOCK, check_removal, unlocked
from consumer.domain.translate.overpayment import translate_overpayment
from consumer.domain.translate.payment import (
    translate_clearing,
    translate_payment,
    translate_refund,
)
from consumer.domain.translate.types import Note, Totals
from schemas import lago, xero

Money = TypeVar("Money", xero.Payment, xero.Allocation, xero.Overpayment)


def element_of(
    candidate: Candidate,
    operation: Operation,
    connections: Mapping[int, Connection],
    charts: Mapping[UUID, Chart],
    names: set[str],
) -> tuple[Element | None, Sequence[Note]]:
    """The document's part of the request, and what was noted on the way; None if its facts are not the
    wanted ones.

    Args:
        names: those of the contacts before it in the request; its own is added.

    Raises:
        Reject: it cannot be sent as it is. ``BelowCent``: there is nothing to send. ``StillDraft``:
            there is nothing to send yet.
    """
    connection = connections[candidate.connection_id]
    chart = charts.get(connection.tenant_id, Chart())
    stands = candidate.stands
    if operation.step == "remove":
        if not stands.draft:
            check_removal(candidate.dated, chart.organisation, connection)
        return Element(candidate.id, None, _removal(candidate, operation)), ()
    if operation.step == "update" and operation.kind in IMMUTABLE and not stands.open:
        return None, ()
    if _left_out(candidate, operation, connection):
        return None, ()
    if operation.kind == "contact":
        return _contact(candidate, names), ()
    if operation.kind == "payment":
        return _payment(candidate, connection, chart), ()
    if operation.kind == "overpayment":
        return _overpayment(candidate, connection, chart), ()
    if operation.kind == "credit_note":
        return _credit_note(candidate, connection, chart)
    if operation.kind == "refund":
        return _refund(candidate, connection, chart), ()
    if operation.kind == "allocation":
        return _allocation(candidate, connection, chart), ()
    return _invoice(candidate, connection, chart)


def _left_out(candidate: Candidate, operation: Operation, connection: Connection) -> bool:
    """Whether a switch, a policy, the start date or the customer, changed since it was planned, keeps it
    from Xero."""
    switched_on = {
        "contact": not (candidate.linked and connection.linked_contacts == "leave"),
        "invoice": connection.sync_invoices,
        "payment": connection.sync_payments,
        "overpayment": connection.sync_payments,
    }.get(operation.kind, connection.sync_credit_notes)
    of = {"invoice": candidate.invoice, "credit_note": candidate.note}.get(operation.kind)
    if of is None:
        return not switched_on
    before = before_start(connection, of.issuing_date)
    return not switched_on or before or is_partner(candidate.customer)


def _removal(candidate: Candidate, operation: Operation) -> bytes:
    """A draft and a payment are deleted, what was approved is voided (xero.md 5)."""
    if operation.kind in ("payment", "refund", "overpayment"):
        return xero.PaymentDeletion().body()
    if operation.kind == "allocation":
        return b""
    status: Literal["DELETED", "VOIDED"] = "DELETED" if candidate.stands.draft else "VOIDED"
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
    payload = unlocked(made.payload, chart.organisation, connection)
    payload = payload.model_copy(update={"credit_note_id": candidate.xero_id})
    _check_news(candidate, payload)
    number, wanted = payload.credit_note_number, candidate.wanted
    element = Element(
        candidate.id, wanted, payload.body(), "", number, made.totals, dated=payload.date
    )
    return element, made.notes


def _refund(candidate: Candidate, connection: Connection, chart: Chart) -> Element | None:
    note, amount, source_id = candidate.note, candidate.amount_cents, candidate.source_id
    if note is None or amount is None or source_id is None:
        return None
    if candidate.clearing is not None:
        return _clearing(candidate, note, amount, source_id, connection, chart)
    made = translate_refund(
        note,
        amount_cents=amount,
        connection=connection,
        credit_note_id=source_id,
        note_total=candidate.source_total,
        taken=candidate.taken,
    )
    return _of_money(candidate, made, connection, chart)


def _clearing(
    candidate: Candidate,
    note: lago.CreditNote,
    amount: int,
    source_id: UUID,
    connection: Connection,
    chart: Chart,
) -> Element | None:
    part = candidate.clearing
    if part is None or part.line is None or part.note_date is None or part.invoice_date is None:
        return None
    made = translate_clearing(
        note,
        credit_id=part.credit_id,
        amount_cents=amount,
        line=part.line,
        day=max(part.note_date, part.invoice_date),
        connection=connection,
        credit_note_id=source_id,
        note_total=candidate.source_total,
        taken=candidate.taken,
    )
    return _of_money(candidate, made, connection, chart)


def _allocation(candidate: Candidate, connection: Connection, chart: Chart) -> Element | None:
    part = candidate.allocation
    if part is None:
        raise Inconsistent(
            "lago_header_missing",
            "The credit note or its invoice lacks its date, or the note its currency.",
            "Have Lago send the credit note again.",
        )
    if part.invoice_id is None or candidate.source_id is None:
        return None
    made = translate_allocation(
        amount_cents=part.amount_cents,
        currency=part.currency,
        note_date=part.note_date,
        invoice_date=part.invoice_date,
        invoice_id=part.invoice_id,
        posted=candidate.settled,
        note_total=candidate.source_total,
        taken=candidate.taken,
    )
    return _of_money(candidate, made, connection, chart)


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
    return _of_money(candidate, made, connection, chart)


def _overpayment(candidate: Candidate, connection: Connection, chart: Chart) -> Element | None:
    part, contact_id = candidate.payment, candidate.contact_id
    if part is None or part.due_cents is None or part.invoice_id is None or contact_id is None:
        return None
    if payment_fingerprint(part.money, part.amount_cents) != candidate.wanted:
        return None
    made = translate_overpayment(
        lago_id=part.lago_id,
        target=part.target,
        amount_cents=part.amount_cents,
        currency=part.money.currency,
        paid_at=part.money.paid_at,
        reference=part.money.reference,
        connection=connection,
        chart=chart,
        contact_id=contact_id,
        invoice_number=part.invoice_number,
        due_cents=part.due_cents,
        posted=candidate.settled,
    )
    return _of_money(candidate, made, connection, chart)


def _of_money(
    candidate: Candidate,
    made: Money,
    connection: Connection,
    chart: Chart,
) -> Element:
    amount = made.line_items[0].line_amount if isinstance(made, xero.Overpayment) else made.amount
    totals, moved = Totals(amount, ZERO, amount), unlocked(made, chart.organisation, connection)
    return Element(
        candidate.id,
        candidate.wanted,
        moved.body(),
        totals=totals,
        dated=moved.date,
        own_day=made.date,
    )


def _contact(candidate: Candidate, names: set[str]) -> Element | None:
    customer = candidate.customer
    if customer is None or fingerprint(customer) != candidate.wanted:
        return None
    suffix = candidate.suffix
    translate = partial(
        translate_contact, customer, contact_id=candidate.xero_id, linked=candidate.linked
    )
    contact = translate(suffix=suffix)
    if name_key(contact.name) in names and not suffix:
        suffix = name_suffix(customer, 1)
        contact = translate(suffix=suffix)
    names.add(name_key(contact.name))
    return Element(candidate.id, candidate.wanted, contact.body(), suffix)


def _invoice(
    candidate: Candidate, connection: Connection, chart: Chart
) -> tuple[Element | None, Sequence[Note]]:
    invoice, contact_id = candidate.invoice, candidate.contact_id
    if invoice is None or contact_id is None or fingerprint(invoice) != candidate.wanted:
        return None, ()
    entity = candidate.customer.billing_entity_code if candidate.customer else None
    on = connection.sync_credit_notes
    left = _left_to_allocations(invoice, candidate) if on else frozenset()
    cleared = candidate.cleared if on and not is_drafted(candidate.wanted) else frozenset()
    if not is_drafted(candidate.wanted) and (left if connection.clears else cleared):
        return None, ()  # the policy has changed since it was planned
    made = translate_invoice(
        _without(invoice, left),
        entity=entity or "",
        connection=connection,
        chart=chart,
        contact_id=contact_id,
        cleared=cleared,
    )
    payload = unlocked(made.payload, chart.organisation, connection)
    payload = payload.model_copy(update={"invoice_id": candidate.xero_id})
    _check_news(candidate, payload)
    number, wanted = payload.invoice_number, candidate.wanted
    decided = None if is_drafted(wanted) else left
    element = Element(
        candidate.id,
        wanted,
        payload.body(),
        "",
        number,
        made.totals,
        decided,
        made.cleared,
        payload.date,
    )
    return element, made.notes


def _check_news(candidate: Candidate, payload: xero.Invoice | xero.CreditNote) -> None:
    """A draft that a lock date holds is sent again only once there is something new to say.

    Raises:
        StillDraft: there is not.
    """
    held = payload.status == "DRAFT" and not is_drafted(candidate.wanted)
    if held and candidate.stands.draft and candidate.synced == candidate.wanted:
        raise StillDraft(LOCK)


def _left_to_allocations(invoice: lago.Invoice, candidate: Candidate) -> frozenset[UUID]:
    """The credits without a line; a draft shows none of the notes that it may consume in the end."""
    if not is_drafted(candidate.wanted):
        return candidate.allocated
    notes = (one for one in invoice.credits or () if one.item and one.item.type == "credit_note")
    return frozenset(one.lago_id for one in notes)


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
