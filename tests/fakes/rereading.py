"""A topic of one partition in memory: a fake ``Rereading``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from consumer.ports import Bound, Passage, Record, Span


class FakeRereading:
    """Gives its records in passages of ``most``; ``before`` is called before each."""

    def __init__(self, records: Sequence[Record], most: int = 3) -> None:
        self.records = records
        self.most = most
        self.before: Callable[[int], None] = lambda passage: None

    async def start(self) -> None:
        """Nothing to connect to."""

    async def spans(
        self, topic: str, since: Bound, until: Bound | None, partition: int | None
    ) -> Mapping[int, Span]:
        """All of it."""
        return {0: Span(0, len(self.records))}

    async def read(self, topic: str, spans: Mapping[int, Span]) -> AsyncGenerator[Passage, None]:
        """By position in the list."""
        at, passage = spans[0].start, 0
        while at < spans[0].end:
            self.before(passage)
            to = min(at + self.most, spans[0].end)
            yield Passage(self.records[at:to], {0: to})
            at, passage = to, passage + 1

    async def stop(self) -> None:
        """Nothing to disconnect."""
