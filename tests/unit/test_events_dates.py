"""Dates that calendars cannot turn into another zone's are refused where they are read."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import uuid4

import pytest

from consumer.domain.errors import Undecodable
from consumer.domain.events import Event, decode
from consumer.sandbox.lago import RandomChoices, encode, envelope, generate_invoice

ORGANIZATION = str(uuid4())
INVOICE = generate_invoice(
    RandomChoices(Random(3)), invoice_type="one_off", version=4, payments=False
)
NOTE = {
    "lago_id": str(uuid4()),
    "lago_invoice_id": INVOICE["lago_id"],
    "items": [{"lago_id": str(uuid4()), "amount_cents": 1, "fee": INVOICE["fees"][0]}],
}
PAYMENT = {"lago_id": str(uuid4()), "amount_cents": 5, "amount_currency": "EUR"}
REQUEST = {**PAYMENT, "payment_status": "succeeded", "invoices": [INVOICE]}
ABSURD = [
    "0001-01-01T00:00:00+14:00",  # before year 1 in UTC
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59Z",
    "1899-12-31T23:59:59Z",
    "3000-01-01T00:00:00Z",
]


def tell(kind: str, shown: dict[str, Any]) -> None:
    message = envelope(kind, kind.partition(".")[0], ORGANIZATION, shown)
    assert isinstance(decode(encode(message), appended=1, digest="d"), Event)


def fee(**facts: Any) -> dict[str, Any]:
    return {**INVOICE, "fees": [{**INVOICE["fees"][0], **facts}]}


@pytest.mark.parametrize("date", ABSURD)
@pytest.mark.parametrize(
    ("kind", "place", "path"),
    [
        ("invoice.created", lambda at: {**INVOICE, "updated_at": at}, "invoice.updated_at"),
        ("invoice.created", lambda at: {**INVOICE, "voided_at": at}, "invoice.voided_at"),
        ("invoice.created", lambda at: fee(created_at=at), "invoice.fees.0.created_at"),
        ("invoice.created", lambda at: fee(from_date=at), "invoice.fees.0.from_date"),
        (
            "invoice.created",
            lambda at: {**INVOICE, "customer": {**INVOICE["customer"], "updated_at": at}},
            "invoice.customer.updated_at",
        ),
        ("credit_note.created", lambda at: {**NOTE, "updated_at": at}, "credit_note.updated_at"),
        ("payment.succeeded", lambda at: {**PAYMENT, "created_at": at}, "payment.created_at"),
        (
            "payment_request.created",
            lambda at: {**REQUEST, "created_at": at},
            "payment_request.created_at",
        ),
    ],
)
def test_an_absurd_instant_is_refused_by_its_path(
    kind: str, place: Any, path: str, date: Any
) -> None:
    tell(kind, place("2026-05-01T00:00:00Z"))
    with pytest.raises(Undecodable) as refused:
        tell(kind, place(date))
    assert refused.value.sentence.startswith(f"{path}: ")
    assert "between 1900 and 2999" in refused.value.sentence


@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31", "1899-12-31", "3000-01-01"])
@pytest.mark.parametrize("name", ["issuing_date", "payment_due_date"])
def test_an_absurd_day_is_refused_by_its_path(name: str, date: str) -> None:
    tell("invoice.created", {**INVOICE, name: "2026-05-01"})
    with pytest.raises(Undecodable) as refused:
        tell("invoice.created", {**INVOICE, name: date})
    assert refused.value.sentence.startswith(f"invoice.{name}: ")
    assert "between 1900 and 2999" in refused.value.sentence


@pytest.mark.parametrize("date", ["1900-01-01T00:00:00Z", "2999-12-31T23:59:59Z"])
def test_the_last_dates_are_taken(date: str) -> None:
    tell("payment.succeeded", {**PAYMENT, "created_at": date})
    tell("invoice.created", {**INVOICE, "issuing_date": date[:10], "updated_at": date})
