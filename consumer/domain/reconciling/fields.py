"""Fields: a document and what Xero shows of it in; what differs between them out, as exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from consumer.domain.documents import DRAFTS
from consumer.domain.matching import Difference, plain
from consumer.domain.reconciling.exceptions import Discrepancy, ExceptionClass, Safety
from consumer.domain.reconciling.proposals import REFRESH, REPAIRS
from consumer.domain.reconciling.sides import Entry, Shown, Sides

_SAFETY: dict[ExceptionClass, Safety] = {
    "fallback": "needs_approval",
    "locked": "needs_approval",
    "in_flight": "nothing_to_do",
}


def about(entry: Entry) -> str:
    """Kind and number, or Lago id."""
    return f"{entry.kind.replace('_', ' ')} {entry.number or entry.lago_id}"


def found(name: ExceptionClass, entry: Entry, cause: str, **more: Any) -> Discrepancy:
    """An exception of a document of the ledger; ``more`` overrides what its class proposes."""
    known = {"in_flight": entry.appended_at, "locked": entry.failed_at or entry.appended_at}
    return Discrepancy(
        **{
            "name": name,
            "kind": entry.kind,
            "cause": cause,
            "repair": REPAIRS[name],
            "safety": _SAFETY.get(name, "accountant_only"),
            "document_id": entry.id,
            "lago_id": entry.lago_id,
            "xero_id": entry.shown_as,
            "number": entry.number,
            "dated": entry.dated,
            "currency": entry.currency,
            "amount": entry.asked,
            "since": known.get(name),
            **more,
        }
    )


def shown_alone(
    name: ExceptionClass, shown: Shown, cause: str, on: str | None = None
) -> Discrepancy:
    """An exception of what only Xero has."""
    return Discrepancy(
        name,
        shown.kind,
        cause,
        REPAIRS[name],
        xero_id=shown.xero_id,
        number=shown.number,
        on=on,
        dated=shown.dated,
        currency=shown.currency,
        amount=shown.total,
    )


def differing(entry: Entry, shown: Shown, sides: Sides) -> Iterator[Discrepancy]:
    """One exception for each class in which it differs from what was sent."""
    if entry.kind in ("payment", "refund"):
        if shown.account is not None and shown.account not in sides.accounts:
            accounts = ", ".join(sorted(sides.accounts))
            yield found(
                "payment_account", entry, "The payment is on another account in Xero.",
                differences=(Difference("account", accounts, shown.account),),
            )  # fmt: skip
    elif entry.currency is not None and shown.currency != entry.currency:
        yield _differs("currency", entry, [("currency", entry.currency, shown.currency)])
        return
    if amounts := _amounts(entry, shown):
        yield amounts
    if entry.by_hand is None and entry.dated is not None and shown.dated != entry.dated:
        yield _differs("date", entry, [("date", entry.dated, shown.dated)])
    if contact := _contact(entry, shown, sides):
        yield contact
    edits: list[tuple[str, object, object]] = []
    if entry.kind in ("invoice", "credit_note"):
        if entry.number is not None and shown.number != entry.number:
            edits.append(("number", entry.number, shown.number))
        if due := _due(entry, shown):
            edits.append(("due date", due, shown.due_on))
    if edits:
        yield _differs("edited", entry, edits)


def identity(entry: Entry, shown: Shown, sides: Sides) -> tuple[Difference, ...]:
    """What keeps a document in Xero of this number from being the ledger's: contact, currency, totals as
    far as it was made already, status."""
    contacts = sides.contacts.get(entry.customer_id, frozenset()) if entry.customer_id else set()
    pairs: list[tuple[str, object, object]] = [
        ("currency", entry.currency, shown.currency),
        ("net", entry.net, shown.net),
        ("tax", entry.tax, shown.tax),
        ("total", entry.total, shown.total),
    ]
    found = [Difference(n, plain(a), plain(b)) for n, a, b in pairs if a is not None and a != b]
    if shown.contact_id not in contacts:
        found.insert(0, Difference("contact", plain(_first(contacts)), plain(shown.contact_id)))
    return tuple(found)


def _amounts(entry: Entry, shown: Shown) -> Discrepancy | None:
    """``amount`` where the net differs, ``tax`` where only the tax does."""
    pairs: list[tuple[str, Decimal | None, Decimal | None]] = [("total", entry.total, shown.total)]
    kept = [entry.xero_total]
    if entry.kind in ("invoice", "credit_note"):
        pairs = [("net", entry.net, shown.net), ("tax", entry.tax, shown.tax), *pairs]
        kept = [entry.xero_net, entry.xero_tax, entry.xero_total]
    wrong = [(n, a, b) for n, a, b in pairs if a is not None and a != b]
    if not wrong:
        stale = [
            (name, was, now)
            for (name, _, now), was in zip(pairs, kept, strict=True)
            if was is not None and was != now
        ]
        if not stale:
            return None
        cause = "Xero shows what was sent; the ledger's note of Xero's figures is older."
        return _differs(
            "amount", entry, stale, cause, repair=REFRESH, safety="automatic", action="refresh"
        )
    as_posted = all(
        was == now for (_, _, now), was in zip(pairs, kept, strict=True) if was is not None
    )
    cause = (
        "Xero saved it so when it was posted." if as_posted else "Somebody has changed it in Xero."
    )
    only_tax = {name for name, _, _ in wrong} <= {"tax", "total"} and wrong[0][0] == "tax"
    return _differs("tax" if only_tax else "amount", entry, wrong, cause)


def _contact(entry: Entry, shown: Shown, sides: Sides) -> Discrepancy | None:
    known = sides.contacts.get(entry.customer_id) if entry.customer_id is not None else None
    if not known or shown.contact_id is None or shown.contact_id in known:
        return None
    cause = "Somebody has put it on another contact in Xero, or has merged the contact."
    return _differs("contact", entry, [("contact", _first(known), shown.contact_id)], cause)


def _due(entry: Entry, shown: Shown) -> date | None:
    """Lago's due date, never before the document's own on either side, where Xero shows another; after a
    drift, and of what Lago asks for no more, Lago's may be another than was sent."""
    if entry.kind != "invoice" or entry.drift or not entry.wanted:
        return None
    if entry.due_on is None or entry.dated is None:
        return None
    due = max(entry.due_on, entry.dated, shown.dated or entry.dated)
    return due if shown.due_on not in (None, due) else None


def _first(contacts: Any) -> object:
    return min(contacts, key=str, default=None)


def _differs(
    name: ExceptionClass,
    entry: Entry,
    pairs: list[Any],
    cause: str = "Somebody has changed it in Xero.",
    **more: Any,
) -> Discrepancy:
    differences = tuple(Difference(field, plain(a), plain(b)) for field, a, b in pairs)
    return found(name, entry, cause, differences=differences, **more)


__all__ = ["DRAFTS", "about", "differing", "found", "identity", "plain", "shown_alone"]
