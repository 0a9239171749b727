"""Which payments in Xero one of ours has made: told by the marker, so that none is made twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.answers import Saved
from consumer.domain.matching import match_payments
from consumer.domain.translate.payment import marked, payment_marker

INVOICE, OTHER = UUID(int=1), UUID(int=2)
MARKER = payment_marker(UUID(int=3), UUID(int=4))
OURS = json.dumps(
    {
        "Invoice": {"InvoiceID": str(INVOICE)},
        "Amount": 10.5,
        "Date": "2026-05-10",
        "Reference": marked("Überweisung 7", MARKER),
    }
).encode()


def there(**changes: Any) -> Saved:
    facts = {
        "number": marked("Überweisung 7", MARKER),
        "status": "AUTHORISED",
        "target_id": INVOICE,
        "total": Decimal("10.50"),
    }
    return Saved(UUID(int=9), **{**facts, **changes})


@pytest.mark.parametrize("kept", [f"?berweisung 7 ? {MARKER}", f"Überweisung {MARKER} ", MARKER])
def test_it_is_found_however_xero_keeps_what_stands_before_the_marker(kept: str) -> None:
    assert match_payments(OURS, [there(number=kept)]) == [there(number=kept)]


@pytest.mark.parametrize(
    "changed",
    [
        {"number": "Überweisung 7"},
        {"number": payment_marker(UUID(int=3), UUID(int=5))},
        {"number": None},
        {"target_id": OTHER},
        {"total": Decimal("10.51")},
        {"status": "DELETED"},
    ],
)
def test_what_differs_is_another_one(changed: dict[str, Any]) -> None:
    assert match_payments(OURS, [there(**changed)]) == []
