"""Residuals: whatever order messages come in, Xero gets the money that Lago counts, once."""

from __future__ import annotations

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.objects import Facet, Object, ObjectKey, Stamp
from consumer.domain.residuals import decide, residuals_of, with_residuals

INVOICE = uuid4()


def paid(cents: int) -> Object:
    """An invoice of which Lago counts so much as paid."""
    facets = {"paid": Facet(Stamp(0, 1_777_636_800), cents)}
    return Object(ObjectKey("invoice", INVOICE), uuid4(), facets)


def told(invoice: Object, shares: dict[UUID, int | None], *, due: bool = False) -> Object:
    """The invoice after planning."""
    return with_residuals(invoice, decide(invoice, shares, due=due))


def recount(invoice: Object, cents: int, seconds: int = 1) -> Object:
    """The invoice once Lago counts another sum, so many seconds later."""
    facets = {**invoice.facets, "paid": Facet(Stamp(0, 1_777_636_800 + seconds), cents)}
    return Object(invoice.key, invoice.organization_id, facets)


def test_money_without_a_payment_waits_and_is_posted() -> None:
    invoice = told(paid(1000), {})
    assert (residuals_of(invoice).pending, residuals_of(invoice).made) == (1000, ())
    invoice = told(invoice, {}, due=True)
    assert residuals_of(invoice).pending == 0
    assert [cents for cents, _ in residuals_of(invoice).made] == [1000]


def test_a_payment_that_comes_in_time_leaves_nothing_to_wait_for() -> None:
    invoice = told(paid(1000), {})
    invoice = told(invoice, {uuid4(): 1000})
    assert (residuals_of(invoice).pending, residuals_of(invoice).made) == (0, ())


def test_a_payment_that_comes_late_is_taken_from_the_residual() -> None:
    late = uuid4()
    invoice = told(told(paid(1000), {}), {}, due=True)
    invoice = told(invoice, {late: 600})
    assert residuals_of(invoice).given == {late: 600}
    more = uuid4()
    invoice = told(invoice, {late: 600, more: 700})
    assert residuals_of(invoice).given == {late: 600, more: 400}, "300 are new money"


def test_a_share_that_is_not_known_says_nothing_of_what_is_missing() -> None:
    invoice = told(paid(1000), {uuid4(): None}, due=True)
    assert (residuals_of(invoice).pending, residuals_of(invoice).made) == (0, ())


def test_a_residual_whose_money_went_back_is_taken_back() -> None:
    invoice = told(told(paid(1000), {}), {}, due=True)
    invoice = told(recount(invoice, 400), {})
    assert [cents for cents, _ in residuals_of(invoice).made] == [0, 400]
    invoice = told(recount(invoice, 0, 2), {})
    assert [cents for cents, _ in residuals_of(invoice).made] == [0, 0]


def test_a_payment_that_was_taken_from_a_residual_and_fails_takes_it_back() -> None:
    late = uuid4()
    invoice = told(told(paid(1000), {}), {}, due=True)
    invoice = told(invoice, {late: 1000})
    invoice = told(invoice, {})
    assert residuals_of(invoice).given == {late: 1000}, "the invoice's own figure stands"
    invoice = told(recount(invoice, 0), {})
    assert [cents for cents, _ in residuals_of(invoice).made] == [0]
    invoice = told(invoice, {late: 1000})
    assert residuals_of(invoice).given.get(late, 0) == 0, "it has a document of its own"


def test_a_smaller_figure_of_the_same_second_takes_nothing_back() -> None:
    invoice = told(told(paid(1000), {}), {}, due=True)
    invoice = told(recount(invoice, 0, 0), {})
    assert [cents for cents, _ in residuals_of(invoice).made] == [1000]


PAYMENTS = st.lists(st.tuples(st.integers(1, 9999), st.booleans()), min_size=1, max_size=5)


@given(PAYMENTS, st.data())
def test_what_is_posted_is_what_lago_counts_in_any_order(
    payments: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Each payment raises Lago's sum; some have a message of their own, some only the sum."""
    sums, total, own = [], 0, {}
    for cents, tells in payments:
        total += cents
        sums.append(total)
        if tells:
            own[UUID(int=len(sums))] = cents
    steps: list[tuple[str, object]] = [("sum", one) for one in sums]
    steps += [("payment", id) for id in own]
    steps += [("due", None)] * data.draw(st.integers(0, 3))
    invoice, shares, posted = paid(0), dict[UUID, int | None](), dict[UUID, int]()
    highest = 0
    for what, which in [*data.draw(st.permutations(steps)), ("due", None), ("due", None)]:
        if what == "sum":
            highest = max(highest, which)  # type: ignore[call-overload]
            invoice = recount(invoice, highest)
        elif what == "payment":
            shares[which] = own[which]  # type: ignore[index]
        before = residuals_of(invoice)
        invoice = told(invoice, shares, due=what == "due")
        now = residuals_of(invoice)
        assert now.made[: len(before.made)] == before.made, "what was decided stays"
        for id in shares:
            amount = own[id] - now.given.get(id, 0)
            assert posted.setdefault(id, amount) == amount, "a document's amount stays"
            assert amount >= 0
    assert sum(cents for cents, _ in residuals_of(invoice).made) + sum(posted.values()) == total
