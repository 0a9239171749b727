"""Settlement: what becomes of a request's documents, decided without a database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.answers import Refusal, Saved
from consumer.domain.documents import Stands, State
from consumer.domain.lookup import LOOK_FIRST
from consumer.domain.outcomes import Member
from consumer.domain.settlement import GIVE_UP_ALONE, Settlement
from consumer.domain.surpluses import settle_beyond, settle_late
from schemas import lago

A, B = b"a", b"b"
NO = Refusal("no", "No.", "Mend it.")
HERE, THERE = uuid4(), uuid4()


def member(kind: Any = "invoice", sent: bytes | None = A, **facts: Any) -> Member:
    """One whose document still wants what was sent."""
    stands = facts.pop("stands", Stands("sending", None, sent, None, None))
    return Member(0, 7, kind, sent, stands, **facts)


def settlement() -> Settlement:
    """Backs off a second for each attempt."""
    return Settlement(float)


def customer(link: UUID | None = None) -> lago.Customer:
    """A customer, linked to a contact for connection ``acme`` if ``link`` is given."""
    links = [
        {
            "lago_id": str(uuid4()),
            "type": "xero",
            "integration_code": "acme",
            "external_customer_id": str(link),
        }
    ]
    return lago.Customer.model_validate(
        {
            "lago_id": str(uuid4()),
            "external_id": "c1",
            "name": "Ann",
            "created_at": "2026-05-01T12:00:00Z",
            "updated_at": "2026-05-01T12:00:00Z",
            "integration_customers": links if link else [],
        }
    )


def test_what_xero_accepts_is_synced() -> None:
    s = settlement()
    s.keep(member(), Saved(HERE), "accepted")
    [kept] = s.kept
    assert (kept.rest.state, kept.xero_id, kept.synced) == ("synced", HERE, A)
    assert s.closed == [(0, "accepted")]


def test_what_lago_changed_while_it_was_sent_is_drift_where_xero_cannot_follow() -> None:
    s = settlement()
    s.keep(member(stands=Stands("sending", None, B)), Saved(HERE), "accepted")
    [kept] = s.kept
    assert (kept.rest.state, kept.rest.drift) == ("synced", True)
    assert [notice.finding for notice in s.noticed] == ["drift"]


def test_a_contact_found_under_our_number_is_brought_up_to_date() -> None:
    s = settlement()
    s.keep(member("contact"), Saved(HERE), "found")
    assert s.kept[0].rest.state == "ready"


def test_a_payment_taken_back_has_no_id_any_more_and_an_invoice_keeps_its_own() -> None:
    for kind, xero_id in (("payment", None), ("invoice", HERE)):
        s = settlement()
        gone = Stands("sending", "lago:voided", None, A, HERE)
        s.keep(member(kind, None, stands=gone), Saved(HERE, status="DELETED"), "accepted")
        [kept] = s.kept
        assert (kept.xero_id, kept.synced, kept.rest.state) == (xero_id, None, "skipped")


def test_a_contact_made_in_vain_gives_way_to_lagos_link() -> None:
    s = settlement()
    linked = member("contact", customer=customer(THERE), connection_code="acme")
    s.keep(linked, Saved(HERE), "accepted")
    assert s.kept[0].xero_id == THERE
    assert [(n.finding, n.xero_id) for n in s.noticed] == [("linked_elsewhere", HERE)]


def test_other_totals_are_synced_and_announced() -> None:
    s = settlement()
    expected = {"net": Decimal(10), "tax": None, "total": Decimal(12)}
    s.keep(member(expected=expected), Saved(HERE, net=Decimal(10), total=Decimal(11)), "accepted")
    [notice] = s.noticed
    assert notice.refusal is not None
    assert "total 11 instead of 12" in notice.refusal.said
    assert s.kept[0].rest.state == "synced"


def test_a_refusal_fails_unless_lago_has_said_something_newer() -> None:
    s = settlement()
    s.refuse(member(), NO)
    s.refuse(member(stands=Stands("sending", None, B)), NO)
    assert len(s.failed) == 1
    assert [(one.rest.state, one.outcome) for one in s.unsent] == [("ready", "refused")]


def test_a_taken_name_gets_two_suffixes_then_it_fails() -> None:
    who = customer()
    s, suffix, seen = settlement(), "", []
    for _ in range(2):
        s.rename(member("contact", customer=who, suffix=suffix), NO)
        suffix = s.unsent[-1].suffix
        seen.append(suffix)
    s.rename(member("contact", customer=who, suffix=suffix), NO)
    assert len(set(seen)) == 2
    assert len(s.failed) == 1


def test_what_was_looked_for_before_it_is_sent_is_sent_at_once() -> None:
    s = settlement()
    s.dissolve(LOOK_FIRST, [member("overpayment", attempts=1)], 1)
    [one] = s.unsent
    assert (one.rest.state, one.delay, one.attempts, one.batch_limit) == ("ready", 0.0, 0, None)


@pytest.mark.parametrize(("cause", "again"), [("void_with_money", 1), ("policy:voids@a", 1),
                                              ("syncs:invoices@a", 0)])  # fmt: skip
def test_of_what_was_voided_while_it_was_sent_people_are_told(cause: str, again: int) -> None:
    s = settlement()
    s.keep(member(stands=Stands("sending", cause, None)), Saved(HERE), "accepted")
    assert (s.kept[0].rest.state, s.kept[0].rest.cause) == ("synced", cause)
    assert len(s.unfinished) == again


@pytest.mark.parametrize(
    "outcome", ["not_executed", "throttled", "unauthorised", "forbidden", LOOK_FIRST]
)
def test_what_says_nothing_of_the_document_is_no_attempt(outcome: str) -> None:
    s = settlement()
    s.unsend([member(attempts=3)], outcome)
    assert s.unsent[0].attempts == 2


def test_a_refused_batch_is_halved_and_the_last_one_fails() -> None:
    s = settlement()
    s.dissolve("whole_400", [member()] * 9, 9)
    assert {one.batch_limit for one in s.unsent} == {4}
    s.dissolve("whole_400", [member()], 1)
    assert [f.refusal.code for f in s.failed] == ["request_refused"]


def test_a_document_alone_without_an_outcome_is_tried_a_few_times() -> None:
    s = settlement()
    s.dissolve("status_500", [member(attempts=2)], 1)
    assert [(one.delay, one.batch_limit) for one in s.unsent] == [(2.0, 1)]
    s.dissolve("status_500", [member(attempts=GIVE_UP_ALONE)], 1)
    assert len(s.failed) == 1


@pytest.mark.parametrize(
    ("kind", "posted", "told"),
    [
        ("payment", THERE, True),
        ("payment", HERE, False),
        ("invoice", None, False),
        ("invoice", THERE, True),
    ],
)
def test_an_answer_after_the_end_tells_of_what_is_too_much(
    kind: str, posted: UUID | None, told: bool
) -> None:
    s = settlement()
    settle_late(s, member(kind, stands=Stands("ready", None, A, None, posted)), Saved(HERE))
    assert [n.finding for n in s.noticed] == ["surplus"] * told
    removed = told and kind == "payment"
    assert [xero_id for _, xero_id in s.surpluses] == [HERE] * removed


@pytest.mark.parametrize(
    ("state", "wanted", "kept"),
    [
        ("ready", A, True),
        ("failed", A, True),
        ("sending", A, False),
        ("ready", B, False),
        ("skipped", None, False),
    ],
)
def test_the_first_that_xero_has_counts_where_the_ledger_has_none(
    state: State, wanted: bytes | None, kept: bool
) -> None:
    s = settlement()
    settle_beyond(
        s, member("payment", stands=Stands(state, None, wanted)), [Saved(HERE), Saved(THERE)]
    )
    assert [one.xero_id for one in s.kept] == [HERE] * kept
    left = [THERE] if kept else [HERE, THERE]
    assert [xero_id for _, xero_id in s.surpluses] == left
