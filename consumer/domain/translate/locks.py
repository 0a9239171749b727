"""Lock dates: a document's day in, the day on which Xero takes it out (ACCOUNTING.md 7).

Xero refuses whatever is dated on or before the later of its two lock dates. That is checked before
every call: afterwards nobody can tell a refused removal from one that something else prevents.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TypeVar

from consumer.domain.chart import Organisation
from consumer.domain.errors import Refused
from consumer.domain.mapping import Connection
from consumer.domain.translate.descriptions import clip
from schemas import xero

Dated = TypeVar(
    "Dated", xero.Invoice, xero.CreditNote, xero.Payment, xero.Allocation, xero.Overpayment
)

LOCK = "lock"
"""The cause of what is held by a lock date; gone when the date moves."""


def unlocked(payload: Dated, organisation: Organisation, connection: Connection) -> Dated:
    """The payload on its own day, or by policy on the first that is open or as a draft.

    A document that is moved shows its own day in its Reference. Drafts are no concern of lock dates,
    so a draft of Lago's keeps its day.

    Raises:
        Refused: ``locked_period``; by the policies ``hold`` and ``draft`` it goes out once the lock
            date moves.
    """
    locked, day = _locked_until(organisation), payload.date
    document = payload if isinstance(payload, xero.Invoice | xero.CreditNote) else None
    if locked is None or day > locked or (document and document.status == "DRAFT"):
        return payload
    if document and connection.locked_period == "draft":
        return payload.model_copy(update={"status": "DRAFT"})
    if connection.locked_period != "first_open_day":
        raise _refusal(day, locked, connection)
    opened = locked + timedelta(days=1)
    changes: dict[str, object] = {"date": opened}
    if isinstance(payload, xero.Invoice):
        changes["due_date"] = max(payload.due_date, opened)
    if document:
        own = f"{document.reference} · " if document.reference else ""
        changes["reference"] = clip(own, 230) + f"dated {day}"
    return payload.model_copy(update=changes)


def check_removal(day: date | None, organisation: Organisation, connection: Connection) -> None:
    """Whether what is dated ``day`` may be voided or deleted; no policy moves that.

    Raises:
        Refused: ``locked_period``.
    """
    locked = _locked_until(organisation)
    if locked is not None and day is not None and day <= locked:
        raise _refusal(day, locked, connection)


def _locked_until(organisation: Organisation) -> date | None:
    dates = (organisation.period_lock_date, organisation.end_of_year_lock_date)
    return max((one for one in dates if one is not None), default=None)


def _refusal(day: date, locked: date, connection: Connection) -> Refused:
    held = connection.locked_period != "fail"
    follows = "; the document follows by itself" if held else ", then retry the document"
    return Refused(
        "locked_period",
        f"Dated {day}, it lies in a period that Xero has locked until {locked}.",
        f"Move the lock date in Xero before {day}, then lago-xero chart refresh{follows}.",
        LOCK if held else "",
    )
