"""An outbox in memory on a clock that the test moves: a fake ``Outbox``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consumer.ports import Notice, Sink


class FakeOutbox:
    """Notices with the instant (seconds of ``now``) from which each is due."""

    def __init__(self, *notices: Notice) -> None:
        self.now = 0.0
        self.open: dict[int, Notice] = {n.id: n for n in notices}
        self.due: dict[int, float] = dict.fromkeys(self.open, 0.0)
        self.finished: list[int] = []
        self.errors: dict[int, str] = {}
        self.away = False

    async def claim(self, sink: Sink, limit: int, lease: float) -> Sequence[Notice]:
        """The oldest due notices, hidden for ``lease`` seconds."""
        if self.away:
            raise ConnectionError("the database is away")
        ready = [n for n in self.open.values() if n.sink == sink and self.due[n.id] <= self.now]
        ready = sorted(ready, key=lambda n: (self.due[n.id], n.id))[:limit]
        for notice in ready:
            self.due[notice.id] = self.now + lease
        return ready

    async def done(self, ids: Sequence[int]) -> None:
        """They are announced."""
        for id in ids:
            del self.open[id]
            self.finished.append(id)

    async def later(self, failures: Sequence[tuple[int, float, str]]) -> None:
        """Claimable again after the wait."""
        for id, wait, why in failures:
            self.open[id] = replace(self.open[id], attempts=self.open[id].attempts + 1)
            self.due[id] = self.now + wait
            self.errors[id] = why
