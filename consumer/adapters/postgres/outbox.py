"""The outbox: rows written with the failures they tell of in, notices to announce out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.headers import unpack_headers
from consumer.adapters.postgres.sql import statements
from consumer.ports import Notice, Sink

SQL = statements("outbox")


class PostgresOutbox:
    """Implements ``Outbox``."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def claim(self, sink: Sink, limit: int, lease: float) -> Sequence[Notice]:
        """The longest due notices, hidden from other claimers for ``lease`` seconds."""

        async def work(conn: Conn) -> Sequence[Notice]:
            rows = await conn.fetch(SQL["claim"], sink, limit, timedelta(seconds=lease))
            return [
                Notice(
                    id=row["id"],
                    sink=sink,
                    error_class=row["class"],
                    code=row["code"],
                    sentence=row["said"],
                    hint=row["hint"],
                    created_at=row["created_at"],
                    attempts=row["attempts"],
                    failing_attempts=row["failing_attempts"],
                    event_key=row["event_key"],
                    document_id=row["document_id"],
                    document_kind=row["document_kind"],
                    lago_id=row["lago_id"],
                    number=row["number"],
                    organization_id=row["organization_id"],
                    connection_code=row["connection_code"],
                    connection_name=row["connection_name"],
                    customer_id=row["customer_id"],
                    external_customer_id=row["external_customer_id"],
                    appended_at=row["appended_at"],
                    topic=row["topic"],
                    partition=row["partition"],
                    offset=row["offset"],
                    key=row["key"],
                    value=row["value"],
                    headers=unpack_headers(row["headers"]),
                    pruned=row["pruned"],
                )
                for row in rows
            ]

        return await self.database.run(work)

    async def done(self, ids: Sequence[int]) -> None:
        """They are announced."""
        await self.database.execute(SQL["done"], list(ids))

    async def later(self, failures: Sequence[tuple[int, float, str]]) -> None:
        """(id, seconds to wait, why): counted as an attempt, claimable again after the wait."""
        ids, seconds, whys = zip(*failures, strict=True)
        await self.database.execute(SQL["later"], list(ids), list(seconds), list(whys))
