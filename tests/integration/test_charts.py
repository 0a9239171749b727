"""Charts read again: what is stored, what a change breaks and mends, and which pod reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.charts import PostgresCharts
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.apply import ChartReader, ChartWatch
from consumer.deliver.calling import Measured
from consumer.domain.chart import Chart, Item, Organisation, TaxRate
from consumer.domain.clocks import Clocks
from consumer.domain.mapping import MappingKey, Target
from consumer.metrics import Metrics
from consumer.ports import Redrawn
from consumer.sandbox.lago import Tax
from consumer.sandbox.xero import Simulator
from tests.integration.ledger import CHART, Books, books
from tests.integration.office import Office, opened

DAY = 86_400.0
VAT = Tax("vat_20", Decimal(20))


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Books]:
    """One connection, ``acme``, whose mappings fit its chart."""
    async with books(database_url) as ledger:
        yield ledger


async def kept(ledger: Books, chart: Chart) -> Redrawn:
    """The chart is read and looks like this."""
    charts = PostgresCharts(ledger.database, ["dead_letter", "webhook"])
    return await charts.keep(ledger.tenants[0], chart, "ann")


async def told(ledger: Books) -> list[tuple[str, str]]:
    """Announcements of alarms on the webhook: code and sentence."""
    rows = await ledger.database.fetch(
        "select code, said from outbox where sink = 'webhook' and document_id is null order by id"
    )
    return [(row["code"], row["said"]) for row in rows]


async def revision(ledger: Books) -> int:
    """Pods load anew when it rises."""
    [row] = await ledger.database.fetch("select revision from configuration")
    return int(row["revision"])


def without(chart: Chart, account: str) -> Chart:
    """The account is archived."""
    archived = replace(chart.accounts[account], active=False)
    return replace(chart, accounts={**chart.accounts, account: archived})


# ── What is stored ────────────────────────────────────────────────────────────────────────────────


async def test_a_changed_chart_is_stored_and_pods_notice(ledger: Books) -> None:
    before = await revision(ledger)
    locked = Organisation(short_code="!x", period_lock_date=None)
    redrawn = await kept(ledger, replace(CHART, organisation=locked, currencies=frozenset({"EUR"})))
    assert redrawn.changes == ("~ short_code: nothing → !x", "+ currency EUR")
    assert await revision(ledger) > before
    stored = (await ledger.database.run(load_snapshot)).charts[ledger.tenants[0]]
    assert stored.organisation.short_code == "!x"
    [row] = await ledger.database.fetch(
        "select who, action, reason from audit order by id desc limit 1"
    )
    assert tuple(row) == ("ann", "chart", "~ short_code: nothing → !x\n+ currency EUR")


async def test_an_unchanged_chart_disturbs_nobody(ledger: Books) -> None:
    before = await revision(ledger)
    assert await kept(ledger, CHART) == Redrawn(())
    assert await revision(ledger) == before
    assert await ledger.database.fetch("select from release") == []


# ── What it breaks ────────────────────────────────────────────────────────────────────────────────


async def test_a_mapping_that_breaks_is_announced_once(ledger: Books) -> None:
    broken = without(CHART, "880")
    redrawn = await kept(ledger, broken)
    assert [alarm.code for alarm in redrawn.alarms] == ["chart_broke_mapping"]
    sentence = "acme.mappings.payment_account: account '880' is archived."
    assert await told(ledger) == [("chart_broke_mapping", sentence)]

    assert (await kept(ledger, broken)).alarms == ()
    other = replace(broken, items={**broken.items, "NEW": Item("NEW", "200")})
    assert (await kept(ledger, other)).alarms == ()
    assert len(await told(ledger)) == 1


async def test_one_that_breaks_again_is_announced_again(ledger: Books) -> None:
    await kept(ledger, without(CHART, "880"))
    await kept(ledger, CHART)
    assert await ledger.database.fetch("select from finding where closed_at is null") == []
    await kept(ledger, without(CHART, "880"))
    assert len(await told(ledger)) == 2


async def test_pods_that_read_at_once_announce_once(ledger: Books) -> None:
    broken = without(CHART, "880")
    await asyncio.gather(*(kept(ledger, broken) for _ in range(4)))
    assert len(await told(ledger)) == 1


async def test_a_rate_that_is_no_longer_lagos_is_announced(ledger: Books) -> None:
    customer = ledger.customer()
    await ledger.told(ledger.said(customer), ledger.said(ledger.invoice(customer, taxes=(VAT,))))
    assert (await kept(ledger, CHART)).alarms == ()
    rates = {**CHART.tax_rates, "OUTPUT2": TaxRate("OUTPUT2", Decimal(15))}
    redrawn = await kept(ledger, replace(CHART, tax_rates=rates))
    assert redrawn.changes == ("~ tax type OUTPUT2: effective_rate 20 → 15",)
    assert await told(ledger) == [
        (
            "tax_rate_differs",
            "acme.mappings.taxes.vat_20: tax type 'OUTPUT2' has 15 %, Lago's vat_20 has 20 %.",
        )
    ]


# ── What it mends ─────────────────────────────────────────────────────────────────────────────────


async def test_what_waited_for_the_chart_goes_out_and_nothing_else(ledger: Books) -> None:
    bare = replace(CHART, items={**CHART.items, "LAGO": Item("LAGO")})
    await remapped(ledger, fallback=Target("LAGO"), chart=bare)
    customer = ledger.customer()
    await ledger.told(ledger.said(customer))
    await ledger.accept(await ledger.freeze())
    await ledger.told(ledger.said(ledger.invoice(customer)), ledger.said(ledger.invoice(customer)))
    assert (await ledger.ledger.freeze(ledger.tenants[0])).frozen is None
    assert await failed(ledger) == ["account_unmapped", "account_unmapped"]

    await ledger.database.execute(
        "update document set code = 'lago_totals_disagree', cause = null where number = 'INV-00002'"
    )
    await kept(ledger, replace(CHART, items={**CHART.items, "LAGO": Item("LAGO", "200")}))
    await ledger.released()
    states = {row["number"]: row["state"] for row in await ledger.documents(kind="invoice")}
    assert states == {"INV-00001": "ready", "INV-00002": "failed"}


async def test_what_xero_refused_for_its_account_is_tried_again(ledger: Books) -> None:
    await kept(ledger, without(CHART, "200"))
    customer = ledger.customer()
    await ledger.told(ledger.said(customer))
    await ledger.accept(await ledger.freeze())
    await ledger.told(ledger.said(ledger.invoice(customer)), ledger.said(ledger.invoice(customer)))
    for number, code in (("INV-00001", "account_archived"), ("INV-00002", "contact_archived")):
        await ledger.database.execute(
            "update document set state = 'failed', code = $2 where number = $1", number, code
        )
    await kept(ledger, CHART)
    await ledger.released()
    states = {row["number"]: row["state"] for row in await ledger.documents(kind="invoice")}
    assert states == {"INV-00001": "ready", "INV-00002": "failed"}


async def failed(ledger: Books) -> list[str]:
    """The codes of failed documents."""
    return [row["code"] for row in await ledger.documents(state="failed")]


async def remapped(ledger: Books, fallback: Target, chart: Chart) -> None:
    """The connection has another fallback item, and its tenant this chart."""
    stored = (await ledger.connections.stored())["acme"]
    mappings = {**stored.connection.mappings, MappingKey("", "fallback_item"): fallback}
    await ledger.settings(chart=chart, mappings=mappings)


# ── Who reads ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def charts(ledger: Books) -> PostgresCharts:
    """As a pod has it."""
    return PostgresCharts(ledger.database, [])


async def test_a_chart_is_due_a_day_after_it_was_read(
    ledger: Books, charts: PostgresCharts
) -> None:
    assert await charts.claim(DAY, 60.0) is None
    await ledger.database.execute("update tenant set chart_read_at = now() - interval '25 h'")
    claimed = await charts.claim(DAY, 60.0)
    assert claimed is not None
    assert claimed[0] == ledger.tenants[0]
    assert await charts.claim(DAY, 60.0) is None  # another pod is at it
    await kept(ledger, CHART)
    assert await charts.claim(DAY, 60.0) is None
    assert await charts.claim(0.0, 60.0) is not None


async def test_one_pod_gets_it(charts: PostgresCharts) -> None:
    claims = await asyncio.gather(*(charts.claim(0.0, 60.0) for _ in range(5)))
    assert len([claim for claim in claims if claim is not None]) == 1


@pytest.mark.parametrize(
    "closed",
    [
        "update tenant set blocked_until = 'infinity'",
        "update tenant set blocked_until = now() + interval '1 min'",
        "update authorisation set parked_at = now()",
        "update connection set removed_at = now()",
    ],
)
async def test_who_may_not_be_asked_is_not(
    ledger: Books, charts: PostgresCharts, closed: str
) -> None:
    await ledger.database.execute(closed)
    assert await charts.claim(0.0, 60.0) is None


async def test_one_that_could_not_be_read_waits(ledger: Books, charts: PostgresCharts) -> None:
    await charts.postpone(ledger.tenants[0], 60.0)
    assert await charts.claim(0.0, 60.0) is None
    await charts.postpone(ledger.tenants[0], 0.0)
    assert await charts.claim(0.0, 60.0) is not None


# ── The service ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def office(database_url: str, xero_simulator: Simulator) -> AsyncIterator[Office]:
    """One Xero organisation."""
    async with opened(database_url, xero_simulator) as office:
        yield office


def watch(office: Office, metrics: Metrics) -> ChartWatch:
    """As the service has it; every chart is due."""
    caller = office.caller()
    reader = ChartReader(
        Measured(caller, "chart"), PostgresBudget(office.db, office.limits, Clocks())
    )
    charts = PostgresCharts(office.db, ["webhook"])
    clocks = replace(Clocks(), chart_refresh=0.001)
    return ChartWatch(charts, reader, caller.token, metrics, clocks)


def reads(metrics: Metrics, outcome: str) -> float:
    """How many charts were read with this outcome."""
    return float(metrics.charts.labels(outcome)._value.get())


async def edit(office: Office, **chart: Any) -> None:
    """A person changes the chart in Xero."""
    await office.order(f"books/{office.tenant_id}/chart", chart)


async def test_the_service_reads_and_announces(office: Office) -> None:
    await office.apply(office.acme())
    metrics = Metrics()
    service = watch(office, metrics)
    archived = {"Code": "880", "Type": "CURRENT", "EnablePaymentsToAccount": True}
    await edit(office, accounts=[{**archived, "Status": "ARCHIVED"}], currencies=["EUR"])
    assert await service.run_once() == 1
    assert reads(metrics, "changed") == 1
    assert metrics.failures.labels("chart_broke_mapping")._value.get() == 1
    assert await office.value("select said from outbox") == (
        "acme.mappings.payment_account: account '880' is archived."
    )
    assert await office.value("select count(*) from request where purpose = 'chart'") == 10
    assert await office.value("select who from audit order by id desc limit 1") == "lago-xero run"


async def test_one_that_xero_does_not_give_is_tried_later(office: Office) -> None:
    await office.apply(office.acme())
    metrics = Metrics()
    service = watch(office, metrics)
    where = {"method": "GET", "path_prefix": "/api.xro/2.0/TaxRates"}
    await office.order("faults", {"kind": "503", "times": 1, "match": where})
    assert await service.run_once() == 1
    assert reads(metrics, "failed") == 1
    assert await service.run_once() == 0
    await office.db.execute("update tenant set chart_try_at = now()")
    assert await service.run_once() == 1
    assert reads(metrics, "same") == 1


async def test_a_moved_lock_date_is_seen(office: Office) -> None:
    await office.order(f"lock_dates/{office.tenant_id}", {"period_lock_date": "2026-03-31"})
    await office.apply(office.acme())
    await office.order(f"lock_dates/{office.tenant_id}", {})
    await watch(office, Metrics()).run_once()
    chart = (await office.db.run(load_snapshot)).charts[office.tenant_id]
    assert chart.organisation.period_lock_date is None
