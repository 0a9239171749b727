"""ACCOUNTING.md 5 and 7: allocations, and amounts that cumulate to what a document comes to."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.errors import Inconsistent, Refused
from consumer.domain.translate import Note, Posted, next_portion, translate_allocation
from consumer.domain.translate.portions import left_of
from schemas import xero
from tests.unit.translate.test_properties import SUBUNITS, cents

XERO_INVOICE = UUID(int=21)


def allocated(**said: Any) -> xero.Allocation:
    facts: dict[str, Any] = {
        "amount_cents": 1250,
        "currency": "EUR",
        "note_date": date(2026, 4, 15),
        "invoice_date": date(2026, 3, 31),
        "invoice_id": XERO_INVOICE,
    }
    return translate_allocation(**{**facts, **said})


def test_whole_allocation() -> None:
    assert json.loads(allocated().body()) == {
        "Invoice": {"InvoiceID": str(XERO_INVOICE)},
        "Amount": 12.5,
        "Date": "2026-04-15",
    }


@pytest.mark.parametrize(
    ("note", "invoice", "later"),
    [(15, 16, 16), (16, 15, 16), (15, 15, 15)],
)
def test_date_is_the_later_of_both_documents(note: int, invoice: int, later: int) -> None:
    made = allocated(note_date=date(2026, 4, note), invoice_date=date(2026, 4, invoice))
    assert made.date == date(2026, 4, later)


def test_allocation_continues_what_settled_the_invoice() -> None:
    made = allocated(amount_cents=6003, currency="KWD", posted=Posted(6003, 600))
    assert f"{made.amount}" == "6.01"


def test_allocation_below_a_cent_is_not_sent() -> None:
    with pytest.raises(Refused) as caught:
        allocated(amount_cents=4, currency="KWD")
    assert caught.value.code == "amount_below_cent"


# ── Cumulative rounding ───────────────────────────────────────────────────────────────────────────


def test_parts_of_half_a_cent_end_at_the_documents_total() -> None:
    # 12.015 is 12.02 in Xero; three parts of 4.005 are 4.01 + 4.00 + 4.01 and not 3 × 4.01.
    posted, amounts = Posted(), []
    for _ in range(3):
        portion = next_portion(4005, "KWD", posted)
        posted = Posted(posted.subunits + 4005, posted.cents + portion.cents)
        amounts.append(f"{portion.amount}")
    assert amounts == ["4.01", "4.00", "4.01"]


def test_lost_fractions_are_subcent_notes_that_add_up() -> None:
    first = next_portion(6003, "KWD")
    second = next_portion(6003, "KWD", Posted(6003, first.cents))
    assert first.notes == (Note("subcent", "portion", Decimal("0.003")),)
    assert second.notes == (Note("subcent", "portion", Decimal("-0.007")),)
    assert next_portion(6010, "KWD").notes == ()


def test_amount_below_a_cent_is_made_up_for_by_the_next() -> None:
    assert next_portion(4, "KWD").cents == 0
    assert next_portion(4, "KWD", Posted(4, 0)).cents == 1


def test_amount_after_one_was_taken_back_is_never_negative() -> None:
    # 0.004 and 0.001 became 0.00 and 0.01; then Lago took the first one back.
    assert next_portion(1, "KWD", Posted(1, 1)).cents == 0


def test_unknown_currency_is_not_guessed() -> None:
    with pytest.raises(Inconsistent) as caught:
        next_portion(100, "XXX")
    assert caught.value.code == "unknown_currency"


@pytest.mark.parametrize("currency", SUBUNITS)
@given(parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_fully_paid_document_ends_at_nothing(currency: str, parts: list[int]) -> None:
    posted, sent, lost = Posted(), Decimal(0), Decimal(0)
    for part in parts:
        portion = next_portion(part, currency, posted)
        assert portion.cents >= 0
        posted = Posted(posted.subunits + part, posted.cents + portion.cents)
        sent += portion.amount
        lost += sum((note.amount or Decimal(0) for note in portion.notes), Decimal(0))
    assert sent == cents(sum(parts), currency)
    assert lost == Decimal(sum(parts)) / SUBUNITS[currency] - sent


def test_a_note_gives_no_cent_more_than_it_has() -> None:
    """1.005 dinars are 1.01 in Xero; three invoices take 0.335 of them each."""
    facts = {"amount_cents": 335, "currency": "KWD", "note_total": Decimal("1.01")}
    assert allocated(**facts, taken=Posted(335, 34)).amount == Decimal("0.34")
    assert allocated(**facts, taken=Posted(670, 68)).amount == Decimal("0.33")


def test_parts_beyond_their_note_are_not_sent() -> None:
    facts = {"amount_cents": 5000, "note_total": Decimal("60.00")}
    with pytest.raises(Inconsistent, match=r"of which 30\.00 are taken") as caught:
        allocated(**facts, taken=Posted(3000, 3000))
    assert caught.value.code == "credit_note_parts_disagree"


@pytest.mark.parametrize("currency", SUBUNITS)
@given(
    parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
    settled=st.lists(st.integers(0, 10**6), min_size=12, max_size=12),
)
def test_parts_of_a_note_never_come_to_more_than_it(
    currency: str, parts: list[int], settled: list[int]
) -> None:
    """Each is for an invoice of its own, on which so much is settled already."""
    total, taken = cents(sum(parts), currency), Posted()
    for part, before in zip(parts, settled, strict=False):
        left = left_of(total, part, currency, taken)
        posted = Posted(before, int(cents(before, currency) * 100))
        portion = next_portion(part, currency, posted, left)
        taken = Posted(taken.subunits + part, taken.cents + portion.cents)
        assert 0 <= taken.cents <= total * 100
        if SUBUNITS[currency] <= 100:
            assert portion.amount == cents(part, currency), "nothing is lost"
