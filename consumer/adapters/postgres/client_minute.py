"""A client's minute: a call of one of its tenants in, the seconds to wait first out."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits

SQL = statements("ledger")


@dataclass(slots=True)
class _Counted:
    at: float
    calls: int


class ClientMinute:
    """Xero's limit over all tenants of one client id (xero.md 2).

    Where its tenants' own minutes together are no more than that, they keep it. Else the client's
    calls are counted once an interval, without a lock that all its tenants would wait for: what
    other replicas do within it is covered by ``Limits.app_reserve``.
    """

    def __init__(self, limits: Limits, clocks: Clocks) -> None:
        self.limits = limits
        self.clocks = clocks
        self._counted: dict[int, _Counted] = {}

    async def seconds_to_wait(
        self, conn: Conn, authorisation_id: int, tenants: Collection[UUID]
    ) -> float:
        """Count one call of the client, unless it has to wait."""
        if len(tenants) * self.limits.minute <= self.limits.app_minute:
            return 0.0
        interval = self.clocks.look_for_work
        counted = self._counted.get(authorisation_id)
        if counted is None or time.monotonic() - counted.at >= interval:
            minute = timedelta(seconds=self.clocks.minute)
            calls = await conn.fetchval(SQL["count_client_calls"], list(tenants), minute)
            counted = self._counted[authorisation_id] = _Counted(time.monotonic(), calls)
        if counted.calls >= self.limits.app_minute - self.limits.app_reserve:
            return interval
        counted.calls += 1
        return 0.0
