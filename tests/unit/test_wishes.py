"""Wishes: the connection that an entry asks for, what rivals another, what would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.wishes import conflicts, connection_of, differences
from schemas.connections import parse

TENANT = UUID(int=7)
FILE = """
connections:
  - code: acme
    name: Acme
    organization_id: 1a901a90-1a90-1a90-1a90-1a901a901a90
    xero: {client_id: abc, client_secret: {env: SECRET}}
    customers: linked
    serves: {billing_entities: [b, a], default: true}
    start_date: 2026-01-01
    number_prefix: A-
    syncs: {invoices: false}
    policies: {zero_invoices: skip}
    mappings:
      fallback_item: {item: LAGO, account: "200", tax_type: OUTPUT2}
      payment_account: {default: "880", EUR: "881"}
      prepaid_granted_credit: {item: FREE}
      no_tax: ZERORATED
      outside_tax: NONE
      provider_tax: PROVIDER
      taxes: {vat_20: OUTPUT2}
      billable_metrics: {storage: {item: STOR}}
      add_ons: {setup: {account: "260"}}
      entities:
        eu: {fallback_item: {item: EU}, taxes: {vat_20: EUROUT}}
"""


def test_every_key_of_the_file_arrives() -> None:
    [asked] = parse(FILE).connections
    assert connection_of(asked, TENANT, 3) == Connection(
        id=3,
        code="acme",
        name="Acme",
        organization_id=UUID("1a901a90-1a90-1a90-1a90-1a901a901a90"),
        tenant_id=TENANT,
        customers="linked",
        default=True,
        billing_entities=frozenset({"a", "b"}),
        start_date=date(2026, 1, 1),
        sync_invoices=False,
        number_prefix="A-",
        zero_invoices="skip",
        mappings={
            MappingKey("", "fallback_item"): Target("LAGO", "200", "OUTPUT2"),
            MappingKey("", "payment_account"): Target(account="880"),
            MappingKey("", "payment_account", "EUR"): Target(account="881"),
            MappingKey("", "prepaid_granted_credit"): Target("FREE"),
            MappingKey("", "no_tax"): Target(tax_type="ZERORATED"),
            MappingKey("", "outside_tax"): Target(tax_type="NONE"),
            MappingKey("", "provider_tax"): Target(tax_type="PROVIDER"),
            MappingKey("", "tax", "vat_20"): Target(tax_type="OUTPUT2"),
            MappingKey("", "billable_metric", "storage"): Target("STOR"),
            MappingKey("", "add_on", "setup"): Target(account="260"),
            MappingKey("eu", "fallback_item"): Target("EU"),
            MappingKey("eu", "tax", "vat_20"): Target(tax_type="EUROUT"),
        },
    )


def test_default_may_stand_beside_serves() -> None:
    plain = "serves: {billing_entities: [b, a], default: true}"
    [asked] = parse(FILE.replace(plain, "default: true")).connections
    assert connection_of(asked, TENANT).default


def acme(code: str, organization: int = 1, **settings: Any) -> Connection:
    """A connection with these settings."""
    entities = frozenset(settings.pop("serves", ()))
    return Connection(
        0, code, UUID(int=organization), TENANT, billing_entities=entities, **settings
    )


@pytest.mark.parametrize(
    "connections",
    [
        [acme("one")],
        [acme("one", serves=["a"]), acme("two", serves=["b"])],
        [acme("one", serves=["a"]), acme("two", default=True)],
        [acme("one", default=True), acme("two", customers="linked")],
        [acme("one", serves=["a"]), acme("two", serves=["a"], customers="linked")],
        [acme("one"), acme("two", organization=2)],
    ],
)
def test_each_customer_has_one_claimant(connections: list[Connection]) -> None:
    assert conflicts([(c.code, c) for c in connections]) == []


@pytest.mark.parametrize(
    ("connections", "path"),
    [
        ([acme("one", serves=["a"]), acme("two", serves=["b", "a"])], "serves.billing_entities"),
        ([acme("one", default=True), acme("two", default=True)], "default"),
        ([acme("one"), acme("two", default=True)], ""),
        ([acme("one"), acme("two", customers="linked")], ""),
    ],
)
def test_two_claimants_are_refused_in_either_order(
    connections: list[Connection], path: str
) -> None:
    for order in permutations((c.code, c) for c in connections):
        [mistake] = conflicts(order)
        where, _, rest = mistake.path.partition(".")
        assert rest == path
        assert where == (order[1][0] if path else "one")


OLD = acme("acme", name="Acme", mappings={MappingKey("", "no_tax"): Target(tax_type="NONE")})


def test_nothing_changes_nothing() -> None:
    assert differences(OLD, replace(OLD, id=9)) == []


def test_a_new_connection_is_one_line() -> None:
    [line] = differences(None, OLD)
    assert str(line) == "+ acme: new connection with 1 mappings"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"name": "Acme Ltd"}, "~ acme.name: Acme → Acme Ltd"),
        ({"start_date": date(2026, 1, 1)}, "~ acme.start_date: nothing → 2026-01-01"),
        ({"billing_entities": frozenset({"b", "a"})}, "~ acme.billing_entities: [] → [a, b]"),
        ({"mappings": {}}, "- acme.mappings.no_tax: NONE"),
        (
            {"mappings": {MappingKey("", "no_tax"): Target(tax_type="ZERO")}},
            "~ acme.mappings.no_tax: NONE → ZERO",
        ),
        (
            {"mappings": {**OLD.mappings, MappingKey("eu", "coupon"): Target("DISC", "200", "T")}},
            "+ acme.mappings.entities.eu.coupon: DISC account 200 T",
        ),
    ],
)
def test_each_change_is_a_line(changed: Mapping[str, Any], line: str) -> None:
    assert [str(change) for change in differences(OLD, replace(OLD, **changed))] == [line]
