"""Merging: where an archived contact has gone, and what its documents do about it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.answers import Refusal, Saved
from consumer.domain.dependents import settle_dependents
from consumer.domain.documents import Planned, Stands, as_linked, rest
from consumer.domain.merging import MOST_MERGES, Traced, trace, unread
from consumer.domain.outcomes import Member
from consumer.domain.settlement import GIVE_UP_ALONE, Settlement

A, B = b"a", b"b"
IDS = [UUID(int=n + 1) for n in range(10)]
ONE, TWO, THREE = IDS[:3]
REFUSED = Refusal("contact_archived", "Archived.", "Restore it.", "look")


def archived(one: UUID, into: UUID | None = None) -> Saved:
    return Saved(one, status="ARCHIVED", merged_to=into)


def active(one: UUID) -> Saved:
    return Saved(one, status="ACTIVE")


def seen(*contacts: Saved) -> dict[UUID, Saved]:
    return {one.xero_id: one for one in contacts}


def chain(length: int) -> dict[UUID, Saved]:
    """So many archived contacts, each merged into the next, and an active one."""
    pairs = pairwise(IDS[: length + 1])
    return seen(*(archived(*pair) for pair in pairs), active(IDS[length]))


@pytest.mark.parametrize(
    ("contacts", "path", "end"),
    [
        (seen(active(ONE)), (ONE,), ONE),
        (seen(archived(ONE)), (ONE,), None),
        (seen(archived(ONE, TWO), active(TWO)), (ONE, TWO), TWO),
        (seen(archived(ONE, TWO), archived(TWO)), (ONE, TWO), None),
        (seen(archived(ONE, TWO)), (ONE, TWO), None),
        (seen(archived(ONE, TWO), archived(TWO, ONE)), (ONE, TWO), None),
        (seen(archived(ONE, ONE)), (ONE,), None),
        (seen(), (ONE,), None),
        (seen(archived(ONE, TWO), Saved(TWO, status="GDPRREQUEST")), (ONE, TWO), None),
        (chain(MOST_MERGES), tuple(IDS[: MOST_MERGES + 1]), IDS[MOST_MERGES]),
        (chain(MOST_MERGES + 1), tuple(IDS[: MOST_MERGES + 1]), None),
    ],
)
def test_merges_are_followed(contacts: Any, path: Any, end: UUID | None) -> None:
    assert trace(ONE, contacts) == Traced(path, end)


def test_what_must_be_read_next() -> None:
    assert unread([ONE, TWO], {}) == {ONE, TWO}
    assert unread([ONE, TWO], seen(archived(ONE, THREE), active(TWO))) == {THREE}
    assert unread([ONE], seen(archived(ONE, TWO), archived(TWO, ONE))) == set()


# ── Dependents ────────────────────────────────────────────────────────────────────────────────────


def invoice(position: int = 0, attempts: int = 0, wanted: bytes | None = A) -> Member:
    stands = Stands("sending", None, wanted)
    return Member(
        position, position + 1, "invoice", A, stands, attempts, refused=REFUSED, contact=70
    )


def contact(
    state: Any = "synced", xero_id: UUID = ONE, code: str | None = None, **more: Any
) -> Member:
    stands = Stands(state, None, A, A, xero_id, code=code)
    return Member(-1, 70, "contact", A, stands, **more)


def settled(found: Traced, of: Member, *members: Member) -> Settlement:
    settlement = Settlement(float)
    settle_dependents(settlement, [(one, found) for one in members], {70: of})
    assert len(settlement.closed) == len(members)
    return settlement


def test_all_follow_a_merge_and_it_is_told_once() -> None:
    done = settled(Traced((ONE, TWO), TWO), contact(), invoice(0), invoice(1))
    [kept] = done.kept
    assert (kept.xero_id, kept.merged, kept.linked) == (TWO, (ONE,), True)
    [noticed] = done.noticed
    assert (noticed.finding, noticed.xero_id, noticed.facts) == (
        "contact_merged", ONE, {"into": str(TWO)},
    )  # fmt: skip
    assert [one.rest.state for one in done.unsent] == ["ready", "ready"]
    assert done.failed == []


@pytest.mark.parametrize("leaves", [True, False])
def test_an_update_that_waits_goes_to_the_new_contact_if_the_policy_says_so(leaves: bool) -> None:
    waiting = Member(-1, 70, "contact", B, Stands("ready", None, B, A, ONE), leaves_linked=leaves)
    [kept] = settled(Traced((ONE, TWO), TWO), waiting, invoice()).kept
    assert kept.rest.state == ("synced" if leaves else "ready")


def test_without_an_heir_the_contact_fails_once_and_all_wait() -> None:
    done = settled(Traced((ONE,)), contact(), invoice(0), invoice(1))
    [failed] = done.failed
    assert (failed.member.document_id, failed.refusal.code) == (70, "contact_archived")
    assert [(one.rest.state, one.rest.cause) for one in done.unsent] == [("waiting", "doc:70")] * 2
    again = settled(Traced((ONE,)), contact("failed", code="contact_archived"), invoice())
    assert (again.failed, again.unsent[0].rest.state) == ([], "waiting")


@pytest.mark.parametrize("state", ["sending", "waiting", "skipped"])
def test_a_contact_that_is_on_the_move_is_left_alone(state: str) -> None:
    done = settled(Traced((ONE, TWO), TWO), contact(state), invoice(attempts=3))
    assert (done.kept, done.failed) == ([], [])
    assert [(one.rest.state, one.delay) for one in done.unsent] == [("ready", 3.0)]


def test_restored_meanwhile_it_is_tried_again_but_not_for_ever() -> None:
    back = Traced((ONE,), ONE)
    assert settled(back, contact(), invoice(attempts=1)).unsent[0].delay == 1.0
    [failed] = settled(back, contact(), invoice(attempts=GIVE_UP_ALONE)).failed
    assert (failed.member.kind, failed.cause) == ("invoice", "doc:70")


def test_with_another_contact_by_now_it_is_simply_sent_again() -> None:
    done = settled(Traced((ONE,)), contact(xero_id=TWO), invoice())
    assert (done.failed, done.unsent[0].rest.state) == ([], "ready")


def test_voided_meanwhile_it_is_left_out() -> None:
    done = settled(Traced((ONE,)), contact(), invoice(wanted=None))
    assert (done.failed, done.unsent[0].rest.state) == ([], "skipped")


# ── Links ─────────────────────────────────────────────────────────────────────────────────────────


def planned(linked: UUID | None = None, wanted: bytes | None = A, leaves: bool = True) -> Planned:
    return Planned(
        "contact",
        THREE,
        customer_id=THREE,
        connection_id=1,
        tenant_id=THREE,
        wanted=wanted,
        xero_id=linked,
        leaves_linked=leaves,
    )


def test_a_link_to_what_was_merged_changes_nothing() -> None:
    merged = Stands("synced", None, A, A, TWO, linked=True, merged=(ONE,))
    assert as_linked(merged, planned(ONE)) == merged
    assert as_linked(merged, planned(THREE)).xero_id == THREE


@pytest.mark.parametrize(("leaves", "state"), [(True, "synced"), (False, "ready")])
def test_what_a_person_made_is_left_or_updated_by_policy(leaves: bool, state: str) -> None:
    plan = planned(ONE, wanted=B, leaves=leaves)
    linked = Stands("synced", None, A, A, ONE, linked=True)
    assert rest("contact", as_linked(linked, plan), plan).state == state
    ours = Stands("synced", None, A, A, ONE)
    assert rest("contact", as_linked(ours, plan), plan).state == "ready"


def test_an_archived_contact_stays_failed_until_something_changes() -> None:
    failed = Stands("failed", None, A, A, ONE, code="contact_archived")

    def state(plan: Planned) -> str:
        return rest("contact", as_linked(failed, plan), plan).state

    assert state(planned()) == "failed"
    assert state(planned(ONE)) == "failed"
    assert state(planned(wanted=B)) == "ready"
    assert state(planned(TWO)) == "synced"
