"""Planning: objects that changed, with all they concern, in; the documents that must exist out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from consumer.domain import causes
from consumer.domain.contacts import is_partner, plan_contact
from consumer.domain.credit_notes import Placed, consumed, plan_allocations, plan_credit_note
from consumer.domain.documents import Planned
from consumer.domain.homes import Home, choose_home, settled
from consumer.domain.invoices import plan_invoice
from consumer.domain.mapping import Connection
from consumer.domain.objects import Money, Object, ObjectKey, customer_of, money_of
from consumer.domain.overpayments import (
    InXero,
    Parts,
    claims_on,
    due_of,
    may_split,
    parted,
    splits,
    with_parted,
)
from consumer.domain.payments import open_before, plan_payment, plan_residuals, split
from consumer.domain.residuals import Residuals, decide, residuals_of, with_residuals

_LATEST = datetime.max.replace(tzinfo=UTC)
"""For objects that are just being stored."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents, the objects whose home was found, and causes that have gone."""

    documents: tuple[Planned, ...]
    objects: Mapping[ObjectKey, Object]
    released: tuple[str, ...]


def plan_family(
    known: Mapping[ObjectKey, Object],
    changed: Mapping[ObjectKey, Object],
    connections: Mapping[int, Connection],
    contacts: Mapping[UUID, Collection[int]],
    *,
    now: datetime,
    patience: timedelta,
    due: Collection[UUID] = (),
    unvoided: Collection[UUID] = (),
    in_xero: Mapping[UUID, Mapping[UUID, InXero]] = MappingProxyType({}),
    placed: Mapping[UUID, Placed] = MappingProxyType({}),
    notes_there: Collection[tuple[UUID, int]] = (),
) -> Plan:
    """Plan ``changed`` and what depends on them.

    Args:
        known: objects as stored: those that changed before they did, their customers, what pays and
            corrects the invoices, and the notes that these consume.
        contacts: the connections in which each customer has a contact already, or is to have one.
        patience: how long an unlinked customer of several connections waits for a link.
        due: the invoices whose pending residuals have waited long enough.
        unvoided: the invoices that voiding was refused for.
        in_xero: what Xero has of the money on those ``beyond`` named, by invoice, then by payment.
        placed: how the invoices that Xero was asked for have their credits.
        notes_there: the consumed notes that Xero has or may have, by id and connection.
    """
    stored = known.keys()
    known = _told(known)
    objects = _told(changed)
    homes: dict[UUID, Home] = {}
    released = []
    for key, customer in {**known, **objects}.items():
        if key.kind == "customer":
            ours = list(connections.values())
            homes[key.lago_id] = found = choose_home(customer, ours, now=now, patience=patience)
            if (there := settled(customer, found, ours)) is not customer:
                objects[key] = there
                found_one = customer.connection_id is None and found.connection_id is not None
                if found_one and key in stored:
                    released.append(causes.home(key.lago_id))
    documents: list[Planned] = []
    customers = {**known, **objects}
    for key, thing in [*objects.items()]:
        home = homes.get(thing.customer_id) if thing.customer_id else None
        if key.kind == "customer" and home is not None:
            # Where he was at home before, his invoices stay, and so does his contact.
            here = {home.connection_id, *contacts.get(key.lago_id, ())}
            places = [one for id, one in connections.items() if id in here]
            nowhere = [] if places else [None]
            documents += [plan_contact(thing, home, place) for place in [*places, *nowhere]]
        elif key.kind == "invoice":
            if thing.connection_id is None and home is not None and home.connection_id is not None:
                objects[key] = thing = replace(thing, connection_id=home.connection_id)
            place = _get(connections, thing.connection_id)
            partners = _is_a_partners(thing, customers)
            document = plan_invoice(
                thing,
                place,
                home,
                partners=partners,
                unvoided=key.lago_id in unvoided,
                placed=placed.get(key.lago_id),
            )
            documents.append(document)
    family = {**known, **objects}
    documents += _plan_notes(family, objects, documents, connections, placed, notes_there)
    documents += _plan_payments(family, objects, connections, due, in_xero)
    return Plan(tuple(documents), objects, tuple(released))


def _told(objects: Mapping[ObjectKey, Object]) -> dict[ObjectKey, Object]:
    """Without those that others only name: Lago has said nothing of them yet."""
    return {key: one for key, one in objects.items() if one.facets}


def _plan_payments(
    known: Mapping[ObjectKey, Object],
    planning: dict[ObjectKey, Object],
    connections: Mapping[int, Connection],
    due: Collection[UUID],
    in_xero: Mapping[UUID, Mapping[UUID, InXero]],
) -> list[Planned]:
    """Those that changed, and those on an invoice that did or whose other payments did.

    What is decided on residuals, and whose money was parted, is written to the invoices in ``planning``.
    """
    invoices = {key.lago_id: o for key, o in known.items() if key.kind == "invoice"}
    payments = {key.lago_id: o for key, o in known.items() if key.kind == "payment"}
    changed = {key.lago_id for key in planning if key.kind == "invoice"}
    changed |= {id for key, o in planning.items() if key.kind == "payment" for id in o.invoice_ids}
    concerned = {
        id: payment
        for id, payment in payments.items()
        if ObjectKey("payment", id) in planning or changed & set(payment.invoice_ids)
    }
    shares = {id: _shares(payment, invoices, payments) for id, payment in concerned.items()}
    on = _by_invoice(concerned)
    before = {id: residuals_of(invoices[id]) for id in changed & invoices.keys()}
    for id in before:
        invoice = invoices[id]
        connection = _get(connections, invoice.connection_id)
        posts = connection is None or connection.posts_residuals
        now = _decide(invoice, on.get(id, ()), shares, due=id in due and posts)
        if now != before[id]:
            invoices[id] = planning[invoice.key] = with_residuals(invoice, now)
    parts: dict[UUID, Mapping[UUID, Parts]] = {}
    touched = changed | {id for payment in concerned.values() for id in payment.invoice_ids}
    paying = _paying(payments.values())
    for id in touched & invoices.keys():
        invoice = invoices[id]
        parts[id] = _parts(invoice, paying.get(id, ()), connections, in_xero.get(id, {}))
        over = [one for one, mine in parts[id].items() if mine.excess]
        if (remembers := with_parted(invoice, over)) is not invoice:
            invoices[id] = planning[invoice.key] = remembers
    plans: list[Planned] = []
    for id, were in before.items():
        plans += plan_residuals(invoices[id], were, connections, parts[id])
    for id, payment in concerned.items():
        plans += plan_payment(payment, invoices, shares[id], connections, parts)
    return plans


def beyond(
    known: Mapping[ObjectKey, Object],
    connections: Mapping[int, Connection],
    due: Collection[UUID] = (),
) -> frozenset[UUID]:
    """The invoices among these on which there is more money than they have open, or was, or, of those
    ``due``, will be: what Xero has of it must be known before any of it is planned."""
    invoices = {
        key.lago_id: one
        for key, one in known.items()
        if key.kind == "invoice" and may_split(one, _get(connections, one.connection_id))
    }
    if not invoices:
        return frozenset()
    paying = _paying(one for key, one in known.items() if key.kind == "payment" and one.facets)
    return frozenset(
        id
        for id, one in invoices.items()
        if id in due or splits(one, claims_on(one, paying.get(id, ())))
    )


def _paying(payments: Iterable[Object]) -> dict[UUID, list[Object]]:
    """All that is known to pay each invoice."""
    paying: dict[UUID, list[Object]] = {}
    for payment in payments:
        for id in payment.invoice_ids:
            paying.setdefault(id, []).append(payment)
    return paying


def _parts(
    invoice: Object,
    payments: Sequence[Object],
    connections: Mapping[int, Connection],
    there: Mapping[UUID, InXero],
) -> Mapping[UUID, Parts]:
    """What of the money on the invoice is beyond it; empty where all of it is the invoice's."""
    connection = _get(connections, invoice.connection_id)
    if not may_split(invoice, connection):
        return {}
    claims = claims_on(invoice, payments)
    due = due_of(invoice) if splits(invoice, claims) else None
    if due is None:
        return {}
    overpays = connection is not None and connection.overpays
    return parted(due, claims, there, overpays=overpays)


def _by_invoice(payments: Mapping[UUID, Object]) -> dict[UUID, list[tuple[UUID, Object, Money]]]:
    """The payments whose content is known on each invoice, the earliest first."""
    ordered = sorted(payments.items(), key=lambda pair: (pair[1].first_seen or _LATEST, pair[0]))
    on: dict[UUID, list[tuple[UUID, Object, Money]]] = {}
    for id, payment in ordered:
        if (money := money_of(payment)) is not None:
            for invoice_id in payment.invoice_ids:
                on.setdefault(invoice_id, []).append((id, payment, money))
    return on


def _decide(
    invoice: Object,
    payments: Sequence[tuple[UUID, Object, Money]],
    shares: Mapping[UUID, Mapping[UUID, int] | None],
    *,
    due: bool,
) -> Residuals:
    """``decide`` with what the invoice's payments give it."""
    figure = invoice.facets.get("paid")
    given: dict[UUID, int | None] = {}
    made_at: dict[UUID, datetime] = {}
    gone: dict[UUID, int] = {}
    unsplit: dict[UUID, int] = {}
    for id, payment, money in payments:
        share = shares[id]
        cents = None if share is None else share.get(invoice.key.lago_id, 0)
        if money.status == "succeeded":
            given[id] = cents
            if cents is None:
                unsplit[id] = money.amount_cents
        elif f"lago:payment_{money.status}" in causes.TAKEN_BACK and (
            figure is not None and payment.facets["status"].stamp.appended > figure.stamp.appended
        ):
            # Until Lago tells its figure again it still counts what has gone back.
            gone[id] = cents or 0
        told = payment.facets["content"].stamp.appended / 1000
        # Lago's date of a payment by hand is a person's: one of a day to come says nothing.
        if money.created_at is not None and (
            money.type != "manual" or money.created_at.timestamp() <= told
        ):
            made_at[id] = money.created_at
    return decide(invoice, given, due=due, made_at=made_at, gone=gone, unsplit=unsplit)


def _shares(
    payment: Object, invoices: Mapping[UUID, Object], payments: Mapping[UUID, Object]
) -> Mapping[UUID, int] | None:
    """What each of its invoices gets of a payment; None if that cannot be told."""
    if len(payment.invoice_ids) == 1:
        return split(payment, {})
    id = payment.key.lago_id
    due = {i: _open(invoices[i], payments, id) for i in payment.invoice_ids if i in invoices}
    return split(payment, {i: cents for i, cents in due.items() if cents is not None})


def _open(invoice: Object, payments: Mapping[UUID, Object], but: UUID) -> int | None:
    due = due_of(invoice)
    return None if due is None else open_before(invoice, payments, but, due)


def consumed_notes(objects: Iterable[Object]) -> set[ObjectKey]:
    """The credit notes that the invoices among them consume."""
    invoices = (one for one in objects if one.key.kind == "invoice")
    return {ObjectKey("credit_note", id) for one in invoices for id in consumed(one)}


def _plan_notes(
    known: Mapping[ObjectKey, Object],
    planning: Mapping[ObjectKey, Object],
    planned: Sequence[Planned],
    connections: Mapping[int, Connection],
    placed: Mapping[UUID, Placed],
    there: Collection[tuple[UUID, int]],
) -> list[Planned]:
    """Notes that changed or whose invoice did, and what the planned invoices consume."""
    invoices = {key.lago_id: o for key, o in known.items() if key.kind == "invoice"}
    notes = {key.lago_id: o for key, o in known.items() if key.kind == "credit_note"}
    plans: list[Planned] = []
    for id, note in notes.items():
        corrected = note.invoice_ids[0] if note.invoice_ids else None
        changed = ObjectKey("credit_note", id) in planning
        if changed or (corrected and ObjectKey("invoice", corrected) in planning):
            invoice = invoices.get(corrected) if corrected else None
            partners = _is_a_partners(note, known)
            plans += plan_credit_note(note, invoice, connections, partners=partners)
    for document in planned:
        if document.kind == "invoice":
            invoice = invoices[document.lago_id]
            connection = _get(connections, document.connection_id)
            as_sent = placed.get(document.lago_id)
            plans += plan_allocations(
                document, invoice, notes, invoices, connection, as_sent, there
            )
    return plans


def _is_a_partners(thing: Object, known: Mapping[ObjectKey, Object]) -> bool:
    owner = known.get(ObjectKey("customer", thing.customer_id)) if thing.customer_id else None
    return owner is not None and is_partner(customer_of(owner))


def _get(connections: Mapping[int, Connection], id: int | None) -> Connection | None:
    return None if id is None else connections.get(id)
