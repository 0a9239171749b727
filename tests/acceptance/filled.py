"""A ledger for the commands that read it: a database in; its documents' Lago ids, and a way to change
it, out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from consumer.adapters.postgres.database import database
from tests.integration.ledger import books


@dataclass
class Filled:
    """Lago ids of what is in the ledger."""

    customer: str
    external_id: str
    posted: str
    failed: str
    url: str
    dead: int = field(default=1000)

    async def execute(self, query: str, *args: Any) -> None:
        """A statement in the same database."""
        async with database(self.url, max_size=1) as db:
            await db.execute(query, *args)

    async def die(self, value: str) -> None:
        """A record that could not be read; their ids and offsets begin with 1000."""
        await self.execute(
            """with made as (
                 insert into event (id, digest, outcome, code, said, hint, topic, partition, "offset",
                                    appended_at)
                 overriding system value
                 values ($1, decode(lpad(to_hex($1::bigint), 64, '0'), 'hex'), 'dead', 'undecodable', 'No.',
                         'Mend it.', 'lago.webhooks', 3, $1, now()) returning id)
               insert into event_raw (event_id, value) select id, $2 from made""",
            self.dead,
            value.encode(),
        )
        self.dead += 1


async def filled(database_url: str) -> Filled:
    """A contact and an invoice that are in Xero, and an invoice without its tax mapping."""
    async with books(database_url) as ledger:
        customer = ledger.customer()
        posted, failed = ledger.invoice(customer, number="INV-1"), ledger.invoice(customer)
        await ledger.told(ledger.said(customer), ledger.said(posted))
        await ledger.accept(await ledger.freeze())
        while await ledger.ledger.release(10):
            pass
        await ledger.accept(await ledger.freeze())
        await ledger.told(ledger.said(failed))
        await ledger.database.execute(
            """update document set state = 'failed', code = 'tax_unmapped', said = 'No tax type.',
                      hint = 'Map vat_7.', cause = 'tax:vat_7@acme', failed_at = now()
                where state = 'ready'"""
        )
        await ledger.database.execute("update connection set name = 'Acme [/red] :bug:'")
        await ledger.database.execute(
            """update tenant set organisation = '{"short_code": "!Ab12c"}'"""
        )
        return Filled(
            customer["lago_id"],
            customer["external_id"],
            posted["lago_id"],
            failed["lago_id"],
            database_url,
        )
