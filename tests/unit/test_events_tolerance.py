"""What Lago's versions vary in is taken: nulls, numbers as strings, sizes (lago.md 1 and 6)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given

from consumer.domain.errors import Undecodable
from consumer.domain.events import Event, decode
from consumer.domain.objects import (
    Object,
    credit_note_of,
    dump_facets,
    invoice_of,
    load_facets,
    merge_all,
    money_of,
)
from consumer.sandbox.lago import RandomChoices, encode, envelope, generate_invoice, invoice_event
from schemas import lago
from tests.strategies import invoices

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


def told(kind: str, shown: dict[str, Any]) -> Object:
    """The object that a webhook tells of."""
    message = envelope(kind, kind.partition(".")[0], ORGANIZATION, shown)
    decoded = decode(encode(message), appended=1, digest="d")
    assert isinstance(decoded, Event)
    made = merge_all(None, [decoded.contributions[-1]])
    assert made is not None
    return made


def invoice_told(shown: dict[str, Any]) -> lago.Invoice:
    facts = invoice_of(told("invoice.created", shown))
    assert facts is not None
    return facts


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("coupons_amount_cents", 0),
        ("progressive_billing_credit_amount_cents", 0),
        ("credit_notes_amount_cents", 0),
        ("prepaid_credit_amount_cents", 0),
        ("prepaid_granted_credit_amount_cents", None),
        ("version_number", 4),
        ("self_billed", False),
        ("payment_due_date", None),
        ("applied_taxes", None),
        ("credits", ()),
    ],
)
def test_null_in_an_invoice_is_the_default(name: str, default: Any) -> None:
    assert getattr(invoice_told({**INVOICE, name: None}), name) == default
    silent = {k: v for k, v in INVOICE.items() if k != name}
    assert getattr(invoice_told(silent), name) == default


@pytest.mark.parametrize(
    "name",
    [
        "credit_amount_cents",
        "refund_amount_cents",
        "offset_amount_cents",
        "coupons_adjustment_amount_cents",
        "self_billed",
    ],
)
def test_null_in_a_credit_note_is_the_default(name: str) -> None:
    facts = credit_note_of(told("credit_note.created", {**NOTE, name: None}))
    assert facts is not None
    assert getattr(facts, name) == 0


def test_null_in_a_fee_or_a_payment_is_the_default() -> None:
    fee = {**INVOICE["fees"][0], "taxes_amount_cents": None, "applied_taxes": None}
    facts = invoice_told({**INVOICE, "fees": [fee, *INVOICE["fees"][1:]]})
    assert facts.fees is not None
    assert facts.fees[0].taxes_amount_cents == 0
    nothing = {**PAYMENT, "invoice_ids": None, "reference": None, "created_at": None}
    money = money_of(told("payment.succeeded", nothing))
    assert money is not None
    assert (money.invoice_ids, money.created_at) == ((), None)


def _in_other_form(part: Any, name: str = "") -> Any:
    """Numbers as strings, strings of digits as numbers where no digit gets lost."""
    if isinstance(part, dict):
        return {k: _in_other_form(v, k) for k, v in part.items()}
    if isinstance(part, list):
        return [_in_other_form(v, name) for v in part]
    if isinstance(part, bool) or name.endswith("_id"):
        return part
    if isinstance(part, int | float):
        return str(part)
    if name in ("units", "taxes_rate") or name.startswith("precise_"):
        kept = part is not None and Decimal(repr(float(part))) == Decimal(part)
        return float(part) if kept else part
    return part


@given(invoices())
def test_numbers_are_taken_as_strings_and_strings_as_numbers(shown: dict[str, Any]) -> None:
    other = _in_other_form(shown)
    assert other["total_amount_cents"] == str(shown["total_amount_cents"])
    assert invoice_told(other) == invoice_told(shown)


@pytest.mark.parametrize("number", [True, False, "true", "1.5", 1.5, "1e999999", "NaN", "", [], {}])
@pytest.mark.parametrize(
    "name",
    [
        "coupons_amount_cents",
        "version_number",
        "total_due_amount_cents",
        "total_offsetted_credit_note_amount_cents",
    ],
)
def test_what_is_no_number_is_refused(name: str, number: Any) -> None:
    with pytest.raises(Undecodable) as refused:
        invoice_told({**INVOICE, name: number})
    assert refused.value.sentence.startswith(f"invoice.{name}: ")


@pytest.mark.parametrize("number", [True, "NaN", "Infinity", "1e999999", "", []])
def test_what_is_no_decimal_is_refused(number: Any) -> None:
    fees = [{**INVOICE["fees"][0], "units": number}]
    with pytest.raises(Undecodable) as refused:
        invoice_told({**INVOICE, "fees": fees})
    assert refused.value.sentence.startswith("invoice.fees.0.units: ")


def test_codes_that_look_like_numbers_are_texts() -> None:
    facts = invoice_told({**INVOICE, "number": 4711, "purchase_order_number": 1.5})
    assert (facts.number, facts.purchase_order_number) == ("4711", "1.5")


def test_a_link_needs_no_uuid() -> None:
    links = [{"lago_id": "123456789", "type": "xero", "integration_code": 7}]
    shown = {**INVOICE["customer"], "integration_customers": links}
    [link] = told("customer.updated", shown).value("links") or []
    assert link["integration_code"] == "7"


@pytest.mark.parametrize(
    ("model", "shown", "name"),
    [
        (lago.Invoice, INVOICE, "updated_at"),
        (lago.Customer, INVOICE["customer"], "updated_at"),
        (lago.Fee, INVOICE["fees"][0], "created_at"),
        (lago.Fee, INVOICE["fees"][0], "from_date"),
        (lago.CreditNote, NOTE, "updated_at"),
        (lago.Payment, PAYMENT, "created_at"),
    ],
)
@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-05-01T12:00:00", 12), ("2026-05-01 12:00:00", 12), ("2026-05-01T12:00:00+02:00", 10)],
)
def test_an_instant_without_a_zone_is_utc(
    model: type[lago.LagoModel], shown: dict[str, Any], name: str, text: str, hour: int
) -> None:
    instant = getattr(model.model_validate({**shown, name: text}), name)
    assert instant == datetime(2026, 5, 1, hour, tzinfo=UTC)


def test_a_day_may_come_as_its_midnight() -> None:
    assert str(invoice_told({**INVOICE, "issuing_date": "2026-03-31T00:00:00Z"}).issuing_date) == (
        "2026-03-31"
    )


def test_the_largest_messages_are_taken_whole() -> None:
    """300 fees, 3.5 MB, names of 2.7 KB."""
    long_name = "g" * 2_700
    fees = [
        {
            **INVOICE["fees"][0],
            "lago_id": str(UUID(int=n)),
            "amount_cents": n,
            "description": "é" * 5_000,
            "item": {**INVOICE["fees"][0]["item"], "grouped_by": {long_name: "x"}},
        }
        for n in range(300)
    ]
    shown = {**INVOICE, "fees": fees, "fees_amount_cents": 300 * 299 // 2}
    customer = {**INVOICE["customer"], "external_id": long_name}
    message = invoice_event({**shown, "customer": customer}, ORGANIZATION)
    value = encode(message)
    assert len(value) > 3_500_000
    decoded = decode(value, appended=1, digest="d")
    assert isinstance(decoded, Event)
    own = decoded.contributions[-1]
    assert load_facets(dump_facets(own.facets)) == own.facets
    facts = invoice_told(shown)
    assert facts.fees is not None
    assert len(facts.fees) == 300
    assert facts.fees[299].item.grouped_by == {long_name: "x"}


@pytest.mark.parametrize("name", sorted(PAYMENT))
def test_a_payment_must_say_which_and_how_much(name: str) -> None:
    with pytest.raises(Undecodable) as refused:
        told("payment.succeeded", {k: v for k, v in PAYMENT.items() if k != name})
    assert refused.value.sentence == f"payment.{name}: Field required."
