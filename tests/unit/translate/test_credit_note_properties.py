"""Any consistent credit note of Lago's, booked by Xero's arithmetic, has Lago's totals to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.translate.books import RATES
from tests.unit.translate.notes import credit_notes, translate
from tests.unit.translate.test_properties import CLEAR, SUBUNITS, cents
from tests.unit.translate.xero_books import book_credit_note

JSON = dict[str, Any]
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@pytest.mark.parametrize("currency", SUBUNITS)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=SLOW)
def test_xero_books_what_lago_credited(currency: str, data: st.DataObject) -> None:
    note = data.draw(credit_notes(currency=currency, regimes=CLEAR))
    result = translate(note)
    booked = book_credit_note(result.payload.body(), RATES)
    assert booked.tax == cents(note["taxes_amount_cents"], currency)
    assert booked.total == cents(note["total_amount_cents"], currency)
    assert (booked.net, booked.tax, booked.total) == (
        result.totals.net,
        result.totals.tax,
        result.totals.total,
    )


@given(data=st.data())
@settings(max_examples=80, suppress_health_check=SLOW)
def test_each_line_is_its_item_but_for_a_cent(data: st.DataObject) -> None:
    note = data.draw(credit_notes(currency="EUR", regimes=CLEAR))
    sent = translate(note).payload.line_items
    items = {one["fee"]["lago_id"]: one for one in note["items"]}
    order = sorted(items, key=lambda id: (items[id]["fee"]["created_at"], id))
    for id, line in zip(order, sent, strict=False):
        assert abs((line.line_amount or 0) * 100 - items[id]["amount_cents"]) <= 1
    coupons = sent[len(items) :]
    assert len(coupons) <= len({line.tax_type for line in sent})
    taken = -sum(line.line_amount or 0 for line in coupons) * 100
    assert abs(taken - note["coupons_adjustment_amount_cents"]) <= Decimal(len(items) + 3) / 2


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=SLOW)
def test_translation_is_repeatable_whatever_the_order_of_items(data: st.DataObject) -> None:
    note = data.draw(credit_notes(regimes=CLEAR))
    shuffled = {**note, "items": data.draw(st.permutations(note["items"]))}
    assert translate(note).payload.body() == translate(shuffled).payload.body()
