"""Overpayments: the money that Lago received on an invoice in; what of each is beyond what the invoice has
open out (ACCOUNTING.md 6).

Lago's facts decide, and what Xero has already: posted parts stay as they are, and whatever of the same
money is still to be sent is the rest of it. So no money is ever there twice or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from consumer.domain.mapping import Connection
from consumer.domain.objects import Facet, Object, Stamp, invoice_of, money_of
from consumer.domain.residuals import currency_of, residual_moneys, residuals_of

EXCESS = "excess"
"""The part of a document that is what a payment has beyond its invoice."""
_FACET = "parted"
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Claim:
    """Money on an invoice, by a payment's or a residual's id; amounts in Lago's subunits.

    ``cents`` is None where no message proves the payment's share, which is ``most`` then.
    """

    lago_id: UUID
    cents: int | None
    most: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class InXero:
    """What Xero has of some money, or may have; None: no such document."""

    on_invoice: int | None = None
    excess: int | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What is to be on the invoice, and what beside it."""

    on_invoice: int
    excess: int


def due_of(invoice: Object) -> int | None:
    """What the invoice has to be paid in all; None while it has no content."""
    facts = invoice_of(invoice)
    if facts is None or facts.total_amount_cents is None:
        return None
    return facts.total_amount_cents - (facts.total_offsetted_credit_note_amount_cents or 0)


def claims_on(invoice: Object, payments: Iterable[Object]) -> list[Claim]:
    """What stands on the invoice, in its currency: payments that succeeded and residuals.

    A share that only other invoices' payments could prove is none here: who looks from there would
    see another.
    """
    id, currency = invoice.key.lago_id, currency_of(invoice)
    given = residuals_of(invoice).given
    claims = [
        Claim(lago_id, money.amount_cents, money.amount_cents, money.created_at)
        for lago_id, money in residual_moneys(invoice, id).items()
        if money.amount_cents
    ]
    for payment in payments:
        money = money_of(payment)
        if money is None or money.status != "succeeded" or money.currency != currency:
            continue
        taken = given.get(payment.key.lago_id, 0)
        share = None if money.shares is None else money.shares.get(id, 0) - taken
        most = money.amount_cents if share is None else share
        claims.append(Claim(payment.key.lago_id, share, most, money.created_at))
    return claims


def may_split(invoice: Object, connection: Connection | None) -> bool:
    """Whether money on the invoice may be parted at all: by the policy, or for some was before."""
    return bool(invoice.value(_FACET)) or (connection is not None and connection.overpays)


def splits(invoice: Object, claims: Sequence[Claim]) -> bool:
    """Whether some of the money is beyond the invoice, or was; of one on which it may be."""
    if invoice.value(_FACET):
        return True
    most = sum(claim.most for claim in claims)
    due = due_of(invoice) if most else None
    return due is not None and most > max(0, due)


def parted(
    due: int, claims: Sequence[Claim], there: Mapping[UUID, InXero], *, overpays: bool
) -> dict[UUID, Parts]:
    """The parts of each claim; together they are the claim, or what Xero has is no part of Lago's.

    Args:
        due: what the invoice has to be paid in all.
        there: what Xero has, by the claims' ids.
        overpays: the policy; without it only what Xero has a part of is parted.
    """
    kept = {claim.lago_id: _kept(claim, there.get(claim.lago_id)) for claim in claims}
    on_invoice = {id: cents for id, cents in kept.items() if cents is not None}
    taken = sum(on_invoice.values())
    left = max(0, due - taken)
    parts: dict[UUID, Parts] = {}
    for claim in sorted(claims, key=lambda one: (one.at or _LATEST, one.lago_id)):
        if claim.cents is None:
            continue
        id, mine = claim.lago_id, on_invoice.get(claim.lago_id)
        if mine is None:
            here = min(claim.cents, left) if overpays else claim.cents
            left = max(0, left - here)
            parts[id] = Parts(here, claim.cents - here)
        elif there[id].on_invoice is None:
            parts[id] = Parts(mine, claim.cents - mine)
        else:  # what it should be: if that is not what was posted, people are told
            room = max(0, due - (taken - mine))
            parts[id] = Parts(min(claim.cents, room), max(0, claim.cents - mine))
    return parts


def _kept(claim: Claim, there: InXero | None) -> int | None:
    """What is on the invoice of it whatever Lago says; None: nothing of it was sent."""
    if there is None:
        return None
    if there.on_invoice is not None:
        return there.on_invoice
    if there.excess is None or claim.cents is None:
        return None
    return max(0, claim.cents - there.excess)


def parted_before(invoice: Object) -> frozenset[UUID]:
    """The money that was ever to have a document beside the invoice."""
    return frozenset(map(UUID, invoice.value(_FACET) or ()))


def with_parted(invoice: Object, ids: Collection[UUID]) -> Object:
    """The invoice that remembers them; the same instance if it does."""
    known = parted_before(invoice)
    if known.issuperset(ids):
        return invoice
    value = sorted(map(str, known.union(ids)))
    return replace(invoice, facets={**invoice.facets, _FACET: Facet(Stamp(0), value)})
