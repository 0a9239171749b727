"""Overpayments on a real Postgres before a simulated Xero: never twice, never lost, taken back together."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.retrying import Which, retry
from consumer.adapters.postgres.sql import statements
from consumer.adapters.xero_auth import SCOPES, credentials
from consumer.domain.answers import Answered, Reply, Saved
from consumer.ports import Frozen
from consumer.sandbox.lago import payment, payment_request, payment_request_event
from tests.integration.ledger import books
from tests.lives.balance import balance
from tests.lives.delivery import Delivery
from tests.lives.lago import Bill, Life
from tests.lives.short import batch, begin, lived
from tests.lives.stage import MANY, Stage

Json = dict[str, Any]


def overpaid(currency: str = "EUR", beyond: int = 250) -> tuple[Life, Bill]:
    """A customer who pays his one invoice and more."""
    life, bill = begin(currency)
    life.pay(bill, bill.open + beyond, "provider")
    return life, bill


def beyond(theatre: Stage) -> list[tuple[str, Decimal]]:
    """What Xero has of overpayments, with their status."""
    found = theatre.xero.bank_transactions.values()
    return sorted((one.status, one.amount) for one in found)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD", "CLF"])
async def test_what_is_beyond_the_invoice_is_kept_for_the_customer(
    theatre: Stage, currency: str
) -> None:
    life, bill = overpaid(currency)
    result = await lived(theatre, life, batch(life.messages))
    assert result.differences == []
    [one] = theatre.xero.bank_transactions.values()
    [paid] = theatre.xero.payments.values()
    [invoice] = theatre.xero.sales_invoices(bill.said["number"])
    per_major = {"EUR": 100, "JPY": 1, "KWD": 1000, "CLF": 10000}[currency]
    whole = Decimal(bill.paid) / per_major
    assert one.amount + paid.amount == round(whole, 2)
    assert (invoice.status, paid.amount) == ("PAID", invoice.total)
    assert (one.contact_id, one.currency_code) == (invoice.contact_id, currency)
    assert one.date == paid.date


@pytest.mark.parametrize("fault", ["500_after", "reply_lost", "500_before", "close_before", "503"])
@pytest.mark.parametrize("call", [2, 3, 4])
async def test_a_broken_answer_makes_no_second_one(theatre: Stage, fault: str, call: int) -> None:
    """Of the calls for contact, invoice, payment and overpayment, and of what follows them."""
    life, _ = overpaid()
    result = await lived(theatre, life, batch(life.messages), faults={call: fault})
    assert result.differences == []
    assert beyond(theatre) == [("AUTHORISED", Decimal("2.50"))]
    assert [one.status for one in theatre.xero.payments.values()] == ["AUTHORISED"]


async def test_an_overpayment_in_doubt_is_swept_up_by_the_marker_on_its_line(
    theatre: Stage,
) -> None:
    """Xero keeps no Reference of it; the answer to the look-up has lines."""
    life, _ = overpaid()
    for call in (2, 3):  # whichever of payment and overpayment goes first
        await lived(theatre, life, batch(life.messages), faults={call: "500_after"})
        sweeps = [
            one
            for one in theatre.world.arrivals.shown(0, None, "/api.xro/2.0/BankTransactions")
            if one["method"] == "GET"
        ]
        [document] = await theatre.books.documents(kind="overpayment")
        [one] = theatre.xero.bank_transactions.values()
        assert (document["state"], str(document["xero_id"])) == ("synced", one.transaction_id)
        if sweeps:
            assert one.reference == ""
            return
    raise AssertionError("no overpayment was looked up")


async def test_one_that_was_made_twice_is_removed_once(theatre: Stage) -> None:
    """Xero was at the call and at its repetition at the same time."""
    bill = await an_invoice(theatre)
    b = theatre.books
    where = {"method": "PUT", "path_prefix": "/api.xro/2.0/BankTransactions"}
    theatre.world.faults.order({"kind": "500_after", "match": where})
    await b.told(b.paid(payment(b.choices, [bill], amount_cents=1300)))
    await theatre.rest(470.0)
    [ours] = theatre.xero.bank_transactions
    again = replace(theatre.xero.bank_transactions[ours], transaction_id=str(UUID(int=9)))
    theatre.xero.bank_transactions[again.transaction_id] = again
    await theatre.rest(5_000.0)
    states = {id: one.status for id, one in theatre.xero.bank_transactions.items()}
    assert states == {ours: "AUTHORISED", again.transaction_id: "VOIDED"}
    documents = {one["part"]: one for one in await b.documents(kind="overpayment")}
    assert str(documents["excess"]["xero_id"]) == ours
    [surplus] = [one for part, one in documents.items() if part.startswith("surplus:")]
    assert (surplus["state"], surplus["cause"]) == ("skipped", "surplus")
    await told(theatre, b.paid(payment(b.choices, [bill], amount_cents=100)))
    assert [cents for status, cents in beyond(theatre) if status == "AUTHORISED"] == [
        Decimal("1.00"),
        Decimal("3.00"),
    ], "a surplus is nobody's part"


async def test_without_the_policy_a_person_decides_until_there_is_one(theatre: Stage) -> None:
    life, _ = overpaid()
    await theatre.books.settings(excess="fail")
    try:
        await theatre.live(Delivery((batch(life.messages),), {}, ()))
        [document] = await theatre.books.documents(kind="payment")
        assert (document["state"], document["code"]) == ("failed", "payment_exceeds_open")
        assert beyond(theatre) == []
        assert await theatre.books.documents(kind="overpayment") == []
    finally:
        await theatre.books.settings(excess="overpayment")
    await theatre.rest(0.0)
    assert (await balance(theatre, life)).differences == []
    assert beyond(theatre) == [("AUTHORISED", Decimal("2.50"))]


@pytest.mark.parametrize("meanwhile", ["waits", "is ready", "is sent"])
async def test_what_is_under_way_when_the_policy_comes_follows_it(
    theatre: Stage, meanwhile: str
) -> None:
    """A payment of 13.00 on an invoice over 10.00, planned whole; nobody has to ask for anything."""
    bill, b = await an_invoice(theatre), theatre.books
    await b.settings(excess="fail")
    try:
        if meanwhile == "waits":
            bill = b.invoice(bill["customer"])
            await b.told(b.said(bill))
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=1300)))
        frozen = await b.freeze() if meanwhile == "is sent" else None
    finally:
        await b.settings(excess="overpayment")
    if frozen is not None:
        await theatre.send(frozen)
    await theatre.rest(0.0)
    assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]
    refused = [] if meanwhile == "is ready" else ["payment_exceeds_open"]
    assert await b.announced() == refused, "what is ready is not sent as it was"


async def told(theatre: Stage, *envelopes: Json) -> None:
    """Ingested as one batch; all that follows is sent."""
    await theatre.books.told(*envelopes)
    await theatre.rest(0.0)


async def an_invoice(theatre: Stage) -> Json:
    """Over 10.00, in clean books; Xero has it."""
    await theatre.live(Delivery((), {}, ()))
    [bill] = [theatre.books.invoice(who := theatre.books.customer())]
    await told(theatre, theatre.books.said(who), theatre.books.said(bill))
    return bill


def requested(theatre: Stage, request: Json) -> Json:
    return payment_request_event(request, str(theatre.books.organization_id))


def payments(theatre: Stage) -> list[tuple[str, Decimal]]:
    """What Xero has of payments, with their status."""
    return sorted((one.status, one.amount) for one in theatre.xero.payments.values())


async def test_both_parts_are_taken_back_once_the_payment_fails(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    request = payment_request(theatre.books.choices, [bill])
    request["amount_cents"] += 300
    await told(theatre, requested(theatre, request))
    assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]
    await told(theatre, requested(theatre, {**request, "payment_status": "failed"}))
    assert payments(theatre) == [("DELETED", Decimal("10.00"))]
    assert beyond(theatre) == [("VOIDED", Decimal("3.00"))]
    [document] = await theatre.books.documents(kind="overpayment")
    assert (document["state"], document["cause"]) == ("skipped", "lago:payment_failed")
    await told(theatre, requested(theatre, {**request, "payment_attempts": 2}))
    assert payments(theatre)[0] == ("AUTHORISED", Decimal("10.00"))
    assert beyond(theatre)[0] == ("AUTHORISED", Decimal("3.00"))
    assert len(beyond(theatre)) == len(payments(theatre)) == 2


@pytest.mark.parametrize("fault", ["500_after", "reply_lost", "500_before"])
async def test_a_removal_in_doubt_is_looked_up(theatre: Stage, fault: str) -> None:
    bill = await an_invoice(theatre)
    request = payment_request(theatre.books.choices, [bill])
    request["amount_cents"] += 300
    await told(theatre, requested(theatre, request))
    theatre.world.faults.order(
        {"kind": fault, "match": {"method": "POST", "path_prefix": "/api.xro/2.0/BankTransactions"}}
    )
    await theatre.books.told(requested(theatre, {**request, "payment_status": "failed"}))
    await theatre.rest(float(MANY))
    assert beyond(theatre) == [("VOIDED", Decimal("3.00"))]
    [document] = await theatre.books.documents(kind="overpayment")
    assert document["state"] == "skipped"


async def test_a_backdated_payment_leaves_what_was_posted_alone(theatre: Stage) -> None:
    """Lago dates a payment by hand as its user said: before that which Xero has by now."""
    bill = await an_invoice(theatre)
    b = theatre.books
    paid = payment(b.choices, [bill], amount_cents=1000, at="2026-05-04T09:00:00Z")
    await told(theatre, b.paid(paid))
    early = payment(b.choices, [bill], amount_cents=400, at="2026-05-02T00:00:00Z", type="manual")
    await told(theatre, b.paid(early))
    assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
    assert beyond(theatre) == [("AUTHORISED", Decimal("4.00"))]
    assert not await b.database.fetch("select from finding where class = 'drift'")


async def test_parts_that_were_posted_stay_and_what_changed_since_is_found(theatre: Stage) -> None:
    """4.00 had been paid before 10.00 were; then the 4.00 go back."""
    bill = await an_invoice(theatre)
    b = theatre.books
    request = payment_request(b.choices, [bill])
    request["amount_cents"] = 400
    await told(theatre, requested(theatre, request))
    await told(theatre, b.paid(payment(b.choices, [bill], amount_cents=1000)))
    assert beyond(theatre) == [("AUTHORISED", Decimal("4.00"))]
    await told(theatre, requested(theatre, {**request, "payment_status": "failed"}))
    assert payments(theatre) == [
        ("AUTHORISED", Decimal("6.00")),
        ("DELETED", Decimal("4.00")),
    ]
    assert beyond(theatre) == [("AUTHORISED", Decimal("4.00"))]
    drifts = await b.database.fetch(
        "select d.kind from finding f join document d on d.id = f.document_id "
        "where f.class = 'drift'"
    )
    assert [row["kind"] for row in drifts] == ["payment"]
    await told(theatre, b.paid(payment(b.choices, [bill], amount_cents=500)))
    assert [cents for status, cents in payments(theatre) if status == "AUTHORISED"] == [
        Decimal("4.00"),
        Decimal("6.00"),
    ], "the room that is there is used"
    assert [cents for _, cents in beyond(theatre)] == [Decimal("1.00"), Decimal("4.00")]


async def test_news_that_come_while_a_part_is_sent_lose_and_double_nothing(
    database_url: str,
) -> None:
    """4.00 of the invoice are offset while 10.00 are being paid on it: only once these are known not to
    be in Xero the rest of them is beyond it."""
    async with books(database_url) as b:
        await b.settings(excess="overpayment")
        [bill] = await b.posted()
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=1000)))
        frozen = await b.freeze()
        offset = {"total_offsetted_credit_note_amount_cents": 400, "total_paid_amount_cents": 1000}
        news = {**bill, **offset, "updated_at": "2026-05-04T00:00:00Z"}
        await b.told(b.said(news, "invoice.payment_status_updated"))
        assert await b.documents(kind="overpayment") == [], "what is being sent may be there"
        await b.ledger.settle(frozen.request_id, None, None)
        await b.released()
        found = await b.documents(target=UUID(bill["lago_id"]))
        wanted = {(d["kind"], d["amount_cents"]) for d in found if d["wanted"]}
        assert wanted == {("payment", 600), ("overpayment", 400)}


async def test_no_part_is_frozen_while_all_are_planned(database_url: str) -> None:
    """What is read as not sent stays so until the plan is written."""
    async with books(database_url) as b:
        await b.settings(excess="overpayment")
        [bill] = await b.posted()
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=1300)))

        async def plan(conn: Conn) -> Frozen | None:
            await conn.fetch(statements("inbox")["money_in_xero"], [UUID(bill["lago_id"])])
            return (await b.ledger.freeze(b.tenants[0])).frozen

        assert await b.database.run(plan) is None
        purposes = {frozen.purpose for frozen in await b.work()}
        assert purposes == {"payment_create", "overpayment_create"}


async def test_a_switch_counts_for_both_parts(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    b = theatre.books
    await b.settings(sync_payments=False)
    await told(theatre, b.paid(payment(b.choices, [bill], amount_cents=1300)))
    assert (payments(theatre), beyond(theatre)) == ([], [])
    await b.settings(sync_payments=True)
    await theatre.rest(0.0)
    assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]


async def test_parts_in_xero_outlast_the_policy(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    b = theatre.books
    await told(theatre, b.paid(payment(b.choices, [bill], amount_cents=1300)))
    await b.settings(excess="fail")
    try:
        await told(theatre, b.said(bill, "invoice.payment_overdue"))
        assert [d["state"] for d in await b.documents(kind="overpayment")] == ["synced"]
        found = await b.database.fetch("select from finding where class = 'drift'")
        assert not found
    finally:
        await b.settings(excess="overpayment")
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]


async def test_a_missing_scope_fails_overpayments_alone_until_it_is_granted(
    theatre: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = await an_invoice(theatre)
    b = theatre.books
    with monkeypatch.context() as narrow:
        narrow.setattr(credentials, "scopes", lambda overpays: SCOPES)
        await told(theatre, b.paid(payment(b.choices, [bill], amount_cents=1300)))
        assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
        [document] = await b.documents(kind="overpayment")
        assert (document["state"], document["code"]) == ("failed", "scope_missing")
        assert "accounting.banktransactions" in document["hint"]
        parked = "select from authorisation where parked_at is not null"
        assert not await b.database.fetch(parked)
        await told(theatre, b.said(b.invoice(bill["customer"])))
        assert {d["state"] for d in await b.documents(kind="invoice")} == {"synced"}
    await b.settings()
    await theatre.rest(0.0)
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]


async def test_a_late_answer_to_an_overpayment_that_was_given_up_is_told(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.settings(excess="overpayment")
        [bill] = await b.posted()
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=1300)))
        first = await b.freeze()
        assert first.purpose == "payment_create"
        await b.accept(first)
        await b.released()
        first = await b.freeze()
        assert first.purpose == "overpayment_create"
        [element] = json.loads(first.body)["BankTransactions"]
        assert element["LineItems"][0]["LineAmount"] == 3.0
        await b.ledger.settle(first.request_id, None, None)
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        await b.work()
        late = Answered((Saved(UUID(int=9)),))
        await b.ledger.settle(first.request_id, late, Reply(200, b""))
        assert await b.announced() == ["surplus"]


async def test_less_open_in_xero_than_in_lago_stays_a_failure(theatre: Stage) -> None:
    """A person entered money there: Lago's facts decide what is beyond the invoice, not Xero's; and what
    is beyond it waits until somebody has told the one from the other."""
    life, bill = overpaid()
    issued = [one for one in life.messages if "payment" not in one.text]
    await theatre.live(Delivery((batch(issued),), {}, ()))
    [invoice] = theatre.xero.sales_invoices(bill.said["number"])
    _pay_by_hand(theatre, invoice.invoice_id)
    rest = [one for one in life.messages if one not in issued]
    await theatre.books.ingest.store(list(batch(rest).records))
    await theatre.rest(0.0)
    [document] = await theatre.books.documents(kind="payment")
    assert (document["state"], document["code"]) == ("failed", "payment_exceeds_open")
    [excess] = await theatre.books.documents(kind="overpayment")
    assert (excess["state"], excess["cause"]) == ("waiting", f"doc:{document['id']}")
    assert beyond(theatre) == []
    theatre.xero.keep_invoice(replace(invoice, amount_paid=Decimal(0)))
    await retried(theatre)
    assert beyond(theatre) == [("AUTHORISED", Decimal("2.50"))]


def _pay_by_hand(theatre: Stage, invoice_id: str) -> None:
    one = theatre.xero.invoices[invoice_id]
    theatre.xero.keep_invoice(replace(one, amount_paid=Decimal("0.01")))


async def retried(theatre: Stage) -> None:
    """What failed is tried again."""
    async for _ in retry(theatre.books.database, Which(), who="ann", reason=None):
        pass
    await theatre.rest(0.0)
