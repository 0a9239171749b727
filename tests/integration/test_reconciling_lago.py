"""Lago against the ledger, over HTTP: what messages never told is found, told once, and taken in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.responses import JSONResponse

from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.postgres.holdings import PostgresHoldings
from consumer.adapters.postgres.reconciling import PostgresMirror
from consumer.domain.clocks import Clocks
from consumer.domain.contacts import erased
from consumer.domain.objects import Object, ObjectKey, dump_facets, load_facets
from consumer.domain.reconciling import ListedKind, Period
from consumer.ports import Answer, Question, Unanswered
from consumer.ports.reconciling import Listing
from consumer.reconcile import Lago, LagoReader
from consumer.sandbox.lago import LagoApi, RandomChoices, link, payment, serve_api
from consumer.sandbox.xero.accountant import edit_invoice
from tests.integration.asking import inquiry
from tests.integration.notes import a_note, note_told
from tests.integration.reconciling import EVER, Desk, Watcher, human, told
from tests.lives.lago import ORGANIZATION
from tests.lives.stage import CHART, Stage

Json = dict[str, Any]
REST = 5_000.0
MAY = Period(date(2026, 5, 1), date(2026, 5, 31))
LATER = "2026-05-20T08:00:00Z"


@dataclass
class Counter:
    """A desk, and the Lago that it asks."""

    desk: Desk
    lago: LagoApi
    choices: RandomChoices = field(default_factory=lambda: RandomChoices(Random(9)))

    async def bill(self, amount: int = 1000, **facts: Any) -> Json:
        """An invoice of a new customer's that Lago has and told of, and Xero has."""
        b = self.desk.stage.books
        who = b.customer()
        made = b.invoice(who, amount, **facts)
        self.lago.add("customer", who)
        self.lago.add("invoice", made)
        await self.hears(b.said(who), b.said(made))
        return made

    async def hears(self, *messages: Json) -> None:
        """The ledger is told this, and Xero follows."""
        await self.desk.stage.books.told(*messages)
        await self.rest()

    async def rest(self) -> None:
        await self.desk.stage.rest(REST)

    def lost(self, amount: int = 1000, **facts: Any) -> Json:
        """An invoice that only Lago knows, as its customer."""
        b = self.desk.stage.books
        made = b.invoice(b.customer(), amount, **facts)
        self.lago.add("customer", made["customer"])
        self.lago.add("invoice", made)
        return made

    def changed(self, made: Json, at: str = LATER, **facts: Any) -> None:
        """Lago has it otherwise since, and no message says so."""
        self.lago.add("invoice", {**made, "updated_at": at, **facts})

    def pays(self, made: Json, cents: int | None = None, **facts: Any) -> Json:
        """A payment that only Lago knows, on an invoice that shows it."""
        paid = payment(self.choices, [made], amount_cents=cents, **facts)
        self.lago.add("payment", paid)
        if paid["payment_status"] == "succeeded":
            sum = made["total_paid_amount_cents"] + paid["amount_cents"]
            self.changed(made, total_paid_amount_cents=sum)
        return paid

    def noted(self, made: Json, **parts: int) -> Json:
        """A credit note that only Lago knows."""
        note = a_note(made, **parts)
        self.lago.add("credit_note", note)
        return note

    async def numbers(self) -> list[str]:
        return sorted(one.number for one in self.desk.stage.xero.invoices.values())


@pytest.fixture
async def counter(theatre: Stage) -> AsyncIterator[Counter]:
    await theatre.clean()
    theatre.accounting.faults = {}
    await theatre.books.settings(chart=CHART, start_date=None, customers="create")
    lago = LagoApi(ORGANIZATION, "key-of-the-tests")
    async with serve_api(lago) as url:
        api = HttpLagoApi(url, lago.key)
        try:
            yield Counter(Desk(theatre, api), lago)
        finally:
            await api.close()
    await theatre.books.settings(chart=CHART, start_date=None, customers="create")


async def test_books_that_were_told_of_everything_have_no_exception(counter: Counter) -> None:
    made = await counter.bill()
    b = counter.desk.stage.books
    paid = counter.pays(made, 400)
    note = counter.noted(made, offset=300)
    await counter.hears(b.paid(paid), note_told(b, note))
    found = await counter.desk.run()
    assert (told(found), found.lago.why, found.lago.unverified) == ([], None, 0)
    assert counter.desk.watcher.listed == [
        ("invoice", 1, 1), ("credit_note", 1, 1), ("payment", 1, 1),
    ]  # fmt: skip
    assert found.lago.calls == 4, "and whose key it is"


async def test_each_class_is_found_once_repaired_by_the_normal_way_and_then_clean(
    counter: Counter,
) -> None:
    xero = counter.desk.stage.xero
    missing = counter.lost(2000)
    voided, paid, behind = await counter.bill(), await counter.bill(), await counter.bill(3000)
    gone = await counter.bill()
    healthy = await counter.bill()
    counter.changed(voided, status="voided", voided_at=LATER)
    money = counter.pays(paid, 400)
    note = counter.noted(behind, offset=500)
    del counter.lago.objects["invoice"][gone["lago_id"]]
    expected = {
        ("missing_in_ledger", missing["lago_id"]),
        ("ledger_behind", voided["lago_id"]),
        ("missing_in_ledger", money["lago_id"]),
        ("missing_in_ledger", note["lago_id"]),
        ("unknown_to_lago", gone["lago_id"]),
    }
    first = await counter.desk.run()
    assert {(one.name, str(one.lago_id)) for one in human(first)} == expected
    by_name = {one.name: one for one in human(first)}
    assert by_name["unknown_to_lago"].safety == "accountant_only"
    assert by_name["unknown_to_lago"].number == gone["number"]
    assert by_name["ledger_behind"].differences[0].theirs == "voided"
    assert missing["number"] not in await counter.numbers(), "nobody asked for a repair"

    second = await counter.desk.run(repair=True)
    assert len(second.repaired) == 4
    await counter.rest()
    assert missing["number"] in await counter.numbers()
    assert xero.sales_invoices(voided["number"])[-1].status == "VOIDED"
    assert [str(one.amount) for one in xero.payments.values()] == ["4.00"]
    assert [one.number for one in xero.credit_notes.values()] == [note["number"]]
    assert xero.sales_invoices(healthy["number"])[-1].status == "AUTHORISED"

    third = await counter.desk.run(repair=True)
    assert told(third) == [("unknown_to_lago", "invoice")]
    assert third.repaired == frozenset()
    audited = await counter.desk.value(
        "select count(*) from audit where action = 'reconcile' and subject like '%Lago''s API'"
    )
    assert audited == 4


async def test_an_exception_is_repaired_once_and_known_since_it_was_seen(counter: Counter) -> None:
    """What Lago lists and then does not show cannot be taken in: a person is asked the second time."""
    missing = counter.lost()
    first = await counter.desk.run()
    [one] = human(first)
    second = await counter.desk.run(repair=True)
    assert second.first_seen[one.key] == first.first_seen[one.key]
    await counter.desk.stage.books.database.execute("delete from document; delete from object")
    again = await counter.desk.run(repair=True)
    assert [(each.name, each.safety) for each in human(again)] == [
        ("missing_in_ledger", "needs_approval")
    ]
    assert again.repaired == frozenset()
    assert missing["number"] not in await counter.numbers()


async def test_whoever_is_killed_between_taking_in_and_noting_it_takes_nothing_in_twice(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, paid = counter.lost(2000), await counter.bill()
    counter.pays(paid, 400)

    async def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresMirror, "repair", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await counter.desk.run(repair=True)
    # Another begins before what was taken in is in Xero, and one after it.
    await counter.desk.run(repair=True)
    await counter.rest()
    after = await counter.desk.run(repair=True)
    assert (told(after), after.repaired) == ([], frozenset())
    xero = counter.desk.stage.xero
    assert len(xero.sales_invoices(missing["number"])) == 1
    assert [str(one.amount) for one in xero.payments.values()] == ["4.00"]


async def test_a_figure_of_lagos_that_no_message_told(counter: Counter) -> None:
    made = await counter.bill(taxes=())
    counter.changed(
        made, taxes_amount_cents=100, total_amount_cents=made["total_amount_cents"] + 100
    )
    [one] = human(await counter.desk.run())
    assert [(each.field, each.ours, each.theirs) for each in one.differences] == [
        ("total", "10.00", "11.00"),
        ("tax", "0.00", "1.00"),
    ]


async def test_a_payment_that_failed_since_is_taken_back(counter: Counter) -> None:
    made = await counter.bill()
    paid = counter.pays(made)
    await counter.hears(counter.desk.stage.books.paid(paid))
    counter.lago.add("payment", {**paid, "payment_status": "failed"})
    counter.changed(made, total_paid_amount_cents=0)
    found = await counter.desk.run(repair=True)
    assert told(found) == [("ledger_behind", "payment")], "the invoice's money is told by it"
    await counter.rest()
    assert [one.status for one in counter.desk.stage.xero.payments.values()] == ["DELETED"]
    assert told(await counter.desk.run()) == []


async def test_money_that_no_payment_told_is_in_the_books_already(counter: Counter) -> None:
    """The invoice's message told how much was paid; Lago's payment adds nothing to what was posted."""
    made = await counter.bill()
    b = counter.desk.stage.books
    paid = counter.pays(made, type="manual")
    now = counter.lago.objects["invoice"][made["lago_id"]]
    await counter.hears(
        b.said({**now, "payment_status": "succeeded"}, "invoice.payment_status_updated")
    )
    assert len(counter.desk.stage.xero.payments) == 1
    assert told(await counter.desk.run()) == []
    counter.pays(now, 100, created_at="2026-05-21T08:00:00Z")
    [one] = human(await counter.desk.run())
    assert (one.name, one.kind) == ("missing_in_ledger", "payment")
    assert str(one.lago_id) != paid["lago_id"]


async def test_what_is_no_business_of_the_connections(counter: Counter) -> None:
    b = counter.desk.stage.books
    counter.lost(status="draft")
    elsewhere = counter.lost()
    who = {**elsewhere["customer"], "billing_entity_code": "other"}
    counter.lago.add("customer", who)
    counter.lago.add("invoice", {**elsewhere, "customer": who})
    counter.noted(elsewhere, offset=100)
    counter.pays({**elsewhere, "customer": who})
    partner = counter.lost()
    who = {**partner["customer"], "account_type": "partner"}
    counter.lago.add("invoice", {**partner, "customer": who})
    counter.lost(self_billed=True)
    failed = counter.pays(await counter.bill(), status="failed")
    counter.changed(counter.lost(), issuing_date="2026-04-30")
    counter.desk.period = MAY
    assert told(await counter.desk.run()) == [], f"{failed['lago_id']} never came"
    await b.settings(chart=CHART, start_date=date(2026, 5, 2))
    counter.lost()
    assert told(await counter.desk.run()) == [], "it was issued before the connection begins"


async def test_what_was_paid_is_not_told_where_payments_are_not_synced(counter: Counter) -> None:
    """A partial payment that a person records comes in no message; a void tells what was paid by then."""
    made = await counter.bill()
    counter.pays(made, 300, type="manual")
    books = counter.desk.stage.books
    await books.settings(chart=CHART, sync_payments=False)
    try:
        assert told(await counter.desk.run()) == []
    finally:
        await books.settings(chart=CHART, sync_payments=True)
    assert told(await counter.desk.run()) == [("missing_in_ledger", "payment")]


async def test_what_lago_changed_just_now_is_on_its_way(counter: Counter) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    counter.changed(counter.lost(), at=now)
    found = await counter.desk.run(repair=True)
    assert told(found) == [("in_flight", "invoice")]
    assert (found.repaired, found.differences) == (frozenset(), {})


async def test_an_invoice_known_without_its_fees_is_known_poorly(counter: Counter) -> None:
    made = counter.lost()
    await counter.hears(counter.desk.stage.books.said(made, "invoice.generated"))
    found = await counter.desk.run(repair=True)
    assert ("missing_in_ledger", "invoice") in told(found)
    await counter.rest()
    assert await counter.numbers() == [made["number"]]
    assert told(await counter.desk.run()) == []


async def test_a_voided_credit_is_seen_though_lago_sends_nothing(counter: Counter) -> None:
    made = await counter.bill()
    note = counter.noted(made, credit=500)
    await counter.hears(note_told(counter.desk.stage.books, note))
    used = {**note, "credit_status": "consumed", "balance_amount_cents": 0}
    counter.lago.add("credit_note", used)
    assert told(await counter.desk.run()) == [], "that is told by what consumes it"
    counter.lago.add("credit_note", {**note, "credit_status": "voided", "balance_amount_cents": 0})
    found = await counter.desk.run(repair=True)
    assert told(found) == [("ledger_behind", "credit_note")]
    await counter.rest()
    assert told(await counter.desk.run()) == []


async def test_an_erased_customers_data_is_not_brought_back(counter: Counter) -> None:
    made = await counter.bill()
    b = counter.desk.stage.books
    id = UUID(made["customer"]["lago_id"])
    [row] = await b.database.fetch("select facts::text from object where lago_id = $1", id)
    known = Object(ObjectKey("customer", id), b.organization_id, load_facets(row["facts"]))
    await b.database.execute(
        "update object set facts = $2::json where lago_id = $1",
        id,
        dump_facets(erased(known).facets),
    )
    paid = counter.pays(made, 100)
    counter.changed(made, status="voided", total_paid_amount_cents=100)
    found = await counter.desk.run(repair=True)
    assert {(one.name, one.safety, str(one.lago_id)) for one in human(found)} == {
        ("ledger_behind", "needs_approval", made["lago_id"]),
        ("missing_in_ledger", "needs_approval", paid["lago_id"]),
    }
    assert found.repaired == frozenset()
    assert not any(one.startswith("payments?invoice_id") for one in counter.lago.calls)


async def test_hundreds_are_read_page_by_page(counter: Counter) -> None:
    for _ in range(2):
        await counter.bill()
    first = counter.lost()
    for _ in range(220):
        counter.lago.add("invoice", {**first, "lago_id": str(uuid4()), "self_billed": True})
    found = await counter.desk.run()
    assert counter.desk.watcher.listed[:3] == [("invoice", n, 3) for n in (1, 2, 3)]
    assert told(found) == [("missing_in_ledger", "invoice")]


async def test_payments_are_read_back_to_the_first_day(counter: Counter) -> None:
    counter.desk.period = MAY
    made = await counter.bill()
    for n in range(250):
        old = payment(
            counter.choices, [made], amount_cents=1, at=f"2026-03-{1 + n % 28:02}T08:00:00Z"
        )
        counter.lago.add("payment", old)
    assert told(await counter.desk.run()) == []
    assert [one for one in counter.desk.watcher.listed if one[0] == "payment"] == [
        ("payment", 1, 3)
    ]


async def test_an_invoice_that_lago_dates_elsewhere_is_asked_for(counter: Counter) -> None:
    counter.desk.period = MAY
    made = await counter.bill()
    counter.changed(made, issuing_date="2026-04-02")
    found = await counter.desk.run()
    [one] = human(found)
    assert (one.name, [each.field for each in one.differences]) == ("ledger_behind", ["date"])


async def test_a_customer_whom_nobody_told_of_is_where_lago_links_him(database_url: str) -> None:
    """With several connections his links decide, which only Lago knows."""
    async with inquiry(database_url, tenants=2) as q:
        b = q.b
        linked, served = b.customer("acme"), b.customer("acme")
        linked["integration_customers"] = [link(b.choices, "xero", "acme-1", str(uuid4()))]
        q.lago.add("customer", linked, served)
        bare = {name: value for name, value in linked.items() if name != "integration_customers"}
        there, here = b.invoice(bare), b.invoice(served)
        q.lago.add("invoice", there, here)
        for code, invoice in (("acme", here), ("acme-1", there)):
            subject = await PostgresMirror(b.database).subject(code)
            assert subject is not None
            reader = LagoReader(q.api, Clocks(), Watcher())
            lago = Lago(reader, PostgresHoldings(b.database), b.inbox, lambda: datetime.now(UTC))
            found = await lago.compare(subject, EVER, ())
            assert [(one.name, str(one.lago_id)) for one in found.exceptions] == [
                ("missing_in_ledger", invoice["lago_id"])
            ]
            assert found.calls == 6, "the key's organization, three lists, two customers"


# ── A Lago that does not answer ───────────────────────────────────────────────────────────────────


async def test_xero_is_reported_whatever_lago_says_and_nothing_of_lago_is_forgotten(
    counter: Counter,
) -> None:
    counter.lost()
    made = await counter.bill()
    await counter.desk.run()
    counter.desk.edit(edit_invoice, action="void", number=made["number"])
    for status, said in ((401, "401"), (403, "403"), (500, "500")):
        counter.lago.faults.append(JSONResponse({}, status))
        found = await counter.desk.run()
        assert told(found) == [("status", "invoice")]
        assert found.lago.why is not None
        assert said in found.lago.why
    [(_, _, closed)] = await counter.desk.first_seen("missing_in_ledger")
    assert closed is None
    assert len(told(await counter.desk.run())) == 2


async def test_lagos_limit_is_obeyed_and_waiting_has_an_end(counter: Counter) -> None:
    counter.lost()
    busy = JSONResponse({}, 429, headers={"x-ratelimit-reset": "7"})
    counter.lago.faults.extend([busy, busy])
    found = await counter.desk.run()
    assert (counter.desk.watcher.waited, told(found)) == (
        [7, 7],
        [("missing_in_ledger", "invoice")],
    )
    counter.lago.faults.extend([busy] * 200)
    found = await counter.desk.run()
    assert (told(found), "429" in (found.lago.why or "")) == ([], True)
    assert sum(counter.desk.watcher.waited) <= 914


async def test_what_was_found_before_lago_fell_silent_is_told(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.lost()
    assert counter.desk.api is not None
    page = counter.desk.api.page

    async def silent(kind: ListedKind, period: Period, number: int) -> Listing:
        if kind == "credit_note":
            raise Unanswered("unavailable", "Lago's API was not reached (TimeoutError).")
        return await page(kind, period, number)

    monkeypatch.setattr(counter.desk.api, "page", silent)
    found = await counter.desk.run()
    assert told(found) == [("missing_in_ledger", "invoice")]
    assert found.lago.told.startswith("not all compared: ")


async def test_what_cannot_be_read_is_named_and_the_rest_is_compared(counter: Counter) -> None:
    broken, _, fine = counter.lost(), counter.lost(), counter.lost()
    first = await counter.bill()
    counter.changed(broken, taxes_amount_cents="many")
    counter.changed(first, sub_total_including_taxes_amount_cents={"name": "Jane"})
    found = await counter.desk.run()
    assert told(found) == [("missing_in_ledger", "invoice")] * 2
    assert fine["lago_id"] in {str(one.lago_id) for one in found.exceptions}
    assert found.lago.told.startswith("not all compared: Lago's invoice ")
    assert "Nor can 1 more." in found.lago.told
    assert "Jane" not in found.lago.told
    counter.changed(broken, taxes_amount_cents=0)
    found = await counter.desk.run()
    assert found.lago.told == (
        f"not all compared: Lago's invoice {first['lago_id']} cannot be read "
        "(sub_total_including_taxes_amount_cents: int_type)."
    )


async def test_a_lago_that_falls_silent_is_not_asked_for_each_of_the_others(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand lost messages would be a thousand timeouts, or a thousand times a quarter of an hour."""
    for _ in range(3):
        counter.lost()
    assert counter.desk.api is not None
    ask, asked = counter.desk.api.ask, []

    async def silent(question: Question) -> Sequence[Answer]:
        asked.append(question)
        if len(asked) == 2:
            raise Unanswered("missing", "Lago's API answered with status 404.")
        if len(asked) > 2:
            raise Unanswered("unavailable", "Lago's API was not reached (TimeoutError).")
        return await ask(question)

    with monkeypatch.context() as patched:
        patched.setattr(counter.desk.api, "ask", silent)
        found = await counter.desk.run(repair=True)
    assert (len(asked), found.repaired) == (3, frozenset())
    assert "TimeoutError" in found.lago.told
    assert len((await counter.desk.run(repair=True)).repaired) == 3


async def test_a_list_that_repeats_itself_has_an_end(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.lost()
    assert counter.desk.api is not None
    page = counter.desk.api.page

    async def endless(kind: ListedKind, period: Period, number: int) -> Listing:
        assert number < 9
        shown = await page(kind, period, 1)
        return replace(shown, following=number + 1)

    monkeypatch.setattr(counter.desk.api, "page", endless)
    found = await counter.desk.run()
    assert told(found) == [("missing_in_ledger", "invoice")]
    assert found.lago.told == "not all compared: Lago's API does not go on in its list of invoices."


async def test_payments_that_are_not_listed_the_newest_first_are_all_read(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.desk.period = MAY
    made = await counter.bill()
    lost = counter.pays(made, 100)
    old = [
        payment(counter.choices, [made], amount_cents=1, at=f"2026-03-0{day}T08:00:00Z")
        for day in (1, 2)
    ]
    assert counter.desk.api is not None
    page = counter.desk.api.page

    async def oldest_first(kind: ListedKind, period: Period, number: int) -> Listing:
        if kind != "payment":
            return await page(kind, period, number)
        return Listing(tuple(old), 2, 2) if number == 1 else Listing((lost,), None, 2)

    monkeypatch.setattr(counter.desk.api, "page", oldest_first)
    assert told(await counter.desk.run()) == [("missing_in_ledger", "payment")]


async def test_a_connection_that_was_retired_while_xero_was_read_is_not_compared(
    counter: Counter,
) -> None:
    subject = await counter.desk.subject()
    lago, books = counter.desk.lago, counter.desk.stage.books
    assert lago is not None
    await books.database.execute("update connection set removed_at = now()")
    try:
        assert "retired" in (await lago.compare(subject, EVER, ())).told
    finally:
        await books.database.execute("update connection set removed_at = null")


async def test_a_key_of_another_organization_tells_nothing(counter: Counter) -> None:
    counter.lost()
    counter.lago.organization_id = str(uuid4())
    found = await counter.desk.run()
    assert (told(found), "another organization" in (found.lago.why or "")) == ([], True)


async def test_without_lagos_api_that_is_said(counter: Counter) -> None:
    counter.desk.api = None
    found = await counter.desk.run()
    assert found.lago.told == (
        "not compared: LAGO_XERO_LAGO_API_URL and LAGO_XERO_LAGO_API_KEY are not set."
    )
