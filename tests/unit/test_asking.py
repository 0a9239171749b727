"""Asking: how long it waits for what, what it says, and that a stop ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from consumer.asking import PAUSE, Asker
from consumer.domain.clocks import Clocks
from consumer.metrics import Metrics
from consumer.ports import Answer, Question, QuestionKind, Unanswered, Why
from tests.fakes.inbox import FakeInbox

ORGANIZATION = uuid4()


class Notes:
    """Questions in a list; ``off`` is what was put off, for how long and why."""

    def __init__(self, *kinds: QuestionKind) -> None:
        self.left = [Question(kind, uuid4(), external_id="x") for kind in kinds]
        self.off: list[tuple[float, str]] = []
        self.noted = 0

    async def note(self, organization_id: UUID) -> None:
        self.noted += 1

    async def take(
        self, organization_id: UUID, but: Collection[QuestionKind], lease: float
    ) -> Question | None:
        found = next((one for one in self.left if one.kind not in but), None)
        if found is not None:
            self.left.remove(found)
        return found

    async def answered(self, question: Question, wait: float) -> None:
        pass

    async def put_off(self, question: Question, wait: float, why: str) -> None:
        self.off.append((wait, why))


class Lago:
    """Fails as it is told; silent once it has nothing left to say."""

    def __init__(self, *errors: Unanswered | None) -> None:
        self.errors = list(errors)
        self.asked: list[QuestionKind] = []
        self.silent = asyncio.Event()
        self.heard = asyncio.Event()

    async def organization(self) -> UUID:
        return ORGANIZATION

    async def ask(self, question: Question) -> Sequence[Answer]:
        self.asked.append(question.kind)
        self.heard.set()
        if not self.errors:
            await self.silent.wait()
        error = self.errors.pop(0)
        if error is not None:
            raise error
        return []


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def _asker(notes: Notes, lago: Lago, clock: Clock | None = None) -> Asker:
    return Asker(
        notes, lago, FakeInbox(), Metrics(), Clocks(), lambda: None, clock=clock or Clock()
    )


def _no(why: Why, wait: float | None = None) -> Unanswered:
    return Unanswered(why, "No.", wait)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(_no("throttled", 2.0), 2.0), (_no("throttled", 1e9), PAUSE), (_no("throttled"), 5.0),
     (_no("refused"), PAUSE), (_no("unavailable"), 5.0)],
)  # fmt: skip
async def test_nothing_is_asked_until_the_pause_is_over(error: Unanswered, seconds: float) -> None:
    notes, lago, clock = Notes("invoice", "invoice"), Lago(error, None), Clock()
    asker = _asker(notes, lago, clock)
    assert not await asker.run_once()
    clock.at = seconds - 0.001
    assert not await asker.run_once()
    assert len(lago.asked) == 1
    clock.at = seconds
    assert await asker.run_once()
    assert len(lago.asked) == 2


async def test_a_lago_that_stays_away_is_asked_ever_less_and_then_at_once_again() -> None:
    away = [_no("unavailable") for _ in range(4)]
    kinds: list[QuestionKind] = ["invoice"] * 7
    notes = Notes(*kinds)
    lago, clock = Lago(*away, None, _no("unavailable")), Clock()
    asker, pauses = _asker(notes, lago, clock), []
    for _ in range(6):
        await asker.run_once()
        pauses.append(max(0.0, asker._again_at - clock.at))
        clock.at = max(clock.at, asker._again_at)
    assert pauses == [5, 10, 20, 40, 0, 5]


async def test_what_the_key_may_not_read_does_not_hold_up_the_rest() -> None:
    notes = Notes("payments", "payments", "invoice")
    lago, clock = Lago(_no("forbidden"), None, None), Clock()
    asker = _asker(notes, lago, clock)
    while await asker.run_once():
        pass
    assert lago.asked == ["payments", "invoice"]
    clock.at = PAUSE
    await asker.run_once()
    assert lago.asked == ["payments", "invoice", "payments"]


async def test_a_refused_key_is_told_of_once_until_lago_answers() -> None:
    refused = [_no("refused") for _ in range(3)]
    kinds: list[QuestionKind] = ["invoice"] * 5
    notes = Notes(*kinds)
    lago, clock = Lago(*refused, None, _no("refused")), Clock()
    asker, told = _asker(notes, lago, clock), []
    for _ in range(5):
        with capture_logs() as logs:
            await asker.run_once()
        told.append([one["code"] for one in logs])
        clock.at += PAUSE
    assert told == [["lago_refused"], [], [], [], ["lago_refused"]]


async def test_that_lago_lacks_something_is_no_news() -> None:
    notes, lago = Notes("invoice"), Lago(_no("missing"))
    with capture_logs() as logs:
        assert await _asker(notes, lago).run_once()
    assert logs == []
    assert notes.off == [(86_400.0, "lago_missing")]


async def test_a_stop_cuts_off_a_question_that_hangs() -> None:
    notes, lago, stop = Notes("invoice"), Lago(), asyncio.Event()
    running = asyncio.create_task(_asker(notes, lago).run(stop))
    await lago.heard.wait()
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_fault_of_ours_does_not_end_it() -> None:
    class Odd(Notes):
        async def take(
            self, organization_id: UUID, but: Collection[QuestionKind], lease: float
        ) -> Question | None:
            if not self.off:
                self.off.append((0.0, "odd"))
                raise RuntimeError("odd")
            return await super().take(organization_id, but, lease)

    notes, lago, stop = Odd("invoice"), Lago(), asyncio.Event()
    asker = Asker(notes, lago, FakeInbox(), Metrics(), Clocks().scaled(0.001), lambda: None)
    with capture_logs() as logs:
        running = asyncio.create_task(asker.run(stop))
        await asyncio.wait_for(lago.heard.wait(), 5)
        stop.set()
        await running
    assert [one["event"] for one in logs] == ["asking_fault"]
