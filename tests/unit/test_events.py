"""Decoding: what each message says, and what a bad one is told (ACCOUNTING 2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.errors import Undecodable
from consumer.domain.events import DEFINING, POORER, Event, Ignored, decode
from consumer.domain.objects import Facet
from consumer.sandbox.lago import (
    RandomChoices,
    Record,
    customer_event,
    encode,
    envelope,
    generate_customer,
    generate_invoice,
    invoice_event,
    malformed_records,
)
from tests.strategies import customers, invoices

ORGANIZATION = "1a901a90-1a90-4a90-9a90-1a901a901a90"
CHOICES = RandomChoices(Random(11))
INVOICE = generate_invoice(CHOICES, invoice_type="subscription", payments=False)
CUSTOMER = generate_customer(CHOICES, odd=False)
MESSAGES = {
    "invoice": invoice_event(INVOICE, ORGANIZATION),
    "customer": customer_event(CUSTOMER, ORGANIZATION),
}
BAD: dict[str, Record] = {
    f"{kind}:{bad.note.partition(':')[2]}": bad
    for kind, message in MESSAGES.items()
    for bad in malformed_records(message)
}

EXPECTED = {
    "empty": ("empty", "The record has no value"),
    "not_json": ("not_json", "line 1 column 1"),
    "truncated": ("not_json", "line 1 column"),
    "trailing": ("not_json", "line 1 column"),
    "invalid_utf8": ("not_json", "line 1 column"),
    "latin_1": ("not_json", "line 1 column"),
    "nul": ("nul_character", "{text}: "),
    "lone_surrogate": ("not_json", "line 1 column"),
    "nan": ("not_json", "line 1 column"),
    "infinity": ("not_json", "line 1 column"),
    "nested_too_deep": ("not_json", "recursion limit"),
    "top_level_array": ("not_an_object", "not an object"),
    "top_level_string": ("not_an_object", "not an object"),
    "top_level_null": ("not_an_object", "not an object"),
    "no_object": ("missing_object", "{kind} named by object_type"),
    "no_object_type": ("missing_field", "object_type: "),
    "organization_not_uuid": ("wrong_type", "organization_id: "),
    "missing_id": ("missing_field", "{kind}.lago_id: "),
    "null_id": ("wrong_type", "{kind}.lago_id: "),
    "id_not_uuid": ("wrong_type", "{kind}.lago_id: "),
    "wrong_type": ("wrong_type", "{kind}.updated_at: "),
    "object_is_array": ("missing_object", "{kind} named by object_type"),
    "amount_is_text": ("wrong_type", "invoice.fees_amount_cents: "),
    "amount_is_fraction": ("wrong_type", "invoice.fees_amount_cents: "),
    "amount_is_bool": ("wrong_type", "invoice.total_amount_cents: "),
    "amount_is_absurd": ("wrong_type", "invoice.total_amount_cents: "),
    "fees_is_object": ("wrong_type", "invoice.fees: "),
    "fee_without_id": ("missing_field", "invoice.fees.0.lago_id: "),
    "units_absurd": ("wrong_type", "invoice.fees.0.units: "),
    "units_nan": ("wrong_type", "invoice.fees.0.units: "),
    "date_impossible": ("wrong_type", "invoice.issuing_date: "),
}


def refusal(value: bytes | None) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        decode(value, appended=1, digest="d")
    return caught.value


def event(message: dict[str, Any], appended: int = 1, digest: str = "d") -> Event:
    decoded = decode(encode(message), appended=appended, digest=digest)
    assert isinstance(decoded, Event)
    return decoded


def facets(message: dict[str, Any], kind: str = "invoice") -> dict[str, Facet]:
    [found] = [c.facets for c in event(message).contributions if c.key.kind == kind]
    return dict(found)


def texts(part: Any) -> Iterator[str]:
    """Every value of a message that tells something, as text."""
    if isinstance(part, dict):
        for value in part.values():
            yield from texts(value)
    elif isinstance(part, list):
        for value in part:
            yield from texts(value)
    elif not isinstance(part, bool) and part is not None and len(str(part)) >= 4:
        yield str(part)


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_record_is_told_where(name: str) -> None:
    kind, _, how = name.partition(":")
    code, where = EXPECTED[how]
    text = "customer.phone" if kind == "customer" else "invoice.purchase_order_number"
    error = refusal(BAD[name].value)
    assert error.code == code
    assert where.format(kind=kind, text=text) in error.sentence


@pytest.mark.parametrize("name", BAD)
def test_no_value_of_a_malformed_record_is_quoted(name: str) -> None:
    kind, _, how = name.partition(":")
    error = refusal(BAD[name].value)
    planted = ["12 EUR", "1e999999", "2026-02-31", "PO", "4711", "Dupr", "acme", "`"]
    for value in [*texts(MESSAGES[kind]), *planted]:
        if value != kind:  # the object's own name is a field's name
            assert value not in error.sentence + error.hint, how


@given(st.sampled_from(sorted(INVOICE)), st.text("qxz~#", min_size=3, max_size=40))
def test_a_text_in_any_field_is_taken_or_refused_without_quoting_it(field: str, text: str) -> None:
    value = encode(invoice_event({**INVOICE, field: text}, ORGANIZATION))
    try:
        decode(value, appended=1, digest="d")
    except Undecodable as error:
        assert error.sentence.startswith(f"invoice.{field}")  # noqa: PT017 - some are taken
        assert text not in error.sentence  # noqa: PT017


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(value: bytes) -> None:
    try:
        decode(value, appended=1, digest="d")
    except Undecodable as error:
        assert error.code  # noqa: PT017 - nothing else may be raised


def test_a_nul_in_a_field_name_is_named_without_it() -> None:
    message = {**MESSAGES["customer"], "cust\x00omer": 1}
    error = refusal(encode(message))
    assert error.code == "nul_character"
    assert "\x00" not in error.sentence
    escaped = {**CUSTOMER, "phone": "\\u0000 written out"}
    assert event(customer_event(escaped, ORGANIZATION)).key.kind == "customer"


def test_many_faults_are_summed_up() -> None:
    fees = [{"amount_cents": "x"}] * 4
    error = refusal(encode(invoice_event({**INVOICE, "fees": fees}, ORGANIZATION)))
    assert error.sentence.count("invoice.fees.") == 5
    assert error.sentence.endswith("; 7 more.")
    assert error.code == "wrong_type"


def test_an_absurd_number_of_digits_is_refused_like_any_other() -> None:
    text = json.dumps(MESSAGES["invoice"]).replace(
        f'"fees_amount_cents": {INVOICE["fees_amount_cents"]}', f'"fees_amount_cents": {"9" * 5000}'
    )
    assert refusal(text.encode()).code in ("wrong_type", "not_json")


def test_unknown_types_are_ignored_and_their_names_kept_short() -> None:
    message = {**MESSAGES["invoice"], "webhook_type": "invoice." + "x" * 200}
    decoded = decode(encode(message), appended=1, digest="d")
    assert isinstance(decoded, Ignored)
    assert len(decoded.type) == 100


@pytest.mark.parametrize("log", [False, True])
def test_a_lost_dispute_is_told_of_its_invoice(log: bool) -> None:
    if log:
        message: dict[str, Any] = {
            "activity_type": "invoice.payment_dispute_lost",
            "activity_id": ORGANIZATION,
            "organization_id": ORGANIZATION,
            "activity_object": INVOICE,
        }
    else:
        kind = "payment_dispute_lost"
        message = envelope(f"invoice.{kind}", kind, ORGANIZATION, {"invoice": INVOICE})
    decoded = decode(json.dumps(message).encode(), appended=1, digest="d")
    assert isinstance(decoded, Event)
    [told] = decoded.contributions
    assert (told.key, told.facets["dispute"].value) == (decoded.key, "lost")
    assert "content" not in told.facets, "it defines nothing"


def test_a_type_that_says_nothing_to_us_needs_no_object() -> None:
    message = {**MESSAGES["invoice"], "webhook_type": "wallet.updated", "object_type": "wallet"}
    assert decode(encode(message), appended=1, digest="d") == Ignored("wallet.updated")


@given(invoices())
def test_only_defining_messages_say_content(invoice: dict[str, Any]) -> None:
    """Whatever relations a poorer one shows (payment_status_updated shows the fees)."""
    for kind in DEFINING | POORER:
        message = invoice_event(invoice, ORGANIZATION, "invoice.created") | {"webhook_type": kind}
        assert ("content" in facets(message)) == (kind in DEFINING)


def test_content_needs_fees_and_a_customer() -> None:
    bare = {name: value for name, value in INVOICE.items() if name != "fees"}
    assert "content" not in facets(invoice_event(bare, ORGANIZATION))
    alone = {name: value for name, value in INVOICE.items() if name != "customer"}
    message = {**MESSAGES["invoice"], "invoice": alone}
    assert refusal(encode(message)).sentence == "invoice.customer: is missing."


def test_an_invoice_says_who_its_customer_is_but_nothing_about_links() -> None:
    told = event(MESSAGES["invoice"])
    customer_id = UUID(INVOICE["customer"]["lago_id"])
    customer, invoice = told.contributions
    assert told.key == invoice.key == ("invoice", UUID(INVOICE["lago_id"]))
    assert customer.key == ("customer", customer_id)
    assert invoice.customer_id == customer.customer_id == customer_id
    assert set(customer.facets) == {"content"}


@given(customers())
def test_a_customer_message_lists_links_also_none(customer: dict[str, Any]) -> None:
    said = facets(customer_event(customer, ORGANIZATION), "customer")["links"].value
    assert [link["integration_code"] for link in said] == [
        link["integration_code"] for link in customer["integration_customers"]
    ]
    null = {**customer, "integration_customers": None}
    assert facets(customer_event(null, ORGANIZATION), "customer")["links"].value == []
    silent = {k: v for k, v in customer.items() if k != "integration_customers"}
    assert "links" not in facets(customer_event(silent, ORGANIZATION), "customer")


@pytest.mark.parametrize(
    ("kind", "status"), [("invoice.voided", "voided"), ("invoice.deleted", "deleted")]
)
def test_the_type_of_the_message_outranks_a_status_read_too_early(kind: str, status: str) -> None:
    assert facets(invoice_event(INVOICE, ORGANIZATION, kind))["status"].value == status


def test_stamps_are_lagos_second_then_kafkas_millisecond_then_the_digest() -> None:
    message = customer_event({**CUSTOMER, "updated_at": "1970-01-01T00:01:00.9Z"}, ORGANIZATION)
    [contribution] = event(message, appended=5, digest="ab").contributions
    assert contribution.facets["content"].stamp == (0, 60, 5, "ab")


@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_a_stamp_without_an_offset_is_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        at = f"2026-05-01T12:00:00{zone}"
        message = customer_event({**CUSTOMER, "updated_at": at}, ORGANIZATION)
        assert facets(message, "customer")["content"].stamp.at == 1777636800
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_payment_status_is_ranked_and_the_money_stamped() -> None:
    """What was paid may become less: a payment is reversed."""
    paid = {**INVOICE, "payment_status": "succeeded", "total_paid_amount_cents": 7}
    early = facets(invoice_event({**paid, "updated_at": "2020-01-01T00:00:00Z"}, ORGANIZATION))
    late = facets(invoice_event({**INVOICE, "payment_status": "failed"}, ORGANIZATION))
    assert early["payment"].stamp > late["payment"].stamp
    assert early["paid"].stamp < late["paid"].stamp
