"""The database adapter on a real Postgres: whose fault an error is decides what happens next."""

from __future__ import annotations

import asyncpg
import pytest

from consumer.adapters.postgres.database import Conn
from consumer.ports import Unavailable
from tests.integration.ledger import books


@pytest.mark.parametrize(
    "statement",
    [
        "set transaction read only; insert into release (cause) values ('x')",
        "select * from no_such_table",
        "do $$ begin raise exception using errcode = 'disk_full'; end $$",
        "do $$ begin raise exception using errcode = 'admin_shutdown'; end $$",
        "do $$ begin raise exception using errcode = 'deadlock_detected'; end $$",
    ],
)
async def test_what_is_postgres_state_is_waited_out(database_url: str, statement: str) -> None:
    async def work(conn: Conn) -> None:
        await conn.execute(statement)

    async with books(database_url) as b:
        with pytest.raises(Unavailable):
            await b.database.run(work, tries=2)


@pytest.mark.parametrize("statement", ["select 1 / 0", "select '2026-13-01'::date"])
async def test_what_is_in_the_data_is_told_of_the_record(database_url: str, statement: str) -> None:
    async with books(database_url) as b:
        with pytest.raises(asyncpg.DataError):
            await b.database.fetch(statement)


async def test_no_event_is_dead_because_postgres_takes_no_writes(database_url: str) -> None:
    async with books(database_url) as b:
        name = (await b.database.fetch("select current_database() as name"))[0]["name"]
        async with b.database.pool.acquire() as conn:
            await conn.execute("set default_transaction_read_only = on")
            events = [b.said(b.customer()) for _ in range(3)]
            await b.database.execute(
                f'alter database "{name}" set default_transaction_read_only = on'
            )
            await b.database.pool.expire_connections()
        with pytest.raises(Unavailable):
            await b.told(*events)
        await b.database.pool.expire_connections()
        admin = await asyncpg.connect(database_url)
        try:
            await admin.execute("set default_transaction_read_only = off")
            await admin.execute(f'alter database "{name}" reset default_transaction_read_only')
        finally:
            await admin.close()
        await b.told(*events)
        rows = await b.database.fetch("select outcome from event")
        assert [row["outcome"] for row in rows] == ["merged"] * 3
