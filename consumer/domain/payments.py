"""Payments: money that Lago received and the invoices it paid in; a document for each invoice out, and
one for what is beyond it.

ACCOUNTING.md 6. The identity is the payment (a payment request's is the request) and the invoice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC
from types import MappingProxyType
from uuid import UUID

from consumer.domain import causes
from consumer.domain.documents import Planned
from consumer.domain.errors import Inconsistent
from consumer.domain.fingerprints import digest
from consumer.domain.mapping import Connection
from consumer.domain.objects import Money, Object, money_of
from consumer.domain.operations import DocumentKind
from consumer.domain.overpayments import EXCESS, Parts, parted_before
from consumer.domain.residuals import (
    RESIDUAL,
    Residuals,
    currency_of,
    residual_id,
    residual_moneys,
    residuals_of,
)
from consumer.domain.translate.portions import split_payment

ByInvoice = Mapping[UUID, Mapping[UUID, Parts]]
"""The parts of payments and residuals by their ids, for each invoice that has money beyond it."""


def plan_payment(
    payment: Object,
    invoices: Mapping[UUID, Object],
    shares: Mapping[UUID, int] | None,
    connections: Mapping[int, Connection],
    parts: ByInvoice = MappingProxyType({}),
) -> list[Planned]:
    """What each invoice gets of the payment, and what is beyond it.

    Args:
        invoices: those known by now, by Lago id.
        shares: what each invoice gets, in Lago subunits; None if it cannot be told yet.
    """
    money = money_of(payment)
    if money is None:
        return []
    return [
        plan
        for id in payment.invoice_ids
        for plan in _plan(payment, money, id, invoices.get(id), shares, connections, parts)
    ]


def _plan(
    payment: Object,
    money: Money,
    invoice_id: UUID,
    invoice: Object | None,
    shares: Mapping[UUID, int] | None,
    connections: Mapping[int, Connection],
    parts: ByInvoice,
) -> Iterator[Planned]:
    hold, waits, id = None, False, payment.key.lago_id
    if invoice is None:
        hold, waits = causes.invoice_unknown(invoice_id), True
    elif money.status != "succeeded":
        hold = causes.in_lago(f"payment_{money.status}")
    elif shares is None:
        hold, waits = causes.split_unknown(id), True
    without, held = hold, waits
    amount = shares.get(invoice_id, 0) if shares is not None else None
    posted = residuals_of(invoice).given.get(id, 0) if invoice else 0
    if hold is None and not amount:
        hold = causes.NOTHING_OPEN
    elif amount is not None and posted:
        amount = amount - posted
        hold = hold if amount else hold or causes.IN_RESIDUAL
    mine = parts.get(invoice_id, {}).get(id)
    if mine is not None and hold is None:
        amount = mine.on_invoice
        hold = None if amount else causes.NOTHING_OPEN
    yield _on_invoice(
        invoice,
        money,
        connections,
        lago_id=id,
        target=invoice_id,
        customer_id=payment.customer_id,
        amount=amount,
        hold=hold,
        waits=waits,
    )
    excess = mine.excess if mine is not None else 0
    if invoice is not None and (excess or id in parted_before(invoice)):
        yield _on_invoice(
            invoice,
            money,
            connections,
            kind="overpayment",
            part=EXCESS,
            lago_id=id,
            target=invoice_id,
            customer_id=payment.customer_id,
            amount=excess,
            hold=without or (None if excess else causes.NO_EXCESS),
            waits=held,
        )


def plan_residuals(
    invoice: Object,
    before: Residuals,
    connections: Mapping[int, Connection],
    parts: Mapping[UUID, Parts] = MappingProxyType({}),
) -> list[Planned]:
    """The documents of an invoice's residuals; ``before``: what was decided on it before."""
    now, id = residuals_of(invoice), invoice.key.lago_id
    moneys = residual_moneys(invoice, id)
    known = parted_before(invoice)
    plans: list[Planned] = []
    for lago_id, money in moneys.items():
        gone = None if money.amount_cents else causes.PAYMENT_REVERSED
        mine = parts.get(lago_id, Parts(money.amount_cents, 0))
        hold = gone or (None if mine.on_invoice else causes.NOTHING_OPEN)
        here = replace(money, amount_cents=mine.on_invoice)
        plans.append(_residual(invoice, lago_id, here, hold, connections))
        if mine.excess or lago_id in known:
            hold = gone or (None if mine.excess else causes.NO_EXCESS)
            beyond = replace(money, amount_cents=mine.excess)
            plans.append(_residual(invoice, lago_id, beyond, hold, connections, kind="overpayment"))
    currency = currency_of(invoice)
    withdrawn = before.pending and not now.pending and len(now.made) == len(before.made)
    if currency is not None and (now.pending or withdrawn):
        money = Money(now.pending, currency, None, (id,), None, "succeeded")
        hold = _why_pending(invoice, now, connections)
        plans.append(_residual(invoice, residual_id(id, len(moneys) + 1), money, hold, connections))
    return plans


def _why_pending(invoice: Object, now: Residuals, connections: Mapping[int, Connection]) -> str:
    """The policy concerns what is pending only: from what was decided before it changed payments may
    have been taken."""
    connection = connections.get(invoice.connection_id or 0)
    if connection is not None and not connection.posts_residuals:
        return causes.policy("residual", connection.code)
    if now.beside is not None:
        return causes.split_unknown(now.beside)
    return causes.residual(invoice.key.lago_id) if now.pending else causes.NOTHING_OPEN


def _residual(
    invoice: Object,
    lago_id: UUID,
    money: Money,
    hold: str | None,
    connections: Mapping[int, Connection],
    kind: DocumentKind = "payment",
) -> Planned:
    return _on_invoice(
        invoice,
        money,
        connections,
        kind=kind,
        lago_id=lago_id,
        target=invoice.key.lago_id,
        part=RESIDUAL,
        customer_id=invoice.customer_id,
        amount=money.amount_cents,
        hold=hold,
        waits=causes.is_residual(hold) or causes.awaits_news(hold),
    )


def _on_invoice(
    invoice: Object | None,
    money: Money,
    connections: Mapping[int, Connection],
    *,
    lago_id: UUID,
    target: UUID,
    customer_id: UUID | None,
    amount: int | None,
    hold: str | None,
    waits: bool,
    kind: DocumentKind = "payment",
    part: str = "",
) -> Planned:
    """Money on an invoice or beyond it, in the invoice's connection."""
    home = invoice.connection_id if invoice is not None else None
    connection = connections.get(home) if home is not None else None
    if invoice is not None and connection is None:
        hold, waits = causes.nowhere(target, invoice.customer_id), True
    elif connection is not None and not connection.sync_payments and hold not in causes.TAKEN_BACK:
        hold, waits = causes.switched_off("payments", connection.code), False
    return Planned(
        kind=kind,
        lago_id=lago_id,
        part=part,
        target=target,
        customer_id=invoice.customer_id if invoice is not None else customer_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=payment_fingerprint(money, amount) if hold is None and amount is not None else None,
        hold=hold,
        waits=waits,
        stays=None if hold in causes.TAKEN_BACK else hold,
        amount_cents=amount,
        currency=money.currency,
        dated=money.created_at.astimezone(UTC).date() if money.created_at else None,
    )


def split(payment: Object, open_cents: Mapping[UUID, int]) -> Mapping[UUID, int] | None:
    """What each of its invoices gets; None if that cannot be told.

    Args:
        open_cents: what the known ones of its invoices had open before it.
    """
    money = money_of(payment)
    if money is None:
        return None
    if money.shares:
        return money.shares
    if len(payment.invoice_ids) == 1:
        return {payment.invoice_ids[0]: money.amount_cents}
    if any(id not in open_cents for id in payment.invoice_ids):
        return None
    try:
        return split_payment(money.amount_cents, open_cents)
    except Inconsistent:
        return None  # another payment's message may tell


def open_before(invoice: Object, payments: Mapping[UUID, Object], but: UUID, due_cents: int) -> int:
    """What the invoice had open before payment ``but``, of ``due_cents`` in all: less all else that
    succeeded on it alone."""
    paid = 0
    for id, payment in payments.items():
        money = money_of(payment)
        alone = payment.invoice_ids == (invoice.key.lago_id,)
        if id != but and alone and money is not None and money.status == "succeeded":
            paid += money.amount_cents
    return due_cents - paid


def left_by_hand(kind: DocumentKind, xero_id: UUID) -> Inconsistent:
    """What a person is asked about money that Lago takes back, and that a person entered in Xero:
    nothing made by a person is deleted (ACCOUNTING.md 6)."""
    return Inconsistent(
        "paid_by_hand",
        f"Lago says that the payment failed or was given back; {kind} {xero_id} in Xero was entered "
        "there by hand and stays.",
        f"If the money has not come, delete that {kind} in Xero.",
    )


def payment_fingerprint(money: Money, amount: int | None) -> bytes:
    """Of what Xero gets."""
    paid_at = money.paid_at.isoformat() if money.paid_at else None
    facts = [amount, money.currency, paid_at, money.reference]
    return digest(facts)
