"""Charts: Xero's answers read."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.chart import CLASSES, Account, Chart, Item, Organisation, TaxRate
from consumer.domain.charting import ENDPOINTS, UnreadableChart, read_chart

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
            "INPUT2": TaxRate("INPUT2", Decimal(15), classes=CLASSES - {"REVENUE"}),
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
