"""Changing: a planned document and its row in the ledger in, what becomes of the row out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from consumer.domain import causes
from consumer.domain.causes import TAKEN_BACK, awaits_news, is_residual
from consumer.domain.clocks import Clocks
from consumer.domain.documents import Planned, Rest, Stands, as_linked, rest
from consumer.domain.objects import Object

AWAITED = ("contact", "invoice", "credit_note")
"""Kinds that others wait for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long documents wait: an unlinked customer of several connections for a link, money without
    a payment for its message, anything for what Lago has not told of."""

    home: timedelta
    residual: timedelta
    dependency: timedelta

    @classmethod
    def of(cls, clocks: Clocks) -> Patience:
        """As the clocks say."""
        return cls(
            home=timedelta(seconds=clocks.home_wait),
            residual=timedelta(seconds=clocks.residual_wait),
            dependency=timedelta(seconds=clocks.missing_dependency_after),
        )

    def with_(self, cause: str | None) -> timedelta | None:
        """How long a document waits that ``cause`` holds; None: planning says so, or without end."""
        if is_residual(cause):
            return self.residual
        return self.dependency if awaits_news(cause) else None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one document's row; ``before`` is the row, None where the document is new."""

    before: asyncpg.Record | None
    planned: Planned
    of: Object
    """What it was planned of."""
    rest: Rest
    synced: bytes | None
    xero_id: UUID | None
    event_id: int | None
    appended_at: datetime | None
    linked: bool
    merged: tuple[UUID, ...]


def change_of(
    row: asyncpg.Record | None,
    planned: Planned,
    of: Object,
    made: Mapping[int, datetime],
    now: datetime,
    patience: Patience,
) -> Change | None:
    """What planning changes of the document; None if nothing.

    Args:
        made: when each event that changed an object was appended.
    """
    if row is None and (planned.optional or _is_told_elsewhere(planned)):
        return None
    stands = stands_of(row) if row is not None else Stands("waiting")
    there = as_linked(stands, planned)
    target = rest(planned.kind, there, planned)
    if stands.state == "sending":
        there, target = stands, Rest("sending", planned.stays or planned.hold)
    elif row is not None and target.state == "ready" and _goes_on_waiting(stands, planned):
        target = Rest("waiting", stands.cause, row["wait_until"])
    wait = patience.with_(target.cause) if target.state == "waiting" else None
    if wait is not None and planned.kind != "contact":
        goes_on = row is not None and (stands.state, stands.cause) == ("waiting", target.cause)
        target = replace(target, until=row["wait_until"] if row and goes_on else now + wait)
    if row is not None and _same(row, stands, planned, target, there.xero_id):
        return None
    if target.state in ("waiting", "skipped") and there.xero_id is None:
        there = replace(there, synced=None)  # below a cent, it counted; now it does not
    raised = row is None or planned.wanted != stands.wanted
    event_id = of.event_id if raised else None
    return Change(
        row,
        planned,
        of,
        target,
        there.synced,
        there.xero_id,
        event_id,
        made.get(event_id) if event_id is not None else None,
        there.linked,
        there.merged,
    )


def stands_of(row: asyncpg.Record) -> Stands:
    """Where the document of a row stands."""
    at = row["state"], row["cause"], row["wanted"], row["synced"], row["xero_id"]
    merged, by_hand = tuple(row["merged"]), row["by_hand"] is not None
    return Stands(*at, row["xero_status"], row["code"], row["linked"], merged, by_hand)


def _is_told_elsewhere(planned: Planned) -> bool:
    """Nothing is to be beyond an invoice: the document of the payment says why."""
    return planned.kind == "overpayment" and planned.wanted is None


def _goes_on_waiting(stands: Stands, planned: Planned) -> bool:
    """Whether it waits for others, and nothing new is wanted of it."""
    return stands.state == "waiting" and planned.wanted == stands.wanted is not None


def _same(
    row: asyncpg.Record, stands: Stands, planned: Planned, target: Rest, xero_id: UUID | None
) -> bool:
    """Whether the row says so already; what is ready is not made ready again, or it would lose its
    turn."""
    # What Xero was asked for keeps its amount; once it is known not to be there, Lago's counts.
    asked_for = stands.state == "sending" or stands.xero_id is not None or stands.by_hand
    if not asked_for and row["amount_cents"] != planned.amount_cents:
        return False
    if stands.state == "ready" == target.state and planned.wanted == stands.wanted:
        return True
    was = (stands.state, stands.cause, stands.wanted, stands.xero_id)
    return was == (target.state, target.cause, planned.wanted, xero_id) and (
        (row["connection_id"], row["drift"], row["wait_until"])
        == (planned.connection_id, target.drift, target.until)
    )


def comes(change: Change) -> bool:
    """Whether others may wait for such a document of that connection, and there was none."""
    planned, before = change.planned, change.before
    new = before is None or before["connection_id"] != planned.connection_id
    return new and planned.connection_id is not None and planned.kind in AWAITED


def matters(before: asyncpg.Record, change: Change) -> bool:
    """Whether others that wait for the document, or are left out with it, have to look again."""
    planned = change.planned
    if planned.kind not in AWAITED:  # a void waits for what is on its invoice
        return (before["wanted"] is None) != (planned.wanted is None)
    # A contact may be of use again, or another one.
    usable = change.xero_id is not None and (
        change.xero_id != before["xero_id"] or before["state"] in ("failed", "waiting")
    )
    left = is_left(before, change)  # where it is a draft, what waits for it is left out
    return usable or left or (before["state"] == "skipped") != (change.rest.state == "skipped")


def is_relinked(before: asyncpg.Record, change: Change) -> bool:
    """Whether another contact takes the place of the one that we made or knew."""
    return before["xero_id"] not in (None, change.xero_id)


def is_left(before: asyncpg.Record, change: Change) -> bool:
    """Whether an invoice that Lago voided stays in Xero from now on, for a reason to tell of."""
    cause, rest = change.rest.cause, change.rest.state
    return (
        (change.planned.kind, rest) == ("invoice", "synced")
        and cause != before["cause"]
        and causes.is_left(cause)
    )


def stays_by_hand(before: asyncpg.Record, change: Change) -> bool:
    """Whether Lago takes a payment back that a person entered in Xero."""
    gone = change.rest.cause in TAKEN_BACK and change.rest.cause != before["cause"]
    return before["by_hand"] is not None and change.rest.state == "skipped" and gone
