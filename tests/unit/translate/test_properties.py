"""Any consistent invoice of Lago's, booked by Xero's arithmetic, has Lago's totals to the cent."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.domain.errors import Unmapped
from consumer.sandbox.lago import REGIMES
from tests.strategies import invoices
from tests.unit.translate.books import RATES, translate
from tests.unit.translate.xero_books import book

JSON = dict[str, Any]
SUBUNITS = {"EUR": 100, "USD": 100, "JPY": 1, "HUF": 1, "KWD": 1000, "CLF": 10000, "MRO": 5}
CLEAR = tuple(
    regime
    for regime in REGIMES
    # Where some fees bear a tax of 0 % and others any, sums alone cannot always tell them apart.
    if len(regime) == 1 or not any(tax.rate == 0 for taxes in regime for tax in taxes)
)


def cents(subunits: int, currency: str) -> Decimal:
    """Lago's amount in Xero's cents, half up."""
    return (Decimal(subunits) / SUBUNITS[currency]).quantize(Decimal("0.01"), ROUND_HALF_UP)


def assert_booked_as_billed(payload: JSON) -> None:
    result = translate(payload)
    booked = book(result.payload.body(), RATES)
    currency = payload["currency"]
    assert booked.tax == cents(payload["taxes_amount_cents"], currency)
    assert booked.total == cents(payload["total_amount_cents"], currency)
    assert (booked.net, booked.tax, booked.total) == (
        result.totals.net,
        result.totals.tax,
        result.totals.total,
    )


def test_clear_regimes_are_most_of_them() -> None:
    assert len(CLEAR) == 5


@pytest.mark.parametrize("currency", SUBUNITS)
@given(data=st.data())
@settings(max_examples=60)
def test_xero_books_what_lago_billed(currency: str, data: st.DataObject) -> None:
    assert_booked_as_billed(data.draw(invoices(currency=currency, regimes=CLEAR)))


@given(data=st.data())
@settings(max_examples=100)
def test_mixed_zero_rates_are_booked_or_said_to_be_ambiguous(data: st.DataObject) -> None:
    mixed = [regime for regime in REGIMES if regime not in CLEAR]
    payload = data.draw(invoices(currency="EUR", regimes=mixed))
    try:
        assert_booked_as_billed(payload)
    except Unmapped as unclear:
        assert unclear.code == "tax_ambiguous"  # noqa: PT017
        assert "vat_0" in unclear.sentence  # noqa: PT017


@given(data=st.data())
@settings(max_examples=40)
def test_translation_is_repeatable_whatever_the_order_of_fees(data: st.DataObject) -> None:
    payload = data.draw(invoices(regimes=CLEAR))
    shuffled = {**payload, "fees": data.draw(st.permutations(payload["fees"]))}
    assert translate(payload).payload.body() == translate(shuffled).payload.body()
