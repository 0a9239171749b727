"""A tenant's chart: counted calls to Xero out, the accounts, items and tax rates in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from consumer.domain.answers import Reply
from consumer.domain.chart import Chart
from consumer.domain.charting import ENDPOINTS, UnreadableChart, read_chart
from consumer.domain.errors import Doubt, Halt, NotExecuted, Throttled
from consumer.ports import Accounting, Budget, Call

PATIENCE = 130.0
"""Seconds to wait for a busy tenant's budget before giving up."""

Token = Callable[[], Awaitable[str]]


class Closed(Exception):
    """Xero does not show it to this client."""

    def __init__(self, endpoint: str, status: int) -> None:
        super().__init__(endpoint)
        self.said = f"Xero does not show {endpoint} (status {status})"
        self.hint = "the client needs the scope accounting.settings.read"


class ChartReader:
    """Reads charts within the tenant's budget."""

    def __init__(
        self,
        accounting: Accounting,
        budget: Budget,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.accounting = accounting
        self.budget = budget
        self.sleep = sleep

    async def read(self, tenant_id: UUID, token: Token) -> Chart:
        """The chart as it is now.

        Raises:
            Closed: this client may not see it.
            Halt: Xero cannot be asked now.
        """
        bodies = {}
        for endpoint in ENDPOINTS:
            reply = await self._get(tenant_id, token, endpoint)
            if reply.status in (401, 403):
                raise Closed(endpoint, reply.status)
            if reply.status != 200:
                raise Halt(
                    "xero_unavailable",
                    f"Xero answered {reply.status} to GET {endpoint}.",
                    "Try again later.",
                )
            bodies[endpoint] = reply.body
        try:
            return read_chart(bodies)
        except UnreadableChart as error:
            raise Halt("unreadable_chart", f"Xero's answer is unusable: {error}.") from None

    async def _get(self, tenant_id: UUID, token: Token, path: str) -> Reply:
        waited = 0.0
        while not isinstance(
            taken := await self.budget.take(tenant_id, "chart", "GET", path), UUID
        ):
            if waited + taken > PATIENCE:
                raise Halt(
                    "budget_spent",
                    "The tenant's call limit leaves no room for reading its chart.",
                    "Try again when fewer documents are being sent, or tomorrow.",
                )
            pause = min(taken, 5.0)
            waited += pause
            await self.sleep(pause)
        reply = None
        try:
            reply = await self.accounting.call(Call(tenant_id, await token(), "GET", path))
        except (NotExecuted, Doubt, Throttled) as error:
            raise Halt(
                "xero_unreachable", f"Xero cannot be asked: {error.sentence}", error.hint
            ) from None
        finally:
            await self.budget.answered(taken, reply)
        return reply
