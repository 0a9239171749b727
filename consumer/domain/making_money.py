"""Making what is money: a payment, an overpayment, a refund or an allocation in, its element of a request
out; ``making`` makes the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from consumer.domain.candidates import Candidate, Element
from consumer.domain.chart import Chart
from consumer.domain.errors import Inconsistent
from consumer.domain.mapping import Connection
from consumer.domain.money import ZERO
from consumer.domain.operations import DocumentKind
from consumer.domain.payments import payment_fingerprint
from consumer.domain.translate.allocation import translate_allocation
from consumer.domain.translate.locks import unlocked
from consumer.domain.translate.overpayment import translate_overpayment
from consumer.domain.translate.payment import (
    translate_clearing,
    translate_payment,
    translate_refund,
)
from consumer.domain.translate.types import Totals
from schemas import lago, xero

Money = TypeVar("Money", xero.Payment, xero.Allocation, xero.Overpayment)


def money_element(
    candidate: Candidate, kind: DocumentKind, connection: Connection, chart: Chart
) -> Element | None:
    """The document's part of the request; None if its facts are not the wanted ones.

    Raises:
        Reject: it cannot be sent as it is. ``BelowCent``: there is nothing to send.
    """
    if kind == "payment":
        return _payment(candidate, connection, chart)
    if kind == "overpayment":
        return _overpayment(candidate, connection, chart)
    if kind == "refund":
        return _refund(candidate, connection, chart)
    return _allocation(candidate, connection, chart)


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
    return replace(_of_money(candidate, made, connection, chart), contact_id=contact_id)


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
