"""Documents: objects in, what must exist in Xero out, and the states a document goes through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from consumer.domain import causes
from consumer.domain.homes import Home
from consumer.domain.mapping import Connection
from consumer.domain.objects import FINAL, Object, ObjectKey, ObjectKind, customer_of, invoice_of
from consumer.domain.operations import DocumentKind
from schemas import lago

State = Literal["waiting", "ready", "sending", "synced", "skipped", "failed"]

IMMUTABLE: frozenset[str] = frozenset({"invoice", "credit_note", "allocation", "payment", "refund"})
"""Kinds that are never edited once posted, only voided."""

OFFSET = "offset"
"""The part of a document that allocates a credit note to the invoice it corrects."""
_OBJECT: Mapping[DocumentKind, ObjectKind] = {
    "contact": "customer",
    "invoice": "invoice",
    "credit_note": "credit_note",
    "allocation": "credit_note",
    "payment": "payment",
    "refund": "credit_note",
}

_MADE_OF_INVOICES = {("allocation", ""), ("payment", "residual")}
"""Kinds and parts: what an invoice consumes and what was paid on it have ids of their own."""

_NOT_IN_FINGERPRINT = {
    "customer",
    "status",
    "payment_status",
    "total_due_amount_cents",
    "total_paid_amount_cents",
    "total_offsetted_credit_note_amount_cents",
    "updated_at",
    "voided_at",
    "web_url",
}
_NOT_IN_A_NOTE = {
    "customer",
    "credit_status",
    "refund_status",
    "balance_amount_cents",
    "credit_amount_cents",
    "refund_amount_cents",
    "offset_amount_cents",
    "updated_at",
}
_NOT_IN_A_CONTACT = {
    "updated_at",
    "integration_customers",
    "currency",
    "account_type",
    "billing_entity_code",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """What Lago's facts ask for.

    ``wanted`` is the fingerprint of the facts that translation uses; None = must be absent. Then
    ``hold`` says why nothing is to be posted, ``waits`` that this will pass, and ``stays`` why what
    is posted already is left as it is.
    """

    kind: DocumentKind
    lago_id: UUID
    part: str = field(default="", kw_only=True)
    target: UUID | None = field(default=None, kw_only=True)
    """The invoice that a payment or an allocation is for."""
    source: UUID | None = field(default=None, kw_only=True)
    """The credit note that an allocation or a refund takes from."""
    amount_cents: int | None = field(default=None, kw_only=True)
    """Of a payment, an allocation or a refund, in Lago's subunits."""
    customer_id: UUID | None
    connection_id: int | None
    tenant_id: UUID | None
    wanted: bytes | None
    hold: str | None = None
    waits: bool = False
    stays: str | None = None
    until: datetime | None = None
    xero_id: UUID | None = None
    """Known beforehand: Lago links the customer to this contact."""
    number: str | None = None
    currency: str | None = None
    dated: date | None = None


@dataclass(frozen=True, slots=True)
class Stands:
    """Where a document stands in the ledger."""

    state: State
    cause: str | None = None
    wanted: bytes | None = None
    synced: bytes | None = None
    xero_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """The state a document that is not being sent belongs in."""

    state: State
    cause: str | None = None
    until: datetime | None = None
    drift: bool = False


def object_of(kind: DocumentKind, part: str, lago_id: UUID, target: UUID | None) -> ObjectKey:
    """The object that a document is made of: its news plan the document again."""
    if (kind, part) in _MADE_OF_INVOICES and target is not None:
        return ObjectKey("invoice", target)
    return ObjectKey(_OBJECT[kind], lago_id)


def before_start(connection: Connection, day: date | None) -> bool:
    """Whether a document of that date is older than what the connection follows."""
    return bool(connection.start_date and day and day < connection.start_date)


def fingerprint(facts: lago.LagoModel) -> bytes:
    """Of the facts that translation uses: what changes nothing in Xero is no change.

    Lists are sets here: Lago gives their order no meaning. A new version of the service may well
    compute another fingerprint: documents are planned again then, before they are sent.
    """
    if isinstance(facts, lago.Invoice):
        exclude = _NOT_IN_FINGERPRINT
        lists = {name: getattr(facts, name) for name in ("fees", "credits", "applied_taxes")}
        facts = facts.model_copy(
            update={
                name: tuple(sorted(parts, key=lambda part: part.model_dump_json()))
                for name, parts in lists.items()
                if parts
            }
        )
    elif isinstance(facts, lago.CreditNote):
        exclude = _NOT_IN_A_NOTE
        items = tuple(sorted(facts.items or (), key=lambda item: str(item.lago_id)))
        taxes = tuple(sorted(facts.applied_taxes or (), key=lambda tax: tax.model_dump_json()))
        facts = facts.model_copy(update={"items": items, "applied_taxes": taxes})
    else:
        exclude = _NOT_IN_A_CONTACT
    text = json.dumps(
        facts.model_dump(mode="json", exclude=exclude, exclude_none=True), sort_keys=True
    )
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def plan_contact(customer: Object, home: Home, connection: Connection | None) -> Planned:
    """The contact of a customer in his home."""
    facts = customer_of(customer)
    wanted, hold, waits = None, None, False
    if connection is None:
        hold, waits = causes.home(customer.key.lago_id), True
    elif facts is None:
        hold, waits = causes.content(customer.key.lago_id), True
    elif facts.account_type == "partner":
        hold = causes.PARTNER
    else:
        wanted = fingerprint(facts)
    return Planned(
        kind="contact",
        lago_id=customer.key.lago_id,
        customer_id=customer.key.lago_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=wanted,
        hold=hold,
        waits=waits,
        stays=hold,  # a contact is never removed
        until=home.until if connection is None else None,
        xero_id=linked_contact(facts, connection.code) if facts and connection else None,
    )


def linked_contact(facts: lago.Customer, code: str) -> UUID | None:
    """The ContactID that Lago's link gives for the connection of that code."""
    for link in facts.integration_customers or ():
        if link.type == "xero" and link.integration_code == code:
            try:
                return UUID(link.external_customer_id or "")
            except ValueError:
                return None
    return None


def plan_invoice(invoice: Object, connection: Connection | None, home: Home | None) -> Planned:
    """The invoice in the connection it belongs to."""
    facts = invoice_of(invoice)
    hold, waits = _why_not(invoice, facts, connection)
    number = facts.number if facts else None
    return Planned(
        kind="invoice",
        lago_id=invoice.key.lago_id,
        customer_id=invoice.customer_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=fingerprint(facts) if facts is not None and hold is None else None,
        hold=hold,
        waits=waits,
        stays=_why_left(invoice, hold, connection),
        until=home.until if connection is None and home is not None else None,
        number=f"{connection.number_prefix if connection else ''}{number}" if number else None,
        currency=facts.currency if facts else None,
        dated=facts.issuing_date if facts else None,
    )


def _why_left(invoice: Object, hold: str | None, connection: Connection | None) -> str | None:
    """Why a posted invoice that must be absent stays (ACCOUNTING.md 4); None: it is voided."""
    if hold not in causes.TAKEN_BACK:
        return hold  # a switch or a date concerns what is not posted yet
    if invoice.value("paid") or invoice.value("offset"):
        return causes.VOID_WITH_MONEY
    if not _charges(invoice):
        return causes.NOTHING_CHARGED
    if connection is not None and connection.voids == "report":
        return causes.policy("voids", connection.code)
    return None


def _charges(invoice: Object) -> bool:
    """Whether the invoice has a total in Xero. One without is paid there, and stays as it is: what
    is paid cannot be voided (xero.md 5). Consumed credit notes lower what is due, not the total."""
    facts = invoice_of(invoice)
    if facts is None or facts.total_amount_cents is None:
        return True
    return bool(facts.total_amount_cents + facts.credit_notes_amount_cents)


def _why_not(
    invoice: Object, facts: lago.Invoice | None, connection: Connection | None
) -> tuple[str | None, bool]:
    """Why the invoice is not to be posted, and whether that will pass (ACCOUNTING.md 2)."""
    status = invoice.value("status")
    if status in ("voided", "deleted"):
        return causes.in_lago(status), False
    if facts is None:
        return causes.content(invoice.key.lago_id), True
    if facts.self_billed:
        return causes.SELF_BILLED, False
    if facts.status != "finalized":
        return causes.in_lago(facts.status or "unknown"), False
    if invoice.facets["content"].stamp.rank < FINAL:  # the draft's: its number is no number
        return causes.content(invoice.key.lago_id), True
    if connection is None:
        return causes.home(invoice.customer_id), True
    if not connection.sync_invoices:
        return causes.switched_off("invoices", connection.code), False
    if before_start(connection, facts.issuing_date):
        return causes.before_start(connection.code), False
    if not facts.fees_amount_cents and (connection.zero_invoices == "skip" or not facts.fees):
        return causes.policy("zero", connection.code), False
    return None, False


def rest(kind: str, now: Stands, planned: Planned | None = None) -> Rest:
    """Where a document belongs that is not being sent.

    ``planned`` is None when nothing new was learnt of Lago (after a send): then ``now.wanted`` and
    ``now.cause`` speak for it.
    """
    wanted = now.wanted if planned is None else planned.wanted
    hold = now.cause if planned is None else planned.hold
    if wanted is None:
        posted = now.xero_id is not None and now.synced is not None
        # A wait that has ended as a failure is over once there is nothing to wait for any more.
        as_before = now.wanted is None and (posted or hold == now.cause)
        if now.state == "failed" and planned is not None and as_before:
            return Rest("failed", now.cause)
        if not posted:
            waits = planned is not None and planned.waits
            until = planned.until if planned is not None else None
            return Rest("waiting" if waits else "skipped", hold, until)
        stays = hold if planned is None else planned.stays
        if stays is None or stays in causes.TAKEN_BACK:
            return Rest("ready", hold)
        return Rest("synced", stays)
    if wanted == now.synced:
        return Rest("synced", now.cause if now.cause == causes.BELOW_CENT else None)
    if now.xero_id is not None and kind in IMMUTABLE:
        return Rest("synced", drift=True)
    if now.state == "failed" and planned is not None and wanted == now.wanted:
        return Rest("failed", now.cause)
    return Rest("ready")
