"""A customer whose contact is in Xero, on a stage, and what an accountant does to it there."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from consumer.adapters.postgres.dead_letters import Letters, discard
from consumer.adapters.postgres.retrying import Which, retry
from consumer.ports import Wish
from consumer.sandbox.xero import contacts
from consumer.sandbox.xero.books import Contact
from tests.lives.stage import CHART, Stage, stage

Json = dict[str, Any]
REST = 1000.0


@dataclass
class Shop:
    """A customer whose contact is in Xero, and the hands of an accountant there."""

    stage: Stage
    who: Json
    seconds: int = 0

    async def say(self, *things: Json) -> None:
        """Lago tells of these, and the service comes to rest."""
        b = self.stage.books
        await b.told(*(b.said(thing) for thing in things))
        await self.stage.rest(REST)

    async def bill(self, count: int = 1) -> list[Json]:
        told = [self.stage.books.invoice(self.who) for _ in range(count)]
        await self.say(*told)
        return told

    async def change(self, **facts: Any) -> None:
        """Lago's customer changes."""
        self.seconds += 1
        at = f"2026-05-01T13:00:{self.seconds:02}Z"
        self.who = {**self.who, "updated_at": at, **facts}
        b = self.stage.books
        await b.told(b.said(self.who, "customer.updated"))
        await self.stage.rest(REST)

    async def contact(self) -> Json:
        [row] = await self.stage.books.documents(kind="contact")
        return row

    async def contact_of(self, who: Json) -> Json:
        lago_id = UUID(who["lago_id"])
        [row] = await self.stage.books.documents(kind="contact", lago_id=lago_id)
        return row

    def opened(self, name: str) -> UUID:
        """A contact that somebody makes in Xero."""
        made = Contact(str(uuid4()))
        made.texts = {"Name": name}
        self.stage.xero.keep_contact(made)
        return UUID(made.contact_id)

    def archive(self, contact_id: UUID, into: UUID | None = None) -> None:
        """As an accountant does."""
        books, at = self.stage.xero, self.stage.world.at()
        if into is None:
            contacts.archive(books, str(contact_id), at)
        else:
            contacts.merge(books, str(contact_id), str(into), at)

    def restore(self, contact_id: UUID) -> None:
        contacts.restore(self.stage.xero, str(contact_id), self.stage.world.at())

    async def retry(
        self, code: str | None = "contact_archived", ids: Sequence[int] | None = None
    ) -> None:
        which = Which(ids=ids, code=code)
        async for _ in retry(self.stage.books.database, which, who="ann", reason=None):
            pass
        await self.stage.rest(REST)

    async def discard(self, code: str = "contact_archived") -> Counter[str]:
        """Set aside what failed so, and what follows from that."""
        database, letters = self.stage.books.database, Letters(Which(code=code), None)
        told: Counter[str] = Counter()
        async for page in discard(database, letters, who="ann", reason="closed customer"):
            told.update(page)
        await self.stage.rest(REST)
        return told

    def invoiced(self) -> list[str]:
        """The contacts of the invoices in Xero."""
        return [one.contact_id for one in self.stage.xero.invoices.values()]

    async def findings(self, name: str) -> list[tuple[UUID, str]]:
        rows = await self.stage.books.database.fetch(
            "select xero_id, facts ->> 'into' as into from finding where class = $1 order by id",
            name,
        )
        return [(row["xero_id"], row["into"]) for row in rows]

    async def calls(self) -> int:
        [row] = await self.stage.books.database.fetch("select count(*) as n from request")
        return int(row["n"])

    async def policy(self, **policies: Any) -> None:
        b = self.stage.books
        stored = (await b.connections.stored())["acme"]
        asked = replace(stored.connection, **policies)
        await b.connections.store([Wish(asked, stored.client_id, stored.secret, CHART)], "t", [])


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Shop]:
    """One whose customer has his contact."""
    async with stage(database_url) as theatre:
        await theatre.clean()
        made = Shop(theatre, theatre.books.customer(name="Ada"))
        await made.say(made.who)
        assert (await made.contact())["xero_id"] is not None
        yield made
