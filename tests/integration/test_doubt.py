"""Doubt on a real Postgres: what was frozen is looked up, and one document is not given up at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consumer.domain.answers import InDoubt, Reply
from consumer.domain.settlement import GIVE_UP_ALONE
from consumer.ports import Absent, Wish
from tests.integration.ledger import CHART, Books, books


async def _ready_invoice(b: Books) -> dict[str, Any]:
    who = b.customer()
    told = b.invoice(who, number="INV-1")
    await b.told(b.said(who), b.said(told))
    await b.accept(await b.freeze())
    await b.ledger.release(10)
    return told


async def test_a_look_up_asks_for_the_number_that_was_sent(database_url: str) -> None:
    async with books(database_url) as b:
        told = await _ready_invoice(b)
        frozen = await b.freeze()
        stored = (await b.connections.stored())["acme"]
        renamed = replace(stored.connection, number_prefix="NZ-")
        await b.connections.store(
            [Wish(renamed, stored.client_id, stored.secret, CHART)], "tests", []
        )
        newer = {**told, "updated_at": "2026-05-01T12:00:09Z", "issuing_date": "2026-05-02"}
        await b.told(b.said(newer))
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["number"]) == ("sending", "INV-1")
        await b.ledger.settle(frozen.request_id, InDoubt("status_500"), Reply(500, b"{}"))
        await b.database.execute("update request set look_at = now() where outcome is null")
        doubtful = await b.ledger.take_doubt(frozen.request_id)
        assert doubtful is not None
        assert [m.number for m in doubtful.members] == ["INV-1"]


@pytest.mark.parametrize("why", ["status_409", "status_302", "unreadable", "status_500"])
async def test_a_lone_document_is_tried_again_until_it_is_given_up(
    database_url: str, why: str
) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        for attempt in range(1, GIVE_UP_ALONE + 1):
            await b.database.execute("update document set ready_at = now() where state = 'ready';")
            await b.database.execute("update tenant set blocked_until = null")
            frozen = await b.freeze()
            await b.ledger.settle(
                frozen.request_id,
                InDoubt(why),
                Reply(int(why[-3:]) if why[-3:].isdigit() else 200, b""),
            )
            await b.ledger.resolve(frozen.request_id, {0: Absent()})
            [invoice] = await b.documents(kind="invoice")
            assert invoice["state"] == ("failed" if attempt == GIVE_UP_ALONE else "ready")
        assert invoice["code"] == "request_refused"


@pytest.mark.parametrize("why", ["whole_400", "key_reused"])
async def test_a_lone_document_that_xero_refuses_as_a_whole_fails_at_once(
    database_url: str, why: str
) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen = await b.freeze()
        await b.ledger.settle(
            frozen.request_id, InDoubt(why, batch_refused=True), Reply(400, b"{}")
        )
        await b.ledger.resolve(frozen.request_id, {0: Absent()})
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["code"]) == ("failed", "request_refused")
