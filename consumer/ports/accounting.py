"""Xero's Accounting API, and the budget that every call to it is counted in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from consumer.domain.answers import Reply


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the Accounting API.

    ``path`` is relative to the API's base and includes the query. ``first_byte_by`` is an instant
    of the monotonic clock after which the call must not start; ``timeout`` (seconds) bounds it all.
    """

    tenant_id: UUID
    token: str
    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    body: bytes | None = None
    idempotency_key: str | None = None
    if_modified_since: datetime | None = None
    first_byte_by: float = float("inf")
    timeout: float = 90.0

    def __repr__(self) -> str:
        return f"Call({self.method} {self.path.partition('?')[0]})"


class Accounting(Protocol):
    """Xero's Accounting API."""

    async def call(self, call: Call) -> Reply:
        """Send it and read the whole answer, whatever its status.

        Raises:
            NotExecuted: certainly no byte left (connect failure, ``first_byte_by`` passed).
            Doubt: something may have left and no complete answer came.
        """


class Budget(Protocol):
    """Every call to the Accounting API is counted before it is made."""

    async def take(self, tenant_id: UUID, purpose: str, method: str, path: str) -> UUID | float:
        """Count one call: its id (also its idempotency key), or the seconds to wait first."""

    async def answered(self, request_id: UUID, reply: Reply | None) -> None:
        """What came of it; None when it was not executed or nothing came."""
