"""A ledger in memory as ingest sees it: a fake ``Inbox``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consumer.domain.objects import Object, ObjectKey, merge
from consumer.ports import Incoming, Ingested, Unavailable, Unstorable


class FakeInbox:
    """Merges what it is given; ``away`` refuses that many calls, ``poison`` bad events for good."""

    def __init__(self, *, poison: Callable[[Incoming], Exception | None] | None = None) -> None:
        self.objects: dict[ObjectKey, Object] = {}
        self.stored: dict[bytes, Incoming] = {}
        self.batches: list[int] = []
        """The sizes of the batches tried."""
        self.away = 0
        self.before_ingest: Callable[[], None] = lambda: None
        self._poison = poison or (lambda incoming: None)

    async def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those stored, but for dead ones."""
        self._answer()
        return {d for d in digests if d in self.stored and self.stored[d].error is None}

    async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
        """All or nothing, but for what is known; digests must differ."""
        self.before_ingest()
        self._answer()
        self.batches.append(len(batch))
        assert len({incoming.digest for incoming in batch}) == len(batch)
        known = {digest for digest, one in self.stored.items() if one.error is None}
        batch = [incoming for incoming in batch if incoming.digest not in known]
        for incoming in batch:
            if incoming.error is None and (refusal := self._poison(incoming)):
                raise refusal
        for incoming in batch:
            self.stored[incoming.digest] = incoming
            for news in incoming.event.contributions if incoming.event else ():
                self.objects[news.key] = merge(self.objects.get(news.key), news)
        dead = tuple(incoming.error.code for incoming in batch if incoming.error is not None)
        return Ingested(len(batch) - len(dead), len(dead), dead)

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("the database is away")


def unstorable(*values: bytes | None) -> Callable[[Incoming], Exception | None]:
    """A poison: events of records with one of these values are refused as by Postgres."""
    return lambda incoming: Unstorable("22003") if incoming.record.value in values else None
