"""Making: a candidate with its connection and chart in, its element of a request out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal
from uuid import UUID

from consumer.domain.candidates import Candidate, Element
from consumer.domain.chart import Chart
from consumer.domain.contacts import is_partner
from consumer.domain.documents import IMMUTABLE, before_start
from consumer.domain.errors import StillDraft
from consumer.domain.fingerprints import fingerprint, is_drafted
from consumer.domain.making_money import money_element
from consumer.domain.mapping import Connection
from consumer.domain.operations import Operation
from consumer.domain.translate.contact import name_key, name_suffix, translate_contact
from consumer.domain.translate.credit_note import translate_credit_note
from consumer.domain.translate.invoice import translate_invoice
from consumer.domain.translate.locks import LOCK, check_removal, unlocked
from consumer.domain.translate.types import Note
from schemas import lago, xero


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
    if operation.kind == "invoice":
        return _invoice(candidate, connection, chart)
    if operation.kind == "credit_note":
        return _credit_note(candidate, connection, chart)
    return money_element(candidate, operation.kind, connection, chart), ()


def _left_out(candidate: Candidate, operation: Operation, connection: Connection) -> bool:
    """Whether a switch, a policy, the start date or the customer, changed since it was planned, keeps it
    from Xero."""
    # What an invoice consumes of a note that Xero has is taken from it also after a switch was turned off.
    switched_on = candidate.consumes or {
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
        candidate.id,
        wanted,
        payload.body(),
        "",
        number,
        made.totals,
        dated=payload.date,
        contact_id=contact_id,
    )
    return element, made.notes


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
    left, cleared = _without_line(invoice, candidate, connection)
    if not is_drafted(candidate.wanted):
        overlooked = candidate.there - candidate.allocated - candidate.cleared
        if overlooked or (left if connection.clears else cleared):
            return (
                None,
                (),
            )  # the policy, or what Xero has of the notes, has changed since it was planned
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
        contact_id=contact_id,
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


def _without_line(
    invoice: lago.Invoice, candidate: Candidate, connection: Connection
) -> tuple[frozenset[UUID], frozenset[UUID]]:
    """The credits that are left to allocations, and those whose line is cleared; without notes only those
    whose notes Xero has. A draft shows none of the notes that it may consume in the end."""
    on = connection.sync_credit_notes
    if is_drafted(candidate.wanted):
        credits = (
            one for one in invoice.credits or () if one.item and one.item.type == "credit_note"
        )
        return frozenset(one.lago_id for one in credits if on), frozenset()
    if on:
        return candidate.allocated, candidate.cleared
    return candidate.allocated & candidate.there, candidate.cleared & candidate.there


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
