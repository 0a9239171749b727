"""ACCOUNTING.md 3, the table of lines and the discounts: quantities, prices and discounts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from schemas import xero
from tests.unit.translate.books import fee, invoice, lines, uuid

Figures = tuple[str, str, str | None, str | None]


def shown(line: xero.LineItem) -> Figures:
    """Quantity, UnitAmount, LineAmount and DiscountAmount as plain digits."""

    def text(value: Decimal | None) -> str | None:
        return None if value is None else f"{value.normalize():f}"

    quantity, unit = text(line.quantity), text(line.unit_amount)
    assert quantity is not None
    assert unit is not None
    return quantity, unit, text(line.line_amount), text(line.discount_amount)


def figures(payload: dict[str, Any]) -> list[Figures]:
    return [shown(line) for line in lines(payload)]


def priced(units: str, price: str, amount: int, **said: Any) -> dict[str, Any]:
    return fee(1, amount, units=units, precise_unit_amount=price, **said)


def couponed(amount: int, *fees: dict[str, Any], **said: Any) -> dict[str, Any]:
    return invoice(*fees, coupons_amount_cents=amount, **said)


@pytest.mark.parametrize(
    ("units", "price", "amount", "expected"),
    [
        ("3.0", "12.5", 3750, ("3", "12.5", "37.5", None)),
        # Four decimals are what Xero keeps; rounded factors that still give the line are kept.
        ("7.0", "1.428571428571429", 1000, ("7", "1.4286", "10", None)),
        ("0.33335", "30.0", 1000, ("0.3334", "30", "10", None)),
        # 1.5 × 3.33 = 4.995: half a cent off is too much.
        ("1.5", "3.33", 500, ("1", "5", "5", None)),
        ("1.499", "3.33", 499, ("1.499", "3.33", "4.99", None)),
    ],
)
def test_plain_fee_keeps_units_and_price_that_give_the_amount(
    units: str, price: str, amount: int, expected: Figures
) -> None:
    assert figures(invoice(priced(units, price, amount))) == [expected]


@pytest.mark.parametrize(
    ("units", "price", "amount", "said"),
    [
        ("1000000.0", "0.00012345", 12345, "Units: 1000000 × 0.00012345 EUR"),
        ("250.0", "0.4", 12000, "Units: 250 × 0.4 EUR"),
        ("1000000000000000.0", "0.00000000000012345", 12345, "Units: 1000000000000000 × "),
    ],
)
def test_not_reproducible_fee_is_one_times_amount_with_units_described(
    units: str, price: str, amount: int, said: str
) -> None:
    (line,) = lines(invoice(priced(units, price, amount)))
    major = f"{Decimal(amount) / 100}"
    assert shown(line) == ("1", major, major, None)
    assert line.description.splitlines()[0] == "Seats"
    assert line.description.splitlines()[1].startswith(said)


def test_fee_without_a_price_is_one_times_amount() -> None:
    (line,) = lines(invoice(fee(1, 1000, units="4.0", precise_unit_amount=None)))
    assert shown(line) == ("1", "10", "10", None)
    assert line.description == "Seats\nUnits: 4"


def test_one_unit_at_its_amount_is_not_described_again() -> None:
    (line,) = lines(invoice(fee(1, 1000)))
    assert line.description == "Seats"


def test_discounted_fee_keeps_units_only_if_exact() -> None:
    exact = priced("4.0", "2.5", 1000, precise_coupons_amount_cents="100.0")
    rounded = priced("7.0", "1.428571428571429", 1000, precise_coupons_amount_cents="100.0")
    assert figures(couponed(100, exact)) == [("4", "2.5", "9", "1")]
    assert figures(couponed(100, rounded)) == [("1", "10", "9", "1")]


def test_fee_discounted_to_zero_omits_line_amount() -> None:
    payload = couponed(1000, priced("4.0", "2.5", 1000, precise_coupons_amount_cents="1000.0"))
    assert figures(payload) == [("4", "2.5", None, "10")]


def test_discount_of_zero_is_not_sent() -> None:
    # A coupon reaches one fee only: the other must not say DiscountAmount 0.
    reached = fee(1, 1000, precise_coupons_amount_cents="300.0")
    assert figures(couponed(300, reached, fee(2, 1000))) == [
        ("1", "10", "7", "3"),
        ("1", "10", "10", None),
    ]


@pytest.mark.parametrize(
    ("units", "price", "quantity", "said"),
    [
        ("5.0", "0.0", "5", ""),
        ("0.0", "12.5", "1", "\nUnits: 0 × 12.5 EUR"),
        ("3.0", "0.0001", "3", "\nUnits: 3 × 0.0001 EUR"),
    ],
)
def test_free_fee_sends_units_no_price_and_no_line_amount(
    units: str, price: str, quantity: str, said: str
) -> None:
    (line,) = lines(invoice(priced(units, price, 0), fee(2, 100)))[:1]
    assert shown(line) == (quantity, "0", None, None)
    assert line.description == f"Seats{said}"


def test_fees_stand_in_order_of_creation_then_id() -> None:
    late = fee(1, 100, created_at="2026-03-01T00:00:02Z")
    twin = fee(3, 300, created_at="2026-03-01T00:00:01Z")
    first = fee(2, 200, created_at="2026-03-01T00:00:01Z")
    unstamped = fee(0, 400, created_at=None)
    assert [shown(line)[1] for line in lines(invoice(unstamped, late, twin, first))] == [
        "2",
        "3",
        "1",
        "4",
    ]


# ── Discounts ─────────────────────────────────────────────────────────────────────────────────────


def discounts(payload: dict[str, Any]) -> Sequence[str | None]:
    return [one[3] for one in figures(payload)]


def weighed(*weights: str, amount: int = 1000) -> list[dict[str, Any]]:
    return [
        fee(i + 1, amount, precise_coupons_amount_cents=weight) for i, weight in enumerate(weights)
    ]


def test_discount_follows_the_fees_own_coupon_figures() -> None:
    assert discounts(couponed(400, *weighed("300.0", "100.0"))) == ["3", "1"]


def test_weights_that_sum_to_more_are_scaled_to_what_was_taken_off() -> None:
    # Progressive billing adds its credit to the fees' figures: 500 + 250, but 600 were taken off.
    payload = invoice(
        *weighed("500.0", "250.0"),
        coupons_amount_cents=100,
        progressive_billing_credit_amount_cents=500,
    )
    assert discounts(payload) == ["4", "2"]


def test_discount_is_capped_at_the_fee_and_the_rest_goes_on() -> None:
    fees = [
        fee(1, 100, precise_coupons_amount_cents="300.0"),
        fee(2, 900, precise_coupons_amount_cents="100.0"),
    ]
    assert figures(couponed(400, *fees)) == [("1", "1", None, "1"), ("1", "9", "6", "3")]


def test_discount_without_weights_goes_by_amount() -> None:
    fees = [
        fee(1, 1000, precise_coupons_amount_cents=None),
        fee(2, 3000, precise_coupons_amount_cents=None),
    ]
    assert discounts(couponed(400, *fees)) == ["1", "3"]


def test_discount_cents_go_by_largest_remainder() -> None:
    assert discounts(couponed(10, *weighed("2.4", "2.6", "5.0"))) == ["0.02", "0.03", "0.05"]


def test_discount_ties_go_to_the_lowest_id() -> None:
    assert discounts(couponed(5, *weighed("2.5", "2.5"))) == ["0.03", "0.02"]
    fees = reversed(weighed("2.5", "2.5"))
    stamped = [one | {"created_at": f"2026-03-01T00:00:0{i}Z"} for i, one in enumerate(fees)]
    assert [one["lago_id"] for one in stamped] == [uuid(2), uuid(1)]
    assert discounts(couponed(5, *stamped)) == ["0.02", "0.03"]


def test_progressive_credit_never_gets_its_own_line() -> None:
    usage = fee(1, 5000, precise_coupons_amount_cents="2000.0")
    plan = fee(2, 1000, item={"type": "subscription", "code": "startup", "name": "Startup"})
    payload = invoice(usage, plan, progressive_billing_credit_amount_cents=2000)
    first, second = lines(payload)
    assert [shown(first), shown(second)] == [("1", "50", "30", "20"), ("1", "10", "10", None)]
    assert first.description == "Seats\nLess usage already billed (20.00 EUR on this invoice)"
    assert second.description == "Startup"


def test_coupons_after_tax_before_version_3() -> None:
    taxed = fee(1, 10000, taxes_amount_cents=2000, taxes_rate=20.0)
    vat = {"tax_code": "vat_20", "tax_rate": 20.0, "fees_amount_cents": 10000}
    old = couponed(1500, taxed, version_number=2, applied_taxes=[vat])
    priced_, coupons = lines(old)
    assert shown(priced_) == ("1", "100", "100", None)
    assert shown(coupons) == ("1", "-15", "-15", None)
    assert (coupons.description, coupons.account_code, coupons.tax_type, coupons.tax_amount) == (
        "Coupons",
        "230",
        "NONE",
        0,
    )
