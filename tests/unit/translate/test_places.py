"""ACCOUNTING.md 3, items and accounts, and the deductions after the fees."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.errors import Inconsistent, Unmapped
from consumer.domain.mapping import MappingKey, MappingKind, Target
from consumer.domain.translate import Note
from tests.unit.translate.books import (
    connection,
    fee,
    invoice,
    lines,
    targets,
    tax,
    taxed_fee,
    translate,
    uuid,
)

JSON = dict[str, Any]
Place = tuple[str | None, str]


def places(payload: JSON, **options: Any) -> list[Place]:
    return [(one.item_code, one.account_code) for one in lines(payload, **options)]


def of(kind: str, code: str, **item: Any) -> JSON:
    return fee(1, item={"type": kind, "code": code, "name": code, **item})


# ── Items and accounts ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("charge", "seats", ("SEATS", "221")),
        ("add_on", "setup", ("SETUP", "223")),
        ("fixed_charge", "setup", ("SETUP", "223")),
        ("subscription", "startup", ("SUB", "210")),
        ("product", "startup", ("SUB", "210")),
        ("commitment", "startup", ("MIN", "211")),
        ("credit", "credit", ("PREPAID", "825")),
    ],
)
def test_each_fee_type_goes_to_its_mapping(kind: str, code: str, expected: Place) -> None:
    assert places(invoice(of(kind, code))) == [expected]


def test_account_is_the_mappings_else_the_items() -> None:
    assert places(invoice(of("charge", "storage"))) == [("STOR", "220")]
    mapped = {**targets(), MappingKey("", "billable_metric", "storage"): Target("STOR", "299")}
    assert places(invoice(of("charge", "storage")), by=connection(mappings=mapped)) == [
        ("STOR", "299")
    ]


@pytest.mark.parametrize("item", ["BARE", "GONE"])
def test_item_without_a_sales_account_waits_for_its_mapping(item: str) -> None:
    mapped = {**targets(), MappingKey("", "billable_metric", "seats"): Target(item)}
    with pytest.raises(Unmapped) as caught:
        translate(invoice(fee()), by=connection(mappings=mapped))
    assert (caught.value.code, caught.value.cause) == (
        "account_unmapped",
        "billable_metric:seats",
    )


def test_metric_is_found_by_code_else_by_lago_id() -> None:
    mapped = {**targets(), MappingKey("", "billable_metric", uuid(900)): Target("BYID", "298")}
    by = connection(mappings=mapped)
    assert places(invoice(of("charge", "unknown")), by=by) == [("BYID", "298")]
    assert places(invoice(of("charge", "seats")), by=by) == [("SEATS", "221")]


def test_fallback_is_used_and_counted_with_its_net_amount() -> None:
    unknown = fee(1, 10000, item={"code": "gpu"}, precise_coupons_amount_cents="1000.0")
    result = translate(invoice(unknown, coupons_amount_cents=1000))
    assert result.payload.line_items[0].item_code == "LAGO"
    assert result.notes == (Note("fallback_used", "billable_metric:gpu", Decimal("90.00")),)


def test_unknown_fee_type_goes_to_the_fallback() -> None:
    result = translate(invoice(of("surprise", "new")))
    assert (result.payload.line_items[0].item_code, result.notes[0].subject) == (
        "LAGO",
        "surprise:new",
    )


SEATS: list[tuple[str, MappingKind, str]] = [("eu", "billable_metric", "seats")]


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ([], "entity"),
        (SEATS, "default"),
        ([("eu", "billable_metric", "seats"), ("", "billable_metric", "seats")], "entity fallback"),
        (
            [
                ("eu", "billable_metric", "seats"),
                ("", "billable_metric", "seats"),
                ("eu", "fallback_item", ""),
            ],
            "default fallback",
        ),
    ],
)
def test_lookup_order(without: list[tuple[str, MappingKind, str]], expected: str) -> None:
    assert looked_up(without) == (expected, "fallback" in expected)


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ([], "entity"),
        (SEATS, "entity fallback"),
        ([*SEATS, ("eu", "fallback_item", "")], "default"),
        (
            [*SEATS, ("eu", "fallback_item", ""), ("", "billable_metric", "seats")],
            "default fallback",
        ),
    ],
)
def test_lookup_order_of_lago(without: list[tuple[str, MappingKind, str]], expected: str) -> None:
    assert looked_up(without, lookup="lago") == (expected, "fallback" in expected)


def looked_up(without: list[tuple[str, MappingKind, str]], **policy: Any) -> tuple[Any, bool]:
    """Which mapping a metric of an entity's customer finds, and whether it counts as a fallback."""
    metric: MappingKind = "billable_metric"
    mapped = {
        **targets(),
        MappingKey("eu", metric, "seats"): Target("entity", "1"),
        MappingKey("", metric, "seats"): Target("default", "2"),
        MappingKey("eu", "fallback_item"): Target("entity fallback", "3"),
        MappingKey("", "fallback_item"): Target("default fallback", "4"),
    }
    for entity, kind, key in without:
        del mapped[MappingKey(entity, kind, key)]
    result = translate(
        invoice(fee()), entity="eu", by=replace(connection(mappings=mapped), **policy)
    )
    return result.payload.line_items[0].item_code, bool(result.notes)


# ── Deductions ────────────────────────────────────────────────────────────────────────────────────


def deducted(**said: Any) -> JSON:
    return invoice(taxed_fee(1, 10000, 2000), applied_taxes=[tax("vat_20", 20.0, 10000)], **said)


def below(payload: JSON, **options: Any) -> list[tuple[str, str | None, str, str]]:
    """What follows the fee: description, item, account and amount; all of it outside tax."""
    after = lines(payload, **options)[1:]
    for one in after:
        assert (one.tax_type, one.tax_amount, one.discount_amount) == ("NONE", 0, None)
        assert (one.quantity, one.unit_amount) == (1, one.line_amount)
    return [
        (one.description, one.item_code, one.account_code, f"{one.line_amount}") for one in after
    ]


def test_granted_and_purchased_prepaid_on_two_accounts() -> None:
    payload = deducted(
        prepaid_credit_amount_cents=3000,
        prepaid_purchased_credit_amount_cents=2000,
        prepaid_granted_credit_amount_cents=1000,
    )
    mapped = {**targets(), MappingKey("", "prepaid_granted_credit"): Target("GIFT", "826")}
    assert below(payload, by=connection(mappings=mapped)) == [
        ("Prepaid credit", "PREPAID", "825", "-20.00"),
        ("Granted credit", "GIFT", "826", "-10.00"),
    ]
    assert translate(payload, by=connection(mappings=mapped)).notes == ()


def test_granted_prepaid_goes_to_coupon_unless_mapped() -> None:
    payload = deducted(
        prepaid_credit_amount_cents=1000,
        prepaid_purchased_credit_amount_cents=0,
        prepaid_granted_credit_amount_cents=1000,
    )
    assert below(payload) == [("Granted credit", "DISC", "230", "-10.00")]
    assert translate(payload).notes == ()


def test_unsplit_prepaid_is_all_purchased_and_counted() -> None:
    payload = deducted(prepaid_credit_amount_cents=3000)
    assert below(payload) == [("Prepaid credit", "PREPAID", "825", "-30.00")]
    assert translate(payload).notes == (
        Note("prepaid_unsplit", "prepaid_credit", Decimal("30.00")),
    )


def test_prepaid_on_the_fallback_raises_an_alarm() -> None:
    mapped = targets()
    del mapped[MappingKey("", "prepaid_credit")]
    payload = deducted(
        prepaid_credit_amount_cents=3000,
        prepaid_purchased_credit_amount_cents=3000,
        prepaid_granted_credit_amount_cents=0,
    )
    assert translate(payload, by=connection(mappings=mapped)).notes == (
        Note("fallback_used", "prepaid_credit", Decimal("-30.00")),
        Note("prepaid_on_fallback", "prepaid_credit", Decimal("-30.00")),
    )


def test_prepaid_parts_that_disagree_are_inconsistent() -> None:
    payload = deducted(
        prepaid_credit_amount_cents=3000,
        prepaid_purchased_credit_amount_cents=2000,
        prepaid_granted_credit_amount_cents=500,
    )
    with pytest.raises(Inconsistent) as caught:
        translate(payload)
    assert caught.value.code == "lago_totals_disagree"


def note(number: int, amount: int, code: str) -> JSON:
    return {
        "lago_id": uuid(number),
        "amount_cents": amount,
        "item": {"type": "credit_note", "code": code},
    }


def test_consumed_credit_notes_are_a_line_each() -> None:
    coupon = {"lago_id": uuid(3), "amount_cents": 7, "item": {"type": "coupon", "code": "c"}}
    payload = deducted(
        credit_notes_amount_cents=3000,
        credits=[note(2, 2000, "ACM-2-CN001"), coupon, note(1, 1000, "ACM-1-CN001")],
    )
    assert below(payload) == [
        ("Credit note ACM-1-CN001", "CN", "240", "-10.00"),
        ("Credit note ACM-2-CN001", "CN", "240", "-20.00"),
    ]


def test_credit_notes_that_are_not_all_listed_are_one_line() -> None:
    payload = deducted(credit_notes_amount_cents=3000, credits=[note(2, 2000, "ACM-2-CN001")])
    assert below(payload) == [("Credit note", "CN", "240", "-30.00")]


def test_top_up_is_outside_tax() -> None:
    top_up = fee(1, 50000, item={"type": "credit", "code": "credit", "name": "credit"})
    (line,) = lines(invoice(top_up, invoice_type="credit"))
    assert (line.item_code, line.account_code, line.tax_type, line.tax_amount) == (
        "PREPAID",
        "825",
        "NONE",
        0,
    )


def test_top_up_on_the_fallback_raises_an_alarm() -> None:
    mapped = targets()
    del mapped[MappingKey("", "prepaid_credit")]
    top_up = fee(1, 50000, item={"type": "credit", "code": "credit", "name": "credit"})
    kinds = [one.kind for one in translate(invoice(top_up), by=connection(mappings=mapped)).notes]
    assert kinds == ["fallback_used", "prepaid_on_fallback"]
