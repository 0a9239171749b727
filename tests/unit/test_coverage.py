"""Coverage: which metrics, add-ons and taxes of Lago's invoices have no mapping of their own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.coverage import SeenFee, SeenTax, gaps
from consumer.domain.mapping import Connection, MappingKey, Target

MAPPINGS = {
    MappingKey("", "fallback_item"): Target("LAGO"),
    MappingKey("eu", "fallback_item"): Target("LAGO-EU"),
    MappingKey("", "subscription_fee"): Target("SUB"),
    MappingKey("", "billable_metric", "storage"): Target("STOR"),
    MappingKey("", "billable_metric", str(UUID(int=9))): Target("BYID"),
    MappingKey("", "tax", "vat_20"): Target(tax_type="OUTPUT2"),
    MappingKey("", "tax", "city+state"): Target(tax_type="TAX001"),
    MappingKey("eu", "tax", "eu_vat"): Target(tax_type="EU"),
}


def acme(**policy: Any) -> Connection:
    """A connection with these mappings."""
    return Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=MAPPINGS, **policy)


def fee(type: str, code: str | None, posted: int = 1000, **more: Any) -> SeenFee:
    """Three invoices had it."""
    values = {"entity": "", "item_id": None, "currency": "EUR", "invoices": 3, **more}
    return SeenFee(type=type, code=code, posted=Decimal(posted), **values)


def tax(code: str, **more: Any) -> SeenTax:
    """Two invoices bore it."""
    values = {"entity": "", "provider": False, "currency": "EUR", "posted": Decimal(500), **more}
    return SeenTax(code=code, invoices=2, **values)


def paths(fees: list[SeenFee], taxes: list[SeenTax], **policy: Any) -> list[str]:
    """The mappings that are missing."""
    return [gap.key.path for gap in gaps(acme(**policy), fees, taxes)]


@pytest.mark.parametrize(
    "seen",
    [
        fee("charge", "storage"),
        fee("charge", "storage", entity="eu"),
        fee("charge", "renamed", item_id=str(UUID(int=9))),
        fee("subscription", "basic"),
    ],
)
def test_fees_with_a_mapping_of_their_own(seen: SeenFee) -> None:
    assert gaps(acme(), [seen], []) == ()


def test_fees_on_the_fallback() -> None:
    seen = [fee("charge", "api"), fee("fixed_charge", "setup"), fee("commitment", "basic")]
    assert paths(seen, []) == [
        "mappings.add_ons.setup",
        "mappings.billable_metrics.api",
        "mappings.minimum_commitment",
    ]


def test_as_lago_looks_up_only_the_entitys_mapping_helps() -> None:
    seen = [fee("charge", "storage", entity="eu")]
    assert paths(seen, [], lookup="lago") == ["mappings.entities.eu.billable_metrics.storage"]


def test_amounts_are_by_currency() -> None:
    seen = [
        fee("charge", "api", 1000),
        fee("charge", "api", 500, entity="eu"),
        fee("charge", "api", 700, currency="JPY"),
    ]
    found = gaps(acme(), seen, [])
    assert [(g.currency, g.invoices, g.amount, g.how) for g in found] == [
        ("EUR", 6, Decimal(15), "fallback"),
        ("JPY", 3, Decimal(700), "fallback"),
    ]


def test_taxes_without_a_mapping() -> None:
    seen = [tax("vat_20"), tax("vat_5"), tax("state"), tax("eu_vat", entity="eu"), tax("eu_vat")]
    found = gaps(acme(), [], seen)
    assert [(gap.key.path, gap.how, gap.invoices) for gap in found] == [
        ("mappings.taxes.eu_vat", "unmapped", 2),
        ("mappings.taxes.vat_5", "unmapped", 2),
    ]


def test_taxes_of_a_provider_share_a_mapping() -> None:
    seen = [tax("us_1", provider=True), tax("us_2", provider=True)]
    [gap] = gaps(acme(), [], seen)
    assert (gap.key.path, gap.invoices, gap.amount) == ("mappings.provider_tax", 4, Decimal(10))
    mapped = {**MAPPINGS, MappingKey("", "provider_tax"): Target(tax_type="P")}
    connection = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=mapped)
    assert gaps(connection, [], seen) == ()
