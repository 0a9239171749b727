"""Redrawing: what changed between two charts, and what that may have mended."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from consumer.domain.chart import CLASSES, Account, Chart, Item, Organisation, TaxRate
from consumer.domain.redrawing import Mended, changes, mended
from consumer.domain.refusals import OF_THE_CHART

OLD = Chart(
    organisation=Organisation(base_currency="NZD"),
    accounts={"200": Account("200", "REVENUE", "REVENUE"), "880": Account("880", "CURRENT")},
    items={"SUB": Item("SUB", "200")},
    tax_rates={"OUTPUT2": TaxRate("OUTPUT2", Decimal(15))},
    currencies=frozenset({"NZD"}),
)
LOCKED = replace(OLD.organisation, period_lock_date=date(2026, 3, 31))
CHANGED = {
    "lock": replace(OLD, organisation=LOCKED),
    "account": replace(OLD, accounts={"200": replace(OLD.accounts["200"], active=False)}),
    "item": replace(OLD, items={**OLD.items, "NEW": Item("NEW")}),
    "tax": replace(
        OLD,
        tax_rates={"OUTPUT2": TaxRate("OUTPUT2", Decimal("17.50"), classes=CLASSES - {"ASSET"})},
    ),
    "currency": replace(OLD, currencies=frozenset({"NZD", "EUR"})),
    "name": replace(OLD, organisation=replace(OLD.organisation, name="Acme")),
}


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        ("lock", ("~ period_lock_date: nothing → 2026-03-31",)),
        ("account", ("~ account 200: active yes → no", "- account 880")),
        ("item", ("+ item NEW",)),
        (
            "tax",
            (
                "~ tax type OUTPUT2: effective_rate 15 → 17.5, "
                "classes [ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE] → "
                "[EQUITY, EXPENSE, LIABILITY, REVENUE]",
            ),
        ),
        ("currency", ("+ currency EUR",)),
        ("name", ("~ name: nothing → Acme",)),
    ],
)
def test_changes_are_told_to_people(what: str, lines: tuple[str, ...]) -> None:
    assert changes(OLD, CHANGED[what]) == lines


def test_the_same_chart_tells_and_mends_nothing() -> None:
    assert changes(OLD, OLD) == ()
    assert mended(OLD, OLD) == Mended()


@pytest.mark.parametrize(
    ("what", "causes", "refusals"),
    [
        ("lock", {"lock"}, set()),
        ("account", {"fallback_item", "billable_metric"}, {"account_archived"}),
        ("item", {"add_on", "tax"}, {"item_invalid", "account_missing"}),
        ("tax", {"tax", "no_tax", "provider_tax", "outside_tax"}, {"tax_type_invalid"}),
        ("currency", set(), {"currency_not_subscribed"}),
        ("name", set(), set()),
    ],
)
def test_what_a_change_may_mend(what: str, causes: set[str], refusals: set[str]) -> None:
    found = mended(OLD, CHANGED[what])
    assert causes <= found.causes
    assert refusals <= found.refusals
    assert bool(found.causes) is bool(causes)
    assert bool(found.refusals) is bool(refusals)


def test_a_change_of_everything_tries_every_refusal_of_the_chart_again() -> None:
    assert mended(OLD, Chart()).refusals == OF_THE_CHART
