"""Asking: the ledger in, what it lacks that Lago's API may tell out, page by page and one by one.

Two tables say what is lacking: documents that only a message of Lago's can help, and objects: customers
without links, credit notes whose credit may have been voided. Both are gone through in laps of bounded
pages, by partial indexes that hold nothing else; the place within a lap is all that a process remembers.
A question is noted once and stays until nothing lacks its answer: so that its next time holds for all
replicas.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements
from consumer.ports import Question, QuestionKind

SQL = statements("asking")

T = TypeVar("T", int, UUID)

PAGE = 500
"""More in one look than Lago's API answers in one."""
UNNEEDED = 100
"""Questions that are looked at in one transaction until one is still needed."""


class PostgresQuestions:
    """Implements ``Questions``. ``patience`` (seconds) is for the message that may come by itself;
    ``day`` passes between two looks at what changes silently."""

    def __init__(
        self, database: Database, patience: float, page: int = PAGE, *, day: float = 86_400.0
    ) -> None:
        self.database = database
        self.patience = timedelta(seconds=patience)
        self.daily = timedelta(seconds=day)
        self.page = page
        self._document = 0
        self._object = UUID(int=0)

    async def note(self, organization_id: UUID) -> None:
        """Note the next page of either; behind the last one the first is next."""
        documents = await self._note("lacking_documents", self._document, organization_id)
        self._document = documents or 0
        objects = await self._note("lacking_objects", self._object, organization_id, self.daily)
        self._object = objects or UUID(int=0)

    async def _note(self, what: str, after: T, organization_id: UUID, *more: timedelta) -> T | None:
        """The place behind a full page; None at the end of the lap."""
        at = after, self.page, organization_id, self.patience, *more
        rows = await self.database.run(lambda conn: conn.fetch(SQL[what], *at))
        last: T = rows[0]["last"]
        return last if rows[0]["looked"] == self.page else None

    async def take(
        self, organization_id: UUID, but: Collection[QuestionKind], lease: float
    ) -> Question | None:
        """One that is due and still needed, hidden from others for ``lease`` seconds."""

        async def work(conn: Conn) -> Question | None:
            for _ in range(UNNEEDED):
                row = await conn.fetchrow(SQL["due"], organization_id, list(but))
                if row is None:
                    return None
                if await conn.fetchval(SQL["forget_unneeded"], row["kind"], row["lago_id"]):
                    continue
                held = await conn.fetchrow(
                    SQL["hold_off"], row["kind"], row["lago_id"], timedelta(seconds=lease)
                )
                assert held is not None
                return Question(row["kind"], row["lago_id"], held["asks"], held["external_id"])
            return None

        return await self.database.run(work)

    async def answered(self, question: Question, wait: float) -> None:
        """Forget it; asked again after ``wait`` seconds if that still left something lacking."""

        async def work(conn: Conn) -> None:
            if not await conn.fetchval(SQL["forget_unneeded"], question.kind, question.lago_id):
                await self._later(conn, question, wait, None)

        await self.database.run(work)

    async def put_off(self, question: Question, wait: float, why: str) -> None:
        """Asked again after ``wait`` seconds."""
        await self.database.run(lambda conn: self._later(conn, question, wait, why))

    async def _later(self, conn: Conn, question: Question, wait: float, why: str | None) -> None:
        at = question.kind, question.lago_id, timedelta(seconds=wait), why
        await conn.execute(SQL["later"], *at)
