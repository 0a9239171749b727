"""Asking: what messages lack in, Lago's own answer ingested as an event out.

Only where a key for Lago's API is given. An answer is one more message about its object, decoded, merged
and planned as those from Kafka are: it has no way of its own into the ledger. That makes a crash harmless
anywhere. A question is held off for a lease before it is asked and forgotten only when nothing lacks its
answer: whoever dies before the answer is stored has it asked again, whoever dies after leaves a question
that is found needless, and an answer that comes twice is a known event. Whatever Lago does not answer
leaves the ledger as it was, and documents wait or fail as they would without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from consumer.domain.clocks import Clocks
from consumer.domain.events import Event
from consumer.domain.objects import ObjectKey, ObjectKind
from consumer.metrics import Metrics
from consumer.ports import (
    Answer,
    Inbox,
    Incoming,
    LagoApi,
    Question,
    QuestionKind,
    Questions,
    Unanswered,
    Unavailable,
    Unstorable,
)
from consumer.stopping import unless

log = structlog.get_logger()

MESSAGE_WAIT = 30.0
"""Seconds that what is lacking waits for a message, which mostly comes, before it is asked for."""
LEASE = 300.0
"""Seconds that one question may take; longer than the adapter lets it."""
LONGEST = 21_600.0
"""Seconds between two times that the same is asked, once it was asked often."""
MISSING = 86_400.0
"""Seconds until Lago is asked again for what it does not have."""
PAUSE = 900.0
"""Seconds at most until anything is asked again of a Lago that is away, or refuses us."""
OBJECTS: dict[QuestionKind, ObjectKind] = {
    "invoice": "invoice",
    "invoice_taxes": "invoice",
    "credit_note": "credit_note",
    "credit_note_taxes": "credit_note",
    "credit": "credit_note",
    "customer": "customer",
    "payments": "payment",
}
"""What answers each kind of question."""


class Asker:
    """Asks one question after another: Lago's limit is shared by all that its organization does.

    Args:
        now: seconds since 1970; ``clock``: monotonic seconds.
        on_work: told when an answer was stored.
    """

    def __init__(
        self,
        questions: Questions,
        api: LagoApi,
        inbox: Inbox,
        metrics: Metrics,
        clocks: Clocks,
        on_work: Callable[[], None],
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.questions = questions
        self.api = api
        self.inbox = inbox
        self.metrics = metrics
        self.clocks = clocks
        self.on_work = on_work
        self._now = now
        self._clock = clock
        self._organization: UUID | None = None
        self._failures = 0
        self._again_at = float("-inf")
        self._note_at = float("-inf")
        self._forbidden: dict[QuestionKind, float] = {}
        """Kinds that the key may not read, until when."""
        self._told: set[str] = set()
        """What was logged since Lago last answered."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, which cuts off the question at hand."""
        while not stop.is_set():
            if not await unless(stop, self._tried(), False):
                await unless(stop, asyncio.sleep(self.clocks.look_for_work), None)

    async def _tried(self) -> bool:
        try:
            return await self.run_once()
        except Unavailable as error:
            log.warning("ledger_away", why=str(error))
        except Exception:
            log.exception("asking_fault")  # one bad row must not stop the service
        return False

    async def run_once(self) -> bool:
        """Note what is lacking and ask one question; whether there may be another at once."""
        if self._clock() < self._again_at:
            return False
        organization = await self._organization_id()
        if organization is None:
            return False
        if self._clock() >= self._note_at:
            self._note_at = self._clock() + self.clocks.look_for_work
            await self.questions.note(organization)
        closed = [kind for kind, until in self._forbidden.items() if self._clock() < until]
        lease = self.clocks.stretched(LEASE)
        question = await self.questions.take(organization, closed, lease)
        if question is None:
            return False
        await self._ask(organization, question)
        return self._clock() >= self._again_at

    async def _organization_id(self) -> UUID | None:
        """A key belongs to one organization: only its objects are asked for."""
        if self._organization is None:
            try:
                self._organization = await self.api.organization()
            except Unanswered as error:
                self.metrics.questions.labels("organization", error.why).inc()
                self._tell(error, "organization")
                self._pause(error)
            else:
                self._answered("organization")
        return self._organization

    async def _ask(self, organization: UUID, question: Question) -> None:
        """Ask it and store the answer.

        Lago lists payments that never came too: they say nothing, and planning would take one that
        failed for money that went back.
        """
        asked_at = int(self._now() * 1000)
        try:
            answers = await self.api.ask(question)
            batch = [
                _incoming(one, organization, question, asked_at)
                for one in answers
                if one.kind != "payment" or one.object.get("payment_status") == "succeeded"
            ]
            await self._store(batch)
        except Unanswered as error:
            self.metrics.questions.labels(question.kind, error.why).inc()
            await self._failed(question, error)
            return
        self._answered(question.kind)
        again = self.clocks.backoff(question.asks, LONGEST)
        if question.kind == "credit":  # nothing is lacking: it may change any day
            again = self.clocks.stretched(MISSING)
        await self.questions.answered(question, again)

    async def _store(self, batch: Sequence[Incoming]) -> None:
        """As a poll batch: all or nothing, and what is known is left alone."""
        if not batch:
            return
        once = {one.digest: one for one in batch}  # pages move while they are read
        try:
            ingested = await self.inbox.ingest(list(once.values()))
        except Unstorable as error:
            raise Unanswered("unreadable", f"It cannot be stored ({error}).") from error
        if ingested.merged:
            self.on_work()

    async def _failed(self, question: Question, error: Unanswered) -> None:
        """When this is asked again, and whether anything is until then."""
        self._tell(error, question.kind)
        wait = self.clocks.backoff(question.asks, LONGEST)
        if error.why == "missing":
            wait = self.clocks.stretched(MISSING)
        elif error.why == "forbidden":
            wait = self.clocks.stretched(PAUSE)
            self._forbidden[question.kind] = self._clock() + wait
        elif error.why != "unreadable":
            wait = (
                max(wait, self._pause(error)) if error.why == "unavailable" else self._pause(error)
            )
        await self.questions.put_off(question, wait, error.code)

    def _pause(self, error: Unanswered) -> float:
        """Ask nothing for a while; returns how long, in seconds."""
        if error.why in ("refused", "forbidden", "missing"):
            seconds = self.clocks.stretched(PAUSE)
        elif error.wait is not None:  # Lago's seconds, or a simulator's
            seconds = min(error.wait, self.clocks.stretched(PAUSE))
        else:
            seconds = self.clocks.backoff(self._failures, PAUSE)
        self._failures += 1
        self._again_at = self._clock() + seconds
        return seconds

    def _answered(self, kind: str) -> None:
        self.metrics.questions.labels(kind, "answered").inc()
        self._failures = 0
        self._told.clear()

    def _tell(self, error: Unanswered, kind: str) -> None:
        """Once until Lago answers again; that it lacks something is no news."""
        if error.why not in self._told and (error.why != "missing" or kind == "organization"):
            self._told.add(error.why)
            log.warning("lago_unanswered", code=error.code, said=error.sentence, asked_for=kind)


def _incoming(answer: Answer, organization: UUID, question: Question, asked_at: int) -> Incoming:
    """The answer as a record. Nobody is told by a dead letter that it cannot be read: what lacks it is
    told of as it would be without.

    Raises:
        Unanswered: it is not what was asked for, or cannot be read.
    """
    incoming = answer.incoming(organization, asked_at)
    if incoming.event is None or not _is_asked_for(incoming.event, question):
        raise Unanswered("unreadable", "Lago's API answers with what was not asked for.")
    return incoming


def _is_asked_for(event: Event, question: Question) -> bool:
    if question.kind == "payments":
        told = event.contributions[-1]
        return told.key.kind == "payment" and question.lago_id in told.invoice_ids
    return event.key == ObjectKey(OBJECTS[question.kind], question.lago_id)
