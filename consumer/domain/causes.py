"""Causes: why a document is not moving, one string each, and what is said of it once a wait without an
answer ends.

A cause is ``kind``, ``kind:name`` or ``kind:name@connection``; whoever removes one releases what it holds
by exactly this string, so none is spelt anywhere else but by the SQL that writes or reads causes of rows:
``doc:<document>``, ``draft:<document>`` and ``contact|invoice|credit_note:<lago_id>@<connection>`` (waits
for another), ``plan:<document>``, ``plan:due:<document>``, ``unplaced|uncleared:<credit note>``,
``allocated``, ``deducted`` and ``below_cent``.
Errors bring theirs along (``tax:…``, ``lock:…``), as ``ConsumerError.cause``.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

from consumer.domain.errors import Inconsistent
from consumer.domain.objects import ObjectKey

LONGEST = 200
"""Characters: causes are looked up by an index, and a code of Lago's may be any length."""

SELF_BILLED = "self_billed"
PARTNER = "partner"
ERASED = "erased"
"""A person has taken out of the ledger what is personal of the customer; his contact is left as it is."""
NOTHING_OPEN = "nothing_open"
"""The invoice had nothing open when the payment came."""
NO_EXCESS = "no_excess"
"""The payment has no more than its invoice has open."""
IN_RESIDUAL = "in_residual"
"""The money was posted before the payment's message came."""
REFUND_NOT_BEGUN = "refund_not_begun"
ELSEWHERE = "elsewhere"
"""The credit note is in another tenant."""
DEDUCTED = "deducted"
"""The invoice has the credit as a line: of that credit, and of its note, which is never posted then."""
ALLOCATED = "allocated"
"""The credit is allocated to its invoice."""
VOID_WITH_MONEY = "void_with_money"
VOID_REFUSED = "void_refused"
"""Xero keeps the invoice that Lago voided."""
VOIDS_REPORTED = "policy:voids"
"""Begins the causes of voided invoices that the policy leaves to people."""
NOTHING_CHARGED = "nothing_charged"
"""The voided invoice has a total of nothing, and so is paid in Xero."""
BELOW_CENT = "below_cent"
PAID_BY_HAND = "paid_by_hand"
"""A person has entered the payment in Xero."""
NOTHING_SENT = (BELOW_CENT, PAID_BY_HAND)
"""Of what is synced though nothing was sent."""
CREDIT_VOIDED = "lago:credit_voided"
CLOSED = "lago:closed"
REFUND_FAILED = "lago:refund_failed"
PAYMENT_REVERSED = "lago:payment_reversed"

TAKEN_BACK = frozenset(
    {
        "lago:voided",
        "lago:deleted",
        "lago:payment_failed",
        "lago:payment_refunded",
        PAYMENT_REVERSED,
        REFUND_FAILED,
    }
)
"""Causes of what Lago has taken back: posted, it is taken back in Xero too."""

SURPLUS = "surplus"
"""Xero has it once too often: of what is to be removed there, and of what was."""
CREDIT_USED = "credit_used"
"""Of a credit note that Lago voided after it was used: it stays."""
REMOVED = TAKEN_BACK | {SURPLUS, CREDIT_VOIDED}
"""Causes of what is removed from Xero."""

PLANNING = "plan:"
"""Begins the causes of what waits for nothing but being planned again."""
PATIENCE_OVER = "plan:due:"
"""Begins those of what has waited long enough for a home or a payment's message."""
DOCUMENT = "doc:"
"""Begins the causes of what waits for another document, or is left out with it."""
DRAFT = "draft:"
"""Begins those of what waits for another document to be more than a draft in Xero."""
CHANGED = "object:"
"""Begins the releases of objects that a person has said something of: no document waits with it."""
IGNORED = "ignored:"
"""Begins the causes of what a person has set aside: ``ignored:<audit>``, where he says why."""
_RESIDUAL = "residual:"
_UNPLACED = ("unplaced:", "uncleared:")
_NEWS = ("lago_invoice:", "content:", "split:")
"""Begin the causes that only a message of Lago's can end."""


def document(id: int) -> str:
    """Another document must be in Xero first."""
    return f"{DOCUMENT}{id}"


def awaited(cause: str | None) -> int | None:
    """The document that the cause names, if it names one."""
    kind, _, id = (cause or "").partition(":")
    return int(id) if f"{kind}:" in (DOCUMENT, DRAFT) and id.isdecimal() else None


def changed(key: ObjectKey) -> str:
    """What releases the planning of an object, without news of Lago's."""
    return f"{CHANGED}{key.kind}:{key.lago_id}"


def home(customer_id: UUID) -> str:
    """No connection serves the customer."""
    return f"home:{customer_id}"


def nowhere(invoice_id: UUID, customer_id: UUID | None) -> str:
    """The invoice has no connection: none serves its customer, or no message has told who he is."""
    return home(customer_id) if customer_id is not None else invoice_unknown(invoice_id)


def content(lago_id: UUID) -> str:
    """No message has told the object's content."""
    return f"content:{lago_id}"


def invoice_unknown(invoice_id: UUID | None) -> str:
    """No message has told of the invoice."""
    return f"lago_invoice:{invoice_id}"


def split_unknown(payment_id: UUID) -> str:
    """No message tells how the payment is split among its invoices."""
    return f"split:{payment_id}"


def residual(invoice_id: UUID) -> str:
    """Money on the invoice that no payment's message explains yet."""
    return f"{_RESIDUAL}{invoice_id}"


def in_lago(status: str) -> str:
    """Lago's status of an object, of which nothing is to be posted."""
    return f"lago:{status}"


def switched_off(what: str, connection: str) -> str:
    """The connection does not sync these: ``invoices``, ``credit_notes`` or ``payments``."""
    return of_connection(f"syncs:{what}", connection)


def before_start(connection: str) -> str:
    """It is older than the connection's start date."""
    return of_connection("start_date", connection)


def policy(name: str, connection: str) -> str:
    """A policy of the connection's says so: ``zero``, ``zero_draft``, ``drafts``, ``voids``, ``residual``,
    ``consumed_credits`` or ``refunds``."""
    return of_connection(f"policy:{name}", connection)


def of_connection(cause: str, connection: str) -> str:
    """A cause that a change of the connection of this code ends."""
    return f"{cause}@{connection}"


def ends_draft(cause: str | None) -> bool:
    """Whether what is a draft in Xero is not to be approved any more: it is deleted, also where a posted
    invoice would stay. A draft is not in the books; but one with money on it is a person's to decide."""
    over = (*TAKEN_BACK, VOID_REFUSED, NOTHING_CHARGED, CREDIT_VOIDED, CLOSED)
    return cause in over or (cause or "").startswith((VOIDS_REPORTED, "policy:zero@"))


def paused(connection: str) -> str:
    """A person has paused the connection."""
    return of_connection("paused", connection)


def is_left(cause: str | None) -> bool:
    """Whether a voided invoice stays in Xero for a reason that people are told of."""
    return cause is not None and cause.startswith((VOID_WITH_MONEY, VOIDS_REPORTED))


def scope(connection: str) -> str:
    """What our client was let in for does not cover it."""
    return of_connection("scope", connection)


def room(lago_id: UUID) -> str:
    """Something must be taken off the invoice or credit note in Xero first."""
    return f"room:{lago_id}"


def ignored(audit: int) -> str:
    """A person has set it aside."""
    return f"{IGNORED}{audit}"


def is_ignored(cause: str | None) -> bool:
    """Whether a person has set it aside."""
    return cause is not None and cause.startswith(IGNORED)


def is_unplaced(cause: str | None) -> bool:
    """Whether an invoice in Xero leaves a credit to a note that will not be there."""
    return cause is not None and cause.startswith(_UNPLACED)


def is_residual(cause: str | None) -> bool:
    """Whether money waits for a payment's message."""
    return cause is not None and cause.startswith(_RESIDUAL)


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

    ``payment_split_unknown``, ``credit_unplaced``, ``credit_uncleared`` or ``missing_dependency``.
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
    if kind == "uncleared":
        return Inconsistent(
            "credit_uncleared",
            "The invoice was posted with this credit as a line on the clearing account, for credit note "
            f"{name} was to be refunded from there; that note will not be in this Xero organisation.",
            "Clear the account in Xero by hand.",
        )
    thing = {"lago_invoice": "invoice", "content": "message with the content of"}.get(kind, kind)
    return Inconsistent(
        "missing_dependency",
        f"What it depends on never came to this connection: {thing.replace('_', ' ')} {name}.",
        "Have Lago send that object's event again: the document follows by itself.",
    )
