"""Residuals: money that Lago counts on an invoice while no message tells of its payment (ACCOUNTING.md 6).

A payment recorded by hand changes only the invoice's ``total_paid_amount_cents`` (lago.md 1). What
that figure has beyond the payments known is posted after a patience, in which a payment's own
message may still come. One that comes later is taken from what was posted so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

from consumer.domain.objects import Facet, Money, Object, Stamp, Told

RESIDUAL = "residual"
"""The part of a payment's document that is an invoice's residual."""
_FACET = "residuals"


@dataclass(frozen=True, slots=True)
class Residuals:
    """What was decided on an invoice so far.

    ``made``: amounts and when Lago told of them, one document each; 0 is taken back. ``given``: what
    each payment known by now was taken from them, 0 where it has a document of its own. ``pending``:
    another amount waits for its payment's message; ``beside``: for a payment that nobody knows how
    to split, of which it is no part.
    """

    made: tuple[tuple[int, datetime], ...] = ()
    given: Mapping[UUID, int] = field(default_factory=dict)
    pending: int = 0
    beside: UUID | None = None


def residuals_of(invoice: Told) -> Residuals:
    """As they stand with the invoice."""
    value = invoice.value(_FACET)
    if value is None:
        return Residuals()
    return Residuals(
        tuple((cents, datetime.fromisoformat(at)) for cents, at in value["made"]),
        {UUID(id): cents for id, cents in value["given"].items()},
        value["pending"],
        UUID(beside) if (beside := value.get("beside")) else None,
    )


def with_residuals(invoice: Object, residuals: Residuals) -> Object:
    """The invoice with them."""
    value = {
        "made": [[cents, at.isoformat()] for cents, at in residuals.made],
        "given": {str(id): cents for id, cents in residuals.given.items()},
        "pending": residuals.pending,
        **({"beside": str(residuals.beside)} if residuals.beside else {}),
    }
    return replace(invoice, facets={**invoice.facets, _FACET: Facet(Stamp(0), value)})


def residual_id(invoice_id: UUID, number: int) -> UUID:
    """What an invoice's residual goes by in place of a payment's id; ``number`` from 1."""
    return uuid5(invoice_id, f"{RESIDUAL}:{number}")


def decide(
    invoice: Object,
    shares: Mapping[UUID, int | None],
    *,
    due: bool,
    made_at: Mapping[UUID, datetime] | None = None,
    gone: Mapping[UUID, int] | None = None,
    unsplit: Mapping[UUID, int] | None = None,
) -> Residuals:
    """What is to be posted of the invoice's money without a payment.

    Args:
        shares: what each payment that succeeded gives the invoice, the earliest first; None where
            that is not known.
        due: the patience with what is pending is over.
        made_at: when payments were made, where that is known: what was made after Lago told its
            figure is not in it, and what was made after a residual's is none of its money.
        gone: what payments gave that were taken back since Lago told its figure.
        unsplit: what those give at most of which ``shares`` does not know it; what is beyond that
            waits as long as they do.
    """
    made_at = made_at or {}
    now = residuals_of(invoice)
    known = {id: share for id, share in shares.items() if share is not None}
    figure = invoice.facets.get("paid")
    told_at = None if figure is None else _told_at(figure.stamp)
    counted = {
        id: cents
        for id, cents in {**known, **(gone or {})}.items()
        if told_at is None or id not in made_at or made_at[id] <= told_at
    }
    unexplained = (invoice.value("paid") or 0) - sum(counted.values())
    free = sum(cents for cents, _ in now.made) - sum(now.given.get(id, 0) for id in known)
    given = dict(now.given)
    if now.made:
        last = max(at for _, at in now.made)
        for id, share in known.items():
            if id not in given:
                new = id in made_at and made_at[id] > last
                given[id] = 0 if new else max(0, min(share, free - max(0, unexplained)))
                free -= given[id]
    pending = unexplained - free
    if len(known) < len(shares):
        pending = max(0, pending - sum(unsplit.values())) if unsplit else 0
        return Residuals(now.made, given, pending, min(unsplit) if unsplit and pending else None)
    if pending <= 0:
        excess = free - max(0, unexplained)
        return _take_back(invoice, Residuals(now.made, given), excess, known)
    if due:
        at = _told_at(invoice.facets["paid"].stamp)
        return Residuals((*now.made, (pending, at)), {**dict.fromkeys(known, 0), **given})
    return Residuals(now.made, given, pending)


def _take_back(
    invoice: Object, now: Residuals, excess: int, known: Mapping[UUID, int | None]
) -> Residuals:
    """Without the ``excess`` of what was made: the money went back.

    Either a payment that was taken from it failed, or Lago's figure has fallen since: one of the same
    second as that which made a residual may be the older of both, and says nothing. What such a
    payment had been taken from it is forgotten: it may succeed yet.
    """
    made = list(now.made)
    if made and _told_at(invoice.facets["paid"].stamp) <= made[-1][1]:
        excess = min(excess, sum(cents for id, cents in now.given.items() if id not in known))
    for i, (cents, at) in reversed([*enumerate(now.made)]):
        if excess <= 0:
            break
        if cents:
            made[i] = (0, at)
            excess -= cents
    if excess < 0 and made != list(now.made):
        made.append((-excess, now.made[-1][1]))  # Xero's payments cannot be edited
    if tuple(made) == now.made:
        return now
    return Residuals(tuple(made), {id: cents for id, cents in now.given.items() if id in known})


def _told_at(stamp: Stamp) -> datetime:
    """When Lago's figure changed, as far as is known: nothing says when the money came."""
    seconds = stamp.at or stamp.appended / 1000
    return datetime.fromtimestamp(seconds, UTC)


def currency_of(invoice: Told) -> str | None:
    """The invoice's currency, once a message told its content."""
    content = invoice.value("content")
    return None if content is None else content.get("currency")


def residual_moneys(invoice: Told, invoice_id: UUID) -> dict[UUID, Money]:
    """The facts of each residual that was decided on, as of a payment, by ``residual_id``, in order."""
    currency = currency_of(invoice)
    if currency is None:
        return {}
    return {
        residual_id(invoice_id, number): Money(
            cents, currency, at, (invoice_id,), None, "succeeded"
        )
        for number, (cents, at) in enumerate(residuals_of(invoice).made, 1)
    }
