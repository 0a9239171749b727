"""What Xero's answers mean: one test for each way in which a send can end."""

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
    Limits,
    NotDone,
    Refusal,
    Reply,
    Saved,
    Verdict,
)
from consumer.domain.classifying import classify
from consumer.domain.elements import amount

JSON = dict[str, Any]
ONE = "11111111-2222-4333-8444-555555555551"
TWO = "11111111-2222-4333-8444-555555555552"
ZERO = "00000000-0000-0000-0000-000000000000"
CONTACT = "22222222-2222-4333-8444-555555555555"


def saved(xero_id: str = ONE, **said: Any) -> JSON:
    return {"InvoiceID": xero_id, "StatusAttributeString": "OK", **said}


def failed(*messages: str, **said: Any) -> JSON:
    return {
        "InvoiceID": ZERO,
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": message} for message in messages],
        **said,
    }


def answer(*elements: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps({"Status": "OK", "Invoices": elements}).encode())


def refused(*elements: Any, message: str = "A validation exception occurred") -> Reply:
    body: JSON = {"ErrorNumber": 10, "Type": "ValidationException", "Message": message}
    if elements:
        body["Elements"] = elements
    return Reply(400, json.dumps(body).encode())


def fates(verdict: Verdict) -> tuple[Saved | Refusal, ...]:
    assert isinstance(verdict, Answered)
    return verdict.elements


def refusal(element: JSON) -> Refusal:
    (fate,) = fates(classify(answer(element), "invoice", [{}]))
    assert isinstance(fate, Refusal)
    return fate


# ── Answered ──────────────────────────────────────────────────────────────────────────────────────


def test_saved_invoice_with_what_xero_made_of_it() -> None:
    whole = b"""{"Invoices": [{"InvoiceID": "%s", "InvoiceNumber": "A-1", "Status": "AUTHORISED",
        "Contact": {"ContactID": "%s"}, "CurrencyCode": "EUR", "SubTotal": 10.10,
        "TotalTax": 2.02, "Total": 12.12, "AmountDue": 12, "HasErrors": false}]}"""
    reply = Reply(200, whole % (ONE.encode(), CONTACT.encode()))
    assert fates(classify(reply, "invoice", [{}])) == (
        Saved(
            xero_id=UUID(ONE),
            number="A-1",
            status="AUTHORISED",
            contact_id=UUID(CONTACT),
            currency="EUR",
            net=Decimal("10.10"),
            tax=Decimal("2.02"),
            total=Decimal("12.12"),
            due=Decimal(12),
        ),
    )


def test_saved_contact() -> None:
    element = {
        "ContactID": CONTACT,
        "ContactNumber": "n",
        "ContactStatus": "ARCHIVED",
        "MergedToContactID": ONE,
    }
    reply = Reply(200, json.dumps({"Contacts": [element]}).encode())
    assert fates(classify(reply, "contact", [{}])) == (
        Saved(UUID(CONTACT), number="n", status="ARCHIVED", merged_to=UUID(ONE)),
    )


def test_200_with_errors_settles_each_element_in_order() -> None:
    verdict = classify(
        answer(saved(), failed("Url must be absolute"), saved(TWO)), "invoice", [{}] * 3
    )
    first, second, third = fates(verdict)
    assert (type(first), type(third)) == (Saved, Saved)
    assert isinstance(second, Refusal)
    assert second.code == "url_invalid"


def test_warning_is_success() -> None:
    warned = saved(StatusAttributeString="WARNING", Warnings=[{"Message": "Low on luck"}])
    (fate,) = fates(classify(answer(warned), "invoice", [{}]))
    assert isinstance(fate, Saved)
    assert fate.warnings == ("Low on luck",)


def test_error_with_an_id_is_not_success() -> None:
    assert refusal(saved(StatusAttributeString="ERROR")).code == "refused_other"


def test_zero_id_is_not_success() -> None:
    assert refusal(saved(ZERO)).code == "refused_other"


def test_flag_or_complaint_without_a_status_is_an_error() -> None:
    assert refusal({"InvoiceID": ONE, "HasErrors": True}).code == "refused_other"
    complaint = {"InvoiceID": ONE, "ValidationErrors": [{"Message": "Url must be absolute"}]}
    assert refusal(complaint).code == "url_invalid"


def test_complaints_of_lines_count() -> None:
    element = failed(
        LineItems=[{"ValidationErrors": [{"Message": "Account code '9' is archived"}]}]
    )
    assert refusal(element).code == "account_archived"


def test_400_that_names_every_element_is_an_answer() -> None:
    verdict = classify(refused(saved(), failed("Url must be absolute")), "invoice", [{}] * 2)
    assert [type(fate) for fate in fates(verdict)] == [Saved, Refusal]


# ── Not executed ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "why"), [(401, "unauthorised"), (403, "forbidden"), (429, "throttled")]
)
def test_401_403_and_429_did_nothing(status: int, why: Any) -> None:
    # Whatever the body says.
    assert classify(Reply(status, answer(saved()).body), "invoice", [{}]) == NotDone(why)


def test_429_says_which_limit_and_how_long() -> None:
    reply = Reply(429, b"", Limits(problem="minute", retry_after=7.0))
    assert classify(reply, "invoice", [{}]) == NotDone("throttled", 7.0, "minute")


# ── In doubt ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [300, 302, 408, 409, 425, 499, 500, 502, 503, 504, 599])
def test_every_5xx_and_what_says_nothing_is_a_doubt(status: int) -> None:
    # Even a body that reads like an answer.
    verdict = classify(answer(saved(), status=status), "invoice", [{}])
    assert verdict == InDoubt(f"status_{status}")


def test_offline_organisation_is_a_doubt_with_xeros_words() -> None:
    verdict = classify(Reply(503, b"The Organisation is offline"), "invoice", [{}])
    assert verdict == InDoubt("status_503", said="The Organisation is offline")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"Invoices": {}}', b'{"Invoices": [', b"\xff\xfe{"],
)
def test_unreadable_2xx_is_a_doubt(body: bytes) -> None:
    assert classify(Reply(200, body), "invoice", [{}]) == InDoubt("unreadable")


@pytest.mark.parametrize(
    "elements",
    [
        [],
        [None],
        ["text"],
        [{"StatusAttributeString": "OK"}],
        [{"InvoiceNumber": "A-1"}],
    ],
)
def test_answer_that_does_not_fit_the_request_is_a_doubt(elements: list[Any]) -> None:
    assert classify(answer(*elements), "invoice", [{}]) == InDoubt("unreadable")


def test_answer_about_another_kind_is_a_doubt() -> None:
    assert classify(answer(saved()), "contact", [{}]) == InDoubt("unreadable")


def test_400_that_names_only_its_failures_is_a_doubt() -> None:
    verdict = classify(refused(failed("Url must be absolute")), "invoice", [{}] * 2)
    assert isinstance(verdict, InDoubt)
    assert verdict.batch_refused


@pytest.mark.parametrize(
    "elements", [[saved()], [{"InvoiceID": ONE}], [{"InvoiceID": ONE}, failed("No")]]
)
def test_400_with_an_element_that_tells_nothing_is_a_doubt(elements: list[JSON]) -> None:
    verdict = classify(refused(*elements), "invoice", [{}] * len(elements))
    assert isinstance(verdict, InDoubt)
    assert verdict.batch_refused


def test_words_of_a_refused_batch_do_not_repeat_its_data() -> None:
    message = 'Error converting value "Jane Doe" to type System.Guid'
    verdict = classify(refused(message=message), "contact", [{}])
    assert isinstance(verdict, InDoubt)
    assert verdict.said == 'Error converting value "…" to type System.Guid'


@pytest.mark.parametrize("status", [400, 404, 412, 413, 415])
def test_whole_batch_4xx_is_a_doubt_to_bisect(status: int) -> None:
    verdict = classify(Reply(status, b'{"Message": "Something is off"}'), "invoice", [{}])
    assert verdict == InDoubt(f"whole_{status}", batch_refused=True, said="Something is off")


def test_reused_key_is_its_own_doubt() -> None:
    message = "The idempotency key was used with a different request"
    assert classify(refused(message=message), "invoice", [{}]) == InDoubt(
        "key_reused", said=message
    )


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Invoices", "Elements", "InvoiceID", "Message", "Total"]), part
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    count=st.integers(1, 3),
)
def test_classify_never_raises_and_never_invents_a_success(
    status: int, body: bytes, count: int
) -> None:
    verdict = classify(Reply(status, body), "invoice", [{}] * count)
    if isinstance(verdict, Answered):
        assert len(verdict.elements) == count
        assert 200 <= status < 300 or 400 <= status < 500


@pytest.mark.parametrize("depth", [10_000])
def test_deeply_nested_answers_are_unreadable(depth: int) -> None:
    body = b'{"Invoices": ' + b"[" * depth + b"]" * depth + b"}"
    assert classify(Reply(200, body), "invoice", [{}]) == InDoubt("unreadable")


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, "", "NaN", "Infinity", 10**20, [], {}),
        *(Decimal("1e999999"), Decimal("1e-999999"), Decimal("0e999999")),
    ],
)
def test_what_is_no_amount(value: object) -> None:
    assert amount(value) is None


def test_amounts_never_pass_through_floats() -> None:
    body = b'{"Invoices": [{"InvoiceID": "%s", "Total": 0.1000000000000000055}]}' % ONE.encode()
    (fate,) = fates(classify(Reply(200, body), "invoice", [{}]))
    assert isinstance(fate, Saved)
    assert fate.total == Decimal("0.1000000000000000055")


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────────


# Xero's texts (reference: its documentation and recordings) against code and what follows.
TEXTS = [
    ("One or more line items must be specified", "lines_missing", "fail"),
    ("A Contact must be specified for this type of transaction", "contact_missing", "fail"),
    ("The Contact could not be found.", "contact_missing", "fail"),
    ("Invoice Type must be specified", "document_incomplete", "fail"),
    ("The Date field must be specified.", "date_invalid", "fail"),
    ("The document DueDate field must be specified.", "date_invalid", "fail"),
    ("Invoice # must be unique.", "number_taken", "look"),
    ("Credit Note # must be unique.", "number_taken", "look"),
    ("Credit Note Type must be specified", "document_incomplete", "fail"),
    ("Credit Note not of valid status for modification", "status_invalid", "fail"),
    ("Payment not of valid status for modification", "status_invalid", "fail"),
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
        "look",
    ),
    ("Contact Name cannot be empty.", "contact_name_invalid", "fail"),
    ("Email address must be valid.", "email_invalid", "fail"),
    ("Account must be valid.", "account_invalid", "fail"),
    ("Tax rate must be valid.", "tax_type_invalid", "fail"),
    ("Item code 'X' is not valid", "item_invalid", "fail"),
    ("The tax amount must be zero for the TaxType code 'NONE'.", "tax_amount_invalid", "fail"),
    ("InvoiceNumber can only contain printable ASCII characters.", "number_invalid", "fail"),
    ("Url must be a valid URL.", "url_invalid", "fail"),
    ("Country can only contain letters.", "address_invalid", "fail"),
    ("Description cannot be longer than 4000 characters.", "text_too_long", "fail"),
    ("The Organisation is currently offline", "organisation_offline", "wait"),
    ("The Organisation is offline", "organisation_offline", "wait"),
    (
        "Payment amount exceeds the amount outstanding on this document",
        "payment_exceeds_open",
        "fail",
    ),
    ("Payments can only be made against Authorised documents", "document_not_open", "fail"),
    ("Credit Note must be Authorised to be allocated", "document_not_open", "fail"),
    ("Account type is invalid for making a payment to/from", "payment_account_invalid", "fail"),
    ("The payment Amount must be greater than zero.", "amount_invalid", "fail"),
    (
        "Organisation accounts are locked on the specified payment date",
        "locked_period",
        "fail",
    ),
    (
        "Credit Note cannot be allocated as amount is greater than amount outstanding",
        "allocation_exceeds_open",
        "fail",
    ),
    (
        "The invoice you are trying to allocate to has already been paid off",
        "allocation_exceeds_open",
        "fail",
    ),
    (
        "The Invoice and the Credit Note must have the same Contact",
        "allocation_contact_differs",
        "fail",
    ),
    ("The Invoice could not be found.", "document_missing", "fail"),
    ("Payment must be against a document that exists.", "document_missing", "fail"),
    ("Discounts cannot be applied to credit notes.", "discount_invalid", "fail"),
    ("The Reference is too long.", "text_too_long", "fail"),
    ("The specified contact details matched an archived contact.", "contact_archived", "look"),
    ("Something nobody has seen yet", "refused_other", "fail"),
]


@pytest.mark.parametrize(("message", "code", "follows"), TEXTS)
def test_xeros_words_have_a_stable_code_and_a_hint(message: str, code: str, follows: str) -> None:
    found = refusal(failed(message))
    assert (found.code, found.next) == (code, follows)
    assert len(found.hint) > 20


def test_taken_number_decides_over_all_else_and_a_taken_name_over_nothing() -> None:
    clash = "The contact name A is already assigned to another contact."
    assert refusal(failed(clash, "Email address must be valid.")).code == "email_invalid"
    assert refusal(failed("Url must be absolute", "Invoice # must be unique.")).next == "look"


def test_every_code_is_reached_by_some_text() -> None:
    reached = {code for _, code, _ in TEXTS} - {refusals.OTHER.code}
    assert {rule.code for rule in refusals.RULES} == reached
    assert reached >= refusals.OF_THE_CHART


def test_words_are_kept_of_the_element_its_contact_and_its_lines() -> None:
    element = failed(
        "First",
        Contact={"ValidationErrors": [{"Message": "The Contact could not be found."}]},
        LineItems=[{"ValidationErrors": [{"Message": "Account must be valid."}]}, {}],
    )
    assert refusal(element).said == (
        "First; The Contact could not be found.; Account must be valid."
    )


def test_every_rule_has_a_distinct_meaning() -> None:
    for rule in refusals.RULES:
        assert rule.code.replace("_", "").isalpha()
        assert rule.next in ("fail", "look", "rename", "wait")
        assert rule.hint.endswith(".")


def test_words_carry_no_personal_data() -> None:
    contact = {"Name": "Kauri Analytics", "EmailAddress": "ap@example.test"}
    said = refusal(
        failed(
            "The contact name Kauri Analytics is already assigned to another contact.",
            'Kauri Analytics said ap@example.test and "secret"',
            Contact=contact,
        )
    ).said
    assert "Kauri" not in said
    assert "@" not in said
    assert "secret" not in said
    assert "is already assigned" in said


def test_paying_what_is_paid_is_told_by_its_status() -> None:
    """Xero says both then (xero.md 11)."""
    both = (
        "Payment amount exceeds the amount outstanding on this document",
        "Payments can only be made against Authorised documents",
    )
    for texts in (both, both[::-1]):
        assert refusal(failed(*texts)).code == "document_not_open"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("The email address 'jane at kauri' is invalid.", "The email address '…' is invalid."),
        ("Name 'O'Brien & Co' is not valid", "Name '…' is not valid"),
        ("We know “Jane Doe”, ‘Jane’ and «Jane»", "We know “…”, ‘…’ and «…»"),
        ("The value \"Jane 'JD' Doe\" is odd", 'The value "…" is odd'),
        ("Write to <jane@kauri.test> or jane+x@kauri.test.", "Write to <…> or …"),
        # What tells of the chart is no personal data, and an apostrophe is no quotation mark.
        ("Account code '999' is not valid", "Account code '999' is not valid"),
        ("The TaxType code 'OUTPUT' and rate '1.0'", "The TaxType code 'OUTPUT' and rate '1.0'"),
        ("Not a number. Path 'Contacts[0].Name'", "Not a number. Path 'Contacts[0].Name'"),
        ("The account's currency, the document's", "The account's currency, the document's"),
    ],
)
def test_what_xero_quotes_is_masked_unless_it_is_a_code(message: str, said: str) -> None:
    assert refusal(failed(message)).said == said
    whole = classify(refused(message=message), "contact", [{}])
    assert isinstance(whole, InDoubt)
    assert whole.said == said


def test_short_names_are_masked_as_words_and_in_any_case() -> None:
    contact = {"FirstName": "Bo", "Name": "Rimu", "Addresses": [{"AddressLine1": "1 Kauri St"}]}
    said = refusal(failed("BO of rimu at 1 kauri st, not Bob, not a board", Contact=contact)).said
    assert said == "… of … at …, not Bob, not a board"


def test_words_about_a_whole_batch_tell_of_none_of_its_people() -> None:
    reply = refused(message="Jane Doe of Rimu cannot be read")
    verdict = classify(reply, "contact", [{"Name": "Rimu"}, {"FirstName": "Jane Doe"}])
    assert isinstance(verdict, InDoubt)
    assert verdict.said == "… of … cannot be read"


def test_words_are_one_bounded_line() -> None:
    said = refusal(failed("A\nB\x00C\ud800", "x" * 5000, "A\nB\x00C\ud800")).said
    assert said.startswith("A BC")
    assert len(said) == refusals.MAX_SAID
    assert said.isprintable()
    assert said.encode()


def test_a_missing_scope_fails_what_has_one_of_its_own_and_nothing_else() -> None:
    """Xero tells it by one word apart from a token that it does not take."""
    lacking = Reply(401, b'{"Title":"Unauthorized","Detail":"AuthorizationUnsuccessful"}')
    unknown = Reply(401, b'{"Title":"Unauthorized","Detail":"AuthenticationUnsuccessful"}')
    refusals = fates(classify(lacking, "overpayment", [{}, {}]))
    assert [one.code for one in refusals if isinstance(one, Refusal)] == ["scope_missing"] * 2
    assert classify(lacking, "payment", [{}]) == NotDone("scope")
    assert classify(unknown, "overpayment", [{}]) == NotDone("unauthorised")
