"""ACCOUNTING.md 7: credit notes in currencies whose subunit is not the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.errors import Inconsistent
from consumer.domain.translate import Note, Totals
from tests.unit.translate.books import fee, taxed_fee
from tests.unit.translate.notes import credit_note, item, lines, note_tax, translate

JSON = dict[str, Any]


def amounts(note: JSON) -> list[tuple[str, str]]:
    return [(f"{one.line_amount}", f"{one.tax_amount}") for one in lines(note)]


def vat(base: int) -> list[JSON]:
    return [note_tax("vat_20", 20.0, base)]


def test_three_decimals_total_first_then_tax_net_is_the_difference() -> None:
    # 10.005 + 2.001 = 12.006: Total 12.01, TotalTax 2.00, so net 10.01.
    note = credit_note(item(taxed_fee(1, 10005, 2001)), currency="KWD", applied_taxes=vat(10005))
    assert translate(note).totals == Totals(Decimal("10.01"), Decimal("2.00"), Decimal("12.01"))
    assert amounts(note) == [("10.01", "2.00")]
    assert translate(note).notes == (Note("subcent", "total", Decimal("-0.004")),)


def test_three_decimals_coupons_take_what_the_items_leave() -> None:
    # 10.005 − 1.004 = 9.001 and 1.800 of tax: items 10.01, so the coupons are 1.01 of net 9.00.
    one = taxed_fee(1, 10005, 1800, precise_coupons_amount_cents="1004.0")
    note = credit_note(item(one), currency="BHD", applied_taxes=vat(9001))
    assert amounts(note) == [("10.01", "2.00"), ("-1.01", "-0.20")]
    assert translate(note).totals == Totals(Decimal("9.00"), Decimal("1.80"), Decimal("10.80"))


def test_three_decimals_full_credit_keeps_units_and_price_that_cents_can_say() -> None:
    exact = fee(1, 37500, units="3.0", precise_unit_amount="12.5")
    finer = fee(2, 1001, units="7.0", precise_unit_amount="0.143")
    given = lines(credit_note(item(exact), item(finer), currency="JOD"))
    assert [(one.quantity, one.unit_amount) for one in given] == [
        (3, Decimal("12.5")),
        (7, Decimal("0.143")),
    ]
    assert [f"{one.line_amount}" for one in given] == ["37.50", "1.00"]


def test_four_decimals_lines_by_largest_remainder() -> None:
    # 0.0149 + 0.0151 + 0.0100 = 0.0400: whole cents 1 + 2 + 1.
    notes = [item(fee(n, amount)) for n, amount in ((1, 149), (2, 151), (3, 100))]
    assert [net for net, _ in amounts(credit_note(*notes, currency="CLF"))] == [
        "0.01",
        "0.02",
        "0.01",
    ]


def test_line_below_half_a_cent_bears_no_tax() -> None:
    small, large = taxed_fee(1, 3, 1), taxed_fee(2, 10000, 2000)
    note = credit_note(item(small), item(large), currency="KWD", applied_taxes=vat(10003))
    assert amounts(note) == [("None", "0.00"), ("10.00", "2.00")]


@pytest.mark.parametrize("currency", ["JPY", "HUF"])
def test_whole_unit_currencies_have_whole_amounts_and_explicit_taxes(currency: str) -> None:
    one = taxed_fee(1, 1003, 180, precise_coupons_amount_cents="100.0")
    note = credit_note(item(one), currency=currency, applied_taxes=vat(903))
    assert amounts(note) == [("1003.00", "201.00"), ("-100.00", "-20.00")]
    assert translate(note).totals.total == 1084
    assert translate(note).notes == ()


def test_ouguiya_has_five_subunits() -> None:
    note = credit_note(item(fee(1, 7)), currency="MRO")
    assert amounts(note) == [("1.40", "0.00")]
    assert translate(note).totals.total == Decimal("1.40")


def test_unknown_currency_is_not_guessed() -> None:
    with pytest.raises(Inconsistent) as caught:
        translate(credit_note(item(fee()), currency="XXX"))
    assert caught.value.code == "unknown_currency"
