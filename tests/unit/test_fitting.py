"""Fitting: what of a connection's mappings does not fit Xero's chart or Lago's rates."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from consumer.domain.chart import CLASSES, Account, Chart, Item, Organisation, TaxRate
from consumer.domain.fitting import Misfit, check, misfits, rate_misfits
from consumer.domain.mapping import Connection, MappingKey, MappingKind, Target

CHART = Chart(
    organisation=Organisation(base_currency="NZD"),
    accounts={
        "200": Account("200", "REVENUE", "REVENUE"),
        "299": Account("299", "REVENUE", "REVENUE", active=False),
        "825": Account("825", "CURRLIAB", "LIABILITY"),
        "880": Account("880", "CURRENT", "ASSET", takes_payments=True),
        "881": Account("881", "BANK", "ASSET", currency="EUR"),
        "882": Account("882", "BANK", "ASSET", currency="NZD"),
        "840": Account("840", "CURRLIAB", "LIABILITY", takes_payments=True),
        "270": Account("270", "REVENUE", "REVENUE", takes_payments=True),
        "883": Account("883", "BANK", "ASSET", active=False),
    },
    items={
        "SUB": Item("SUB", "200"),
        "OLD": Item("OLD", "299"),
        "GONE": Item("GONE", "999"),
        "BARE": Item("BARE"),
        "WIDGET": Item("WIDGET", "200", tracked=True),
    },
    tax_rates={
        "OUTPUT2": TaxRate("OUTPUT2", Decimal(15)),
        "NONE": TaxRate("NONE", Decimal(0)),
        "INPUT2": TaxRate("INPUT2", Decimal(15), classes=frozenset({"EXPENSE"})),
        "TAX001": TaxRate("TAX001", Decimal("12.5"), active=False),
        "SALES": TaxRate("SALES", Decimal(0), classes=frozenset({"REVENUE"})),
        "BALANCE": TaxRate("BALANCE", Decimal(0), classes=CLASSES - {"REVENUE"}),
    },
    currencies=frozenset({"NZD", "EUR", "USD"}),
)


def said(kind: MappingKind, target: Target, key: str = "", entity: str = "") -> list[str]:
    """What is said against a connection with this one mapping."""
    mappings = {MappingKey(entity, kind, key): target}
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=mappings)
    return [str(mistake) for mistake in check(connection, CHART, "connections[0]")]


@pytest.mark.parametrize(
    ("kind", "key", "target"),
    [
        ("fallback_item", "", Target("SUB")),
        ("fallback_item", "", Target("BARE", "200")),
        ("fallback_item", "", Target(None, "200")),
        ("coupon", "", Target("SUB", tax_type="OUTPUT2")),
        ("prepaid_credit", "", Target("SUB", "825")),
        ("tax", "vat_20", Target(tax_type="OUTPUT2")),
        ("no_tax", "", Target(tax_type="NONE")),
        ("prepaid_credit", "", Target("SUB", "825", "BALANCE")),
        ("outside_tax", "", Target(tax_type="BALANCE")),
        ("payment_account", "", Target(account="880")),
        ("payment_account", "", Target(account="882")),
        ("payment_account", "EUR", Target(account="881")),
        ("payment_account", "EUR", Target(account="882")),
        ("payment_account", "USD", Target(account="880")),
        ("clearing_account", "", Target(account="880")),
        ("clearing_account", "", Target(account="840")),
    ],
)
def test_what_fits(kind: MappingKind, key: str, target: Target) -> None:
    assert said(kind, target, key) == []


@pytest.mark.parametrize(
    ("kind", "key", "target", "path", "words"),
    [
        ("clearing_account", "", Target(account="999"), "clearing_account", "has no account '999'"),
        ("clearing_account", "", Target(account="299"), "clearing_account", "'299' is archived"),
        ("clearing_account", "", Target(account="882"), "clearing_account", "is a bank account"),
        ("clearing_account", "", Target(account="825"), "clearing_account", "takes no payments"),
        ("clearing_account", "", Target(account="270"), "clearing_account", "is of class REVENUE"),
        ("coupon", "", Target("NO"), "coupon.item", "Xero has no item 'NO'"),
        ("coupon", "", Target("WIDGET"), "coupon.item", "tracked as inventory"),
        ("coupon", "", Target("BARE"), "coupon", "neither the mapping nor item 'BARE' gives"),
        (
            "coupon",
            "",
            Target("OLD"),
            "coupon.item",
            "account '299', the item's sales account, is archived",
        ),
        (
            "coupon",
            "",
            Target("GONE"),
            "coupon.item",
            "account '999', the item's sales account, is not in",
        ),
        ("coupon", "", Target("SUB", "999"), "coupon.account", "account '999' is not in Xero"),
        ("coupon", "", Target("SUB", "299"), "coupon.account", "account '299' is archived"),
        ("coupon", "", Target("SUB", "881"), "coupon.account", "'881' is a bank account"),
        ("coupon", "", Target("SUB", None, "NO"), "coupon.tax_type", "Xero has no tax type 'NO'"),
        ("prepaid_credit", "", Target("SUB"), "prepaid_credit.item", "class REVENUE"),
        ("prepaid_credit", "", Target("SUB", "200"), "prepaid_credit.account", "class REVENUE"),
        ("tax", "vat_20", Target(tax_type="NO"), "taxes.vat_20", "Xero has no tax type 'NO'"),
        ("tax", "vat_20", Target(tax_type="TAX001"), "taxes.vat_20", "deleted in Xero"),
        ("tax", "vat_20", Target(tax_type="INPUT2"), "taxes.vat_20", "cannot be used for revenue"),
        ("no_tax", "", Target(tax_type="OUTPUT2"), "no_tax", "has 15 %"),
        ("no_tax", "", Target(tax_type="BALANCE"), "no_tax", "cannot be used for revenue"),
        (
            "prepaid_credit",
            "",
            Target("SUB", "825", "SALES"),
            "prepaid_credit.tax_type",
            "'SALES' cannot be used for account '825'",
        ),
        ("outside_tax", "", Target(tax_type="OUTPUT2"), "outside_tax", "has 15 %"),
        ("add_on", "setup", Target("NO"), "add_ons.setup.item", "Xero has no item 'NO'"),
        ("payment_account", "", Target(account="999"), "payment_account", "no account '999'"),
        ("payment_account", "", Target(account="883"), "payment_account", "'883' is archived"),
        ("payment_account", "", Target(account="200"), "payment_account", "takes no payments"),
        ("payment_account", "", Target(account="881"), "payment_account", "'881' is in EUR"),
        ("payment_account", "USD", Target(account="881"), "payment_account.USD", "is in EUR"),
        ("payment_account", "JPY", Target(account="880"), "payment_account.JPY", "currency JPY"),
    ],
)
def test_what_does_not_fit(
    kind: MappingKind, key: str, target: Target, path: str, words: str
) -> None:
    [line] = said(kind, target, key)
    assert line.startswith(f"connections[0].mappings.{path}: ")
    assert words in line
    assert re.search(r"; [a-z]|\. [A-Z]", line), "and what to do"


@pytest.mark.parametrize(
    ("kind", "key", "account", "fits"),
    [
        ("payment_account", "", "880", False),
        ("payment_account", "USD", "880", False),
        ("payment_account", "", "882", True),
        ("payment_account", "EUR", "881", True),
        ("refund_account", "", "880", True),
    ],
)
def test_overpayments_need_bank_accounts_in_every_currency(
    kind: MappingKind, key: str, account: str, fits: bool
) -> None:
    mappings = {MappingKey("", kind, key): Target(account=account)}
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=mappings)
    assert check(connection, CHART, "c") == ()
    found = [str(one) for one in check(replace(connection, excess="overpayment"), CHART, "c")]
    path = f"c.mappings.{kind}" + (f".{key}" if key else "")
    assert (found == []) == fits
    assert fits or found[0].startswith(f"{path}: account '880' is no bank account")


def test_an_entitys_mappings_are_checked_too() -> None:
    [line] = said("billable_metric", Target("NO"), "storage", entity="acme-eu")
    path = "connections[0].mappings.entities.acme-eu.billable_metrics.storage.item"
    assert line.startswith(path)


def test_all_mistakes_of_a_mapping_at_once() -> None:
    assert len(said("coupon", Target("NO", "999", "NO"))) == 3


def test_a_chart_without_currencies_is_no_reason_to_refuse() -> None:
    key = MappingKey("", "payment_account", "JPY")
    target = Target(account="880")
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings={key: target})
    assert check(connection, replace(CHART, currencies=frozenset()), "x") == ()


def test_outside_tax_must_suit_the_accounts_of_balance_sheet_lines() -> None:
    mappings = {
        MappingKey("", "outside_tax"): Target(tax_type="SALES"),
        MappingKey("", "prepaid_credit"): Target(account="825"),
        MappingKey("eu", "credit_note"): Target(account="825"),
    }
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=mappings)
    [misfit] = misfits(connection, CHART)
    assert misfit.path == "mappings.outside_tax"
    assert misfit.said == "tax type 'SALES' cannot be used for the account of prepaid_credit"
    assert misfit.code == "chart_broke_mapping"


# ── Rates ─────────────────────────────────────────────────────────────────────────────────────────

RATES = {"vat_20": Decimal(20), "vat_15": Decimal("15.0"), "city": Decimal(2)}


@pytest.mark.parametrize(
    ("codes", "tax_type", "words"),
    [
        ("vat_20", "OUTPUT2", "tax type 'OUTPUT2' has 15 %, Lago's vat_20 has 20 %"),
        ("city+vat_15", "OUTPUT2", "tax type 'OUTPUT2' has 15 %, Lago's city+vat_15 has 17 %"),
        ("vat_15", "TAX001", "tax type 'TAX001' has 12.5 %, Lago's vat_15 has 15 %"),
    ],
)
def test_a_rate_that_is_not_lagos(codes: str, tax_type: str, words: str) -> None:
    [misfit] = _rate_misfits(codes, tax_type)
    assert (misfit.path, misfit.said) == (f"mappings.taxes.{codes}", words)
    assert misfit.code == "tax_rate_differs"


@pytest.mark.parametrize(
    ("codes", "tax_type"),
    [
        ("vat_15", "OUTPUT2"),
        ("unseen", "OUTPUT2"),
        ("city+unseen", "OUTPUT2"),
        ("vat_20", "NO"),  # that it is not there is said already
    ],
)
def test_rates_that_are_lagos_or_not_known(codes: str, tax_type: str) -> None:
    assert _rate_misfits(codes, tax_type) == ()


def _rate_misfits(codes: str, tax_type: str) -> tuple[Misfit, ...]:
    mappings = {MappingKey("", "tax", codes): Target(tax_type=tax_type)}
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=mappings)
    return rate_misfits(connection, CHART, RATES)


def test_lines_outside_tax_may_stand_on_the_clearing_account() -> None:
    """A tax type for revenue alone would be refused there."""
    mappings = {
        MappingKey("", "clearing_account"): Target(account="880"),
        MappingKey("", "outside_tax"): Target(tax_type="SALES"),
    }
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=mappings)
    [misfit] = misfits(connection, CHART)
    assert (misfit.path, "the account of clearing_account" in misfit.said) == (
        "mappings.outside_tax",
        True,
    )
