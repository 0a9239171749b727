"""Xero's answers, as recorded and as garbled, against the verdict."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain import refusals
from consumer.domain.answers import (
    Answered,
    InDoubt,
    Kind,
    Limits,
    NotDone,
    Refusal,
    Reply,
    Saved,
    Verdict,
    classify,
)

ZERO = "00000000-0000-0000-0000-000000000000"
ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"


def element(**fields: Any) -> dict[str, Any]:
    return {"InvoiceID": ONE, "InvoiceNumber": "INV-1", "StatusAttributeString": "OK", **fields}


def failed(*messages: str, **fields: Any) -> dict[str, Any]:
    errors = [{"Message": message} for message in messages]
    return {"InvoiceID": ZERO, "ValidationErrors": errors, "HasErrors": True, **fields}


def verdict(*elements: Any, kind: Kind = "invoice", status: int = 200, count: int = 0) -> Verdict:
    collection = (
        "Elements" if status == 400 else {"invoice": "Invoices", "contact": "Contacts"}[kind]
    )
    body = json.dumps({"Status": "OK", collection: list(elements)}).encode()
    return classify(Reply(status, body), kind, count or len(elements))


def refusal(*messages: str, **fields: Any) -> Refusal:
    found = verdict(failed(*messages, StatusAttributeString="ERROR", **fields))
    assert isinstance(found, Answered)
    (only,) = found.elements
    assert isinstance(only, Refusal)
    return only


def test_elements_in_order_success_warning_and_error() -> None:
    found = verdict(
        element(),
        element(
            InvoiceID=TWO, StatusAttributeString="WARNING", Warnings=[{"Message": "Odd rate."}]
        ),
        failed("Invoice # must be unique.", StatusAttributeString="ERROR"),
    )
    assert isinstance(found, Answered)
    first, second, third = found.elements
    assert isinstance(first, Saved)
    assert first.xero_id == UUID(ONE)
    assert isinstance(second, Saved)
    assert (second.xero_id, second.warnings) == (UUID(TWO), ("Odd rate.",))
    assert isinstance(third, Refusal)
    assert (third.code, third.next) == ("number_taken", "look")


def test_figures_keep_every_digit() -> None:
    body = (
        b'{"Invoices":[{"InvoiceID":"%s","SubTotal":1234567890123.45,"TotalTax":0.10,'
        b'"Total":1234567890123.55,"AmountDue":7,"CurrencyCode":"NZD","Status":"AUTHORISED",'
        b'"Contact":{"ContactID":"%s"}}]}' % (ONE.encode(), TWO.encode())
    )
    found = classify(Reply(200, body), "invoice", 1)
    assert isinstance(found, Answered)
    (only,) = found.elements
    assert only == Saved(
        UUID(ONE),
        status="AUTHORISED",
        contact_id=UUID(TWO),
        currency="NZD",
        net=Decimal("1234567890123.45"),
        tax=Decimal("0.10"),
        total=Decimal("1234567890123.55"),
        due=Decimal(7),
    )


@pytest.mark.parametrize("figure", ["1e999999999", "1e-999999999", "0e99999999", '"x"', "true"])
def test_a_figure_that_is_none_is_left_out(figure: str) -> None:
    body = f'{{"Invoices":[{{"InvoiceID":"{ONE}","Total":{figure}}}]}}'
    found = classify(Reply(200, body.encode()), "invoice", 1)
    assert found == Answered((Saved(UUID(ONE)),))


def test_a_contact_with_its_number_status_and_successor() -> None:
    contact = {
        "ContactID": ONE,
        "ContactNumber": "n",
        "ContactStatus": "ARCHIVED",
        "MergedToContactID": TWO,
        "HasValidationErrors": False,
    }
    wanted = Saved(UUID(ONE), number="n", status="ARCHIVED", merged_to=UUID(TWO))
    assert verdict(contact, kind="contact") == Answered((wanted,))


def test_zero_guid_without_error_status_is_no_success() -> None:
    found = verdict({"InvoiceID": ZERO, "StatusAttributeString": "OK"})
    assert isinstance(found, Answered)
    assert isinstance(found.elements[0], Refusal)


def test_a_failed_update_is_refused_although_it_carries_its_id() -> None:
    found = verdict(failed("Email address must be valid.", InvoiceID=ONE))
    assert isinstance(found, Answered)
    assert isinstance(found.elements[0], Refusal)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Response/>",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"Invoices":{}}',
        b'{"Invoices":[]}',
        b'{"Invoices":[1]}',
        b'{"Invoices":[{}]}',
        b'{"Invoices":[{"InvoiceID":7}]}',
        b'{"Invoices":[{"InvoiceID":"nonsense"},{}]}',
        b"[" * 100_000,
        b'{"Invoices":[{"InvoiceID":1e99999999999999999999}]}',
    ],
)
def test_a_2xx_that_cannot_be_read_is_a_doubt(body: bytes) -> None:
    assert classify(Reply(200, body), "invoice", 1) == InDoubt("unreadable")


def test_another_number_of_elements_is_a_doubt() -> None:
    assert verdict(element(), count=2) == InDoubt("unreadable")
    assert verdict(element(), element(), count=1) == InDoubt("unreadable")


def test_400_naming_every_element_is_an_answer() -> None:
    found = verdict(failed("Account code must be specified"), failed("x"), status=400)
    assert isinstance(found, Answered)
    assert [one.code for one in found.elements if isinstance(one, Refusal)] == [
        "account_missing",
        "refused_other",
    ]


def test_400_naming_some_elements_says_nothing_of_the_others() -> None:
    assert verdict(failed("x"), status=400, count=2) == InDoubt("whole_400", batch_refused=True)


def test_400_with_an_element_without_complaint_is_no_success() -> None:
    silent = {"InvoiceID": ONE}
    assert verdict(silent, failed("x"), status=400) == InDoubt("whole_400", batch_refused=True)


@pytest.mark.parametrize("status", [400, 404, 412, 413, 415])
def test_a_batch_refused_as_a_whole(status: int) -> None:
    found = classify(Reply(status, b""), "invoice", 3)
    assert found == InDoubt(f"whole_{status}", batch_refused=True)


def test_a_refused_batch_keeps_what_xero_says_without_its_data() -> None:
    message = 'Error converting value "Jane Doe" to type System.Guid'
    body = json.dumps({"ErrorNumber": 14, "Message": message}).encode()
    found = classify(Reply(400, body), "contact", 1)
    assert isinstance(found, InDoubt)
    assert found.said == 'Error converting value "…" to type System.Guid'


def test_a_reused_key_is_a_doubt_but_no_refusal() -> None:
    body = {"Message": "Idempotency Key: abc is used with a different request."}
    found = classify(Reply(400, json.dumps(body).encode()), "invoice", 1)
    assert isinstance(found, InDoubt)
    assert (found.why, found.batch_refused) == ("key_reused", False)


@pytest.mark.parametrize("status", [302, 408, 409, 500, 502, 503, 504])
def test_an_unknown_outcome(status: int) -> None:
    assert classify(Reply(status, b""), "invoice", 1) == InDoubt(f"status_{status}")


def test_a_500_is_a_doubt_even_with_elements() -> None:
    assert verdict(element(), status=500) == InDoubt("status_500")


def test_an_offline_organisation_is_named() -> None:
    found = classify(Reply(503, b"The Organisation is offline"), "invoice", 1)
    assert found == InDoubt("status_503", said="The Organisation is offline")


def test_not_done() -> None:
    assert classify(Reply(401, b""), "invoice", 1) == NotDone("unauthorised")
    assert classify(Reply(403, b""), "invoice", 1) == NotDone("forbidden")
    limits = Limits(problem="minute", retry_after=26.0)
    wanted = NotDone("throttled", 26.0, "minute")
    assert classify(Reply(429, b"", limits), "invoice", 1) == wanted


# Xero's texts (reference: its documentation and recordings) against code and what follows.
TEXTS = [
    ("One or more line items must be specified", "lines_missing", "fail"),
    ("A Contact must be specified for this type of transaction", "contact_missing", "fail"),
    ("The Contact could not be found.", "contact_missing", "fail"),
    ("Invoice Type must be specified", "document_incomplete", "fail"),
    ("The Date field must be specified.", "date_invalid", "fail"),
    ("The document DueDate field must be specified.", "date_invalid", "fail"),
    ("Invoice # must be unique.", "number_taken", "look"),
    ("Invoice not of valid status for creation", "status_invalid", "fail"),
    ("Invoice not of valid status for modification", "status_invalid", "fail"),
    (
        "The status VOIDED cannot be applied to the invoice because it has payments or credit "
        "notes allocated to it.",
        "void_with_money",
        "fail",
    ),
    (
        "This document cannot be edited as it has a payment or credit note allocated to it.",
        "has_money",
        "fail",
    ),
    (
        "The line total 10.00 does not match the expected line total 10.01",
        "line_total_mismatch",
        "fail",
    ),
    (
        "The document total does not equal the sum of the lines.",
        "document_total_mismatch",
        "fail",
    ),
    (
        "The discount rate '101.00' is invalid. Discount must not be greater than the line total.",
        "discount_invalid",
        "fail",
    ),
    ("Account code must be specified", "account_missing", "fail"),
    ("Account code '999' is not a valid code for this document.", "account_invalid", "fail"),
    (
        "Account code 'x' has been archived, or has been deleted. Each line item must reference a "
        "valid account.",
        "account_archived",
        "fail",
    ),
    (
        "The TaxType code 'OUTPUT' cannot be used with account code '200'.",
        "tax_type_invalid",
        "fail",
    ),
    ("Organisation is not subscribed to currency CHF", "currency_not_subscribed", "fail"),
    (
        "The document date cannot be before the period lock date, currently set at 31 March 2026",
        "locked_period",
        "fail",
    ),
    (
        "The document date cannot be before the end of year lock date, currently set at 1 May",
        "locked_period",
        "fail",
    ),
    ("You have reached the limit of invoices you can approve", "plan_limit", "fail"),
    (
        "The contact name Acme is already assigned to another contact. The contact name must be "
        "unique across all active contacts.",
        "contact_name_taken",
        "rename",
    ),
    (
        "The contact number abc is already assigned to another contact. The contact number must "
        "be unique across all contacts.",
        "contact_number_taken",
        "look",
    ),
    (
        "The Account Number already exists. Please enter a different Account Number.",
        "account_number_taken",
        "fail",
    ),
    (
        "The specified contact details matched an archived contact. Archived contacts cannot "
        "currently be edited via the API.",
        "contact_archived",
        "fail",
    ),
    ("Contact Name cannot be empty.", "contact_name_invalid", "fail"),
    ("Email address must be valid.", "email_invalid", "fail"),
    ("The Organisation is offline", "organisation_offline", "wait"),
    ("Something nobody has seen yet", "refused_other", "fail"),
]


@pytest.mark.parametrize(("text", "code", "follows"), TEXTS)
def test_each_known_text_has_its_code(text: str, code: str, follows: str) -> None:
    found = refusal(text)
    assert (found.code, found.next) == (code, follows)
    assert found.hint.endswith(".")


def test_every_rule_is_decisive_for_some_text() -> None:
    covered = {code for _, code, _ in TEXTS}
    beyond = {"address_invalid", "tax_amount_invalid", "item_invalid", "number_invalid"}
    assert {rule.code for rule in refusals.RULES} == (covered | beyond | {"url_invalid"}) - {
        "refused_other"
    } | {"text_too_long"}


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["The contact name A is already assigned", "The contact number 7 is already assigned"],
         "contact_number_taken"),
        (["The contact name A is already assigned to", "Email address must be valid."],
         "email_invalid"),
        (["Account must be valid.", "Invoice # must be unique."], "number_taken"),
        (["whatever", "Account code must be specified"], "account_missing"),
    ],
)  # fmt: skip
def test_the_decisive_text_gives_the_code(texts: list[str], code: str) -> None:
    assert refusal(*texts).code == code


def test_words_of_lines_and_contact_are_kept_too() -> None:
    nested = {
        "Contact": {"ValidationErrors": [{"Message": "The Contact could not be found."}]},
        "LineItems": [{"ValidationErrors": [{"Message": "Account must be valid."}]}, {}],
    }
    assert refusal("First", **nested).said == (
        "First; The Contact could not be found.; Account must be valid."
    )


def test_personal_data_is_kept_out_of_the_words() -> None:
    contact = {
        "ContactID": ZERO,
        "Name": "Jane Doe",
        "EmailAddress": "jane@doe.example",
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [
            {"Message": "The contact name Jane\nDoe  is already assigned to another contact."},
            {"Message": "Jane Doe <jane@doe.example> is not known at bob@example.org."},
        ],
    }
    found = verdict(contact, kind="contact")
    assert isinstance(found, Answered)
    (only,) = found.elements
    assert isinstance(only, Refusal)
    assert only.said == (
        "The contact name … is already assigned to another contact.; … <…> is not known at …"
    )


def test_words_are_one_bounded_line() -> None:
    said = refusal("a\0b\nc", "x" * 5000).said
    assert said.startswith("ab c; xxx")
    assert len(said) == refusals.MAX_SAID


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ZERO),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["Invoices", "Elements", "InvoiceID", "ValidationErrors", "Message", "Contact"]
                + ["StatusAttributeString", "Warnings", "Total", "Name", "LineItems"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(
    body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
    status=st.integers(100, 599),
    kind=st.sampled_from(["contact", "invoice"]),
    count=st.integers(1, 3),
)
def test_no_answer_can_make_it_raise(body: bytes, status: int, kind: Kind, count: int) -> None:
    found = classify(Reply(status, body), kind, count)
    if isinstance(found, Answered):
        assert len(found.elements) == count
        assert 200 <= status < 300 or 400 <= status < 500
