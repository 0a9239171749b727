"""Xero's limit over all tenants of one client id, beside each tenant's own."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from tests.integration.ledger import Books, books

LIMITS = Limits(minute=10, day=1000, concurrency=5, app_minute=20)
OFTEN = replace(Clocks(), look_for_work=0.01)


async def _work_for_all(b: Books, contacts: int, *, one_client: bool) -> None:
    for n in range(len(b.tenants)):
        seller = f"acme-{n}" if n else "acme"
        await b.told(*(b.said(b.customer(seller)) for _ in range(contacts)))
    if one_client:
        await b.database.execute(
            "update tenant set authorisation_id = (select min(id) from authorisation)"
        )
        await b.database.execute("update configuration set revision = revision + 1")


async def _send(b: Books) -> int:
    """As many calls as may be made now, the tenants in turn."""
    made = -1
    calls = 0
    while calls > made:
        made = calls
        for tenant in b.tenants:
            if frozen := (await b.ledger.freeze(tenant)).frozen:
                calls += 1
                await b.accept(frozen)
    return calls


async def test_a_clients_tenants_share_its_minute(database_url: str) -> None:
    async with books(database_url, tenants=3, limits=LIMITS, clocks=OFTEN, documents=1) as b:
        await _work_for_all(b, 10, one_client=True)
        assert await _send(b) == LIMITS.app_minute - LIMITS.app_reserve
        await b.database.execute(
            "update request set started_at = started_at - interval '2 min', "
            "answered_at = answered_at - interval '2 min'"
        )
        calls = 0
        async with asyncio.timeout(5):
            while not calls:
                calls = await _send(b)


async def test_tenants_of_several_clients_do_not(database_url: str) -> None:
    async with books(database_url, tenants=3, limits=LIMITS, clocks=OFTEN, documents=1) as b:
        await _work_for_all(b, 10, one_client=False)
        assert await _send(b) == 3 * LIMITS.minute
