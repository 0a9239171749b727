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
from consumer.domain.matching import match_by_hand
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


@pytest.mark.parametrize("reference", [None, "", "Lago", "Lago invoice", "MyLago 0123456789abcdef"])
def test_a_persons_reference_bears_no_marker(reference: str | None) -> None:
    assert marker_in(reference) is None
