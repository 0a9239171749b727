"""Runs one after another: what they cost, what they repair, what they remember, how they go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from consumer.domain.chart import Organisation
from consumer.domain.errors import Halt
from consumer.domain.pacing import Limits
from consumer.domain.reconciling import AGAINST_LAGO, CLASSES, Period
from consumer.sandbox.lago.catalogue import UNMAPPED
from consumer.sandbox.xero.accountant import edit_invoice
from consumer.sandbox.xero.books import Contact, Invoice
from tests.integration.reconciling import Desk, human, told
from tests.integration.test_reconciling import ACTS, REST, bill, edited, paid
from tests.lives.stage import CHART, Stage

Json = dict[str, Any]
MAY = Period(date(2026, 5, 1), date(2026, 5, 31))


@pytest.fixture
async def desk(theatre: Stage) -> AsyncIterator[Desk]:
    await theatre.clean()
    theatre.accounting.faults, theatre.accounting.calls = {}, 0
    yield Desk(theatre)
    await theatre.books.settings(chart=CHART)


async def _unmapped(desk: Desk) -> Json:
    """An invoice that fails for want of a mapping."""
    return await bill(desk, taxes=(UNMAPPED,))


async def _forgotten(desk: Desk) -> Json:
    """An invoice that Xero has, though the ledger holds that it was refused."""
    made = await bill(desk)
    await desk.stage.books.database.execute(
        "update document set xero_id = null, synced = null, state = 'failed', code = 'request_refused', "
        "said = 'status_500', failed_at = now() where number = $1",
        made["number"],
    )
    return made


async def _stale(desk: Desk) -> Json:
    """An invoice of which the ledger notes another total than Xero shows."""
    made = await bill(desk)
    await desk.stage.books.database.execute(
        "update document set xero_total = xero_total + 1 where number = $1", made["number"]
    )
    return made


async def _lock(desk: Desk) -> None:
    """An invoice of April, which is locked."""
    locked = Organisation(period_lock_date=date(2026, 4, 30))
    b = desk.stage.books
    await b.settings(chart=replace(CHART, organisation=locked))
    who = b.customer()
    await b.told(b.said(who), b.said({**b.invoice(who), "issuing_date": "2026-04-15"}))
    await desk.stage.rest(REST)


async def _unsent(desk: Desk) -> Json:
    """An invoice that has not been sent yet."""
    b = desk.stage.books
    who = b.customer()
    made = b.invoice(who)
    await b.told(b.said(who), b.said(made))
    return made


async def test_every_class_is_found_and_a_safe_repair_leaves_what_is_human(desk: Desk) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for act, what in ACTS.items():
        await act(desk)
        expected[what] += 1
    await _unmapped(desk)
    forgotten, stale = await _forgotten(desk), await _stale(desk)
    expected["missing_in_xero", "invoice"] += 2
    expected["amount", "invoice"] += 1
    await _lock(desk)
    expected["locked", "invoice"] += 1
    unsent = await _unsent(desk)
    expected["in_flight", "invoice"] += 1

    first = await desk.run()
    assert Counter(told(first)) == expected
    assert set(first.counts) == set(CLASSES) - AGAINST_LAGO
    assert set(first.differences) == set(CLASSES) - AGAINST_LAGO - {"fallback", "in_flight"}
    automatic = {one.number for one in first.exceptions if one.action is not None}
    assert automatic == {forgotten["number"], stale["number"]}
    before = _sales(desk)

    second = await desk.run(repair=True)
    assert Counter(told(second)) == expected
    assert len(second.repaired) == 2
    await desk.stage.rest(REST)

    third = await desk.run()
    expected["missing_in_xero", "invoice"] -= 1
    expected["amount", "invoice"] -= 1
    expected["in_flight", "invoice"] -= 1
    assert Counter(told(third)) == +expected
    assert [one for one in third.exceptions if one.action is not None] == []
    after = _sales(desk)
    assert {number: after[number] for number in before} == before
    assert after.keys() - before.keys() == {unsent["number"]}, "that alone had not been sent"


def _sales(desk: Desk) -> dict[str, tuple[str, str]]:
    """Ids and statuses of the invoices in Xero, by number."""
    return {one.number: (one.invoice_id, one.status) for one in desk.stage.xero.invoices.values()}


async def test_what_is_repaired_is_audited_and_not_repaired_for_ever(desk: Desk) -> None:
    made = await _forgotten(desk)
    found = await desk.run(repair=True)
    assert [(one.name, one.safety) for one in human(found)] == [("missing_in_xero", "automatic")]
    assert await desk.value("select action from audit order by id desc limit 1") == "retry"
    await desk.stage.books.database.execute(
        "update document set state = 'failed', code = 'request_refused', failed_at = now(), cause = null "
        "where number = $1",
        made["number"],
    )
    again = await desk.run(repair=True)
    assert [(one.name, one.safety) for one in human(again)] == [
        ("missing_in_xero", "needs_approval")
    ]
    assert again.repaired == frozenset()


async def test_a_repair_that_is_killed_before_it_was_done_is_done_by_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await _forgotten(desk)

    def killed(*_: Any, **__: Any) -> Any:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("consumer.adapters.postgres.reconciling.retry", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await desk.run(repair=True)
    assert len((await desk.run(repair=True)).repaired) == 1
    await desk.stage.rest(REST)
    [row] = await desk.stage.books.documents(number=made["number"])
    assert row["state"] == "synced"


async def test_a_stale_note_of_xeros_figures_is_brought_up_to_date(desk: Desk) -> None:
    made = await _stale(desk)
    await desk.run(repair=True)
    row = (await desk.stage.books.documents(number=made["number"]))[0]
    assert (row["xero_total"], row["state"]) == (row["total"], "synced")
    assert await desk.value("select action from audit order by id desc limit 1") == "reconcile"
    assert await desk.told() == []


async def test_first_seen_survives_and_ends_with_the_exception(desk: Desk) -> None:
    made = await bill(desk)
    edited(desk, made, DueDate="2027-01-31")
    first = await desk.run()
    [one] = human(first)
    seen = first.first_seen[one.key]
    later = await desk.run()
    assert later.first_seen[one.key] == seen
    edited(desk, made, DueDate=made["payment_due_date"])
    assert await desk.told() == []
    [(_, kept, closed)] = await desk.first_seen("edited")
    assert kept == seen
    assert closed is not None
    edited(desk, made, DueDate="2027-01-31")
    anew = await desk.run()
    assert anew.first_seen[one.key] > seen


async def test_another_periods_exceptions_stay_open(desk: Desk) -> None:
    made = await bill(desk)
    edited(desk, made, DueDate="2027-01-31")
    await desk.run()
    desk.period = Period(date(2026, 6, 1), date(2026, 6, 30))
    assert await desk.told() == []
    [(_, _, closed)] = await desk.first_seen("edited")
    assert closed is None


async def test_show_tells_of_it(desk: Desk) -> None:
    from consumer.adapters.postgres.reading import findings
    from consumer.domain.explain import explain_finding

    made = await bill(desk)
    desk.edit(edit_invoice, action="void", number=made["number"])
    await desk.run()
    [row] = await desk.stage.books.documents(number=made["number"])
    found = (await findings(desk.stage.books.database, [row["id"]]))[row["id"]]
    sentences = [explain_finding(one["class"], one["facts"]) for one in found]
    assert "reconciling found it status: Somebody has voided it in Xero" in sentences


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────


def _others(desk: Desk, count: int) -> None:
    """Invoices of customers that are not ours."""
    xero, at = desk.stage.xero, desk.stage.world.at()
    contact = Contact(str(uuid4()), texts={"Name": "Somebody else"})
    xero.keep_contact(contact)
    for n in range(count):
        xero.keep_invoice(
            Invoice(
                str(uuid4()), "ACCREC", f"OTHER-{n}", contact.contact_id, date=date(2026, 5, 3),
                status="AUTHORISED", currency_code="EUR", total=Decimal(1), updated=at,
            )
        )  # fmt: skip


async def test_a_thousand_documents_cost_a_call_and_what_has_not_changed_one_a_kind(
    desk: Desk,
) -> None:
    await bill(desk)
    _others(desk, 2100)
    first = await desk.run()
    assert desk.watcher.pages == [
        *(("invoice", n, 3) for n in (1, 2, 3)),
        ("credit_note", 1, 0),
        ("payment", 1, 0),
    ]
    assert (first.calls, told(first)) == (5, [])
    asked = "select count(*) from request where purpose = 'reconcile' and outcome = 'answered'"
    assert await desk.value(asked) == 5, "each is counted"
    await _age(desk, 3600)
    second = await desk.run()
    assert (second.calls, told(second)) == (3, [])
    assert (await desk.run(full=True)).calls == 5


async def _age(desk: Desk, seconds: int) -> None:
    """All that was changed and read becomes older."""
    past = f"- interval '{seconds} s'"
    await desk.stage.books.database.execute(f"update mirrored set read_at = read_at {past}")
    for one in desk.stage.xero.invoices.values():
        one.updated -= 2 * seconds * 1000


async def test_a_reading_that_was_cut_off_goes_on_at_its_page(desk: Desk) -> None:
    _others(desk, 2100)
    desk.stage.accounting.faults = {desk.stage.accounting.calls + 1: "500_before"}
    with pytest.raises(Halt, match="500"):
        await desk.run()
    assert desk.watcher.pages == [("invoice", 1, 3)]
    desk.watcher.pages.clear()
    assert told(await desk.run()) == []
    invoices = [page for kind, page, _ in desk.watcher.pages if kind == "invoice"]
    assert invoices[:2] == [2, 3], "and then what has changed since it began"
    assert await desk.value("select count(*) from mirror where kind = 'invoice'") == 2100
    assert await desk.value("select count(*) from job where ended_at is not null") == 1
    assert await desk.value("select count(*) from job") == 1, "it was the same run"


async def test_pages_that_have_become_fewer_are_read_again(desk: Desk) -> None:
    """What left the days that are read moved others onto pages that were read already."""
    await bill(desk)
    _others(desk, 1500)
    xero = desk.stage.xero
    desk.period = MAY

    class Mover(type(desk.watcher)):  # type: ignore[misc]
        def read(self, kind: str, page: int, pages: int) -> None:
            super().read(kind, page, pages)
            if len(self.pages) == 1:
                first = sorted(xero.invoices.values(), key=lambda one: one.invoice_id)[0]
                first.date = date(2026, 4, 1)

    desk.watcher = Mover()
    await desk.run()
    invoices = [page for kind, page, _ in desk.watcher.pages if kind == "invoice"]
    assert invoices == [1, 2, 1, 2]
    assert (
        await desk.value("select count(distinct xero_id) from mirror where kind = 'invoice'")
        >= 1500
    )


async def test_an_earlier_period_is_read_from_its_first_day(desk: Desk) -> None:
    await bill(desk)
    desk.period = Period(date(2026, 6, 1), date(2026, 6, 30))
    assert (await desk.run()).totals == ()
    desk.period = MAY
    found = await desk.run()
    assert [(one.kind, one.agrees) for one in found.totals] == [("invoice", True)]
    assert found.exceptions == () or told(found) == []


async def test_a_later_period_takes_nothing_from_what_is_mirrored(desk: Desk) -> None:
    covered = "select string_agg(distinct covers::text, ',') from mirrored"
    await bill(desk)
    desk.period = MAY
    await desk.run()
    desk.period = Period(date(2026, 6, 1), date(2026, 6, 30))
    for full in (False, True):
        await desk.run(full=full)
        assert await desk.value(covered) == "2026-05-01"


async def test_what_was_dated_before_all_that_is_read_is_looked_up(desk: Desk) -> None:
    made = await bill(desk)
    edited(desk, made, Date="2026-01-09")
    desk.period = MAY
    found = await desk.run()
    assert told(found) == [("date", "invoice")]
    assert found.calls == 4, "one more, for it alone"
    assert [(total.ledger[0], total.xero[0]) for total in found.totals] == [(1, 0)]


async def test_what_was_dated_into_a_period_is_told_there_as_well(desk: Desk) -> None:
    made = await bill(desk)
    edited(desk, made, Date="2026-06-09", DueDate="2026-06-09")
    desk.period = Period(date(2026, 6, 1), date(2026, 6, 30))
    assert await desk.told() == [("date", "invoice")]


async def test_what_xero_does_not_show_any_more_is_missing(desk: Desk) -> None:
    made, ours = await paid(desk)
    await desk.run()
    del desk.stage.xero.payments[ours.payment_id]
    stored = desk.stage.xero.sales_invoices(made["number"])[-1]
    del desk.stage.xero.invoices[stored.invoice_id]
    assert await desk.told(full=True) == [
        ("missing_in_xero", "invoice"),
        ("payment_missing", "payment"),
    ]


async def test_what_is_sent_while_xero_is_read_is_no_difference(desk: Desk) -> None:
    made = await bill(desk)
    subject, mirror = await desk.subject(), desk.mirror
    await desk.run()
    since = datetime.now(UTC) - timedelta(hours=1)
    edited(desk, made, InvoiceNumber="other")
    await desk.run()
    sides = await mirror.sides(subject, desk.period, since)
    from consumer.domain.reconciling import compare

    assert [one.name for one in compare(sides, desk.period) if one.name != "fallback"] == [
        "in_flight"
    ]


# ── The lowest lane ───────────────────────────────────────────────────────────────────────────────


async def _called(desk: Desk, count: int, purpose: str = "invoice_create") -> None:
    await desk.stage.books.database.execute(
        "insert into request (id, tenant_id, purpose, method, path, deadline_at, answered_at, outcome) "
        "select gen_random_uuid(), $1, $2, 'PUT', 'Invoices', now(), now(), 'answered' "
        "from generate_series(1, $3)",
        desk.stage.tenant,
        purpose,
        count,
    )


@pytest.mark.parametrize(
    ("purpose", "count", "limits"),
    [
        ("invoice_create", 30, Limits(60, 5000, 5)),
        ("invoice_create", 900, Limits(10_000, 1000, 5)),
        ("reconcile", 100, Limits(10_000, 1000, 5)),
    ],
    ids=["half of the minute", "a tenth of the day", "its own tenth"],
)
async def test_it_leaves_to_live_documents(
    desk: Desk, purpose: str, count: int, limits: Limits
) -> None:
    from consumer.adapters.postgres.spare import SpareBudget
    from consumer.domain.clocks import Clocks

    budget = SpareBudget(desk.stage.books.database, limits, Clocks())
    await _called(desk, count - 1, purpose)
    granted = await budget.take(desk.stage.tenant, "reconcile", "GET", "Invoices")
    assert not isinstance(granted, float)
    refused = await budget.take(desk.stage.tenant, "reconcile", "GET", "Invoices")
    assert isinstance(refused, float)
    live = await desk.stage.books.budget.take(desk.stage.tenant, "lookup", "GET", "Invoices")
    assert not isinstance(live, float)


async def test_it_waits_politely_and_at_last_leaves_it_to_another_time(desk: Desk) -> None:
    desk.limits = Limits(10_000, 1000, 5)
    await _called(desk, 100, "reconcile")
    with pytest.raises(Halt) as halted:
        await desk.run()
    assert halted.value.code == "budget_spent"
    assert desk.watcher.waited == [], "hours are not waited out"
