"""Asking: what the ledger lacks in, Lago's own word on it out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from pydantic_core import to_json

from consumer.domain.errors import Retry, Undecodable
from consumer.domain.events import API, Event, decode
from consumer.domain.objects import ObjectKind
from consumer.ports.inbox import Incoming
from consumer.ports.kafka import Record

TOPIC = "lago.api"
"""In place of a topic of Kafka's, where an event's record is named."""

QuestionKind = Literal[
    "invoice",
    "invoice_taxes",
    "credit_note",
    "credit_note_taxes",
    "credit",
    "customer",
    "payments",
]
"""What is asked for: the object; with ``_taxes``, also the taxes of each of its fees; whether a note's
``credit`` was voided; all payments of an invoice."""
Why = Literal["missing", "refused", "forbidden", "throttled", "unavailable", "unreadable"]


@dataclass(frozen=True, slots=True)
class Question:
    """Something that no message told. ``asks`` counts this time too; ``external_id`` is a customer's,
    whom Lago's API knows by nothing else."""

    kind: QuestionKind
    lago_id: UUID
    asks: int = 1
    external_id: str | None = None


class Unanswered(Retry):
    """Lago's API did not answer: it does not have it (``missing``), refuses the key (``refused``) or
    what the key may read (``forbidden``), asks to wait (``throttled``), is away or too slow
    (``unavailable``), or says what we do not understand (``unreadable``).

    ``wait`` is how many seconds Lago asks for.
    """

    def __init__(self, why: Why, sentence: str, wait: float | None = None) -> None:
        super().__init__(f"lago_{why}", sentence)
        self.why: Why = why
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Answer:
    """One of Lago's objects as its API shows it."""

    kind: ObjectKind
    object: dict[str, Any]

    def incoming(self, organization: UUID, asked_at: int) -> Incoming:
        """As a record: the same answer makes the same bytes, and so is known.

        It is dated when it was asked for (in milliseconds): what a message told later is newer.

        Raises:
            Unanswered: it cannot be read.
        """
        value = to_json(
            {
                "webhook_type": f"{API}{self.kind}",
                "object_type": self.kind,
                "organization_id": str(organization),
                self.kind: self.object,
            }
        )
        digest = hashlib.sha256(value).digest()
        try:
            event = decode(value, appended=asked_at, digest=digest.hex())
        except Undecodable as error:
            raise Unanswered("unreadable", error.sentence) from error
        except (ArithmeticError, ValueError, RecursionError) as error:
            said = f"It cannot be read ({type(error).__name__})."
            raise Unanswered("unreadable", said) from error
        record = Record(TOPIC, 0, asked_at, asked_at, None, value)
        return Incoming(record, digest, event=event if isinstance(event, Event) else None)


class LagoApi(Protocol):
    """Lago's API, read only. All raise ``Unanswered`` and nothing else."""

    async def organization(self) -> UUID:
        """The organization that the key belongs to."""

    async def ask(self, question: Question) -> Sequence[Answer]:
        """All that Lago says; of payments there may be none."""


class Questions(Protocol):
    """What is lacking and when it is asked for next; each method is one short transaction."""

    async def note(self, organization_id: UUID) -> None:
        """Note the next page of what is lacking; behind the last one the first is next."""

    async def take(
        self, organization_id: UUID, but: Collection[QuestionKind], lease: float
    ) -> Question | None:
        """One that is due, of another kind than ``but``, hidden from others for ``lease`` seconds."""

    async def answered(self, question: Question, wait: float) -> None:
        """Forget it; asked again after ``wait`` seconds if that still left something lacking."""

    async def put_off(self, question: Question, wait: float, why: str) -> None:
        """Asked again after ``wait`` seconds."""
