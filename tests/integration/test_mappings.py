"""Mappings changed one by one: history, what goes out, who waits for whom; what is not covered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from consumer.adapters.postgres import mappings
from consumer.adapters.postgres.charts import PostgresCharts
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.domain.coverage import Gap, SeenFee, SeenTax, gaps
from consumer.domain.mapping import MappingKey
from consumer.domain.remapping import parse_path, parse_words, remapped
from consumer.sandbox.lago import Tax
from schemas.mistakes import Mistakes
from tests.integration.ledger import CHART, Books, books

VAT_7 = Tax("vat_7", Decimal(20))
"""Not mapped; Xero's OUTPUT2 has its rate."""


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Books]:
    """One connection, ``acme``."""
    async with books(database_url) as ledger:
        yield ledger


async def change(
    ledger: Books, path: str, *words: str, dry_run: bool = False
) -> tuple[str, ...] | None:
    """Set it to these words, or unset it without any."""
    key = parse_path(path)
    target = parse_words(key, words) if words else None
    return await mappings.change(
        ledger.database,
        "acme",
        lambda connection, chart: remapped(connection, key, target, chart),
        "bob",
        dry_run=dry_run,
    )


async def revision(ledger: Books) -> int:
    """Pods load anew when it rises."""
    [row] = await ledger.database.fetch("select revision from configuration")
    return int(row["revision"])


async def test_set_and_unset_keep_the_history(ledger: Books) -> None:
    before = await revision(ledger)
    assert await change(ledger, "taxes.vat_7", "OUTPUT2") == (
        "+ acme.mappings.taxes.vat_7: OUTPUT2",
    )
    assert await change(ledger, "taxes.vat_7", "NONE") == (
        "~ acme.mappings.taxes.vat_7: OUTPUT2 → NONE",
    )
    assert await change(ledger, "taxes.vat_7") == ("- acme.mappings.taxes.vat_7: NONE",)
    assert await revision(ledger) == before + 3

    rows = await mappings.rows(ledger.database, "acme", history=True)
    told = [
        (row["tax_type"], row["set_by"], row["unset_at"] is None)
        for row in rows
        if row["path"] == "taxes.vat_7"
    ]
    assert told == [("OUTPUT2", "bob", False), ("NONE", "bob", False)]
    current = await mappings.rows(ledger.database, "acme", history=False)
    assert {row["path"] for row in current} == {
        "fallback_item",
        "no_tax",
        "outside_tax",
        "payment_account",
        "prepaid_credit",
        "taxes.vat_20",
    }
    audits = await ledger.database.fetch("select who, reason from audit where action = 'mappings'")
    assert [tuple(row) for row in audits] == [
        ("bob", "+ acme.mappings.taxes.vat_7: OUTPUT2"),
        ("bob", "~ acme.mappings.taxes.vat_7: OUTPUT2 → NONE"),
        ("bob", "- acme.mappings.taxes.vat_7: NONE"),
    ]


async def test_the_same_again_changes_nothing(ledger: Books) -> None:
    await change(ledger, "taxes.vat_7", "OUTPUT2")
    before = await revision(ledger)
    assert await change(ledger, "taxes.vat_7", "OUTPUT2") == ()
    assert await revision(ledger) == before


async def test_a_dry_run_stores_nothing(ledger: Books) -> None:
    before = await revision(ledger)
    assert await change(ledger, "taxes.vat_7", "OUTPUT2", dry_run=True)
    assert await revision(ledger) == before
    assert await change(ledger, "taxes.vat_7", "OUTPUT2")


async def test_what_is_refused_leaves_all_as_it_was(ledger: Books) -> None:
    before = await revision(ledger)
    with pytest.raises(Mistakes, match="Xero has no item 'NO'"):
        await change(ledger, "coupon", "item=NO")
    assert await revision(ledger) == before


async def test_another_connections_code(ledger: Books) -> None:
    assert await mappings.change(ledger.database, "no", lambda one, _: one, "bob") is None
    assert await mappings.read(ledger.database, "no") is None


async def test_changes_at_once_do_not_undo_one_another(ledger: Books) -> None:
    codes = [f"vat_{n}" for n in range(5)]
    await asyncio.gather(*(change(ledger, f"taxes.{code}", "OUTPUT2") for code in codes))
    [connection] = (await ledger.database.run(load_snapshot)).connections.values()
    assert {MappingKey("", "tax", code) for code in codes} <= set(connection.mappings)


async def test_what_failed_for_want_of_it_goes_out(ledger: Books) -> None:
    customer = ledger.customer()
    invoice = ledger.invoice(customer, taxes=(VAT_7,))
    await ledger.told(ledger.said(customer), ledger.said(invoice))
    await ledger.accept(await ledger.freeze())
    await ledger.released()
    assert (await ledger.ledger.freeze(ledger.tenants[0])).frozen is None
    [document] = await ledger.documents(kind="invoice")
    assert (document["code"], document["cause"]) == ("tax_unmapped", "tax:vat_7@acme")

    await change(ledger, "taxes.vat_7", "OUTPUT2")
    await ledger.released()
    await ledger.accept(await ledger.freeze())
    [document] = await ledger.documents(kind="invoice")
    assert document["state"] == "synced"


async def test_what_xero_refused_for_its_mapping_goes_out(ledger: Books) -> None:
    customer = ledger.customer()
    await ledger.told(ledger.said(customer), ledger.said(ledger.invoice(customer)))
    await ledger.accept(await ledger.freeze())
    await ledger.database.execute(
        "update document set state = 'failed', code = 'item_invalid', cause = null "
        "where kind = 'invoice'"
    )
    await change(ledger, "subscription_fee", "account=200")
    await ledger.released()
    [document] = await ledger.documents(kind="invoice")
    assert document["state"] == "ready"


async def test_a_mapping_that_no_longer_fits_is_shown_with_why(ledger: Books) -> None:
    accounts = {"200": CHART.accounts["200"]}
    charts = PostgresCharts(ledger.database, [])
    await charts.keep(ledger.tenants[0], replace(CHART, accounts=accounts, items={}), "ann")
    rows = await mappings.rows(ledger.database, "acme", history=False)
    problems = {row["path"]: row["problem"] for row in rows if row["problem"]}
    assert problems == {
        "fallback_item": "Xero has no item 'LAGO'",
        "payment_account": "Xero has no account '880'",
        "prepaid_credit": "Xero has no item 'PREPAID'; account '825' is not in Xero",
    }
    await change(ledger, "prepaid_credit")
    rows = await mappings.rows(ledger.database, "acme", history=False)
    assert [row["path"] for row in rows if row["problem"]] == ["fallback_item", "payment_account"]


# ── Coverage ──────────────────────────────────────────────────────────────────────────────────────


async def covered(ledger: Books, page: int = 1000) -> list[Gap]:
    """The gaps, found so many invoices at a time."""
    found = await mappings.read(ledger.database, "acme")
    assert found is not None
    fees: list[SeenFee] = []
    taxes: list[SeenTax] = []
    async for some, others in mappings.seen(ledger.database, found[0].id, page):
        fees += some
        taxes += others
    return list(gaps(found[0], fees, taxes))


@pytest.mark.parametrize("page", [1, 2, 1000])
async def test_coverage_sums_what_is_in_xero(ledger: Books, page: int) -> None:
    customer = ledger.customer()
    await ledger.told(
        ledger.said(customer),
        ledger.said(ledger.invoice(customer, 1050)),
        ledger.said(ledger.invoice(customer, 2000)),
        ledger.said(ledger.invoice(customer, 700, currency="JPY")),
        ledger.said(ledger.invoice(customer, 999, taxes=(VAT_7,))),
        ledger.said(ledger.invoice(customer, 400, invoice_type="one_off")),
    )
    await ledger.accept(await ledger.freeze())
    await ledger.released()
    await ledger.accept(await ledger.freeze())
    found = await covered(ledger, page)
    assert [(g.key.path, g.currency, g.how, g.invoices, g.amount) for g in found] == [
        ("mappings.subscription_fee", "EUR", "fallback", 4, Decimal("34.50")),
        ("mappings.subscription_fee", "JPY", "fallback", 1, Decimal(7)),
        ("mappings.taxes.vat_7", "EUR", "unmapped", 1, Decimal(0)),
    ]


async def test_what_is_skipped_does_not_count(ledger: Books) -> None:
    customer = ledger.customer()
    invoice = {**ledger.invoice(customer), "self_billed": True}
    await ledger.told(ledger.said(customer), ledger.said(invoice))
    assert [row["state"] for row in await ledger.documents(kind="invoice")] == ["skipped"]
    assert await covered(ledger) == []
