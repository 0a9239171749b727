"""Doubt on a real Postgres: what was frozen is looked up, and one document is not given up at once."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from consumer.domain.answers import InDoubt, Reply, Saved
from consumer.domain.lookup import UNRESOLVED_AFTER
from consumer.domain.settlement import GIVE_UP_ALONE
from consumer.ports import Absent, Frozen
from tests.integration.ledger import Books, books


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
        await b.settings(number_prefix="NZ-")
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
            frozen.request_id, InDoubt(why, True, "Something is off."), Reply(400, b"{}")
        )
        await b.ledger.resolve(frozen.request_id, {0: Absent()})
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["code"]) == ("failed", "request_refused")
        assert invoice["said"] == f"Xero refuses the whole request ({why}): Something is off."


# ── Look-ups that tell nothing ────────────────────────────────────────────────────────────────────


async def _in_doubt(b: Books, why: str = "status_500", tenant: int = 0) -> Frozen:
    frozen = await b.freeze(tenant)
    await b.ledger.settle(frozen.request_id, InDoubt(why), Reply(500, b"{}"))
    await b.database.execute("update tenant set blocked_until = null")
    await b.database.execute("update request set look_at = now() where outcome is null")
    return frozen


async def test_look_ups_that_tell_nothing_are_announced_once_and_go_on(database_url: str) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen = await _in_doubt(b)
        for looks in range(UNRESOLVED_AFTER + 3):
            doubtful = await b.ledger.take_doubt(frozen.request_id)
            assert doubtful is not None
            assert doubtful.looks == looks
            announced = await b.ledger.look_failed(frozen.request_id, "status_400", 0.0)
            assert announced == (1 if looks + 1 == UNRESOLVED_AFTER else 0)
        [notice] = await b.outbox.claim("dead_letter", 10, 60.0)
        assert (notice.code, notice.error_class) == ("doubt_unresolved", "Doubt")
        assert "status_400" in notice.sentence
        assert "an invoice with this number" in notice.hint
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], notice.document_id) == ("sending", invoice["id"])
        await b.ledger.resolve(frozen.request_id, {0: Saved(uuid4())})
        [invoice] = await b.documents(kind="invoice")
        assert invoice["state"] == "synced"


async def test_a_wait_is_no_look_and_a_failing_look_waits(database_url: str) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen = await _in_doubt(b)
        await b.ledger.postpone(frozen.request_id, 0.0)
        await b.ledger.look_failed(frozen.request_id, "unreadable", 320.0)
        [row] = await b.database.fetch(
            "select looks, extract(epoch from look_at - now())::float as wait from request "
            "where id = $1",
            frozen.request_id,
        )
        assert row["looks"] == 1
        assert 310 < row["wait"] <= 320
        assert await b.ledger.doubtful(10, 10, ()) == []


async def test_a_tenant_with_many_doubts_does_not_hide_those_of_others(database_url: str) -> None:
    async with books(database_url, tenants=2, documents=1) as b:
        first, second = [b.customer("acme") for _ in range(5)], b.customer("acme-1")
        await b.told(*map(b.said, first), b.said(second))
        for _ in first:
            await _in_doubt(b)
        other = await _in_doubt(b, tenant=1)
        due = await b.ledger.doubtful(3, 2, ())
        assert Counter(tenant for _, tenant in due) == {b.tenants[0]: 2, b.tenants[1]: 1}
        assert await b.ledger.doubtful(9, 2, [b.tenants[0]]) == [(other.request_id, b.tenants[1])]


async def test_more_than_was_sent_is_recorded_announced_and_looked_up(database_url: str) -> None:
    async with books(database_url) as b:
        await _ready_invoice(b)
        frozen, stray = await b.freeze(), uuid4()
        told = await b.ledger.settle(
            frozen.request_id, InDoubt("surplus", surplus=(stray,)), Reply(200, b"{}")
        )
        assert [(fate.state, fate.code) for fate in told] == [("noticed", "surplus")]
        [found] = await b.database.fetch("select xero_id, class from finding")
        assert (found["xero_id"], found["class"]) == (stray, "surplus")
        [notice] = await b.outbox.claim("dead_letter", 10, 60.0)
        assert (notice.code, str(stray) in notice.sentence) == ("surplus", True)
        [invoice] = await b.documents(kind="invoice")
        assert invoice["state"] == "sending"
