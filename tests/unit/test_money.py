"""Money: subunits to decimals without loss, and cents that keep their sum."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.errors import Inconsistent
from consumer.domain.money import (
    SUBUNITS,
    apportion,
    largest_remainder,
    major,
    major_text,
    subunits,
)
from consumer.sandbox.lago import CURRENCIES
from consumer.sandbox.lago.amounts import subunits as subunits_of_the_generator

CENTS = st.integers(0, 10**12)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any)


@pytest.mark.parametrize(
    ("currency", "factor"),
    [("EUR", 100), ("JPY", 1), ("HUF", 1), ("KWD", 1000), ("CLF", 10000), ("MRO", 5)],
)
def test_subunits_are_lagos(currency: str, factor: int) -> None:
    assert subunits(currency) == factor


@pytest.mark.parametrize("currency", CURRENCIES)
def test_both_sides_agree_on_every_generated_currency(currency: str) -> None:
    assert subunits(currency) == subunits_of_the_generator(currency)


@pytest.mark.parametrize("currency", ["", "XXX", "eur", "BTC"])
def test_nothing_is_guessed_about_an_unknown_currency(currency: str) -> None:
    with pytest.raises(Inconsistent) as caught:
        subunits(currency)
    assert caught.value.code == "unknown_currency"


@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(SUBUNITS)))
def test_major_units_lose_nothing(amount: int, currency: str) -> None:
    assert major(amount, currency) * subunits(currency) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1E+2", "100"), ("1.50", "1.5"), ("0.00", "0"), ("-0", "0"), ("0.0000001", "0.0000001")],
)
def test_people_read_plain_digits(amount: str, text: str) -> None:
    assert major_text(Decimal(amount)) == text


@given(CENTS, WEIGHTS)
def test_shares_keep_the_sum_and_are_off_by_less_than_one(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
        assert weight or not part, "who has no weight gets nothing"


@given(CENTS, WEIGHTS, st.randoms(use_true_random=False))
def test_shares_do_not_depend_on_the_order(total: int, weights: list[int], random: Any) -> None:
    named = list(enumerate(weights))
    random.shuffle(named)
    names = [name for name, _ in named]
    shuffled = apportion(total, [weight for _, weight in named], names)
    assert dict(zip(names, shuffled, strict=True)) == dict(enumerate(apportion(total, weights)))


def test_ties_go_to_the_lowest() -> None:
    thirds = [Fraction(1, 3)] * 3
    assert largest_remainder(thirds) == [1, 0, 0]
    assert largest_remainder(thirds, ["c", "b", "a"]) == [0, 0, 1]
    assert largest_remainder([Fraction(1, 4), Fraction(3, 4)]) == [0, 1]


def test_nothing_to_share_needs_no_weights() -> None:
    assert apportion(0, [0, 0]) == [0, 0]
    assert apportion(0, []) == []
