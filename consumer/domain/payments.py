"""Payments: money that Lago received and the invoices it paid in; a document for each invoice out.

ACCOUNTING.md 6. The identity is the payment (a payment request's is the request) and the invoice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from uuid import UUID

from consumer.domain.documents import GONE, Planned
from consumer.domain.errors import Inconsistent
from consumer.domain.mapping import Connection
from consumer.domain.objects import Money, Object, money_of
from consumer.domain.translate.portions import split_payment


def plan_payment(
    payment: Object,
    invoices: Mapping[UUID, Object],
    shares: Mapping[UUID, int] | None,
    connections: Mapping[int, Connection],
) -> list[Planned]:
    """What each invoice gets of the payment.

    Args:
        invoices: those known by now, by Lago id.
        shares: what each invoice gets, in Lago subunits; None if it cannot be told yet.
    """
    money = money_of(payment)
    if money is None:
        return []
    return [
        _plan(payment, money, id, invoices.get(id), shares, connections)
        for id in payment.invoice_ids
    ]


def _plan(
    payment: Object,
    money: Money,
    invoice_id: UUID,
    invoice: Object | None,
    shares: Mapping[UUID, int] | None,
    connections: Mapping[int, Connection],
) -> Planned:
    home = invoice.connection_id if invoice is not None else None
    connection = connections.get(home) if home is not None else None
    hold, waits = None, False
    if invoice is None:
        hold, waits = f"lago_invoice:{invoice_id}", True
    elif connection is None:
        hold, waits = f"home:{invoice.customer_id}", True
    elif money.status != "succeeded":
        hold = f"lago:payment_{money.status}"
    elif not connection.sync_payments:
        hold = f"syncs:payments@{connection.code}"
    elif shares is None:
        hold, waits = f"split:{payment.key.lago_id}", True
    amount = shares.get(invoice_id, 0) if shares is not None else None
    if hold is None and amount == 0:
        hold = "nothing_open"
    return Planned(
        kind="payment",
        lago_id=payment.key.lago_id,
        target=invoice_id,
        customer_id=invoice.customer_id if invoice is not None else payment.customer_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=payment_fingerprint(money, amount) if hold is None and amount is not None else None,
        hold=hold,
        waits=waits,
        stays=None if hold in GONE else hold,
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


def payment_fingerprint(money: Money, amount: int | None) -> bytes:
    """Of what Xero gets."""
    created = money.created_at.isoformat() if money.created_at else None
    facts = [amount, money.currency, created, money.reference]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).digest()
