"""Merging: any order, any repetition, the same object (DESIGN, *Merge*; ACCOUNTING 2)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.events import Event, decode
from consumer.domain.fingerprints import fingerprint
from consumer.domain.objects import (
    Contribution,
    Facet,
    Object,
    ObjectKey,
    Stamp,
    customer_of,
    dump_facets,
    invoice_of,
    load_facets,
    merge,
    merge_all,
)
from consumer.sandbox.lago import customer_event, encode, invoice_event, nested
from schemas import lago
from tests.strategies import customers, invoices

ORGANIZATION = "1a901a90-1a90-4a90-9a90-1a901a901a90"
KINDS = (
    "invoice.created",
    "invoice.voided",
    "invoice.payment_status_updated",
    "invoice.payment_overdue",
    "invoice.generated",
)


def said(invoice: dict[str, Any], kind: str, at: int, appended: int) -> tuple[Contribution, ...]:
    """What a webhook of that kind says, sent ``at`` seconds into a minute."""
    told = {**invoice, "updated_at": f"2026-05-01T12:00:{at:02}Z"}
    value = encode(invoice_event(told, ORGANIZATION, kind))
    event = decode(value, appended=appended, digest=f"{hash(value) & 0xFFFF:04x}")
    assert isinstance(event, Event)
    return event.contributions


@given(invoices(), st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), min_size=1, max_size=6),
       st.randoms(use_true_random=False))  # fmt: skip
def test_any_order_and_repetition_gives_the_same_object(
    invoice: dict[str, Any], messages: list[tuple[str, int]], random: Any
) -> None:
    key = ObjectKey("invoice", UUID(invoice["lago_id"]))
    told = [
        contribution
        for position, (kind, at) in enumerate(messages)
        for contribution in said(invoice, kind, at, position)
        if contribution.key == key
    ]
    shuffled = [*told, *told[:2]]
    random.shuffle(shuffled)
    one, other = merge_all(None, told), merge_all(None, shuffled)
    assert one is not None
    assert other is not None
    assert one.facets == other.facets
    assert load_facets(dump_facets(one.facets)) == one.facets


@given(invoices())
def test_a_late_created_never_unvoids(invoice: dict[str, Any]) -> None:
    voided = {**invoice, "status": "voided"}
    created = said(invoice, "invoice.created", 50, 2)[-1]
    void = said(voided, "invoice.voided", 10, 1)[-1]
    merged = merge_all(None, [void, created])
    assert merged is not None
    assert merged.value("status") == "voided"


@given(invoices())
def test_a_poorer_message_keeps_content_credits_and_taxes(invoice: dict[str, Any]) -> None:
    rich = said(invoice, "invoice.created", 1, 1)[-1]
    poor = said(invoice, "invoice.payment_status_updated", 30, 2)[-1]
    assert "content" not in poor.facets
    before, after = merge_all(None, [rich]), merge_all(None, [rich, poor])
    assert before is not None
    assert after is not None
    for facet in ("content", "credits", "applied_taxes"):
        assert before.value(facet) == after.value(facet)


@given(invoices())
def test_fees_that_do_not_sum_never_replace_those_that_do(invoice: dict[str, Any]) -> None:
    good = said(invoice, "invoice.created", 1, 1)[-1]
    wrong = {**invoice, "fees_amount_cents": invoice["fees_amount_cents"] + 1}
    bad = said(wrong, "invoice.created", 40, 2)[-1]
    merged = merge_all(None, [good, bad])
    assert merged is not None
    content = merged.value("content")
    assert content is not None
    assert content["fees_amount_cents"] == invoice["fees_amount_cents"]


@given(invoices(), st.randoms(use_true_random=False))
def test_fingerprints_ignore_order_and_payment_but_see_every_amount(
    invoice: dict[str, Any], random: Any
) -> None:
    def print_of(facts: dict[str, Any]) -> bytes:
        merged = merge_all(None, [said(facts, "invoice.created", 1, 1)[-1]])
        assert merged is not None
        read = invoice_of(merged)
        assert read is not None
        return fingerprint(read)

    shuffled = json.loads(json.dumps(invoice))
    random.shuffle(shuffled["fees"])
    shuffled |= {"payment_status": "succeeded", "total_due_amount_cents": 0}
    assert print_of(shuffled) == print_of(invoice)
    assert print_of(
        {**invoice, "taxes_amount_cents": invoice["taxes_amount_cents"] + 1}
    ) != print_of(invoice)
    assert print_of({**invoice, "number": "X-1"}) != print_of(invoice)


def _customer_life(told: dict[str, Any], invoice: dict[str, Any]) -> list[Contribution]:
    """Created, edited twice within a second, linked, and shown by two invoices, by when appended."""
    edited = {**told, "phone": "2", "updated_at": "2026-12-01T00:00:00Z"}
    same_second = {**edited, "phone": "3", "email": None}
    linked = [{"type": "xero", "integration_code": "nz"}]
    messages = [
        customer_event(told, ORGANIZATION),
        invoice_event({**invoice, "customer": nested(told)}, ORGANIZATION),
        customer_event(edited, ORGANIZATION, "customer.updated"),
        customer_event(same_second, ORGANIZATION, "customer.updated"),
        customer_event(
            {**same_second, "integration_customers": linked},
            ORGANIZATION,
            "customer.accounting_provider_created",
        ),
        invoice_event({**invoice, "customer": nested(edited)}, ORGANIZATION, "invoice.generated"),
    ]
    life = []
    for appended, message in enumerate(messages):
        event = decode(encode(message), appended=appended, digest=str(appended))
        assert isinstance(event, Event)
        life += [c for c in event.contributions if c.key.kind == "customer"]
    return life


@given(customers(account_type="customer"), invoices(), st.permutations(range(6)), st.data())
def test_a_customer_is_the_same_in_any_order_of_his_life(
    told: dict[str, Any], invoice: dict[str, Any], order: list[int], data: st.DataObject
) -> None:
    life = _customer_life(told, invoice)
    repeats = data.draw(st.lists(st.sampled_from(life), max_size=4))
    in_order, shuffled = (
        merge_all(None, life),
        merge_all(None, [*(life[n] for n in order), *repeats]),
    )
    assert in_order == shuffled
    assert in_order is not None
    facts = customer_of(in_order)
    assert facts is not None
    assert facts.phone == "2", "the invoice that came last shows the customer of that same second"
    assert [link.integration_code for link in facts.integration_customers or ()] == ["nz"]


@given(customers(), invoices())
def test_a_nested_customer_never_unlinks(told: dict[str, Any], invoice: dict[str, Any]) -> None:
    newer = {**nested(told), "updated_at": "2026-12-31T00:00:00Z"}
    known = merge_all(None, _customer_life(told, invoice))
    after = merge_all(known, said({**invoice, "customer": newer}, "invoice.created", 1, 9))
    assert known is not None
    assert after is not None
    assert after.value("links") == known.value("links") != []


KEY = ObjectKey("invoice", UUID(int=1))
STAMPS = st.builds(
    Stamp, st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.sampled_from("abc")
)
# As in life: equal stamps are the same message and say the same.
FACETS = st.dictionaries(
    st.sampled_from(("status", "content", "credits")),
    STAMPS.map(lambda stamp: Facet(stamp, list(stamp))),
)


@given(FACETS, FACETS, FACETS)
def test_merging_is_commutative_associative_and_idempotent(
    a: dict[str, Facet], b: dict[str, Facet], c: dict[str, Facet]
) -> None:
    one, two, three = (Contribution(KEY, UUID(int=2), facets) for facets in (a, b, c))
    assert merge_all(None, [one, two, three]) == merge_all(None, [three, one, two])
    assert merge_all(None, [one, two]) == merge_all(None, [two, one])
    known = merge_all(None, [one, two])
    assert known is not None
    assert merge(known, one) is known, "nothing new is nothing changed"


def test_merging_keeps_home_and_history() -> None:
    known = Object(KEY, UUID(int=2), {"x": Facet(Stamp(0), 1)}, None, connection_id=7, event_id=3)
    news = Contribution(KEY, UUID(int=2), {"x": Facet(Stamp(1), 2)}, UUID(int=4))
    merged = merge(known, news)
    assert (merged.connection_id, merged.event_id, merged.customer_id) == (7, 3, UUID(int=4))
    assert merged.value("x") == 2
    assert merged.value("y") is None


@given(invoices(status="draft"))
def test_a_finalized_invoice_replaces_its_draft_whatever_the_stamps(draft: dict[str, Any]) -> None:
    final = {**draft, "status": "finalized", "number": "ACM-007"}
    late_draft = said(draft, "invoice.drafted", 50, 2)[-1]
    merged = merge_all(None, [said(final, "invoice.created", 10, 1)[-1], late_draft])
    assert merged is not None
    read = invoice_of(merged)
    assert read is not None
    assert (read.status, read.number) == ("finalized", "ACM-007")


UNUSED = {
    "customer", "status", "payment_status", "total_due_amount_cents", "total_paid_amount_cents",
    "total_offsetted_credit_note_amount_cents", "updated_at", "voided_at", "web_url",
}  # fmt: skip


@given(invoices(), st.data())
def test_a_fingerprint_sees_every_fact_and_no_payment(
    told: dict[str, Any], data: st.DataObject
) -> None:
    """Also one that a later translation may use: only what is named here is left out."""
    facts = lago.Invoice.model_validate(told)
    for name in lago.Invoice.model_fields:
        changed = facts.model_copy(update={name: _other(type(facts), name, getattr(facts, name))})
        assert (fingerprint(changed) == fingerprint(facts)) == (name in UNUSED), name
    fees = list(facts.fees or ())
    at = data.draw(st.integers(0, len(fees) - 1))
    for name in lago.Fee.model_fields:
        fee = fees[at].model_copy(update={name: _other(lago.Fee, name, getattr(fees[at], name))})
        changed = facts.model_copy(update={"fees": (*fees[:at], fee, *fees[at + 1 :])})
        assert fingerprint(changed) != fingerprint(facts), name


@pytest.mark.parametrize("name", sorted(lago.Customer.model_fields))
def test_a_customers_fingerprint_sees_what_a_contact_shows(name: str) -> None:
    unused = {
        "updated_at", "integration_customers", "currency", "account_type", "billing_entity_code"
    }  # fmt: skip
    facts = lago.Customer(lago_id=UUID(int=1), name="Kauri", email="a@example.test")
    changed = facts.model_copy(update={name: _other(type(facts), name, getattr(facts, name))})
    assert (fingerprint(changed) == fingerprint(facts)) == (name in unused)


def test_null_and_absent_have_one_fingerprint() -> None:
    silent = lago.Customer(lago_id=UUID(int=1), name="Kauri")
    assert fingerprint(silent) == fingerprint(
        lago.Customer(lago_id=UUID(int=1), name="Kauri", phone=None)
    )


def _other(model: type[lago.LagoModel], name: str, value: Any) -> Any:
    """Another value of the field: none where a list or an object stands, else of its own type."""
    annotation = str(model.model_fields[name].annotation)
    if value is not None and any(word in annotation for word in ("tuple", "Item", "Address")):
        return None
    some = {
        "tuple": (lago.FeeTax(tax_code="x"),),
        "Address": lago.Address(city="x"),
        "UUID": UUID(int=77),
        "Decimal": value + 1 if isinstance(value, Decimal) else Decimal(1),
        "int": (value or 0) + 1 if isinstance(value, int) else 1,
        "<class 'bool'>": not value,
        "datetime.datetime": datetime(2020, 1, 1, tzinfo=UTC),
        "datetime.date": date(2020, 1, 1),
    }
    return next((other for word, other in some.items() if word in annotation), "changed")
