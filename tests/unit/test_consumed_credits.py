"""Planning what invoices consume of credit notes: by policy, and as they were sent; refunds of notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.credit_notes import Placed
from consumer.domain.documents import Planned, object_of
from consumer.domain.explain import explain
from consumer.domain.mapping import Connection
from consumer.domain.objects import FINAL, Facet, Object, ObjectKey, Stamp
from consumer.domain.planning import plan_family

ORGANIZATION, CUSTOMER, CORRECTED, INVOICE, NOTE, CREDIT = (UUID(int=n) for n in range(1, 7))
NZ = Connection(7, "nz", ORGANIZATION, UUID(int=9), default=True)
CLEARS = replace(NZ, consumed_credits="negative_line")
NOW = datetime(2026, 5, 1, tzinfo=UTC)
FEE = {"lago_id": str(UUID(int=30)), "item": {"type": "charge"}, "amount_cents": 1000}
ITEM = {"lago_id": str(UUID(int=31)), "amount_cents": 400, "fee": FEE}
OTHERWISE = "policy:consumed_credits@nz"

Told = Mapping[ObjectKey, Object]


def thing(key: ObjectKey, facets: dict[str, Any], *invoice_ids: UUID) -> Object:
    made = {name: Facet(Stamp(FINAL), value) for name, value in facets.items()}
    made["content"] = Facet(Stamp(FINAL), facets["content"])
    return Object(key, ORGANIZATION, made, CUSTOMER, invoice_ids=invoice_ids)


def customer() -> Object:
    content = {"lago_id": str(CUSTOMER), "name": "Kauri"}
    return thing(ObjectKey("customer", CUSTOMER), {"content": content, "links": None})


def invoice(id: UUID, *, status: str = "finalized", cents: int = 0) -> Object:
    item = {"lago_item_id": str(NOTE), "type": "credit_note"}
    content = {
        "lago_id": str(id),
        "number": f"N-{id.int}",
        "currency": "EUR",
        "issuing_date": "2026-03-31",
        "fees_amount_cents": 1000,
        "total_amount_cents": 1000 - cents,
        "credit_notes_amount_cents": cents,
        "fees": [FEE],
    }
    credits = [{"lago_id": str(CREDIT), "amount_cents": cents, "item": item}] if cents else []
    facets = {"content": content, "status": status, "credits": credits}
    return thing(ObjectKey("invoice", id), facets)


def note(
    *,
    refund: int = 0,
    status: str | None = None,
    credit: str = "available",
    self_billed: bool = False,
) -> Object:
    content = {
        "lago_id": str(NOTE),
        "number": "CN-1",
        "lago_invoice_id": str(CORRECTED),
        "issuing_date": "2026-04-01",
        "currency": "EUR",
        "credit_amount_cents": 400 - refund,
        "refund_amount_cents": refund,
        "items": [ITEM],
        "self_billed": self_billed,
    }
    facets = {"content": content, "credit": credit, "refund": status}
    return thing(ObjectKey("credit_note", NOTE), facets, CORRECTED)


def family(**later: Any) -> dict[ObjectKey, Object]:
    told = (customer(), invoice(CORRECTED), note(), invoice(INVOICE, cents=400, **later))
    return {one.key: one for one in told}


def planned(
    told: Told, by: Connection, placed: Placed | None = None
) -> dict[tuple[str, str], Planned]:
    plan = plan_family(
        {},
        dict(told),
        {by.id: by},
        {},
        now=NOW,
        patience=timedelta(minutes=10),
        placed={INVOICE: placed} if placed else {},
    )
    return {
        (one.kind, one.part): one for one in plan.documents if one.kind in ("allocation", "refund")
    }


ALLOCATION, REFUND = ("allocation", ""), ("refund", f"clearing:{CREDIT}")


def test_by_default_a_credit_is_allocated_and_nothing_clears_it() -> None:
    made = planned(family(), NZ)
    assert made[ALLOCATION].wanted is not None
    assert not made[ALLOCATION].optional
    refund = made[REFUND]
    assert (refund.wanted, refund.hold, refund.optional) == (None, OTHERWISE, True)


def test_by_policy_a_refund_of_the_note_clears_its_line() -> None:
    made = planned(family(), CLEARS)
    refund = made[REFUND]
    assert refund.wanted is not None
    assert (refund.lago_id, refund.source, refund.target) == (NOTE, NOTE, INVOICE)
    assert (refund.amount_cents, refund.currency, refund.connection_id) == (400, "EUR", NZ.id)
    assert object_of("refund", refund.part, NOTE, INVOICE) == ObjectKey("invoice", INVOICE)
    assert (made[ALLOCATION].hold, made[ALLOCATION].optional) == (OTHERWISE, True)


PLACED = {
    "allocated": (Placed(allocated=frozenset({CREDIT})), True, False, "allocated"),
    "cleared": (Placed(cleared=frozenset({CREDIT})), False, True, "deducted"),
    "a plain line": (Placed(), False, False, "deducted"),
}


@pytest.mark.parametrize("by", [NZ, CLEARS])
@pytest.mark.parametrize("name", PLACED)
def test_an_invoice_keeps_what_it_was_sent_with_under_any_policy(name: str, by: Connection) -> None:
    placed, allocated, cleared, otherwise = PLACED[name]
    made = planned(family(), by, placed)
    assert (made[ALLOCATION].wanted is not None) == allocated
    assert (made[REFUND].wanted is not None) == cleared
    assert {one.hold for one in made.values() if one.wanted is None} == {otherwise}


@pytest.mark.parametrize("by", [NZ, CLEARS])
def test_each_order_of_the_messages_ends_in_the_same_plan(by: Connection) -> None:
    told = list(family().values())
    plans = []
    for order in permutations(told):
        known: dict[ObjectKey, Object] = {}
        rows: dict[tuple[str, str], Planned] = {}
        for one in order:
            plan = plan_family(
                known, {one.key: one}, {by.id: by}, {}, now=NOW, patience=timedelta(minutes=10)
            )
            known.update({one.key: one, **plan.objects})
            # what waits for its customer's home is planned again with it
            again = plan_family(
                known, dict(known), {by.id: by}, {}, now=NOW, patience=timedelta(minutes=10)
            )
            for document in (*plan.documents, *again.documents):
                if document.kind in ("allocation", "refund"):
                    rows[document.kind, document.part] = document
        plans.append({key: (one.wanted, one.hold) for key, one in rows.items()})
    assert all(plan == plans[0] for plan in plans)
    chosen = REFUND if by.clears else ALLOCATION
    assert [key for key, (wanted, _) in plans[0].items() if wanted] == [chosen]


@pytest.mark.parametrize("placed", [None, Placed(cleared=frozenset({CREDIT}))])
def test_a_void_takes_back_what_clears_its_line(placed: Placed | None) -> None:
    refund = planned(family(status="voided"), CLEARS, placed)[REFUND]
    assert (refund.wanted, refund.hold, refund.stays) == (None, "lago:voided", None)


def test_a_note_that_will_never_be_there_is_not_cleared() -> None:
    told = family()
    told[ObjectKey("credit_note", NOTE)] = note(self_billed=True)
    refund = planned(told, CLEARS)[REFUND]
    assert (refund.hold, refund.optional) == ("self_billed", False)


def test_what_was_cleared_stays_when_lago_voids_what_is_left_of_the_note() -> None:
    told = family()
    told[ObjectKey("credit_note", NOTE)] = note(credit="voided")
    refund = planned(told, CLEARS, Placed(cleared=frozenset({CREDIT})))[REFUND]
    assert (refund.wanted is not None, refund.hold) == (True, None)


# ── Refunds ───────────────────────────────────────────────────────────────────────────────────────

SURE = replace(NZ, refunds="when_succeeded")
WAITS = "policy:refunds@nz"
REFUNDS: dict[str, tuple[Connection, str | None, str | None, bool]] = {
    "at once, pending": (NZ, "pending", None, False),
    "at once, succeeded": (NZ, "succeeded", None, False),
    "at once, failed": (NZ, "failed", "lago:refund_failed", False),
    "at once, not begun": (NZ, None, "refund_not_begun", False),
    "when succeeded, pending": (SURE, "pending", WAITS, True),
    "when succeeded, succeeded": (SURE, "succeeded", None, False),
    "when succeeded, failed": (SURE, "failed", "lago:refund_failed", False),
    "when succeeded, not begun": (SURE, None, "refund_not_begun", False),
}


@pytest.mark.parametrize("name", REFUNDS)
def test_when_a_refund_is_posted(name: str) -> None:
    by, status, hold, waits = REFUNDS[name]
    told = [customer(), invoice(CORRECTED), note(refund=400, status=status)]
    refund = planned({one.key: one for one in told}, by)["refund", ""]
    assert (refund.wanted is None, refund.hold, refund.waits) == (hold is not None, hold, waits)
    if waits:  # one that was posted before the policy stays
        assert refund.stays == hold


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (WAITS, "It waits: the refund has not succeeded in Lago yet, and refunds says when_succ"),
        (OTHERWISE, "It waits: consumed_credits has the invoice take its credit in another way"),
        (f"uncleared:{NOTE}", "It waits: its invoice has it on the clearing account, but credit"),
        ("allocated", "It waits: its credit is allocated to the invoice"),
    ],
)
def test_why_it_waits_is_said(cause: str, words: str) -> None:
    assert explain("waiting", cause).startswith(words)
