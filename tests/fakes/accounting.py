"""A scripted ``Accounting`` in memory: outcomes ordered beforehand, calls kept for the test."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from consumer.domain.answers import Reply
from consumer.domain.errors import Doubt, NotExecuted
from consumer.ports import Call

EMPTY = Reply(200, b'{"Contacts": []}')

Outcome = Reply | Doubt | NotExecuted


class FakeAccounting:
    """Gives each call the next scripted outcome, ``EMPTY`` when none is left.

    ``calls`` are those that left; one that comes too late does not leave and uses up no outcome.
    """

    def __init__(self, *outcomes: Outcome, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls: list[Call] = []
        self._outcomes = deque(outcomes)
        self._clock = clock

    def script(self, *outcomes: Outcome) -> None:
        """Order further outcomes."""
        self._outcomes.extend(outcomes)

    async def call(self, call: Call) -> Reply:
        if self._clock() >= call.first_byte_by:
            raise not_sent("too late to begin")
        outcome = self._outcomes.popleft() if self._outcomes else EMPTY
        if isinstance(outcome, NotExecuted):
            raise outcome
        self.calls.append(call)
        if isinstance(outcome, Doubt):
            raise outcome
        return outcome


def not_sent(why: str = "ConnectError") -> NotExecuted:
    """As the adapter says that no byte left."""
    return NotExecuted("not_sent", f"Xero was not reached ({why}).")


def no_answer(why: str = "ReadError") -> Doubt:
    """As the adapter says that no complete answer came."""
    return Doubt("no_answer", f"No complete answer came from Xero ({why}).")
