"""Xero's answers: a reply, and what it may mean; ``classifying`` tells what it does mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

GONE = ("VOIDED", "DELETED")
"""The statuses of what is no more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the answer's headers say; None where a header was absent. ``retry_after`` in seconds."""

    problem: str | None = None
    retry_after: float | None = None
    minute_left: int | None = None
    day_left: int | None = None
    app_minute_left: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer of Xero."""

    status: int
    body: bytes
    limits: Limits = field(default_factory=Limits)
    correlation: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """An element that Xero keeps, with what it made of it (None where the answer is silent)."""

    xero_id: UUID
    number: str | None = None
    status: str | None = None
    contact_id: UUID | None = None
    target_id: UUID | None = None
    """The invoice or credit note that a payment is on; ``number`` is its Reference, an overpayment's
    our marker."""
    currency: str | None = None
    dated: date | None = None
    """Of a payment or an overpayment."""
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    due: Decimal | None = None
    merged_to: UUID | None = None
    """The contact that an archived one was merged into."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An element that Xero did not save: our stable code and hint, Xero's words kept.

    ``next`` says what follows: ``fail`` the document; ``look`` it up, since Xero says that its
    number is taken, that not so much is open (it may be ours), or that its contact is archived (it
    may be merged); ``rename`` the contact and try again; ``wait`` to try again.
    """

    code: str
    said: str
    hint: str
    next: Literal["fail", "look", "rename", "wait"] = "fail"


Element = Saved | Refusal


@dataclass(frozen=True, slots=True)
class Answered:
    """Each element's fate, in request order."""

    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class NotDone:
    """Certainly not executed: 401, 403, 429. ``scope``: what we were let in for does not cover it."""

    why: Literal["unauthorised", "scope", "forbidden", "throttled"]
    retry_after: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The outcome is unknown, or a whole batch was refused and no element named.

    ``why`` is a short code: ``status_500``, ``unreadable``, ``disordered`` (other documents than
    those sent), ``whole_400``, ``key_reused``, ``no_answer``, … ``batch_refused`` tells that it was a
    4xx of the whole batch; ``said`` is what Xero says about the whole, redacted and bounded;
    ``surplus`` are ids of what Xero has saved beyond what was sent.
    """

    why: str
    batch_refused: bool = False
    said: str = ""
    surplus: tuple[UUID, ...] = ()


Verdict = Answered | NotDone | InDoubt
