"""Erasing: a customer in, the ledger without what is personal of him out, a short transaction a page.

Where the ledger has personal data of customers:

===============  =========================================================================================
his object       Lago's facts of him: names, e-mail, phone, addresses, tax id
``event_raw``    messages as received, about him and about his invoices, notes and payments
``request``      the bodies of calls that told Xero of him, for an hour
===============  =========================================================================================

All other rows have ids, numbers, amounts, days and texts of lines, which the books need; what Xero says is
redacted before it is kept. Messages go first, then the facts: whoever is interrupted begins anew, with
all that is needed to find the rest. At last go messages that came in between; he is planned anew, so that his
contact is left as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from typing import Literal
from uuid import UUID

from consumer.adapters.postgres.customers import unknown
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.objects import lock_rows, write_objects
from consumer.adapters.postgres.sql import statements
from consumer.domain import causes
from consumer.domain.contacts import erased, personal
from consumer.domain.errors import Halt
from consumer.domain.objects import Object, ObjectKey

SQL = statements("erasing")
CONNECTIONS = statements("connections")
CUSTOMERS = statements("customers")

PAGE = 500
"""Rows looked at in one transaction."""
MANY = 2**63 - 1
SHOWN = 5
"""Open documents that are named."""

What = Literal["messages", "bodies", "facts"]


@dataclass(frozen=True, slots=True)
class Step:
    """One page: how much of what was dropped, or would be; ``facts`` names what of the customer."""

    what: What
    dropped: int
    facts: tuple[str, ...] = ()


class Eraser:
    """Erases one customer; safe to repeat, beside the running service.

    ``dry_run`` checks and counts, and drops nothing.
    """

    def __init__(
        self, database: Database, customer_id: UUID, *, dry_run: bool = False, page: int = PAGE
    ) -> None:
        self.database = database
        self.customer_id = customer_id
        self.dry_run = dry_run
        self.page = page
        self._key = ObjectKey("customer", customer_id)
        self._texts: list[bytes] = []
        self._left: list[What] = ["messages", "bodies", "facts", "messages"]
        self._after, self._until = 0, MANY

    async def begin(self, who: str, reason: str) -> None:
        """See that nothing of his is open, and write down who erases him and why.

        Raises:
            Halt: ``documents_open``, ``calls_open`` or ``records_unread``: something is to end before.
        """
        customer = await self.database.run(self._closed)
        self._texts = _texts(customer)
        await self._no_dead()

        async def note(conn: Conn) -> None:
            await self._closed(conn)
            said = f"customer {self.customer_id}"
            await conn.execute(CONNECTIONS["audit"], who, "erase", said, reason)

        if not self.dry_run:
            await self.database.run(note)

    async def step(self) -> Step | None:
        """The next page; None at the end.

        Raises:
            Halt: as ``begin``: Lago has told of him meanwhile.
            Unavailable: Postgres is away; the next call tries the same page again.
        """
        if not self._left:
            return None
        match self._left[0]:
            case "messages":
                return await self._messages()
            case "bodies":
                return await self._bodies()
        step = await self.database.run(self._facts)
        self._next()
        return step

    async def _messages(self) -> Step:
        async def work(conn: Conn) -> tuple[int | None, int]:
            args = self._after, self.customer_id, self._texts, self.page, self._until
            rows = await conn.fetch(SQL["messages"], *args)
            his = [row["id"] for row in rows if row["his"]]
            if his and not self.dry_run:
                his = await conn.fetch(SQL["drop_messages"], his)
            return (rows[-1]["id"] if len(rows) == self.page else None), len(his)

        last, dropped = await self.database.run(work)
        self._next(last)
        return Step("messages", dropped)

    async def _bodies(self) -> Step:
        async def work(conn: Conn) -> tuple[int | None, int]:
            row = await conn.fetchrow(SQL["bodies"], self.customer_id, self._after, self.page)
            assert row is not None
            if row["ids"] and not self.dry_run:
                await conn.execute(SQL["drop_bodies"], row["ids"])
            return row["last"], len(row["ids"])

        last, dropped = await self.database.run(work)
        self._next(last)
        return Step("bodies", dropped)

    async def _facts(self, conn: Conn) -> Step:
        before = await self._closed(conn)
        after = erased(before)
        if after is not before and not self.dry_run:
            await write_objects(conn, {self._key: before}, {self._key: after})
            await conn.execute(CUSTOMERS["plan_object"], causes.changed(self._key))
        if self.dry_run:
            self._left = ["facts"]  # nothing was dropped: the messages are counted already
        else:
            await conn.execute(SQL["ask_no_more"], self.customer_id)
            # What comes later tells of him after he was erased, or changes nothing of him.
            self._until = await conn.fetchval(SQL["last_message"])
        names = tuple(sorted(personal(before)))
        return Step("facts", len(names), names)

    async def _closed(self, conn: Conn) -> Object:
        """The customer, held: whoever takes in a message about him, or plans him, waits for us."""
        customer = (await lock_rows(conn, {self._key})).get(self._key)
        if customer is None:
            raise unknown(str(self.customer_id))
        rows = await conn.fetch(SQL["open_documents"], self.customer_id, SHOWN + 1)
        if rows:
            named = [
                f"document {row['id']} ({row['kind'].replace('_', ' ')}"
                f"{' ' + row['number'] if row['number'] else ''}, {_state(row['state'])})"
                for row in rows[:SHOWN]
            ]
            more = " and more" if len(rows) > SHOWN else ""
            raise Halt(
                "documents_open",
                f"Documents of the customer are open: {', '.join(named)}{more}.",
                "let them go out, or set failed ones aside: lago-xero ignore; lago-xero show says of each "
                "what it waits for",
            )
        calls = await conn.fetchrow(SQL["open_calls"], self.customer_id)
        if calls is not None and calls["count"]:
            raise Halt(
                "calls_open",
                f"{calls['count']} calls to Xero about the customer may still be looked at.",
                f"run it again after {calls['until'].astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
            )
        return customer

    async def _no_dead(self) -> None:
        after, his = 0, list[int]()
        while True:
            rows = await self.database.fetch(SQL["dead_records"], after, self._texts, self.page)
            his += [row["id"] for row in rows if row["his"]]
            if len(rows) < self.page:
                break
            after = rows[-1]["id"]
        if his:
            named = ", ".join(f"event:{id}" for id in his[:SHOWN])
            raise Halt(
                "records_unread",
                f"Records that could not be read name the customer: {named}"
                f"{' and more' if len(his) > SHOWN else ''}.",
                "read or set them aside first: lago-xero dead-letters redrive or discard",
            )

    def _next(self, after: int | None = None) -> None:
        self._after = after or 0
        if after is None:
            self._left = self._left[1:]


def _texts(customer: Object) -> list[bytes]:
    """What finds him in a record that was never read."""
    content = customer.value("content") or {}
    texts: Collection[str] = {str(customer.key.lago_id), str(content.get("email") or "")}
    return [text.encode() for text in sorted(texts) if text]


def _state(state: str) -> str:
    return state if state in ("waiting", "ready", "sending", "failed") else "not announced yet"
