"""Drafts: what is sent while Lago has one, when it is finalized, and what a look at Xero then means."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.answers import Refusal, Saved
from consumer.domain.batching import Batch, assemble
from consumer.domain.candidates import Candidate
from consumer.domain.chart import Organisation
from consumer.domain.documents import Stands
from consumer.domain.explain import explain
from consumer.domain.fingerprints import DRAFTED, fingerprint
from consumer.domain.mapping import Connection
from consumer.domain.matching import match_draft
from consumer.domain.operations import OPERATIONS
from consumer.domain.settlement import DRAFT_REFUSED, Settlement
from schemas import lago
from tests.unit.test_lookup import ID, MADE, OTHER, frozen
from tests.unit.test_settlement import member
from tests.unit.translate.books import CHART, CONTACT, connection, fee, invoice

BOOKS = replace(connection(number_prefix="L-"), drafts="post", locked_period="draft")
LOCKED = replace(CHART, organisation=Organisation(period_lock_date=date(2027, 1, 31)))
NUMBER = "L-DRAFT-00000000"


def bill(status: str, *fees: dict[str, Any], **known: Any) -> Candidate:
    """An invoice of Lago's in that status, and what the ledger knows of it."""
    number = "ACM-DRAFT" if status == "draft" else "ACM-001"
    told = invoice(*(fees or [fee()]), lago_id=str(UUID(int=7)), number=number, status=status)
    facts = lago.Invoice.model_validate(told)
    who = lago.Customer(lago_id=UUID(int=5), billing_entity_code="eu")
    return Candidate(7, BOOKS.id, fingerprint(facts), who, facts, contact_id=CONTACT, **known)


def posted(candidate: Candidate, **known: Any) -> Candidate:
    """As Xero has it already, as a draft."""
    known = {"synced": candidate.wanted, "xero_id": ID, "xero_status": "DRAFT", **known}
    return replace(candidate, **known)


def batch(candidate: Candidate, by: Connection = BOOKS, *, locked: bool = False) -> Batch:
    """What the next request has of it."""
    step = "create" if candidate.xero_id is None else "update"
    return assemble(
        [candidate],
        OPERATIONS[f"invoice_{step}"],
        {by.id: by},
        {by.tenant_id: LOCKED if locked else CHART},
        max_elements=50,
        max_bytes=1_000_000,
    )


def sent(candidate: Candidate, *, locked: bool = False) -> dict[str, Any]:
    """The element that is sent of it."""
    [element] = batch(candidate, locked=locked).elements
    assert element.number == json.loads(element.body)["InvoiceNumber"]
    return dict(json.loads(element.body))


def test_a_draft_is_the_invoice_under_a_number_of_its_own() -> None:
    final = sent(bill("finalized"))
    assert (final["InvoiceNumber"], final["Status"]) == ("L-ACM-001", "AUTHORISED")
    assert sent(bill("draft")) == {**final, "InvoiceNumber": NUMBER, "Status": "DRAFT"}


@pytest.mark.parametrize(("status", "number", "asked"), [
    ("draft", NUMBER, "DRAFT"), ("finalized", "L-ACM-001", "AUTHORISED"),
])  # fmt: skip
def test_what_xero_has_is_replaced_by_its_id(status: str, number: str, asked: str) -> None:
    larger = bill(status, fee(1, 10000), fee(2, 500))
    element = sent(posted(larger, synced=bill("draft").wanted))
    assert element == {**sent(larger), "InvoiceID": str(ID)}
    assert (element["InvoiceNumber"], element["Status"]) == (number, asked)
    assert len(element["LineItems"]) == 2
    assert all("LineItemID" not in line for line in element["LineItems"])


def test_a_lock_date_makes_a_draft_of_what_is_final_and_none_of_what_is_not() -> None:
    open_, held = (sent(bill("finalized"), locked=locked) for locked in (False, True))
    assert held == {**open_, "Status": "DRAFT"}
    assert sent(bill("draft"), locked=True) == sent(bill("draft"))


def test_a_locked_draft_is_sent_again_only_with_something_new() -> None:
    same = posted(bill("finalized"))
    assert (batch(same, locked=True).locked, batch(same, locked=True).elements) == ((7,), ())
    assert sent(same)["Status"] == "AUTHORISED"
    assert sent(posted(bill("finalized"), synced=b"older"), locked=True)["Status"] == "DRAFT"


def test_what_is_in_the_books_is_never_edited() -> None:
    approved = posted(bill("finalized"), xero_status="AUTHORISED", synced=b"older")
    assert (batch(approved).elements, batch(approved).stale) == ((), (7,))


def test_what_a_draft_leaves_to_allocations_is_decided_at_its_end() -> None:
    [element] = batch(bill("draft")).elements
    assert element.allocated is None
    [element] = batch(posted(bill("finalized"), synced=bill("draft").wanted)).elements
    assert element.allocated == frozenset()


# ── A look at Xero ────────────────────────────────────────────────────────────────────────────────

REMOVAL = json.dumps({"InvoiceID": str(ID), "Status": "DELETED"}).encode()
VOID = b'{"Status": "VOIDED"}'
LOOKS: dict[str, tuple[bytes, Saved, Saved | str | None]] = {
    "as sent": (frozen(), MADE, MADE),
    "as sent, and paid": (frozen(), paid := replace(MADE, status="PAID"), paid),
    "a draft yet": (frozen(), replace(MADE, status="DRAFT"), None),
    "approved under another number": (
        frozen(),
        replace(MADE, number=NUMBER),
        f"Somebody has approved the draft in Xero with number {NUMBER}, not ACM-001.",
    ),
    "approved with another total": (
        frozen(),
        replace(MADE, total=Decimal("38.50")),
        "Somebody has approved the draft in Xero with total 38.50, not 37.50.",
    ),
    "deleted": (
        frozen(),
        replace(MADE, status="DELETED"),
        "Somebody has deleted the draft in Xero: it is DELETED there.",
    ),
    "gone": (frozen(), replace(MADE, xero_id=OTHER), "Xero does not have the draft any more."),
    "removed": (REMOVAL, gone := replace(MADE, status="DELETED"), gone),
    "not removed yet": (REMOVAL, replace(MADE, status="DRAFT"), None),
    "voided by hand": (VOID, voided := replace(MADE, status="VOIDED"), voided),
    "not to be voided": (VOID, replace(MADE, status="PAID"), None),
    "to be voided, and gone": (VOID, replace(MADE, xero_id=OTHER), None),
    "approved, to be removed": (REMOVAL, MADE, "Somebody has approved the draft in Xero."),
}


@pytest.mark.parametrize("name", LOOKS)
def test_what_became_of_a_draft(name: str) -> None:
    element, there, expected = LOOKS[name]
    assert match_draft(element, ID, [there]) == expected


DRAFT = Stands("sending", None, DRAFTED, DRAFTED, ID, "DRAFT")


@pytest.mark.parametrize(("sent", "stands", "code", "looks"), [
    (DRAFTED, DRAFT, "status_invalid", True),
    (DRAFTED, DRAFT, "has_money", True),
    (DRAFTED, DRAFT, "number_taken", False),
    (b"a", replace(DRAFT, wanted=b"a", status="AUTHORISED"), "has_money", True),
    (None, replace(DRAFT, wanted=None), "status_invalid", True),
    (None, replace(DRAFT, wanted=None, synced=b"a", status="AUTHORISED"), "status_invalid", False),
])  # fmt: skip
def test_what_xero_refuses_to_do_to_a_draft_is_looked_at(
    sent: bytes | None, stands: Stands, code: str, looks: bool
) -> None:
    refusal = Refusal(code, "No.", "")
    assert Settlement(float).refused_draft(member(sent=sent, stands=stands), refusal) is looks


def test_a_refusal_that_a_look_does_not_explain_is_announced() -> None:
    s = Settlement(float)
    s.dissolve(DRAFT_REFUSED, [member(sent=DRAFTED, stands=DRAFT)], 1)
    assert [one.refusal.code for one in s.failed] == ["draft_changed_in_xero"]


def test_a_refused_void_that_a_look_does_not_explain_is_told_as_xero_did() -> None:
    s, refusal = Settlement(float), Refusal("status_invalid", "No.", "")
    approved = replace(DRAFT, wanted=None, synced=b"a", status="AUTHORISED")
    void = member(kind="invoice", sent=None, stands=approved, refused=refusal)
    assert s.refused_void(void, refusal)
    assert not s.refused_void(replace(void, stands=replace(approved, status="DRAFT")), refusal)
    assert not s.refused_void(void, Refusal("void_with_money", "No.", ""))
    s.dissolve(DRAFT_REFUSED, [void], 1)
    assert [one.refusal for one in s.failed] == [refusal]


def test_a_deleted_draft_has_no_id_any_more() -> None:
    s = Settlement(float)
    gone = replace(DRAFT, wanted=None, cause="lago:deleted")
    s.keep(member(sent=None, stands=gone), Saved(ID, status="DELETED"), "accepted")
    [kept] = s.kept
    assert (kept.rest.state, kept.rest.cause, kept.xero_id) == ("skipped", "lago:deleted", None)


@pytest.mark.parametrize(("status", "told"), [("DRAFT", []), ("AUTHORISED", ["subcent"])])
def test_what_was_noticed_is_told_once_it_is_in_the_books(status: str, told: list[str]) -> None:
    s = Settlement(float)
    sent = member(sent=DRAFTED, stands=DRAFT, notes={"subcent": {}})
    s.keep(sent, Saved(ID, status=status), "accepted")
    assert [one.finding for one in s.noticed] == told


def test_a_draft_is_called_so() -> None:
    assert explain("synced", None, draft=True) == "Xero has it as a draft, as Lago does."
    assert explain("waiting", "lock@acme", draft=True) == (
        "Xero has it as a draft; it waits: its date lies in a period that Xero has locked in "
        "connection acme."
    )
    assert explain("waiting", "draft:7") == (
        "It waits: document 7 must be more than a draft in Xero first."
    )
