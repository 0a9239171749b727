"""One sentence for each way a document can stand."""

from __future__ import annotations

from uuid import UUID

import pytest

from consumer.domain.explain import another, explain, explain_finding

CAUSES = {
    "doc:7": "document 7 must be in Xero first",
    "home:c1": "no connection serves customer c1 yet",
    "lago:draft": "its status in Lago is draft",
    "content:i1": "no message with its fees",
    "policy:zero@acme": "zero invoices says skip, or it has no lines in connection acme",
    "syncs:invoices@acme": "invoices are switched off in connection acme",
    "start_date@acme": "older than the start date in connection acme",
    "self_billed": "self-billed",
    "partner": "partner account",
    "void_with_money": "money was received",
    "paused@acme": "a person has paused connection acme",
    "lago:payment_failed": "the payment failed",
    "lago:payment_refunded": "given back",
    "lago:payment_reversed": "reversed",
    "lago:payment_pending": "not succeeded yet",
    "lago:payment_processing": "not succeeded yet",
    "lago:refund_failed": "the refund failed",
    "lago:credit_voided": "voided the credit note",
    "nothing_open": "nothing open when",
    "refund_not_begun": "not begun the refund",
    "lago_invoice:7": "invoice 7 has come yet",
    "credit_note:7@1": "credit note 7 has come yet",
    "invoice:7@1": "invoice 7 has come yet",
    "split:7": "how the payment is split",
    "policy:voids@nz": "policy for voids",
    "tax:vat_20@acme": "a Xero tax type for the Lago tax vat_20 in connection acme",
    "no_tax@acme": "the mapping no_tax in connection acme",
}


@pytest.mark.parametrize(("cause", "words"), CAUSES.items())
def test_every_cause_has_words(cause: str, words: str) -> None:
    assert words in explain("waiting", cause)
    assert explain("skipped", cause).startswith("It is not posted: ")


def test_a_failure_tells_what_it_waits_for() -> None:
    sentence = explain("failed", "tax:vat_20@acme", "tax_unmapped", "No tax type.")
    assert sentence == (
        "It failed as tax_unmapped: No tax type; it waits: it lacks a Xero tax type for the Lago "
        "tax vat_20 in connection acme."
    )
    assert explain("failed", None, "refused", "No.") == "It failed as refused: No."


def test_the_document_that_another_waits_for_is_named() -> None:
    failed = another(69, "credit_note", "CN-1", "tax_unmapped")
    assert explain("waiting", "doc:69", other=failed) == (
        "It waits: credit note CN-1 (document 69), which failed as tax_unmapped, must be in Xero first."
    )
    waits = another(69, "invoice", "LAG-1", None)
    assert explain("skipped", "doc:69", other=waits) == (
        "It is not posted: invoice LAG-1 (document 69) is not posted either."
    )
    assert "LAG-1 (document 69) must be more than a draft" in explain(
        "waiting", "draft:69", other=waits
    )


def test_only_what_agrees_is_said_to_agree() -> None:
    agrees = explain("synced", None)
    assert agrees == "Xero has it as Lago says."
    assert explain("synced", None, drift=True) == (
        "Xero has it as it was posted; Lago has changed it since."
    )
    assert explain("synced", "syncs:invoices@acme") == (
        "Xero has it, though invoices are switched off in connection acme."
    )


def test_findings_have_words() -> None:
    assert explain_finding("totals_differ", {"tax": ["1", "2"], "net": ["10", "9"]}) == (
        "Xero saved it with net 9 instead of 10, tax 2 instead of 1"
    )
    left = UUID(int=7)
    assert explain_finding("linked_elsewhere", {"linked": "c1"}, left) == (
        f"contact {left} is left in Xero: the customer is linked to contact c1"
    )
    assert f"Xero has {left} beside" in explain_finding("surplus", {}, left)
    assert "Lago changed it after" in explain_finding("drift", {})
    assert explain_finding("excess_payment", {}) == "excess payment"
