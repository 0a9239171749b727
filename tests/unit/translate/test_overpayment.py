"""ACCOUNTING.md 6: what a payment has beyond its invoice, in every kind of currency."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.chart import Chart, Organisation
from consumer.domain.errors import BelowCent, Inconsistent, Refused, Unmapped
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.money import in_cents
from consumer.domain.translate import (
    Posted,
    overpayment_marker,
    payment_marker,
    translate_overpayment,
    translate_payment,
)
from consumer.domain.translate.locks import unlocked
from schemas import xero
from tests.unit.translate.books import connection, targets

PAYMENT, INVOICE, CONTACT, XERO_INVOICE = (UUID(int=n) for n in (11, 12, 13, 21))
PAID_AT = datetime(2026, 5, 3, 22, 30, tzinfo=UTC)
AUCKLAND = Chart(organisation=Organisation(timezone="NEWZEALANDSTANDARDTIME"))
ACME = connection(
    {
        **targets(),
        MappingKey("", "payment_account"): Target(account="090"),
        MappingKey("", "payment_account", "EUR"): Target(account="881"),
    }
)


def over(**said: Any) -> xero.Overpayment:
    facts: dict[str, Any] = {
        "lago_id": PAYMENT,
        "target": INVOICE,
        "amount_cents": 250,
        "currency": "EUR",
        "paid_at": PAID_AT,
        "reference": "bank slip 7",
        "connection": ACME,
        "chart": AUCKLAND,
        "contact_id": CONTACT,
        "invoice_number": "ACM-001",
        "due_cents": 1000,
    }
    return translate_overpayment(**{**facts, **said})


def test_all_of_it() -> None:
    marker = overpayment_marker(PAYMENT, INVOICE)
    assert re.fullmatch("Lago [0-9a-f]{16}", marker)
    assert marker != payment_marker(PAYMENT, INVOICE)
    assert json.loads(over().body()) == {
        "Type": "RECEIVE-OVERPAYMENT",
        "Contact": {"ContactID": str(CONTACT)},
        "BankAccount": {"Code": "881"},
        "Date": "2026-05-04",
        "LineAmountTypes": "NoTax",
        "CurrencyCode": "EUR",
        "Reference": f"bank slip 7 · {marker}",
        "LineItems": [
            {
                "Description": f"More than invoice ACM-001 had open · {marker}",
                "LineAmount": 2.5,
            }
        ],
    }


def test_its_day_account_and_texts_are_those_of_its_payment() -> None:
    bare = over(currency="USD", reference=None, invoice_number=None, paid_at=date(2026, 5, 2))
    marker = overpayment_marker(PAYMENT, INVOICE)
    assert (bare.bank_account.code, bare.reference) == ("090", marker)
    assert (bare.date, bare.line_items[0].description) == (
        date(2026, 5, 2),
        f"More than its invoice had open · {marker}",
    )
    long = over(reference="x" * 900, invoice_number="n" * 255)
    assert len(long.reference) <= 255
    assert long.line_items[0].description.endswith(marker)


def test_what_cannot_be_sent() -> None:
    with pytest.raises(Inconsistent, match="no date"):
        over(paid_at=None)
    with pytest.raises(Unmapped):
        over(connection=connection(targets()), currency="USD")
    with pytest.raises(BelowCent):
        over(currency="KWD", due_cents=10, amount_cents=4)


def test_a_locked_day_holds_it_or_is_the_first_open_one() -> None:
    locked = Organisation(period_lock_date=date(2026, 5, 31))
    with pytest.raises(Refused, match="locked"):
        unlocked(over(), locked, ACME)
    moved = unlocked(over(), locked, replace(ACME, locked_period="first_open_day"))
    assert moved.date == date(2026, 6, 1)


@given(
    st.sampled_from(["EUR", "JPY", "KWD", "CLF"]),
    st.integers(1, 200_000),
    st.lists(st.integers(1, 50_000), min_size=1, max_size=4),
)
def test_payment_and_excess_are_lagos_amount(currency: str, due: int, excesses: list[int]) -> None:
    """The first payment settles the invoice; it and all others bring what is beyond it."""
    [paid] = [
        translate_payment(
            lago_id=PAYMENT,
            target=INVOICE,
            amount_cents=due,
            currency=currency,
            invoice_currency=currency,
            paid_at=PAID_AT,
            reference=None,
            connection=ACME,
            chart=AUCKLAND,
            invoice_id=XERO_INVOICE,
        ).amount
        if in_cents(due, currency)
        else Decimal(0)
    ]
    assert paid * 100 == in_cents(due, currency), "as the invoice's total"
    sent, posted = paid, Posted()
    for told in excesses:
        try:
            asked = over(currency=currency, due_cents=due, amount_cents=told, posted=posted)
            amount = asked.line_items[0].line_amount
        except BelowCent:
            amount = Decimal(0)
        posted = Posted(posted.subunits + told, posted.cents + int(amount * 100))
        sent += amount
        assert sent * 100 == in_cents(due + posted.subunits, currency)
