"""Connections with their mappings and charts, as of a revision: read once, read again when raised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from consumer.adapters.postgres.database import Conn
from consumer.domain.chart import Chart
from consumer.domain.mapping import Connection


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All connections by id, all charts by tenant, all tenants in use by authorisation; the ids of the
    connections that a person has paused."""

    connections: Mapping[int, Connection] = field(default_factory=dict)
    charts: Mapping[UUID, Chart] = field(default_factory=dict)
    tenants: Mapping[int, Collection[UUID]] = field(default_factory=dict)
    paused: Collection[int] = frozenset()


class Configuration:
    """The newest snapshot. Inside a transaction the revision cannot be raised by others."""

    def __init__(self, load: Callable[[Conn], Awaitable[Snapshot]]) -> None:
        self._load = load
        self._revision: int | None = None
        self._snapshot = Snapshot()

    async def at(self, conn: Conn, revision: int) -> Snapshot:
        """The snapshot of ``revision``, which ``conn``'s transaction has read."""
        if revision != self._revision:
            self._snapshot = await self._load(conn)
            self._revision = revision
        return self._snapshot
