"""Batching: which documents share a request, and what happens to those that cannot go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain import making
from consumer.domain.batching import Batch, assemble
from consumer.domain.candidates import Candidate, PaymentPart
from consumer.domain.fingerprints import fingerprint
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.objects import Money
from consumer.domain.operations import OPERATIONS, Operation
from consumer.domain.payments import payment_fingerprint
from consumer.domain.translate.contact import name_key, translate_contact
from consumer.domain.translate.types import Posted
from schemas import lago
from tests.strategies import customers
from tests.unit.translate.books import CHART, CONTACT, connection, fee, invoice, taxed_fee, uuid

BOOKS = connection(number_prefix="A-")
ROOMY = 10**6


def contact(id: int, name: str = "", **facts: Any) -> Candidate:
    said = {"lago_id": uuid(id), "external_id": f"cust_{id}", "name": name or f"Name {id}", **facts}
    customer = lago.Customer.model_validate(said)
    return Candidate(id, BOOKS.id, fingerprint(customer), customer)


def bill(id: int, *fees: dict[str, Any], **said: Any) -> Candidate:
    facts = lago.Invoice.model_validate(
        invoice(*(fees or [fee()]), lago_id=uuid(id), number=f"ACM-{id}", **said)
    )
    customer = lago.Customer(lago_id=UUID(int=5), billing_entity_code="eu")
    return Candidate(id, BOOKS.id, fingerprint(facts), customer, facts, contact_id=CONTACT)


def put(*candidates: Candidate, most: int = 50, size: int = ROOMY) -> Batch:
    charts = {BOOKS.tenant_id: CHART}
    return assemble(
        candidates, _doing(candidates), {BOOKS.id: BOOKS}, charts, max_elements=most, max_bytes=size
    )


def _doing(candidates: Sequence[Candidate]) -> Operation:
    kind = "invoice" if any(c.invoice is not None for c in candidates) else "contact"
    return OPERATIONS[f"{kind}_create"]


def body(batch: Batch, name: str) -> bytes:
    return OPERATIONS[name].body([element.body for element in batch.elements])


def sent(batch: Batch) -> list[int]:
    return [element.document_id for element in batch.elements]


def names(batch: Batch) -> list[str]:
    return [json.loads(element.body)["Name"] for element in batch.elements]


def test_the_body_is_one_collection_in_the_order_of_the_documents() -> None:
    batch = put(contact(1), contact(2))
    whole = json.loads(body(batch, "contact_create"))
    assert [one["ContactNumber"] for one in whole["Contacts"]] == [uuid(1), uuid(2)]
    assert list(json.loads(body(put(bill(3)), "invoice_create"))) == ["Invoices"]


def test_an_invoice_carries_its_number_and_totals_for_the_answer() -> None:
    [element] = put(bill(3, taxed_fee(amount=10000, tax=2000), applied_taxes=[
        {"lago_tax_id": uuid(800), "tax_code": "vat_20", "tax_rate": 20.0, "fees_amount_cents": 10000}
    ])).elements  # fmt: skip
    assert element.number == "A-ACM-3"
    assert element.totals is not None
    assert (str(element.totals.tax), str(element.totals.total)) == ("20.00", "120.00")
    assert json.loads(element.body)["Contact"]["ContactID"] == str(CONTACT)


def test_a_request_ends_at_its_number_of_elements() -> None:
    assert sent(put(*(contact(n) for n in range(1, 5)), most=3)) == [1, 2, 3]


def test_a_bisected_document_shrinks_the_request_it_is_in() -> None:
    small = replace(contact(2), batch_limit=1)
    assert sent(put(small, contact(3))) == [2]
    assert sent(put(contact(1), small, contact(3))) == [1]
    pair = replace(contact(2), batch_limit=2)
    assert sent(put(contact(1), pair, contact(3))) == [1, 2]


@given(st.lists(st.integers(1, 250), min_size=1, max_size=12), st.integers(300, 3000))
def test_a_request_stays_under_its_bytes_and_is_as_full_as_the_order_allows(
    lengths: list[int], limit: int
) -> None:
    candidates = [contact(n, f"{n} " + "x" * length) for n, length in enumerate(lengths, 1)]
    batch = put(*candidates, size=limit)
    taken = len(batch.elements)
    assert sent(batch) == list(range(1, taken + 1))
    framing = len(b'{"Contacts":[]}')
    assert taken == 1 or len(body(batch, "contact_create")) <= limit + framing
    if taken < len(candidates):
        more = put(*candidates[: taken + 1])
        assert len(body(more, "contact_create")) > limit


def test_one_that_is_too_large_alone_still_goes_alone() -> None:
    assert sent(put(contact(1), contact(2), size=10)) == [1]


def test_failures_do_not_stop_their_neighbours() -> None:
    wrong = bill(2, fee(), total_amount_cents=1)
    untaxed = bill(3, taxed_fee(), applied_taxes=[])
    batch = put(bill(1), wrong, untaxed, bill(4))
    assert sent(batch) == [1, 4]
    assert [failure.document_id for failure in batch.failures] == [2, 3]
    assert batch.failures[0].error.code == "lago_totals_disagree"


def test_failures_take_no_room() -> None:
    assert sent(put(bill(2, fee(), total_amount_cents=1), bill(3), most=1)) == [3]


def test_a_fault_of_the_translator_is_that_documents_failure_and_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(customer: lago.Customer, **options: Any) -> Any:
        if customer.name == "Anna Secret":
            raise ZeroDivisionError(customer.name)
        return translate_contact(customer, **options)

    monkeypatch.setattr(making, "translate_contact", faulty)
    batch = put(contact(1), contact(2, "Anna Secret"), contact(3))
    assert sent(batch) == [1, 3]
    [failure] = batch.failures
    assert failure.error.code == "translator_fault"
    assert "ZeroDivisionError" in failure.error.sentence
    assert "Anna" not in failure.error.sentence


def test_what_xero_does_not_allow_names_the_field_without_its_value() -> None:
    long = {MappingKey("", "billable_metric", "long"): Target("9" * 31, "200")}
    by = replace(BOOKS, mappings={**BOOKS.mappings, **long})
    charts = {BOOKS.tenant_id: CHART}
    wrong = bill(2, fee(item={"code": "long"}))
    batch = assemble(
        [bill(1), wrong],
        OPERATIONS["invoice_create"],
        {BOOKS.id: by},
        charts,
        max_elements=50,
        max_bytes=ROOMY,
    )
    assert sent(batch) == [1]
    [failure] = batch.failures
    assert failure.error.code == "unsendable"
    assert "item" in failure.error.sentence.lower()
    assert "999" not in failure.error.sentence


def test_facts_other_than_the_wanted_ones_are_stale() -> None:
    old = replace(contact(1), wanted=b"another")
    gone = replace(contact(2), customer=None)
    orphan = replace(bill(3), contact_id=None)
    other = replace(bill(4), wanted=b"another")
    contacts = put(old, gone, contact(5))
    assert (contacts.stale, sent(contacts)) == ((1, 2), [5])
    invoices = put(orphan, other, bill(6))
    assert (invoices.stale, sent(invoices)) == ((3, 4), [6])
    assert not contacts.failures + invoices.failures


def test_notes_are_kept_of_what_is_sent_only() -> None:
    unknown = fee(item={"code": "mystery"})
    batch = put(bill(1, unknown), bill(2, unknown), most=1)
    assert {id for id, _ in batch.notes} == {1}
    assert {note.kind for _, note in batch.notes} == {"fallback_used"}


def test_equal_names_in_one_request_get_a_suffix_but_the_first() -> None:
    batch = put(contact(1, "Dupré & Co"), contact(2, "DUPRE & co"), contact(3, "Other"))
    assert names(batch) == ["Dupré & Co", "DUPRE & co (cust_2)", "Other"]
    assert [element.suffix for element in batch.elements] == ["", " (cust_2)", ""]


def test_a_suffix_once_given_stays() -> None:
    batch = put(replace(contact(1, "Same"), suffix=" (old)"), contact(2, "Same"))
    assert names(batch) == ["Same (old)", "Same"]


@given(st.lists(customers(), min_size=2, max_size=8, unique_by=lambda c: c["lago_id"]))
def test_xero_sees_no_name_twice_in_one_request(told: list[dict[str, Any]]) -> None:
    distinct = [{**one, "external_id": f"{n}"} for n, one in enumerate(told)]
    facts = [lago.Customer.model_validate({**one, "name": told[0]["name"]}) for one in distinct]
    batch = put(*(Candidate(n, BOOKS.id, fingerprint(c), c) for n, c in enumerate(facts)))
    keys = [name_key(name) for name in names(batch)]
    assert len(set(keys)) == len(facts)


def test_an_update_names_its_contact() -> None:
    known = replace(contact(1), xero_id=CONTACT)
    [element] = put(known).elements
    assert json.loads(element.body)["ContactID"] == str(CONTACT)


def test_what_lago_took_back_is_voided_by_its_id_and_a_draft_deleted() -> None:
    posted = [Candidate(n, BOOKS.id, None, xero_id=uuid4(), xero_status=s) for n, s in
              enumerate(("AUTHORISED", "DRAFT"), 1)]  # fmt: skip
    batch = assemble(
        posted, OPERATIONS["invoice_void"], {BOOKS.id: BOOKS}, {}, max_elements=50, max_bytes=ROOMY
    )
    assert [json.loads(e.body) for e in batch.elements] == [
        {"InvoiceID": str(posted[0].xero_id), "Status": "VOIDED"},
        {"InvoiceID": str(posted[1].xero_id), "Status": "DELETED"},
    ]


def test_payments_of_one_invoice_in_thousandths_end_at_its_cents() -> None:
    """KWD 3.015 is 3.02 in Xero; three payments of 1.005 must come to that (ACCOUNTING.md 7)."""
    invoice_id, lago_invoice = uuid4(), uuid4()
    at = datetime(2026, 5, 3, 22, 30, tzinfo=UTC)
    account = {MappingKey("", "payment_account"): Target(account="880")}
    by = replace(BOOKS, mappings={**BOOKS.mappings, **account})

    def paid(number: int) -> Candidate:
        money = Money(1005, "KWD", at, (lago_invoice,), None, "succeeded")
        part = PaymentPart(uuid4(), lago_invoice, 1005, money, "KWD", invoice_id)
        wanted = payment_fingerprint(money, 1005)
        return Candidate(number, by.id, wanted, payment=part, amount_cents=1005)

    def amounts(*candidates: Candidate) -> list[float]:
        batch = assemble(
            candidates,
            OPERATIONS["payment_create"],
            {by.id: by},
            {},
            max_elements=50,
            max_bytes=ROOMY,
        )
        assert not batch.failures + batch.stale
        return [json.loads(element.body)["Amount"] for element in batch.elements]

    assert amounts(paid(1), paid(2), paid(3)) == [1.01, 1.0, 1.01]
    assert amounts(replace(paid(3), settled=Posted(2010, 201))) == [1.01]
