"""Answers in another order than was asked: paired by what they name, never by position alone."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.answers import Answered, InDoubt, Refusal, Reply, Saved, Verdict
from consumer.domain.classifying import classify
from consumer.domain.operations import DocumentKind

JSON = dict[str, Any]
ONE = "11111111-2222-4333-8444-555555555551"
TWO = "11111111-2222-4333-8444-555555555552"
MORE = "11111111-2222-4333-8444-555555555553"
ZERO = "00000000-0000-0000-0000-000000000000"
NAMES: dict[DocumentKind, tuple[str, str, str]] = {
    "contact": ("Contacts", "ContactID", "ContactNumber"),
    "invoice": ("Invoices", "InvoiceID", "InvoiceNumber"),
    "credit_note": ("CreditNotes", "CreditNoteID", "CreditNoteNumber"),
}


def answered(kind: DocumentKind, sent: list[JSON], *elements: JSON) -> Verdict:
    collection = NAMES[kind][0] if kind in NAMES else "Payments"
    return classify(Reply(200, json.dumps({collection: elements}).encode()), kind, sent)


def ids(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Answered), verdict
    return [str(one.xero_id) if isinstance(one, Saved) else one.code for one in verdict.elements]


@pytest.mark.parametrize("kind", list(NAMES))
def test_another_order_is_put_right_by_number(kind: DocumentKind) -> None:
    _, id, number = NAMES[kind]
    sent = [{number: "A"}, {number: "B"}]
    b, a = {id: TWO, number: "B"}, {id: ONE, number: "A"}
    assert ids(answered(kind, sent, b, a)) == [ONE, TWO]
    assert ids(answered(kind, sent, a, b)) == [ONE, TWO]


def test_a_refusal_in_another_place_stays_with_its_element() -> None:
    sent = [{"InvoiceNumber": "A"}, {"InvoiceNumber": "B"}]
    taken = {"InvoiceID": ZERO, "InvoiceNumber": "B", "StatusAttributeString": "ERROR",
             "ValidationErrors": [{"Message": "Invoice # must be unique."}]}  # fmt: skip
    verdict = answered("invoice", sent, taken, {"InvoiceID": ONE, "InvoiceNumber": "A"})
    assert ids(verdict) == [ONE, "number_taken"]


def test_updates_are_paired_by_their_ids_whatever_the_numbers_say() -> None:
    sent = [{"InvoiceID": ONE, "Status": "VOIDED"}, {"InvoiceID": TWO, "Status": "VOIDED"}]
    one, two = {"InvoiceID": ONE, "InvoiceNumber": "A"}, {"InvoiceID": TWO, "InvoiceNumber": "B"}
    assert ids(answered("invoice", sent, two, one)) == [ONE, TWO]


@pytest.mark.parametrize(
    "elements",
    [
        # a number that was not sent, in another case too
        [{"InvoiceID": ONE, "InvoiceNumber": "A"}, {"InvoiceID": TWO, "InvoiceNumber": "C"}],
        [{"InvoiceID": ONE, "InvoiceNumber": "a"}, {"InvoiceID": TWO, "InvoiceNumber": "B"}],
        # one that names nothing beside one out of place
        [{"InvoiceID": ONE, "InvoiceNumber": "B"}, {"InvoiceID": TWO}],
        # the same number twice
        [{"InvoiceID": ONE, "InvoiceNumber": "B"}, {"InvoiceID": TWO, "InvoiceNumber": "B"}],
    ],
)
def test_what_cannot_be_paired_is_a_doubt(elements: list[JSON]) -> None:
    sent = [{"InvoiceNumber": "A"}, {"InvoiceNumber": "B"}]
    assert answered("invoice", sent, *elements) == InDoubt("disordered")


def test_a_number_that_xero_spaces_anew_is_the_same() -> None:
    verdict = answered(
        "invoice", [{"InvoiceNumber": "A  1 "}], {"InvoiceID": ONE, "InvoiceNumber": "A 1"}
    )
    assert ids(verdict) == [ONE]


def test_an_answer_that_names_nothing_is_taken_in_order() -> None:
    sent = [{"InvoiceNumber": "A"}, {"InvoiceNumber": "B"}]
    verdict = answered("invoice", sent, {"InvoiceID": ONE}, {"InvoiceID": TWO})
    assert ids(verdict) == [ONE, TWO]


def test_payments_are_told_apart_by_their_documents() -> None:
    sent = [{"Invoice": {"InvoiceID": ONE}}, {"CreditNote": {"CreditNoteID": TWO}}]
    first = {"PaymentID": MORE, "Invoice": {"InvoiceID": ONE.upper()}}
    other = {"PaymentID": TWO, "CreditNote": {"CreditNoteID": TWO}}
    assert ids(answered("payment", sent, other, first)) == [MORE, TWO]
    # Two on one invoice are not, where Xero shows no Reference: no other order can be seen then.
    same = [{"Invoice": {"InvoiceID": ONE}}] * 2
    assert ids(answered("payment", same, first, {**first, "PaymentID": TWO})) == [MORE, TWO]
    assert answered("payment", same, first, other) == InDoubt("disordered")


@pytest.mark.parametrize("kind", ["payment", "refund"])
def test_payments_on_one_document_are_told_apart_by_their_markers(kind: DocumentKind) -> None:
    """An id beside another payment would delete that one once Lago takes this one back."""
    on = (
        {"CreditNote": {"CreditNoteID": TWO}}
        if kind == "refund"
        else {"Invoice": {"InvoiceID": ONE}}
    )
    sent = [{**on, "Amount": n, "Reference": f"slip · Lago 000000000000000{n}"} for n in (1, 2)]
    a, b = ({"PaymentID": id, **one} for id, one in zip((MORE, TWO), sent, strict=True))
    assert ids(answered(kind, sent, b, a)) == [MORE, TWO]
    refused = {**b, "PaymentID": ZERO, "StatusAttributeString": "ERROR",
               "ValidationErrors": [{"Message": "Payment amount exceeds what is open"}]}  # fmt: skip
    assert ids(answered(kind, sent, refused, a)) == [MORE, "payment_exceeds_open"]
    assert answered(kind, sent, a, a) == InDoubt("disordered")


def test_more_elements_than_were_sent_are_a_doubt_that_names_the_surplus() -> None:
    sent = [{"InvoiceNumber": "A"}]
    a, c = {"InvoiceID": ONE, "InvoiceNumber": "A"}, {"InvoiceID": MORE, "InvoiceNumber": "C"}
    expected = InDoubt("surplus", surplus=(UUID(MORE),))
    assert answered("invoice", sent, a, c) == expected
    assert answered("invoice", sent, c, a) == expected
    twice = answered("invoice", sent, a, {**a, "InvoiceID": TWO})
    assert twice == InDoubt("surplus", surplus=(UUID(TWO),))


def test_what_was_sent_about_a_person_is_kept_out_of_xeros_words() -> None:
    sent = [{"Name": "Kauri Analytics", "EmailAddress": "jane at kauri"}]
    refused = {"ContactID": ZERO, "StatusAttributeString": "ERROR",
               "ValidationErrors": [{"Message": "kauri analytics has jane at kauri"}]}  # fmt: skip
    verdict = answered("contact", sent, refused)
    assert isinstance(verdict, Answered)
    [refusal] = verdict.elements
    assert isinstance(refusal, Refusal)
    assert refusal.said == "… has …"


def test_overpayments_are_told_apart_by_their_markers() -> None:
    """Xero may keep no Reference of them; their lines say who they are."""
    sent = [{"Reference": "Lago 00000000000000aa"}, {"Reference": "Lago 00000000000000bb"}]
    a, b = (
        {"BankTransactionID": id, "LineItems": [{"Description": f"More · Lago 00000000000000{n}"}]}
        for id, n in ((ONE, "aa"), (TWO, "bb"))
    )
    for order in ((a, b), (b, a)):
        body = json.dumps({"BankTransactions": order}).encode()
        assert ids(classify(Reply(200, body), "overpayment", sent)) == [ONE, TWO]
