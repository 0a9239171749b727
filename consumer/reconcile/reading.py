"""Reading Xero: a page or an id in, what Xero shows there out, within the tenant's spare budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from consumer.domain.answers import Reply
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, Halt, NotExecuted
from consumer.domain.reconciling import MirrorKind
from consumer.domain.reconciling.reading import Page, UnreadablePage, page_path, parse_page
from consumer.ports import Accounting, Budget, Call
from consumer.ports.reconciling import Reading

PURPOSE = "reconcile"
PATIENCE = 900.0
"""Seconds to wait for the tenant's budget until the run is left to another time."""
PAUSE = 5.0
"""Seconds between two looks whether a call may be made; others may have spent what there was."""

Token = Callable[[], Awaitable[str]]


class Progress(Protocol):
    """Who watches."""

    def read(self, kind: MirrorKind, page: int, pages: int) -> None:
        """A page was read."""

    def waits(self, seconds: float) -> None:
        """Xero's limits leave no room for so long."""


class Reader:
    """Reads pages within the tenant's spare budget; ``calls`` counts what was asked."""

    def __init__(
        self,
        accounting: Accounting,
        budget: Budget,
        token: Token,
        clocks: Clocks,
        progress: Progress,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.accounting = accounting
        self.budget = budget
        self.token = token
        self.clocks = clocks
        self.progress = progress
        self.sleep = sleep
        self.calls = 0

    async def page(self, reading: Reading) -> Page:
        """The page that is next.

        Raises:
            Halt: it cannot be read now.
        """
        since = reading.covers if reading.since is None else None
        path = page_path(reading.kind, reading.page, since)
        reply = await self._get(reading.tenant_id, path, reading.since)
        page = _parsed(reply, reading.kind)
        self.progress.read(reading.kind, reading.page, page.pages)
        return page

    async def lookup(self, tenant_id: UUID, kind: MirrorKind, path: str) -> Page:
        """What Xero shows there; 404 is nothing. Raises as ``page`` does."""
        reply = await self._get(tenant_id, path, None, absent=True)
        return Page((), 1, 0) if reply.status == 404 else _parsed(reply, kind)

    async def _get(
        self, tenant_id: UUID, path: str, since: datetime | None, *, absent: bool = False
    ) -> Reply:
        waited = 0.0
        while True:
            taken = await self.budget.take(tenant_id, PURPOSE, "GET", path)
            if isinstance(taken, float | int):
                waited = await self._wait(float(taken), waited)
                continue
            reply = await self._call(taken, tenant_id, path, since)
            if reply.status == 429:
                waited = await self._wait(reply.limits.retry_after or PAUSE, waited)
                continue
            if reply.status == 200 or (absent and reply.status == 404):
                return reply
            what = path.partition("?")[0]
            if reply.status in (401, 403):
                raise Halt(
                    "xero_closed",
                    f"Xero does not show {what} (status {reply.status}).",
                    "Look at the client's scopes and its connection in Xero.",
                )
            raise Halt(
                "xero_unavailable",
                f"Xero answered {reply.status} to GET {what}.",
                "Run it again later: it goes on where it stopped.",
            )

    async def _wait(self, seconds: float, waited: float) -> float:
        if waited + seconds > self.clocks.stretched(PATIENCE):
            raise Halt(
                "budget_spent",
                f"What Xero allows the organisation leaves no room for {seconds:.0f} s.",
                "Run it again then: it goes on where it stopped.",
            )
        self.progress.waits(seconds)
        pause = min(seconds, PAUSE)
        await self.sleep(pause)
        return waited + pause

    async def _call(
        self, request_id: UUID, tenant_id: UUID, path: str, since: datetime | None
    ) -> Reply:
        reply = None
        try:
            self.calls += 1
            call = Call(
                tenant_id,
                await self.token(),
                "GET",
                path,
                if_modified_since=since,
                timeout=self.clocks.call_timeout,
            )
            reply = await self.accounting.call(call)
        except (NotExecuted, Doubt) as error:
            again = "Run it again later: it goes on where it stopped."
            said = f"Xero cannot be asked: {error.sentence}"
            raise Halt("xero_unreachable", said, again) from None
        finally:
            await self.budget.answered(request_id, reply)
        return reply


def _parsed(reply: Reply, kind: MirrorKind) -> Page:
    try:
        return parse_page(reply, kind)
    except UnreadablePage as error:
        raise Halt("unreadable_page", f"Xero's answer is unusable: {error}.") from None
