"""Charts: Xero's answers read, and what of a connection does not fit them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.chart import Account, Chart, Item, Organisation, TaxRate
from consumer.domain.charting import ENDPOINTS, UnreadableChart, check, read_chart
from consumer.domain.mapping import Connection, MappingKey, MappingKind, Target

ANSWERS: dict[str, Any] = {
    "Organisation": {
        "Organisations": [
            {
                "Name": "Acme",
                "CountryCode": "NZ",
                "BaseCurrency": "NZD",
                "Timezone": "NEWZEALANDSTANDARDTIME",
                "ShortCode": "!Ab12c",
                "PeriodLockDate": "/Date(1735603200000+0000)/",
                "EndOfYearLockDate": None,
            }
        ]
    },
    "Accounts": {
        "Accounts": [
            {"Code": "200", "Type": "REVENUE", "Class": "REVENUE", "Status": "ACTIVE"},
            {"Code": "090", "Type": "BANK", "Class": "ASSET", "CurrencyCode": "EUR"},
            {"Code": "880", "Type": "CURRENT", "EnablePaymentsToAccount": True},
            {"Code": "299", "Type": "REVENUE", "Status": "ARCHIVED"},
            {"Name": "A bank account without a code", "Type": "BANK"},
        ]
    },
    "Items": {
        "Items": [
            {"Code": "SUB", "SalesDetails": {"AccountCode": "200", "TaxType": "OUTPUT2"}},
            {"Code": "BARE", "SalesDetails": None},
            {"Code": "WIDGET", "IsTrackedAsInventory": True},
        ]
    },
    "TaxRates": {
        "TaxRates": [
            {"TaxType": "OUTPUT2", "EffectiveRate": 15.0000, "CanApplyToRevenue": True},
            {"TaxType": "INPUT2", "EffectiveRate": 15, "CanApplyToRevenue": False},
            {"TaxType": "TAX001", "EffectiveRate": 12.5, "Status": "DELETED"},
        ]
    },
    "Currencies": {"Currencies": [{"Code": "NZD"}, {"Code": "EUR"}]},
}


def bodies(**changed: Any) -> dict[str, bytes]:
    """The answers, as bytes."""
    return {name: json.dumps({**ANSWERS, **changed}[name]).encode() for name in ENDPOINTS}


def test_xeros_words_become_ours() -> None:
    assert read_chart(bodies()) == Chart(
        organisation=Organisation(
            name="Acme",
            country="NZ",
            base_currency="NZD",
            timezone="NEWZEALANDSTANDARDTIME",
            short_code="!Ab12c",
            period_lock_date=date(2024, 12, 31),
        ),
        accounts={
            "200": Account("200", "REVENUE", "REVENUE"),
            "090": Account("090", "BANK", "ASSET", currency="EUR"),
            "880": Account("880", "CURRENT", takes_payments=True),
            "299": Account("299", "REVENUE", active=False),
        },
        items={
            "SUB": Item("SUB", "200", "OUTPUT2"),
            "BARE": Item("BARE"),
            "WIDGET": Item("WIDGET", tracked=True),
        },
        tax_rates={
            "OUTPUT2": TaxRate("OUTPUT2", Decimal(15)),
            "INPUT2": TaxRate("INPUT2", Decimal(15), for_revenue=False),
            "TAX001": TaxRate("TAX001", Decimal("12.5"), active=False),
        },
        currencies=frozenset({"NZD", "EUR"}),
    )


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"Items": []}, "Items: the answer is not a JSON object"),
        ({"Items": {}}, "Items: not as documented"),
        ({"Items": {"Items": [{"Name": "x"}]}}, "Items.0.Code: not as documented"),
        ({"Organisation": {"Organisations": []}}, "Organisations: not as documented"),
        (
            {"TaxRates": {"TaxRates": [{"TaxType": "A", "EffectiveRate": "high"}]}},
            "TaxRates.0.EffectiveRate: not as documented",
        ),
    ],
)
def test_an_answer_of_another_shape_is_refused(changed: dict[str, Any], where: str) -> None:
    with pytest.raises(UnreadableChart, match=where):
        read_chart(bodies(**changed))


CHART = Chart(
    organisation=Organisation(base_currency="NZD"),
    accounts={
        "200": Account("200", "REVENUE", "REVENUE"),
        "299": Account("299", "REVENUE", "REVENUE", active=False),
        "825": Account("825", "CURRLIAB", "LIABILITY"),
        "880": Account("880", "CURRENT", "ASSET", takes_payments=True),
        "881": Account("881", "BANK", "ASSET", currency="EUR"),
        "882": Account("882", "BANK", "ASSET", currency="NZD"),
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
        "INPUT2": TaxRate("INPUT2", Decimal(15), for_revenue=False),
        "TAX001": TaxRate("TAX001", Decimal("12.5"), active=False),
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
        ("payment_account", "", Target(account="880")),
        ("payment_account", "", Target(account="882")),
        ("payment_account", "EUR", Target(account="881")),
        ("payment_account", "EUR", Target(account="882")),
        ("payment_account", "USD", Target(account="880")),
    ],
)
def test_what_fits(kind: MappingKind, key: str, target: Target) -> None:
    assert said(kind, target, key) == []


@pytest.mark.parametrize(
    ("kind", "key", "target", "path", "words"),
    [
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
    assert "; " in line  # and what to do


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
