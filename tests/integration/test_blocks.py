"""Tenants that may not be called now, on a real Postgres: who stops them, who wakes them."""

from __future__ import annotations

from uuid import UUID

from consumer.domain.answers import Answered, InDoubt, Reply
from consumer.domain.answers import Limits as Told
from consumer.domain.errors import Unauthorised
from tests.integration.ledger import Books, books, saved

FORBIDDEN = Unauthorised("tenant_forbidden", "No.", "Connect it again.")


async def _due(b: Books) -> list[UUID]:
    due, _ = await b.ledger.due(10)
    return [tenant for tenant, _ in due]


async def _apply(b: Books) -> None:
    await b.settings()


async def test_applying_opens_a_forbidden_tenant_whatever_else_blocked_it(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        await b.ledger.park(b.tenants[0], FORBIDDEN, None)
        await b.ledger.block(b.tenants[0], 60.0, "throttled")
        [row] = await b.database.fetch("select blocked_why from tenant")
        assert row["blocked_why"] == "forbidden"
        assert await _due(b) == []
        await _apply(b)
        assert await _due(b) == b.tenants
        assert (await b.freeze()).count == 1


async def test_a_blocked_tenant_is_not_due_whoever_wakes_it(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await b.told(b.said(b.customer("acme")), b.said(b.customer("acme-1")))
        await b.ledger.block(b.tenants[0], 0.8, "identity")
        await b.told(b.said(b.customer("acme")))
        assert await _due(b) == [b.tenants[1]]
        _, wait = await b.ledger.due(10)
        assert 0.0 < wait <= 0.8, "the sender looks again when the block ends"


async def test_a_parked_authorisations_tenants_are_not_due(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await b.told(b.said(b.customer("acme")), b.said(b.customer("acme-1")))
        await b.database.execute("update authorisation set parked_at = now() where id = 1")
        await b.told(b.said(b.customer("acme")))
        assert await _due(b) == [b.tenants[1]]


async def test_the_back_off_grows_although_failing_answers_show_limits(database_url: str) -> None:
    async with books(database_url) as b:
        await b.told(*(b.said(b.customer()) for _ in range(3)))
        pauses = []
        for _ in range(3):
            await b.database.execute("update tenant set blocked_until = null")
            await b.database.execute("update document set ready_at = now() where state = 'ready'")
            frozen = await b.freeze()
            reply = Reply(500, b"{}", Told(minute_left=50, day_left=4000))
            await b.ledger.settle(frozen.request_id, InDoubt("status_500"), reply)
            await b.told(b.said(b.customer()))
            [row] = await b.database.fetch(
                "select extract(epoch from blocked_until - now())::float as wait from tenant"
            )
            pauses.append(row["wait"])
        assert pauses[0] * 1.5 < pauses[1]
        assert pauses[1] * 1.5 < pauses[2]
        await b.database.execute("update tenant set blocked_until = null")
        frozen = await b.freeze()
        reply = Reply(200, b"{}", Told(minute_left=50, day_left=4000))
        await b.ledger.settle(frozen.request_id, Answered(saved(frozen)), reply)
        [row] = await b.database.fetch("select failures from tenant")
        assert row["failures"] == 0


async def test_an_answered_look_up_wakes_the_tenant_that_waited_for_its_slot(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        looks = [await b.budget.take(b.tenants[0], "lookup", "GET", "X") for _ in range(4)]
        await b.told(b.said(b.customer()))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        assert await _due(b) == []
        assert isinstance(looks[0], UUID)
        await b.budget.answered(looks[0], Reply(200, b"{}"))
        assert await _due(b) == b.tenants
        assert (await b.freeze()).count == 1
