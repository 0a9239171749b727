"""The ledger behind Lago: an object as Lago lists it and as the ledger has it in, an exception out.

Only what Lago tells by messages is compared: that a credit was used up or a refund succeeded comes in none,
and a partial payment recorded by hand changes an invoice without one (lago.md 1). So what was paid on an
invoice is right too where the payments that are known make it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from consumer.domain.matching import Difference
from consumer.domain.objects import Object, money_of
from consumer.domain.reconciling.exceptions import Discrepancy, ExceptionClass
from consumer.domain.reconciling.fields import found, plain
from consumer.domain.reconciling.listed import SUCCEEDED, Listed, amount
from consumer.domain.reconciling.proposals import REPAIRS
from consumer.domain.reconciling.sides import Entry
from consumer.domain.residuals import residuals_of

LATELY = timedelta(minutes=15)
"""What Lago changed so long ago may have its message on the way; clocks differ. A day that a person gave a
payment may lie ahead."""
TAKEN_BACK = ("refunded", "reversed")
"""Payments that no attempt of Lago's changes any more."""


@dataclass(frozen=True, slots=True)
class Held:
    """An object of the ledger, and the first of its documents."""

    object: Object
    document_id: int | None = None
    xero_id: UUID | None = None


def behind(
    one: Listed, held: Held | None, at: datetime, payments: Iterable[Object] = ()
) -> Discrepancy | None:
    """What the ledger lacks of it; None if nothing.

    Args:
        at: when Lago was asked to show it.
        payments: those that the ledger knows on the invoice.
    """
    name: ExceptionClass
    differences: tuple[Difference, ...] = ()
    if held is None or not held.object.facets:
        name, cause = "missing_in_ledger", "No message of Lago's has told the ledger of it."
    elif held.object.value("content") is None:
        name, cause = (
            "missing_in_ledger",
            "The ledger knows it only from messages that lack its figures.",
        )
    else:
        name, cause = "ledger_behind", "Lago shows it otherwise than its messages told it."
        differences = tuple(_differences(one, held.object, payments))
        if not differences or _told_later(one, held.object, at):
            return None
    if name == "missing_in_ledger" and one.kind == "payment" and one.status != SUCCEEDED:
        return None  # it brought no money, and Lago tells of no such payment
    if one.changed_at is not None and abs(at - one.changed_at) < LATELY:
        name, cause = "in_flight", "Lago changed it just now: its message may be on the way."
    return Discrepancy(
        name,
        one.kind,
        cause,
        REPAIRS[name],
        "nothing_to_do" if name == "in_flight" else "automatic",
        None if name == "in_flight" else "take_in",
        document_id=None if held is None else held.document_id,
        lago_id=one.lago_id,
        xero_id=None if held is None else held.xero_id,
        number=one.number,
        dated=one.dated,
        currency=one.currency,
        amount=amount(one.total, one.currency),
        differences=differences,
        against_lago=True,
        invoice_id=one.invoice_ids[0] if one.invoice_ids else None,
    )


def _told_later(one: Listed, known: Object, at: datetime) -> bool:
    """Whether a message has told the ledger more than the list shows, which was read before it came. Lago
    dates all that changes but payments; theirs are messages from just after the question."""
    stamps = [facet.stamp for facet in known.facets.values()]
    since = max(stamp.appended for stamp in stamps) / 1000 - at.timestamp()
    newest = max(stamp.at for stamp in stamps)
    return 0 <= since < LATELY.total_seconds() or (
        one.updated_at is not None and newest > int(one.updated_at.timestamp())
    )


def unknown_to_lago(entry: Entry) -> Discrepancy:
    """A document that Lago's API does not have."""
    return found("unknown_to_lago", entry, "Lago's API does not have it.")


def in_residuals(invoice: Object, *, posts: bool, made_at: datetime | None = None) -> int:
    """What the ledger counts on the invoice without knowing its payment.

    Args:
        posts: what is to be posted so counts too.
        made_at: when a payment was made: it is no part of what was posted before.
    """
    now = residuals_of(invoice)
    pending = max(0, now.pending) if posts else 0
    if now.made and made_at is not None and made_at > max(at for _, at in now.made):
        return pending
    return sum(cents for cents, _ in now.made) - sum(now.given.values()) + pending


def _differences(one: Listed, known: Object, payments: Iterable[Object]) -> Iterator[Difference]:
    content = known.value("content") or {}
    yield from _states(one, known)
    pay = one.kind == "payment"
    texts = [("currency", "currency", one.currency)]
    amounts = [("total", "amount_cents" if pay else "total_amount_cents", one.total)]
    if not pay:
        texts.append(("date", "issuing_date", None if one.dated is None else str(one.dated)))
        amounts.append(("tax", "taxes_amount_cents", one.tax))
    for field, name, shown in texts:
        if shown is not None and content.get(name) != shown:
            yield _pair(field, content.get(name), shown)
    for field, name, cents in amounts:
        if cents is not None and content.get(name) != cents:
            yield _money(field, content.get(name), cents, one.currency)
    if one.kind == "invoice" and one.paid is not None:
        yield from _paid(one, known, payments)


def _states(one: Listed, known: Object) -> Iterator[Difference]:
    status, credit, refund = (known.value(name) for name in ("status", "credit", "refund"))
    match one.kind:
        case "invoice" if one.status != status:
            yield _pair("status", status, one.status)
        case "credit_note":
            if one.credit != credit and "voided" in (one.credit, credit):
                yield _pair("credit", credit, one.credit)
            if one.refund != refund and "failed" in (one.refund, refund):
                yield _pair("refund", refund, one.refund)
        case "payment" if (one.status == SUCCEEDED) != (status == SUCCEEDED):
            if status not in TAKEN_BACK:
                yield _pair("status", status, one.status)


def _paid(one: Listed, known: Object, payments: Iterable[Object]) -> Iterator[Difference]:
    """What was paid is as Lago last told it, or as the payments make it up, with what was posted for want of
    them; where the split of one is unknown nobody can tell."""
    told = known.value("paid") or 0
    made_up = in_residuals(known, posts=False)
    for payment in payments:
        money = money_of(payment)
        if money is None or money.status != SUCCEEDED:
            continue
        if money.shares is None:
            return
        made_up += money.shares.get(one.lago_id, 0)
    if one.paid not in (told, made_up):
        yield _pair(
            "paid", amount(max(told, made_up), one.currency), amount(one.paid, one.currency)
        )


def _pair(field: str, ours: object, theirs: object) -> Difference:
    return Difference(field, plain(ours), plain(theirs))


def _money(field: str, ours: int | None, theirs: int, currency: str | None) -> Difference:
    """In major units where they are known, else in Lago's."""
    known = amount(theirs, currency) is not None
    pair = (amount(cents, currency) if known else cents for cents in (ours, theirs))
    return _pair(field, *pair)
