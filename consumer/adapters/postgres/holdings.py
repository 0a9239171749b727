"""Holdings: Lago's ids in, what the ledger knows of these objects out, for whoever compares it with Lago."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.objects import object_of_row
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.postgres.sql import statements
from consumer.domain.mapping import Connection
from consumer.domain.objects import Object, ObjectKind
from consumer.domain.reconciling import Held

SQL = statements("reconciling")


class PostgresHoldings:
    """Implements ``Holdings``."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def connections(self) -> Sequence[Connection]:
        """All that are in use."""
        snapshot = await self.database.run(load_snapshot)
        return list(snapshot.connections.values())

    async def held(self, kind: ObjectKind, lago_ids: Collection[UUID]) -> Mapping[UUID, Held]:
        """Those of these that have a row."""
        if not lago_ids:
            return {}
        rows = await self.database.fetch(SQL["held"], kind, list(lago_ids))
        return {
            row["lago_id"]: Held(object_of_row(row), row["document_id"], row["xero_id"])
            for row in rows
        }

    async def paying(self, invoice_ids: Collection[UUID]) -> Sequence[Object]:
        """The payments on these invoices."""
        if not invoice_ids:
            return []
        return [
            object_of_row(row)
            for row in await self.database.fetch(SQL["paying"], list(invoice_ids))
        ]
