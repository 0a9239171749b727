"""Which payments in Xero somebody may have entered in the place of one of ours."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.answers import Saved
from consumer.domain.elements import marker_in
from consumer.domain.matching import match_by_hand, match_overpayments_by_hand
from consumer.domain.translate.payment import payment_marker

INVOICE, OTHER = UUID(int=1), UUID(int=2)
OURS = json.dumps(
    {
        "Invoice": {"InvoiceID": str(INVOICE)},
        "Amount": 10.5,
        "Date": "2026-05-10",
        "Reference": payment_marker(UUID(int=3), UUID(int=4)),
    }
).encode()


def theirs(n: int = 9, **changes: Any) -> Saved:
    facts = {
        "number": "bank transfer",
        "status": "AUTHORISED",
        "target_id": INVOICE,
        "dated": date(2026, 5, 10),
        "total": Decimal("10.50"),
    }
    return Saved(UUID(int=n), **{**facts, **changes})


def test_the_nearest_comes_first() -> None:
    later, same = theirs(8, dated=date(2026, 5, 13)), theirs(9)
    earlier = theirs(7, dated=date(2026, 5, 8))
    assert match_by_hand(OURS, [later, earlier, same]) == [same, earlier, later]


@pytest.mark.parametrize(
    "changed",
    [
        {"dated": date(2026, 5, 2)},
        {"dated": date(2026, 5, 18)},
        {"dated": None},
        {"total": Decimal("10.49")},
        {"target_id": OTHER},
        {"status": "DELETED"},
        {"number": payment_marker(UUID(int=5), UUID(int=6))},
        {"number": f"slip 7 · {payment_marker(UUID(int=5), UUID(int=6))}"},
    ],
)
def test_what_differs_in_one_thing_is_something_else(changed: dict[str, Any]) -> None:
    assert match_by_hand(OURS, [theirs(**changed)]) == []


@pytest.mark.parametrize(("day", "near"), [(25, True), (24, False)])
def test_a_week_around_its_own_day_counts_where_a_lock_date_moved_it(day: int, near: bool) -> None:
    one = theirs(dated=date(2026, 4, day))
    assert match_by_hand(OURS, [one]) == []
    assert match_by_hand(OURS, [one], date(2026, 5, 2)) == [one] * near


# ── Overpayments ──────────────────────────────────────────────────────────────────────────────────

CUSTOMER = UUID(int=11)
MARKER = payment_marker(UUID(int=3), UUID(int=4), "excess")
BEYOND = json.dumps(
    {
        "Contact": {"ContactID": str(CUSTOMER)},
        "CurrencyCode": "EUR",
        "Date": "2026-05-10",
        "LineItems": [{"Description": f"More than it had open · {MARKER}", "LineAmount": 3.0}],
    }
).encode()


def received(n: int = 9, **changes: Any) -> Saved:
    facts = {
        "status": "AUTHORISED",
        "contact_id": CUSTOMER,
        "currency": "EUR",
        "dated": date(2026, 5, 10),
        "total": Decimal("3.00"),
    }
    return Saved(UUID(int=n), **{**facts, **changes})


def test_equal_overpayments_are_told_from_those_that_may_have_the_money_in_them() -> None:
    near, equal = received(8, dated=date(2026, 5, 11)), received(9)
    whole = received(7, total=Decimal("13.00"))
    assert match_overpayments_by_hand(BEYOND, [near, whole, equal]) == ([equal, near], [whole])


def test_a_week_around_an_overpayments_own_day_counts_too() -> None:
    early = received(dated=date(2026, 4, 25))
    assert match_overpayments_by_hand(BEYOND, [early]) == ([], [])
    assert match_overpayments_by_hand(BEYOND, [early], date(2026, 5, 2)) == ([early], [])


@pytest.mark.parametrize(
    "changed",
    [
        {"dated": date(2026, 5, 2)},
        {"dated": None},
        {"contact_id": OTHER},
        {"contact_id": None},
        {"currency": "NZD"},
        {"status": "VOIDED"},
        {"status": "DELETED"},
        {"number": payment_marker(UUID(int=5), UUID(int=6), "excess")},
    ],
)
def test_what_is_anothers_or_ours_is_no_overpayment_by_hand(changed: dict[str, Any]) -> None:
    assert match_overpayments_by_hand(BEYOND, [received(**changed)]) == ([], [])


@pytest.mark.parametrize("reference", [None, "", "Lago", "Lago invoice", "MyLago 0123456789abcdef"])
def test_a_persons_reference_bears_no_marker(reference: str | None) -> None:
    assert marker_in(reference) is None
