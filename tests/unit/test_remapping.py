"""Remapping: paths and words of the command line, the file's form, what a change is checked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.chart import Chart
from consumer.domain.mapping import Connection, MappingKey, MappingKind, Target
from consumer.domain.remapping import exported, parse_path, parse_words, remapped
from consumer.domain.wishes import mappings_of
from schemas.connections import parse_mappings
from schemas.mistakes import Mistakes
from tests.unit.test_fitting import CHART

MAPPINGS = {
    MappingKey("", "fallback_item"): Target("SUB", "200"),
    MappingKey("", "payment_account"): Target(account="880"),
    MappingKey("", "no_tax"): Target(tax_type="NONE"),
    MappingKey("", "outside_tax"): Target(tax_type="NONE"),
}
ACME = Connection(1, "acme", UUID(int=1), UUID(int=2), mappings=MAPPINGS)


# ── Paths ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("coupon", MappingKey("", "coupon")),
        ("mappings.coupon", MappingKey("", "coupon")),
        ("taxes.vat_20", MappingKey("", "tax", "vat_20")),
        ("taxes.a+b", MappingKey("", "tax", "a+b")),
        ("billable_metrics.api.calls", MappingKey("", "billable_metric", "api.calls")),
        ("add_ons.set up", MappingKey("", "add_on", "set up")),
        ("payment_account", MappingKey("", "payment_account")),
        ("payment_account.default", MappingKey("", "payment_account")),
        ("refund_account.EUR", MappingKey("", "refund_account", "EUR")),
        ("clearing_account", MappingKey("", "clearing_account")),
        ("entities.acme-eu.no_tax", MappingKey("acme-eu", "no_tax")),
        ("entities.acme.eu.taxes.vat.20", MappingKey("acme.eu", "tax", "vat.20")),
    ],
)
def test_paths(path: str, key: MappingKey) -> None:
    assert parse_path(path) == key


@pytest.mark.parametrize("key", [*MAPPINGS, MappingKey("eu", "tax", "vat_20")])
def test_a_keys_own_path_leads_to_it(key: MappingKey) -> None:
    assert parse_path(key.path) == key


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tax.vat_20", "tax.vat_20: is no mapping; did you mean taxes?"),
        ("taxes", "taxes: names no code; write taxes.CODE with Lago's code"),
        ("coupon.item", "coupon.item: is no mapping; coupon has no parts"),
        (
            "clearing_account.EUR",
            "clearing_account.EUR: is no mapping; clearing_account has no parts",
        ),
        ("entities.acme-eu", "entities.acme-eu: is no mapping; known: fallback_item, "),
    ],
)
def test_what_is_no_path(path: str, line: str) -> None:
    with pytest.raises(Mistakes) as refused:
        parse_path(path)
    assert str(refused.value).startswith(line)


# ── Words ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "words", "target"),
    [
        ("coupon", ["item=SUB"], Target("SUB")),
        ("coupon", ["account=200", "item=A=B"], Target("A=B", "200")),
        ("tax", ["OUTPUT2"], Target(tax_type="OUTPUT2")),
        ("no_tax", ["tax_type=NONE"], Target(tax_type="NONE")),
        ("payment_account", ["880"], Target(account="880")),
    ],
)
def test_words(kind: MappingKind, words: list[str], target: Target) -> None:
    assert parse_words(MappingKey("", kind, "x"), words) == target


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("coupon", ["SUB"]),
        ("coupon", ["item="]),
        ("coupon", ["item=A", "item=B"]),
        ("tax", ["item=SUB"]),
        ("tax", ["OUTPUT2", "NONE"]),
        ("payment_account", ["tax_type=NONE"]),
    ],
)
def test_words_that_say_something_else(kind: MappingKind, words: list[str]) -> None:
    with pytest.raises(Mistakes):
        parse_words(MappingKey("", kind), words)


# ── Changes ───────────────────────────────────────────────────────────────────────────────────────


def changed(path: str, *words: str, of: Connection = ACME) -> Connection:
    """The mapping is set to these words, or unset without any."""
    key = parse_path(path)
    return remapped(of, key, parse_words(key, words) if words else None, CHART)


def test_a_mapping_is_set_and_unset() -> None:
    made = changed("taxes.vat_15", "OUTPUT2")
    assert made.mappings == {
        **MAPPINGS,
        MappingKey("", "tax", "vat_15"): Target(None, None, "OUTPUT2"),
    }
    assert changed("taxes.vat_15", of=made).mappings == MAPPINGS


@pytest.mark.parametrize(
    ("path", "words", "line"),
    [
        ("taxes.vat_15", ["NO"], "mappings.taxes.vat_15: Xero has no tax type 'NO'"),
        ("coupon", ["item=WIDGET"], "mappings.coupon.item: item 'WIDGET' is tracked"),
        ("coupon", ["tax_type=NONE"], "mappings.coupon: names neither an item nor an account"),
        ("coupon", ["account=12345678901"], "mappings.coupon.account: has more than 10 characters"),
        (
            "payment_account.Euro",
            ["880"],
            "mappings.payment_account.Euro: must be default or a currency",
        ),
        (
            "entities.eu.payment_account",
            ["880"],
            "mappings.entities.eu.payment_account: is not a known",
        ),
        ("no_tax", [], "mappings.no_tax: is missing; the Xero tax type of fees"),
        ("fallback_item", [], "mappings.fallback_item: is missing"),
    ],
)
def test_a_change_that_the_file_or_xero_would_refuse(
    path: str, words: list[str], line: str
) -> None:
    with pytest.raises(Mistakes) as refused:
        changed(path, *words)
    assert str(refused.value).startswith(line)


def test_what_was_broken_before_does_not_stop_a_change() -> None:
    broken = replace(
        ACME,
        mappings={
            **MAPPINGS,
            MappingKey("", "coupon"): Target(None, "299"),
            MappingKey("", "credit_note"): Target(None, "299"),
        },
    )
    mended = changed("coupon", "account=200", of=broken)
    assert mended.mappings[MappingKey("", "coupon")] == Target(None, "200")
    with pytest.raises(Mistakes, match="account '999' is not in Xero"):
        changed("coupon", "account=999", of=broken)


def test_without_a_chart_only_the_form_is_checked() -> None:
    key = MappingKey("", "coupon")
    assert key in remapped(ACME, key, Target("NO"), None).mappings


# ── The file's form ───────────────────────────────────────────────────────────────────────────────


def test_export_is_what_stands_in_the_file() -> None:
    mappings = {
        **MAPPINGS,
        MappingKey("", "payment_account", "EUR"): Target(account="881"),
        MappingKey("", "coupon"): Target("0200", None, "NONE"),
        MappingKey("", "tax", "20"): Target(tax_type="OUTPUT2"),
        MappingKey("eu", "billable_metric", "api.calls"): Target("SUB"),
    }
    assert exported(replace(ACME, mappings=mappings)) == {
        "fallback_item": {"item": "SUB", "account": "200"},
        "coupon": {"item": "0200", "tax_type": "NONE"},
        "taxes": {"20": "OUTPUT2"},
        "no_tax": "NONE",
        "outside_tax": "NONE",
        "payment_account": {"default": "880", "EUR": "881"},
        "entities": {"eu": {"billable_metrics": {"api.calls": {"item": "SUB"}}}},
    }


CODES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=9
)
ITEMS = st.builds(Target, CODES, st.none() | CODES, st.none() | CODES)
TAXES = st.builds(Target, st.none(), st.none(), CODES)
ENTITIES = st.just("") | CODES
OTHERS: Any = st.dictionaries(
    st.builds(MappingKey, ENTITIES, st.sampled_from(["billable_metric", "add_on"]), CODES), ITEMS
)
TAX_CODES: Any = st.dictionaries(st.builds(MappingKey, ENTITIES, st.just("tax"), CODES), TAXES)


@given(OTHERS, TAX_CODES)
def test_what_is_exported_is_read_as_the_same(
    others: dict[MappingKey, Target], taxes: dict[MappingKey, Target]
) -> None:
    connection = replace(ACME, mappings={**MAPPINGS, **others, **taxes})
    text = yaml.safe_dump(exported(connection), sort_keys=False, allow_unicode=True, width=110)
    assert dict(mappings_of(parse_mappings(yaml.safe_load(text)))) == connection.mappings


# ── The clearing account ──────────────────────────────────────────────────────────────────────────

CLEARING = MappingKey("", "clearing_account")


def test_the_clearing_account_is_a_code_in_the_file() -> None:
    with_one = remapped(ACME, CLEARING, parse_words(CLEARING, ["880"]), CHART)
    assert exported(with_one)["clearing_account"] == "880"
    assert dict(mappings_of(parse_mappings(exported(with_one)))) == with_one.mappings


@pytest.mark.parametrize("chart", [CHART, None])
def test_it_cannot_go_while_the_policy_uses_it(chart: Chart | None) -> None:
    with_one = remapped(ACME, CLEARING, Target(account="880"), CHART)
    assert remapped(with_one, CLEARING, None, chart).mappings == ACME.mappings
    with pytest.raises(Mistakes, match="clearing_account: is what consumed credits pass through"):
        remapped(replace(with_one, consumed_credits="negative_line"), CLEARING, None, chart)
