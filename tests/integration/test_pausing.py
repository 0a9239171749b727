"""Pausing on a real Postgres: nothing of a paused connection is sent, and nothing else is held up."""

from __future__ import annotations

from dataclasses import replace

from consumer.adapters.postgres import pausing, reading
from consumer.adapters.postgres.sampling import Sampler
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.metrics import Metrics
from consumer.ports import Absent, Wish
from tests.integration.ledger import CHART, Books, books


async def _pause(b: Books, code: str = "acme") -> bool:
    return await pausing.pause(b.database, code, who="ann", reason="closing the books")


async def _resume(b: Books, code: str = "acme") -> bool:
    return await pausing.resume(b.database, code, who="ann", reason=None)


async def _due(b: Books) -> bool:
    due, _ = await b.ledger.due(10)
    return b.tenants[0] in [tenant for tenant, _ in due]


async def _share_a_tenant(b: Books) -> None:
    """Both connections reach the first tenant."""
    stored = await b.connections.stored()
    asked = replace(stored["acme-1"].connection, tenant_id=b.tenants[0])
    await b.database.execute(
        "update connection set tenant_id = $1 where code = 'acme-1'", b.tenants[0]
    )
    await b.connections.store([Wish(asked, "client-0", "secret", CHART)], "tests", [])


async def test_nothing_of_it_is_sent_and_the_tenant_rests(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        assert await _pause(b)
        assert not await _pause(b), "it is paused already"
        freezing = await b.ledger.freeze(b.tenants[0])
        assert (freezing.frozen, freezing.more) == (None, False)
        assert not await _due(b)
        await b.told(b.said(b.invoice(who)), b.said(b.customer()))
        assert await b.work() == []
        assert not await _due(b)
        held = {(d["kind"], d["state"], d["cause"]) for d in await b.documents()}
        assert held == {("contact", "waiting", "paused@acme"), ("invoice", "waiting", "doc:1")}


async def test_resuming_wakes_the_tenant_and_sends_what_waited(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        await _pause(b)
        await b.work()
        other = b.customer()
        await b.told(b.said(other))  # nobody has come to it yet
        assert await _resume(b)
        assert not await _resume(b)
        assert await _due(b)
        await b.work()
        assert {d["state"] for d in await b.documents()} == {"synced"}
        audit = await b.database.fetch(
            "select who, action, subject, reason from audit where action <> 'apply' order by id"
        )
        assert [tuple(row) for row in audit] == [
            ("ann", "pause", "acme", "closing the books"),
            ("ann", "resume", "acme", None),
        ]


async def test_other_connections_of_the_tenant_go_on(database_url: str) -> None:
    """Whoever waits behind what is paused is sent, however much of that there is."""
    async with books(database_url, tenants=2, documents=2) as b:
        await _share_a_tenant(b)
        await b.told(*(b.said(b.customer("acme")) for _ in range(5)))
        await b.told(*(b.said(b.customer("acme-1")) for _ in range(3)))
        await _pause(b)
        sent = await b.work()
        assert sum(one.count for one in sent) == 3
        assert len(await b.documents(state="synced", connection_id=2)) == 3
        assert len(await b.documents(cause="paused@acme")) == 5
        assert not await _due(b)


async def test_a_void_and_what_goes_with_it_wait_and_keep_their_order(database_url: str) -> None:
    async with books(database_url) as b:
        [told] = await b.posted()
        await _pause(b)
        later = {**told, "status": "voided", "updated_at": "2026-05-01T12:00:09Z"}
        await b.told(b.said(later, "invoice.voided"))
        assert await b.work() == []
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["cause"]) == ("waiting", "paused@acme")
        await _resume(b)
        assert [one.purpose for one in await b.work()] == ["invoice_void"]
        [invoice] = await b.documents(kind="invoice")
        assert (invoice["state"], invoice["cause"]) == ("skipped", "lago:voided")


async def test_what_is_under_way_is_settled_and_what_is_in_doubt_is_looked_up(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        first = await b.freeze()
        await b.told(b.said(b.customer()))
        second = await b.freeze()
        await _pause(b)
        await b.accept(first)
        assert [d["state"] for d in await b.documents()] == ["synced", "sending"]
        await b.database.execute("update request set look_at = now() where outcome is null")
        doubtful = await b.ledger.take_doubt(second.request_id)
        assert doubtful is not None
        assert not doubtful.resend, "repeating a request is sending"
        await b.ledger.resolve(second.request_id, {0: Absent()})
        assert await b.work() == []
        assert [d["cause"] for d in await b.documents()] == [None, "paused@acme"]


async def test_without_a_pause_what_had_no_answer_is_sent_again(database_url: str) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        frozen = await b.freeze()
        await b.database.execute("update request set look_at = now() where outcome is null")
        doubtful = await b.ledger.take_doubt(frozen.request_id)
        assert doubtful is not None
        assert doubtful.resend


async def test_newer_facts_of_what_waits_are_sent_once(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await _pause(b)
        await b.work()
        newer = {**who, "name": "Renamed", "updated_at": "2026-05-01T13:00:00Z"}
        await b.told(b.said(newer, "customer.updated"))
        assert await b.work() == []
        await _resume(b)
        [sent] = await b.work()
        assert b"Renamed" in sent.body


async def test_applying_does_not_resume(database_url: str) -> None:
    async with books(database_url) as b:
        await b.told(b.said(b.customer()))
        await _pause(b)
        await b.work()
        await b.settings(name="Acme Ltd")
        assert await b.work() == []
        assert not await _due(b)


async def test_people_and_metrics_are_told(database_url: str) -> None:
    async with books(database_url) as b:
        await _pause(b)
        [connection] = await reading.connections(b.database)
        assert connection["paused_at"] is not None
        [tenant] = (await reading.status(b.database))["tenants"]
        assert tenant["paused"] == "acme"
        told = (await pausing.paused(b.database))["acme"]
        assert (told["who"], told["reason"]) == ("ann", "closing the books")
        metrics = Metrics()
        sampler = Sampler(b.database, metrics, Limits(), Clocks())
        shown, paused = metrics.registry.get_sample_value, {"state": "paused"}
        await sampler.sample()
        assert shown("lago_xero_connections", paused) == 1
        await _resume(b)
        await sampler.sample()
        assert shown("lago_xero_connections", paused) == 0
