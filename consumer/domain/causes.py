"""Causes: what a document waits for, and what is said of it once a wait without an answer ends."""

from __future__ import annotations

import hashlib

from consumer.domain.errors import Inconsistent

LONGEST = 200
"""Characters: causes are looked up by an index, and a code of Lago's may be any length."""
PLANNING = "plan:"
"""Begins the causes of what waits for nothing but being planned again."""
_NEWS = ("lago_invoice:", "content:", "split:")
"""Causes that only a message of Lago's can end."""


def bounded(name: str) -> str:
    """A name in a cause: a long one is cut and told apart by its digest."""
    if len(name) <= LONGEST:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name[: LONGEST - 20]}…{digest}"


def awaits_news(cause: str | None) -> bool:
    """Whether only a message of Lago's can end this wait, which may never come."""
    return cause is not None and cause.startswith(_NEWS)


def not_asked_for() -> Inconsistent:
    """What a document fails with that was to be planned again, but is in no plan any more."""
    return Inconsistent(
        "not_asked_for",
        "Lago's messages no longer ask for this document.",
        "Compare the object in Lago with Xero, and correct Xero by hand if anything is left there.",
    )


def unanswered(cause: str) -> Inconsistent:
    """What a document fails with whose wait for ``cause`` has ended without an answer.

    ``payment_split_unknown``, ``credit_unplaced`` or ``missing_dependency``.
    """
    kind, _, name = cause.partition("@")[0].partition(":")
    if kind == "split":
        return Inconsistent(
            "payment_split_unknown",
            "Lago's messages do not tell how this payment is split among its invoices.",
            "Record the payment in Xero by hand, or have Lago send the payment's event again.",
        )
    if kind == "unplaced":
        return Inconsistent(
            "credit_unplaced",
            f"The invoice was posted without this credit as a line, for credit note {name} was to "
            "be allocated to it; that note will not be in this Xero organisation.",
            "Credit the invoice in Xero by hand.",
        )
    thing = {"lago_invoice": "invoice", "content": "message with the content of"}.get(kind, kind)
    return Inconsistent(
        "missing_dependency",
        f"What it depends on never came to this connection: {thing.replace('_', ' ')} {name}.",
        "Have Lago send that object's event again: the document follows by itself.",
    )
