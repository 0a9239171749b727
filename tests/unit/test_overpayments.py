"""Overpayments: what of the money on an invoice is beyond it, by Lago's facts and what Xero has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.mapping import Connection
from consumer.domain.objects import FINAL, Contribution, Facet, Object, ObjectKey, Stamp, merge
from consumer.domain.overpayments import Claim, InXero, parted
from consumer.domain.planning import beyond, plan_family

ORGANIZATION, INVOICE, CUSTOMER = (UUID(int=n) for n in (1, 2, 3))
ONE, TWO, THREE = (UUID(int=n) for n in (11, 12, 13))
DAY = datetime(2026, 5, 1, tzinfo=UTC)
ACME = Connection(7, "acme", ORGANIZATION, UUID(int=9), default=True, excess="overpayment")


def claim(id: UUID, cents: int | None, day: int = 0) -> Claim:
    return Claim(id, cents, cents or 0, DAY + timedelta(days=day))


def split(
    due: int, *claims: Claim, there: Mapping[UUID, InXero] | None = None, overpays: bool = True
) -> dict[UUID, tuple[int, int]]:
    parts = parted(due, claims, there or {}, overpays=overpays)
    return {id: (one.on_invoice, one.excess) for id, one in parts.items()}


def test_the_later_money_is_beyond_the_invoice() -> None:
    assert split(10, claim(ONE, 4, day=2), claim(TWO, 8, day=1)) == {TWO: (8, 0), ONE: (2, 2)}
    assert split(-3, claim(ONE, 4)) == {ONE: (0, 4)}
    assert split(10, claim(ONE, 12), overpays=False) == {ONE: (12, 0)}


def test_what_xero_has_comes_first_and_the_rest_of_it_is_beyond() -> None:
    there = {ONE: InXero(on_invoice=10)}
    assert split(10, claim(ONE, 10, day=2), claim(TWO, 3), there=there) == {
        TWO: (0, 3),
        ONE: (10, 0),
    }
    begun = {ONE: InXero(on_invoice=6)}
    assert split(10, claim(ONE, 10), there=begun, overpays=False)[ONE] == (10, 4)
    ended = {ONE: InXero(excess=4)}
    assert split(10, claim(ONE, 10), there=ended) == {ONE: (6, 4)}
    assert split(10, claim(ONE, 9), claim(TWO, 9), there={TWO: InXero(None, 5)}) == {
        ONE: (6, 3),
        TWO: (4, 5),
    }


def test_money_whose_share_nobody_proves_is_not_parted_but_has_its_room() -> None:
    there = {ONE: InXero(on_invoice=7)}
    assert split(10, claim(ONE, None), claim(TWO, 5), there=there) == {TWO: (3, 2)}
    assert split(10, claim(ONE, None), claim(TWO, 5)) == {TWO: (5, 0)}


_MONEY = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 5), st.none() | st.integers(0, 20), st.booleans()),
    min_size=1,
    max_size=5,
)


@given(st.integers(0, 30), _MONEY, st.booleans())
def test_nothing_is_lost_or_there_twice(
    due: int, money: list[tuple[int, int, int | None, bool]], overpays: bool
) -> None:
    """What Xero has and what is still to be sent are Lago's amounts, and fit the invoice."""
    claims = [claim(UUID(int=n), cents, day) for n, (cents, day, _, _) in enumerate(money, 1)]
    there = {}
    for one, (cents, _, posted, beside) in zip(claims, money, strict=True):
        if posted is not None and cents:
            part = min(posted, cents)
            there[one.lago_id] = InXero(None, part) if beside else InXero(part)
    parts = parted(due, claims, there, overpays=overpays)
    on_invoice = 0
    for one in claims:
        had, mine = there.get(one.lago_id, InXero()), parts[one.lago_id]
        here = mine.on_invoice if had.on_invoice is None else had.on_invoice
        excess = mine.excess if had.excess is None else had.excess
        assert here + excess == one.cents
        on_invoice += here
    new = sum(parts[one.lago_id].on_invoice for one in claims if one.lago_id not in there)
    if overpays:
        assert new <= max(0, due - (on_invoice - new))
        if any(parts[one.lago_id].excess for one in claims if one.lago_id not in there):
            assert on_invoice >= due


@given(st.integers(0, 30), _MONEY, st.randoms())
def test_the_order_in_which_money_is_looked_at_changes_nothing(
    due: int, money: list[tuple[int, int, int | None, bool]], random: Any
) -> None:
    claims = [claim(UUID(int=n), cents, day) for n, (cents, day, _, _) in enumerate(money, 1)]
    shuffled = random.sample(claims, len(claims))
    assert parted(due, claims, {}, overpays=True) == parted(due, shuffled, {}, overpays=True)


# ── Planning ──────────────────────────────────────────────────────────────────────────────────────


def said(kind: str, id: UUID, invoices: tuple[UUID, ...] = (), **facets: Any) -> Contribution:
    ranked = {name: Facet(Stamp(FINAL, 1, 1, "x"), value) for name, value in facets.items()}
    key = ObjectKey(kind, id)  # type: ignore[arg-type]
    return Contribution(key, ORGANIZATION, ranked, CUSTOMER, invoices)


def told_invoice(**facets: Any) -> Contribution:
    content = {
        "lago_id": str(INVOICE),
        "number": "N-1",
        "currency": "EUR",
        "issuing_date": "2026-03-31",
        "fees_amount_cents": 1000,
        "fees": [{"lago_id": str(THREE), "item": {"type": "charge"}, "amount_cents": 1000}],
        "total_amount_cents": 1000,
    }
    return said("invoice", INVOICE, content=content, status="finalized", **facets)


def told_payment(id: UUID, cents: int, day: int, status: str = "succeeded") -> Contribution:
    content = {
        "amount_cents": cents,
        "currency": "EUR",
        "created_at": (DAY + timedelta(days=day)).isoformat(),
        "invoice_ids": [str(INVOICE)],
        "reference": None,
    }
    return said("payment", id, (INVOICE,), content=content, status=status)


NEWS = (
    said("customer", CUSTOMER, content={"lago_id": str(CUSTOMER), "name": "Kauri"}, links=[]),
    told_invoice(offset=300),
    told_payment(ONE, 900, day=2),
    told_payment(TWO, 400, day=1),
)
"""7.00 are due: the earlier payment's 4.00 and 3.00 of the later one."""


def planned(
    *batches: tuple[Contribution, ...], connection: Connection = ACME
) -> dict[tuple[str, UUID], tuple[int | None, bool]]:
    """What stands at the end: kinds and ids with amounts, and whether it is wanted."""
    known: dict[ObjectKey, Object] = {}
    documents: dict[tuple[str, UUID], tuple[int | None, bool]] = {}
    for n, batch in enumerate(batches):
        changed: dict[ObjectKey, Object] = {}
        for news in batch:
            before = changed.get(news.key) or known.get(news.key)
            merged = merge(before, news)
            changed[news.key] = merged if before else replace(merged, first_seen=DAY + n * _HOUR)
        for changes in (
            changed,
            None,
        ):  # a home that was found has what waited for it planned again
            plan = plan_family(
                known,
                known if changes is None else changes,
                {connection.id: connection},
                {},
                now=DAY,
                patience=timedelta(0),
            )
            known |= plan.objects
            for one in plan.documents:
                if one.kind in ("payment", "overpayment"):
                    documents[one.kind, one.lago_id] = one.amount_cents, one.wanted is not None
    return documents


_HOUR = timedelta(hours=1)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_any_order_of_messages_parts_alike(order: tuple[int, ...]) -> None:
    one_by_one = planned(*((NEWS[n],) for n in order))
    at_once = planned(tuple(NEWS[n] for n in order))
    expected = {
        ("payment", TWO): (400, True),
        ("payment", ONE): (300, True),
        ("overpayment", ONE): (600, True),
    }
    for found in (one_by_one, at_once):
        assert {key: value for key, value in found.items() if value[1]} == expected


def test_what_changes_before_anything_was_sent_is_followed() -> None:
    failed = said("payment", TWO, (INVOICE,), status="failed")
    failed = replace(failed, facets={"status": Facet(Stamp(FINAL, 2, 2, "y"), "failed")})
    found = planned(NEWS, (failed,))
    assert found["payment", TWO] == (400, False)
    assert found["payment", ONE] == (700, True)
    assert found["overpayment", ONE] == (200, True)


def test_the_policy_decides_and_a_payment_that_fits_has_no_second_document() -> None:
    found = planned(NEWS, connection=replace(ACME, excess="fail"))
    assert found == {("payment", TWO): (400, True), ("payment", ONE): (900, True)}
    fits = planned((*NEWS[:2], told_payment(ONE, 700, day=2)))
    assert fits == {("payment", ONE): (700, True)}


def test_only_invoices_with_too_much_money_are_looked_up() -> None:
    known = {news.key: replace(merge(None, news), connection_id=7) for news in NEWS}
    assert beyond(known, {7: ACME}) == {INVOICE}
    assert beyond(known, {7: replace(ACME, excess="fail")}) == frozenset()
    del known[ObjectKey("payment", TWO)]
    assert beyond(known, {7: ACME}) == {INVOICE}
    known[ObjectKey("payment", ONE)] = merge(None, told_payment(ONE, 700, day=2))
    assert beyond(known, {7: ACME}) == frozenset()
    assert beyond(known, {7: ACME}, due=[INVOICE]) == {INVOICE}, "a residual may be made"
