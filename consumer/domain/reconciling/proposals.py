"""Proposals: a class of exceptions in; what is to be done about it, and who may, out.

What a person did in Xero is never undone by us (ACCOUNTING.md 6): such exceptions are an accountant's.
"""

from __future__ import annotations

from collections.abc import Mapping

from consumer.domain import causes
from consumer.domain.reconciling.exceptions import ExceptionClass
from consumer.domain.reconciling.sides import Entry
from consumer.domain.refusals import OF_THE_CHART

REPAIRS: Mapping[ExceptionClass, str] = {
    "missing_in_xero": "Look for it in Xero's history; enter it by hand if the books lack it.",
    "extra_in_xero": "Void it if Lago has billed the same; else bill such sales in Lago, or leave it.",
    "duplicate": "Void or remove the one that the ledger does not name.",
    "amount": "Bring Xero's document back to what was sent, or credit the difference in Lago.",
    "tax": "Bring Xero's document back to what was sent, or correct the tax in Lago by a credit note.",
    "date": "Date it back in Xero, or accept the other day for both periods.",
    "currency": "Void it in Xero and issue it anew in Lago.",
    "contact": "Put it back on the customer's contact; where the contact was merged, lago-xero link says so.",
    "status": "Decide which is right: void or credit it in Lago too, or take back in Xero what was done.",
    "unallocated_credit": "Allocate the credit again in Xero, or leave it open and say so in Lago.",
    "payment_missing": "Enter the payment in Xero again, or record in Lago that it was reversed.",
    "payment_account": "Move it to a payment account, or map this account as payment_account.",
    "edited": "Take the change back in Xero, or make the same one in Lago.",
    "fallback": "Save a mapping for it; what is posted stays, later documents follow it.",
    "locked": "Move the lock date in Xero, then lago-xero chart refresh; or choose another locked_period.",
    "in_flight": "Nothing: lago-xero run sends it once what it waits for is there.",
    "missing_in_ledger": "Take in what Lago's API shows (--repair safe), or have Lago tell of it again.",
    "ledger_behind": "Take in what Lago's API shows (--repair safe), or have Lago tell of it again.",
    "unknown_to_lago": "Find out what became of it in Lago; what is deleted there, void or remove in Xero.",
}
RETRY_PASSING = "It is tried again."
RETRY_ADOPTS = (
    "It is tried again: number, contact, currency and totals agree, so Xero's is adopted."
)
REFRESH = "The ledger takes over Xero's figures, which are those that were sent."
ERASED = (
    "The customer's data was erased, so Lago is not asked about him; have Lago tell of it again if that may "
    "bring his data back."
)
PASSING = frozenset({"request_refused"})
"""Codes of failures that say nothing of the document, so that another try needs nobody's decision."""
_OF_LAGO = ("lago_", "negative_amount")
"""Begin the codes of what another message of Lago's mends, and nothing else."""
_UNSEEN = ("room:", causes.DOCUMENT)
"""Begin the causes that a person may end in Xero without our noticing it."""


def after(entry: Entry) -> str:
    """What is to be done about a failed document once its hint was followed: nothing, where what mends it
    releases it."""
    cause = entry.cause
    if causes.is_unplaced(cause):
        return f"What was done by hand is set aside by lago-xero ignore doc:{entry.id} --reason …"
    if cause is not None and not cause.startswith(_UNSEEN):
        return "It is sent by itself then."
    if cause is None and (entry.code or "").startswith(_OF_LAGO):
        return "It is sent by itself then."
    if cause is None and entry.code in OF_THE_CHART:
        return (
            "It is sent by itself once a mapping is saved, or a change in Xero's chart is read "
            "(lago-xero chart refresh)."
        )
    return f"Then lago-xero retry doc:{entry.id}."
