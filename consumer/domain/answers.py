"""Xero's answers: a reply and the number of elements sent in, what it means out."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from uuid import UUID


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
    currency: str | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    due: Decimal | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An element that Xero did not save: our stable code and hint, Xero's words kept.

    ``next`` says what follows: ``fail`` the document; ``look`` it up, since Xero says that its
    number is taken (it may be ours); ``rename`` the contact and try again; ``wait`` to try again.
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
    """Certainly not executed: 401, 403, 429."""

    why: Literal["unauthorised", "forbidden", "throttled"]
    retry_after: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The outcome is unknown, or a whole batch was refused and no element named.

    ``why`` is a short code: ``status_500``, ``unreadable``, ``whole_400``, ``no_answer``, …
    ``batch_refused`` tells that it was a 4xx of the whole batch.
    """

    why: str
    batch_refused: bool = False


Verdict = Answered | NotDone | InDoubt
