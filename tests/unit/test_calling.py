"""Calls are counted by how they ended, and answers 429 by the limit that Xero names."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import Counter

from consumer.deliver.calling import Caller
from consumer.domain.answers import Limits, Reply
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted
from consumer.metrics import Metrics
from consumer.ports import Call


class Xero:
    """Answers as it is told."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer

    async def call(self, _: Call) -> Reply:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def throttled(problem: str | None) -> Reply:
    return Reply(429, b"", Limits(problem=problem))


@pytest.mark.parametrize(
    ("answer", "outcome", "problem"),
    [
        (Reply(200, b""), "2xx", None),
        (Reply(400, b""), "4xx", None),
        (Reply(503, b""), "5xx", None),
        (throttled("minute"), "429", "minute"),
        (throttled("Concurrent"), "429", "concurrent"),
        (throttled("a text of any length, once"), "429", "other"),
        (throttled(None), "429", "other"),
        (NotExecuted("not_sent", "No byte left."), "not_executed", None),
        (Doubt("no_answer", "Nothing came."), "no_answer", None),
    ],
)
async def test_a_call_is_counted_once(
    answer: Reply | Exception, outcome: str, problem: str | None
) -> None:
    nobody: Any = None
    metrics = Metrics()
    caller = Caller(Xero(answer), nobody, nobody, nobody, metrics, Clocks())
    with suppress(NotExecuted, Doubt):
        await caller.call(Call(uuid4(), "token", "GET", "Accounts"), "chart")
    counted = {name: _counted(getattr(metrics, name)) for name in ("calls", "throttled")}
    assert counted == {
        "calls": {("chart", outcome): 1.0},
        "throttled": {(problem,): 1.0} if problem else {},
    }


def _counted(counter: Counter) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }
