"""Retrying on a real Postgres: what failed is planned again by the running service, nothing else is."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.adapters.postgres.retrying import Which, count, retry
from consumer.domain.answers import Answered, Refusal
from consumer.domain.chart import Account
from consumer.domain.documents import State
from consumer.domain.mapping import MappingKey, Target
from tests.integration.ledger import CHART, MAPPINGS, Books, books

REFUSAL = Refusal("locked_period", "The document cannot be posted.", "Move the lock date.")
ALL = Which()


async def _retry(b: Books, which: Which = ALL, *, page: int = 500) -> Counter[str]:
    """Released by code."""
    codes: Counter[str] = Counter()
    async for released in retry(b.database, which, who="ann", reason="lock moved", page=page):
        codes.update(released)
    return codes


async def _ready(b: Books, invoices: int = 1) -> list[dict[str, Any]]:
    """Invoices whose contact Xero has."""
    who = b.customer()
    told = [b.invoice(who) for _ in range(invoices)]
    await b.told(b.said(who), *map(b.said, told))
    await b.accept(await b.freeze())
    await b.released()
    return told


async def _refused(b: Books, invoices: int = 1, refusal: Refusal = REFUSAL) -> list[dict[str, Any]]:
    """Invoices that Xero refused."""
    told = await _ready(b, invoices)
    frozen = await b.freeze()
    await b.ledger.settle(frozen.request_id, Answered((refusal,) * invoices), None)
    assert len(await b.documents(state="failed")) == invoices
    return told


async def test_what_xero_refused_is_sent_again(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b)
        await b.database.execute("update document set attempts = 8 where state = 'failed'")
        assert await _retry(b) == {"locked_period": 1}
        [waits] = await b.documents(kind="invoice")
        assert (waits["state"], waits["code"], waits["attempts"]) == ("waiting", None, 0)
        await b.released()
        [ready] = await b.documents(kind="invoice")
        assert (ready["state"], ready["cause"], ready["attempts"]) == ("ready", None, 0)
        due, _ = await b.ledger.due(10)
        assert [tenant for tenant, _ in due] == b.tenants
        await b.accept(await b.freeze())
        [sent] = await b.documents(kind="invoice")
        assert (sent["state"], sent["attempts"]) == ("synced", 1)


async def test_it_says_who_when_and_why(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b, 2)
        ids = [row["id"] for row in await b.documents(state="failed")]
        await _retry(b)
        [audit] = await b.database.fetch("select * from audit where action = 'retry'")
        assert (audit["who"], audit["reason"]) == ("ann", "lock moved")
        assert audit["subject"] == f"documents {ids[0]}, {ids[1]}"
        assert audit["at"] is not None


async def test_again_it_has_nothing_to_do(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b)
        await _retry(b)
        assert await _retry(b) == {}
        await b.released()
        assert await _retry(b) == {}
        assert len(await b.database.fetch("select from audit where action = 'retry'")) == 1


async def test_two_at_once_release_each_document_once(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b, 7)
        one, other = await asyncio.gather(_retry(b, page=2), _retry(b, page=2))
        assert (one + other) == {"locked_period": 7}
        await b.released()
        assert len(await b.documents(kind="invoice", state="ready")) == 7


@pytest.mark.parametrize("state", ["waiting", "ready", "sending", "synced", "skipped"])
async def test_nothing_else_is_touched(database_url: str, state: State) -> None:
    async with books(database_url) as b:
        await _refused(b)
        await b.database.execute(
            "update document set state = $1, cause = null where kind = 'invoice'", state
        )
        before = await b.documents()
        ids = [row["id"] for row in before]
        assert await _retry(b) == await _retry(b, Which(ids=ids)) == {}
        assert await b.documents() == before
        assert not await b.database.fetch("select from release")


async def test_it_goes_page_by_page(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b, 5)
        pages = [
            dict(page) async for page in retry(b.database, ALL, who="ann", reason=None, page=2)
        ]
        assert pages == [{"locked_period": 2}, {"locked_period": 2}, {"locked_period": 1}]
        assert len(await b.database.fetch("select from release")) == 3
        await b.released()
        assert len(await b.documents(kind="invoice", state="ready")) == 5


async def test_filters_are_joined(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await _refused(b, 3)
        first, second, third = (row["id"] for row in await b.documents(state="failed"))
        await b.database.execute("update document set code = 'has_money' where id = $1", first)
        await b.database.execute("update document set kind = 'credit_note' where id = $1", second)
        await b.database.execute("update document set connection_id = 2 where id = $1", third)
        for which, codes in (
            (ALL, {"has_money": 1, "locked_period": 2}),
            (Which(code="has_money"), {"has_money": 1}),
            (Which(kind="credit_note"), {"locked_period": 1}),
            (Which(connection="acme-1"), {"locked_period": 1}),
            (Which(ids=[first, third]), {"has_money": 1, "locked_period": 1}),
            (Which(ids=[first, third], connection="acme"), {"has_money": 1}),
            (Which(ids=[], code="has_money"), {}),
        ):
            assert await count(b.database, which) == codes
        assert await _retry(b, Which(ids=[first, third], connection="acme")) == {"has_money": 1}
        assert {row["id"] for row in await b.documents(state="failed")} == {second, third}


async def test_a_retry_uses_the_settings_of_its_time(database_url: str) -> None:
    async with books(database_url) as b:
        await _refused(b)
        await b.settings(sync_invoices=False)
        await _retry(b)
        await b.released()
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["cause"]) == ("skipped", "syncs:invoices@acme")


async def test_what_waited_in_vain_waits_anew(database_url: str) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.invoice(b.customer())))
        await b.database.execute(
            """update document set state = 'failed', code = 'missing_dependency',
                      cause = 'content:' || lago_id, wait_until = null where kind = 'contact'"""
        )
        assert await _retry(b) == {"missing_dependency": 1}
        await b.released()
        [contact] = await b.documents(kind="contact")
        assert contact["state"] == "ready", "the invoice tells of the customer"


async def test_what_lacks_a_mapping_fails_as_before(database_url: str) -> None:
    async with books(database_url) as b:
        await _ready(b)
        await b.database.execute(
            """update document set state = 'failed', code = 'tax_unmapped', cause = 'tax:vat_7@acme'
                where kind = 'invoice'"""
        )
        assert await _retry(b) == {"tax_unmapped": 1}
        await b.released()
        assert [d["state"] for d in await b.documents(kind="invoice")] == ["ready"]


async def test_a_refused_void_is_tried_again(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await _ready(b)
        await b.accept(await b.freeze())
        later = {**told, "status": "voided", "updated_at": "2026-05-01T12:00:09Z"}
        await b.told(b.said(later, "invoice.voided"))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        assert await _retry(b) == {"locked_period": 1}
        await b.released()
        assert (await b.freeze()).purpose == "invoice_void"


async def test_what_lago_asks_for_no_more_fails_again_and_says_so(database_url: str) -> None:
    """A message has replaced what the document was made of: it must never go out by a retry."""
    async with books(database_url) as b:
        await _refused(b)
        [failed] = await b.documents(state="failed")
        await b.database.execute(
            """insert into document (connection_id, tenant_id, kind, lago_id, part, target, wanted,
                                     state, code)
               values (1, $1, 'payment', $2, 'residual', $3, 'x', 'failed', 'locked_period')""",
            b.tenants[0], uuid4(), failed["lago_id"],
        )  # fmt: skip
        assert await _retry(b, Which(kind="payment")) == {"locked_period": 1}
        await b.released()
        [payment] = await b.documents(kind="payment")
        assert (payment["state"], payment["code"]) == ("failed", "not_asked_for")
        assert payment["cause"] is None
        notices = await b.outbox.claim("dead_letter", 10, 60)
        assert [notice.code for notice in notices] == ["locked_period", "not_asked_for"]


async def test_one_that_cannot_be_planned_fails_again_alone(database_url: str) -> None:
    async with books(database_url) as b:
        told = await _refused(b, 3)
        await b.database.execute(
            'update object set facts = \'{"content": [[1, 0, 0, ""], {"fees": 7}]}\' '
            "where kind = 'invoice' and lago_id = $1",
            UUID(told[1]["lago_id"]),
        )
        await _retry(b)
        await b.released()
        [broken] = await b.documents(state="failed")
        assert (broken["code"], broken["cause"]) == ("translator_fault", None)
        assert len(await b.documents(kind="invoice", state="ready")) == 2


async def test_planned_again_after_a_switch_went_off_and_on_it_is_ready(database_url: str) -> None:
    """Planning leaves alone what it finds as it was, and must not leave it waiting for planning."""
    async with books(database_url) as b:
        await _ready(b)
        await b.settings(sync_invoices=False)
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        [stale] = await b.documents(kind="invoice")
        assert stale["cause"] == f"plan:{stale['id']}"
        await b.settings(sync_invoices=True)
        await b.released()
        [ready] = await b.documents(kind="invoice")
        assert (ready["state"], ready["cause"]) == ("ready", None)


# ── apply ─────────────────────────────────────────────────────────────────────────────────────────

ACCOUNT = Refusal("account_invalid", "Account code '200' is not a valid code.", "Map another.")
CHANGES: dict[str, dict[str, Any]] = {
    "a mapping": {"mappings": {**MAPPINGS, MappingKey("", "fallback_item"): Target("LAGO", "260")}},
    "the chart": {"chart": replace(CHART, accounts={"200": Account("200", "REVENUE", "OTHER")})},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_xero_refused_for_its_mapping_is_tried_with_another(
    database_url: str, change: str
) -> None:
    async with books(database_url) as b:
        await _refused(b, 2, ACCOUNT)
        await b.settings(**CHANGES[change])
        await b.released()
        body = (await b.freeze()).body
        assert body.count(b'"AccountCode":"260"') == (2 if change == "a mapping" else 0)


async def test_other_changes_release_no_refusals(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await _refused(b, 1, ACCOUNT)
        await b.settings(name="Acme Ltd")
        await b.settings("acme-1", **CHANGES["a mapping"])
        await b.released()
        assert len(await b.documents(state="failed")) == 1
        await b.database.execute(
            "update document set code = 'locked_period' where state = 'failed'"
        )
        await b.settings(**CHANGES["a mapping"])
        await b.released()
        assert len(await b.documents(state="failed")) == 1


async def test_what_is_ready_goes_out_with_the_settings_of_its_call(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await _ready(b)
        await b.settings(number_prefix="NZ-", **CHANGES["a mapping"])
        body = (await b.freeze()).body
        assert f'"InvoiceNumber":"NZ-{told["number"]}"'.encode() in body
        assert b'"AccountCode":"260"' in body
        [sent] = await b.documents(kind="invoice")
        assert sent["number"] == f"NZ-{told['number']}"
