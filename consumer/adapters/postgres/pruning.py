"""Pruning: how long things are kept in, what is older and no longer needed dropped, a page at a time.

Who reads what is dropped, and what therefore stays:

=============  ======================================================  =================================
announcements  announcing, ``status``: those not made                  not made ones
messages       announcing: the record that made the failing version;   dead events', those of an open
               ``show`` of what only a dead record names               document or unmade announcement
requests       budget, pacing, ``status``: the last day's calls;       two days; open ones; those of an
               doubt; late answers; a refusal for want of room: what   open document; each document's
               was taken off since its request began                   newest acceptance
findings       ``show``, ``mappings list``, settling: open ones,       open ones
               and any surplus of a request just answered
events         ingest: known digests; announcing: where a record       dead events, those that made a
               lies; ``dead``                                          document's version, payments'
=============  ======================================================  =================================

Redriving, releasing and retrying read objects and documents, which are never pruned, nor are mappings'
history and the audit. A document that was final and fails after its message was dropped (a switch was
turned, say) is announced without the bytes, with the place where the record lay.

A message whose key was dropped and that is read again is decoded and merged again. Merging is a maximum
by Lago's stamps: it says nothing better, changes no object and no document, and only its key and bytes
are kept anew. Not so payments: Lago puts no stamp on their status, so that what Kafka got last holds. One
that is *produced* again would be the newest and bring a payment back that has failed since. Hence their
keys are never dropped.

Dropping is decided on what is committed when a page is read; whatever becomes open a moment later was
final until then. Nothing is remembered but the place within a pass: whoever is killed begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements

SQL = statements("pruning")

What = Literal["announcements", "messages", "requests", "findings", "events"]
WHATS: tuple[What, ...] = get_args(What)
"""In this order: announcements hold messages and events."""
PAGE = 500
"""Rows looked at in one transaction."""
COUNTED = timedelta(days=2)
"""Longer than any window that calls are counted in, of which Xero's day is the longest."""
_START: tuple[Any, ...] = (0,)
_START_OF_REQUESTS: tuple[Any, ...] = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long each is kept: since it was announced, final, begun, closed, received."""

    announcements: timedelta = timedelta(days=30)
    messages: timedelta = timedelta(days=30)
    requests: timedelta = timedelta(days=90)
    findings: timedelta = timedelta(days=365)
    events: timedelta = timedelta(days=365)

    def of(self, what: What) -> timedelta:
        """Of one; calls never shorter than they are counted."""
        kept: timedelta = getattr(self, what)
        return max(kept, COUNTED) if what == "requests" else kept


@dataclass(frozen=True, slots=True)
class Step:
    """One page: how many rows were looked at, and how many of them were, or would be, dropped."""

    what: What
    looked: int
    dropped: int


class Pruner:
    """Goes through the tables, a short transaction a page; any number may, at the same time.

    ``dry_run`` drops nothing and counts what would be.
    """

    def __init__(
        self, database: Database, keeping: Keeping, *, dry_run: bool = False, page: int = PAGE
    ) -> None:
        self.database = database
        self.keeping = keeping
        self.dry_run = dry_run
        self.page = page
        self._left: Sequence[What] = WHATS
        self._after = _start(WHATS)

    async def step(self) -> Step | None:
        """The next page; None at the end of all, from where the next call begins anew.

        Raises:
            Unavailable: Postgres is away; the next call tries the same page again.
        """
        if not self._left:
            self._left, self._after = WHATS, _start(WHATS)
            return None
        what = self._left[0]
        rows, dropped = await self.database.run(lambda conn: self._step(conn, what))
        if len(rows) < self.page or rows[-1]["young"]:
            self._left = self._left[1:]
            self._after = _start(self._left)
        elif what == "requests":
            self._after = (rows[-1]["started_at"], rows[-1]["id"])
        else:
            self._after = (rows[-1]["id"],)
        return Step(what, len(rows), dropped)

    async def _step(self, conn: Conn, what: What) -> tuple[Sequence[asyncpg.Record], int]:
        rows = await conn.fetch(SQL[what], *self._after, self.keeping.of(what), self.page)
        over = [row["id"] for row in rows if row["over"]]
        if over and not self.dry_run:
            over = await conn.fetch(SQL[f"drop_{what}"], over)
        return rows, len(over)


def _start(left: Sequence[What]) -> tuple[Any, ...]:
    return _START_OF_REQUESTS if left[:1] == ("requests",) else _START
