"""Payments that a person has entered in Xero: each counts as the one that Lago tells of, and stays."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.chart import Organisation
from consumer.sandbox.lago import payment, payment_event
from consumer.sandbox.xero.books import Invoice, Payment
from tests.lives.delivery import Delivery, as_record
from tests.lives.lago import ORGANIZATION, Bill, Life, Message
from tests.lives.short import batch, begin
from tests.lives.stage import CHART, Stage

Row = dict[str, Any]


@pytest.fixture
async def posted(theatre: Stage) -> tuple[Life, Bill]:
    """An invoice that Xero has."""
    life, bill = begin(receipts=True)
    await theatre.live(Delivery((batch(life.messages),), {}, ()))
    return life, bill


async def told(theatre: Stage, life: Life, since: int = 0) -> None:
    """The messages from ``since`` on are delivered, and all comes to rest."""
    new: list[Message] = life.messages[since:]
    await theatre.books.ingest.store([as_record(one, since + n) for n, one in enumerate(new)])
    await theatre.rest(5_000.0)


async def entered(
    theatre: Stage, amount: Decimal, *, days: int = 0, on: str = "Invoice"
) -> Payment:
    """What a person enters: so much on the only invoice or credit note, ``days`` after Lago's."""
    xero = theatre.xero
    notes = list(xero.credit_notes.values())
    id = notes[0].credit_note_id if on == "CreditNote" else the_invoice(theatre).invoice_id
    day = date.fromisoformat("2026-05-04") + timedelta(days=days)
    before = set(xero.payments)
    element = {
        on: {f"{on}ID": id},
        "Account": {"Code": "880"},
        "Date": day.isoformat(),
        "Amount": float(amount),
        "Reference": "bank",
    }
    body = json.dumps({"Payments": [element]}).encode()
    await theatre.call("PUT", "Payments?summarizeErrors=false", body)
    [new] = set(xero.payments) - before
    return xero.payments[new]


async def forgotten(theatre: Stage, kind: str) -> None:
    """The ledger knows nothing of what it has posted of that kind, and sends it again."""
    await theatre.books.database.execute(
        "update document set xero_id = null, synced = null, state = 'ready', ready_at = now() "
        "where kind = $1",
        kind,
    )
    await theatre.books.database.execute("update tenant set due_at = now()")
    await theatre.rest(5_000.0)


async def halves(theatre: Stage, life: Life, bill: Bill) -> tuple[Row, Row, Payment]:
    """Two payments of Lago's that pay the bill, and one in Xero that a person entered for the second."""
    half = bill.open // 2
    first, second = (
        payment(life.choices, [bill.said], amount_cents=cents, at=life.stamp)
        for cents in (bill.open - half, half)
    )
    return first, second, await entered(theatre, Decimal(half) / 100)


def the_invoice(theatre: Stage) -> Invoice:
    [invoice] = theatre.xero.invoices.values()
    return invoice


async def payments(theatre: Stage, kind: str = "payment") -> list[Row]:
    return await theatre.books.documents(kind=kind)


async def findings(theatre: Stage) -> list[tuple[str, str]]:
    rows = await theatre.books.database.fetch(
        "select class, xero_id from finding where class <> 'fallback_used' order by id"
    )
    return [(row["class"], str(row["xero_id"])) for row in rows]


@pytest.mark.parametrize("days", [-7, 0, 7])
async def test_a_payment_entered_by_hand_counts_as_the_one_that_lago_tells_of(
    theatre: Stage, posted: tuple[Life, Bill], days: int
) -> None:
    life, bill = posted
    told_before = len(life.messages)
    life.pay(bill, bill.open, "provider")
    theirs = await entered(theatre, the_invoice(theatre).total, days=days)
    await told(theatre, life, told_before)
    [document] = await payments(theatre)
    assert (document["state"], document["cause"]) == ("synced", "paid_by_hand")
    assert (document["xero_id"], str(document["by_hand"])) == (None, theirs.payment_id)
    assert len(theatre.xero.payments) == 1
    assert (await findings(theatre), await theatre.books.announced()) == (
        [("paid_by_hand", theirs.payment_id)],
        [],
    )


@pytest.mark.parametrize(("days", "counts"), [(-7, True), (7, True), (-8, False), (8, False),
                                              (18, True), (17, False)])  # fmt: skip
async def test_a_week_around_its_own_day_counts_where_a_lock_date_has_it_sent_with_another(
    theatre: Stage, posted: tuple[Life, Bill], days: int, counts: bool
) -> None:
    """Lago's payment of 4 May would be dated on 29 May."""
    life, bill = posted
    told_before = len(life.messages)
    life.pay(bill, bill.open, "provider")
    theirs = await entered(theatre, the_invoice(theatre).total, days=days)
    locked = replace(CHART, organisation=Organisation(period_lock_date=date(2026, 5, 28)))
    await theatre.books.settings(chart=locked, locked_period="first_open_day")
    try:
        await told(theatre, life, told_before)
    finally:
        await theatre.books.settings(chart=CHART, locked_period="hold")
    [document] = await payments(theatre)
    by_hand = theirs.payment_id if counts else "None"
    assert (document["state"] == "synced", str(document["by_hand"])) == (counts, by_hand)


@pytest.mark.parametrize("days", [-8, 8])
async def test_one_of_another_week_is_another_payment(
    theatre: Stage, posted: tuple[Life, Bill], days: int
) -> None:
    life, bill = posted
    told_before = len(life.messages)
    life.pay(bill, bill.open, "provider")
    await entered(theatre, the_invoice(theatre).total, days=days)
    await told(theatre, life, told_before)
    [document] = await payments(theatre)
    assert (document["state"], document["code"]) == ("failed", "document_not_open")
    assert "Authorised documents" in document["said"], "Xero's own words are kept"
    assert await theatre.books.announced() == ["document_not_open"]


async def test_one_of_a_persons_counts_for_one_of_lagos(
    theatre: Stage, posted: tuple[Life, Bill]
) -> None:
    """Half by hand, and two halves of Lago's: one of them is posted, the other is there."""
    life, bill = posted
    told_before, half = len(life.messages), bill.open // 2
    life.pay(bill, half, "provider")
    life.pay(bill, half, "provider")
    theirs = await entered(theatre, Decimal(half) / 100)
    await told(theatre, life, told_before)
    causes = sorted(str(one["cause"]) for one in await payments(theatre))
    assert causes == ["None", "paid_by_hand"]
    assert {one["state"] for one in await payments(theatre)} == {"synced"}
    amounts = [one.amount for one in theatre.xero.payments.values()]
    assert amounts == [theirs.amount] * 2


async def test_what_was_entered_in_one_sum_is_neither_of_two(
    theatre: Stage, posted: tuple[Life, Bill]
) -> None:
    life, bill = posted
    told_before = len(life.messages)
    life.pay(bill, bill.open // 4, "provider")
    life.pay(bill, bill.open, "provider")
    await entered(theatre, the_invoice(theatre).total)
    await told(theatre, life, told_before)
    assert {one["code"] for one in await payments(theatre)} == {"document_not_open"}
    assert len(theatre.xero.payments) == 1


async def test_a_persons_payment_stays_when_lago_takes_its_own_back(
    theatre: Stage, posted: tuple[Life, Bill]
) -> None:
    life, bill = posted
    told_before = len(life.messages)
    life.request([bill])
    theirs = await entered(theatre, the_invoice(theatre).total)
    await told(theatre, life, told_before)
    assert [one["cause"] for one in await payments(theatre)] == ["paid_by_hand"]
    bounced = len(life.messages)
    life.pass_time(60)
    life.bounce(life.payments[0])
    await told(theatre, life, bounced)
    [document] = await payments(theatre)
    assert (document["state"], document["by_hand"]) == ("skipped", None)
    assert theatre.xero.payments[theirs.payment_id].status == "AUTHORISED"
    assert await theatre.books.announced() == ["paid_by_hand"]


@pytest.mark.parametrize("news", [{"reference": "slip 7"}, {"created_at": "2026-05-20T08:00:00Z"}])
async def test_what_counts_as_posted_is_not_posted_after_all(
    theatre: Stage, posted: tuple[Life, Bill], news: Row
) -> None:
    """Half is Lago's and half a person's; the invoice has room again once Lago's goes back, and then a
    message tells more of the payment that the person's counts as."""
    life, bill = posted
    first, second, theirs = await halves(theatre, life, bill)
    for said in (first, second, {**first, "payment_status": "refunded"}, {**second, **news}):
        await theatre.books.told(payment_event(said, ORGANIZATION))
        await theatre.rest(5_000.0)
    standing = [one for one in theatre.xero.payments.values() if one.status == "AUTHORISED"]
    assert standing == [theirs]
    [document] = [one for one in await payments(theatre) if one["by_hand"]]
    assert (document["state"], document["cause"]) == ("synced", "paid_by_hand")
    assert [name for name, _ in await findings(theatre)] == ["paid_by_hand", "drift"]


async def test_a_switch_turned_off_and_on_does_not_post_it_either(
    theatre: Stage, posted: tuple[Life, Bill]
) -> None:
    life, bill = posted
    first, second, theirs = await halves(theatre, life, bill)
    for said in (first, second, {**first, "payment_status": "refunded"}):
        await theatre.books.told(payment_event(said, ORGANIZATION))
        await theatre.rest(5_000.0)
    for on in (False, True):
        await theatre.books.settings(sync_payments=on)
        await theatre.books.told(payment_event({**second, "updated_at": f"{on}"}, ORGANIZATION))
        await theatre.rest(5_000.0)
    standing = [one for one in theatre.xero.payments.values() if one.status == "AUTHORISED"]
    assert standing == [theirs]
    [document] = [one for one in await payments(theatre) if one["by_hand"]]
    assert (document["state"], document["cause"]) == ("synced", "paid_by_hand")


async def test_our_own_payment_is_adopted_by_its_marker(
    theatre: Stage, posted: tuple[Life, Bill]
) -> None:
    """It arrived after it had been given up, as only its Reference tells."""
    life, bill = posted
    told_before = len(life.messages)
    life.pay(bill, bill.open, "provider")
    await told(theatre, life, told_before)
    [ours] = theatre.xero.payments.values()
    await forgotten(theatre, "payment")
    [document] = await payments(theatre)
    assert (document["state"], str(document["xero_id"])) == ("synced", ours.payment_id)
    assert (document["cause"], await findings(theatre)) == (None, [])
    assert len(theatre.xero.payments) == 1


async def test_a_refund_entered_by_hand_counts_as_lagos(
    theatre: Stage, posted: tuple[Life, Bill]
) -> None:
    life, bill = posted
    told_before = len(life.messages)
    life.pay(bill, bill.open, "provider")
    [fee] = bill.said["fees"]
    life.credit(bill, {fee["lago_id"]: fee["amount_cents"]}, lambda _, paid: (0, paid))
    await told(theatre, life, told_before)
    [ours] = [one for one in theatre.xero.payments.values() if one.credit_note_id]
    await theatre.call("POST", f"Payments/{ours.payment_id}", b'{"Status": "DELETED"}')
    theirs = await entered(theatre, ours.amount, on="CreditNote")
    await forgotten(theatre, "refund")
    [refund] = await payments(theatre, "refund")
    assert (refund["cause"], str(refund["by_hand"])) == ("paid_by_hand", theirs.payment_id)
    assert len(theatre.xero.payments) == 3
