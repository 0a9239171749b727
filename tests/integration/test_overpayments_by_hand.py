"""Money beyond an invoice that a person has entered in Xero: never there twice, and told where unsure."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from consumer.adapters.postgres.dead_letters import Letters, discard
from consumer.adapters.postgres.retrying import Which, retry
from consumer.domain.answers import Answered, Refusal, Reply
from consumer.sandbox.lago import payment, payment_request
from tests.integration.ledger import books
from tests.integration.reconciling import Desk
from tests.integration.test_overpayments import (
    an_invoice,
    beyond,
    payments,
    requested,
    retried,
    told,
)
from tests.lives.stage import Stage

Json = dict[str, Any]


async def entered(
    theatre: Stage, *, paid: str | None = None, more: str | None = None, day: str = "2026-05-04"
) -> None:
    """What a person enters: so much as a payment of the only invoice, so much as an overpayment."""
    [invoice] = theatre.xero.invoices.values()
    account = {"Code": "090"}
    if paid is not None:
        on = {"Invoice": {"InvoiceID": invoice.invoice_id}, "Account": account}
        one = {**on, "Date": day, "Amount": float(paid), "Reference": "bank"}
        body = json.dumps({"Payments": [one]}).encode()
        await theatre.call("PUT", "Payments?summarizeErrors=false", body)
    if more is not None:
        one = {
            "Type": "RECEIVE-OVERPAYMENT",
            "Contact": {"ContactID": invoice.contact_id},
            "BankAccount": account,
            "CurrencyCode": invoice.currency_code,
            "Date": day,
            "LineAmountTypes": "NoTax",
            "LineItems": [{"Description": "Too much", "LineAmount": float(more)}],
        }
        body = json.dumps({"BankTransactions": [one]}).encode()
        before = len(theatre.xero.bank_transactions)
        await theatre.call("PUT", "BankTransactions?summarizeErrors=false", body)
        assert len(theatre.xero.bank_transactions) == before + 1


def paid(theatre: Stage, bill: Json, cents: int = 1300, hour: int = 9) -> Json:
    """Lago's message of so much on the invoice over 10.00."""
    b = theatre.books
    made = payment(b.choices, [bill], amount_cents=cents, at=f"2026-05-04T{hour:02}:00:00Z")
    return b.paid(made)


async def parts(theatre: Stage) -> tuple[Json, Json]:
    """The documents of the only payment and of what is beyond its invoice."""
    [on_invoice] = await theatre.books.documents(kind="payment")
    [excess] = await theatre.books.documents(kind="overpayment")
    return on_invoice, excess


@pytest.mark.parametrize("paid_too", [True, False])
@pytest.mark.parametrize("day", ["2026-04-27", "2026-05-11"])
async def test_what_a_person_entered_beyond_the_invoice_counts_as_lagos(
    theatre: Stage, day: str, paid_too: bool
) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, paid="10.00" if paid_too else None, more="3.00", day=day)
    await told(theatre, paid(theatre, bill))
    assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]
    [theirs] = theatre.xero.bank_transactions
    on_invoice, excess = await parts(theatre)
    assert (on_invoice["state"], on_invoice["by_hand"] is not None) == ("synced", paid_too)
    assert (excess["state"], excess["cause"]) == ("synced", "paid_by_hand")
    assert (excess["xero_id"], str(excess["by_hand"])) == (None, theirs)
    found = await theatre.books.database.fetch(
        "select xero_id from finding where document_id = $1 and class = 'paid_by_hand'",
        excess["id"],
    )
    assert [str(row["xero_id"]) for row in found] == [theirs]
    assert await theatre.books.announced() == []


@pytest.mark.parametrize("day", ["2026-04-26", "2026-05-12"])
async def test_an_overpayment_of_another_week_is_other_money(theatre: Stage, day: str) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, paid="10.00")
    await entered(theatre, more="3.00", day=day)
    await entered(theatre, more="4.00", day=day)
    await told(theatre, paid(theatre, bill))
    on_invoice, excess = await parts(theatre)
    assert on_invoice["cause"] == "paid_by_hand"
    assert (excess["state"], excess["by_hand"]) == ("synced", None)
    assert len(beyond(theatre)) == 3


async def test_one_of_a_persons_counts_for_one_of_lagos(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, paid="10.00", more="3.00")
    await told(theatre, paid(theatre, bill), paid(theatre, bill, 300, hour=10))
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))] * 2
    documents = await theatre.books.documents(kind="overpayment")
    assert {one["state"] for one in documents} == {"synced"}
    assert sorted(one["by_hand"] is not None for one in documents) == [False, True]


async def test_what_was_entered_in_one_sum_is_told_until_it_is_apart(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, paid="10.00", more="5.00")
    await told(theatre, paid(theatre, bill))
    assert beyond(theatre) == [("AUTHORISED", Decimal("5.00"))]
    _, excess = await parts(theatre)
    assert (excess["state"], excess["code"]) == ("failed", "excess_unclear")
    assert "5.00 (" in excess["said"]
    assert "3.00" in excess["hint"]
    await told(theatre, theatre.books.said(bill, "invoice.payment_overdue"))
    assert await theatre.books.announced() == ["excess_unclear"]
    await entered(theatre, more="3.00")
    await retried(theatre)
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00")), ("AUTHORISED", Decimal("5.00"))]
    _, excess = await parts(theatre)
    assert (excess["state"], excess["cause"]) == ("synced", "paid_by_hand")


async def test_a_whole_receipt_entered_as_an_overpayment_is_told(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, more="13.00")
    await told(theatre, paid(theatre, bill))
    assert beyond(theatre) == [("AUTHORISED", Decimal("13.00"))]
    _, excess = await parts(theatre)
    assert (excess["state"], excess["code"]) == ("failed", "excess_unclear")


async def test_other_money_of_the_customer_is_no_reason_to_ask(theatre: Stage) -> None:
    """Nothing on the invoice was entered by hand, nor is it the sum of the payment."""
    bill = await an_invoice(theatre)
    await entered(theatre, more="5.00")
    await told(theatre, paid(theatre, bill))
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00")), ("AUTHORISED", Decimal("5.00"))]
    assert await theatre.books.announced() == []


async def test_no_exception_is_made_of_what_counts_as_lagos(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, paid="10.00", more="3.00")
    await told(theatre, paid(theatre, bill))
    assert await Desk(theatre).told() == []


@pytest.mark.parametrize("more", [None, "13.00", "3.00"])
async def test_what_belongs_to_a_payment_that_a_person_has_set_aside_is_looked_for(
    theatre: Stage, more: str | None
) -> None:
    """He has seen to what is on the invoice; of what is beyond it nobody knows before the look."""
    bill = await an_invoice(theatre)
    await entered(theatre, paid="9.50", more=more)
    await told(theatre, paid(theatre, bill))
    on_invoice, excess = await parts(theatre)
    assert (on_invoice["state"], excess["cause"]) == ("failed", f"doc:{on_invoice['id']}")
    letters = Letters(Which(ids=[on_invoice["id"]]), None)
    async for _ in discard(theatre.books.database, letters, who="ann", reason="seen to"):
        pass
    await theatre.rest(0.0)
    on_invoice, excess = await parts(theatre)
    assert on_invoice["state"] == "skipped"
    assert beyond(theatre) == [("AUTHORISED", Decimal(more or "3.00"))]
    by_hand = excess["by_hand"] is not None
    expected = {None: ("synced", None, False), "13.00": ("failed", "excess_unclear", False)}
    assert (excess["state"], excess["code"], by_hand) == expected.get(more, ("synced", None, True))


async def test_what_a_person_entered_stays_when_lago_takes_its_payment_back(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    await entered(theatre, paid="10.00", more="3.00")
    request = payment_request(theatre.books.choices, [bill])
    request["amount_cents"] = 1300
    await told(theatre, requested(theatre, request))
    assert {one["cause"] for one in await parts(theatre)} == {"paid_by_hand"}
    await told(theatre, requested(theatre, {**request, "payment_status": "failed"}))
    assert payments(theatre) == [("AUTHORISED", Decimal("10.00"))]
    assert beyond(theatre) == [("AUTHORISED", Decimal("3.00"))]
    _, excess = await parts(theatre)
    assert (excess["state"], excess["cause"]) == ("skipped", "lago:payment_failed")
    rows = await theatre.books.database.fetch("select code, hint from outbox order by id")
    assert [row["code"] for row in rows] == ["paid_by_hand"] * 2
    assert {"overpayment" in row["hint"] for row in rows} == {False, True}


async def test_what_is_taken_back_while_it_is_looked_for_is_not_made(theatre: Stage) -> None:
    bill = await an_invoice(theatre)
    b = theatre.books
    request = payment_request(b.choices, [bill])
    request["amount_cents"] += 300
    await b.told(requested(theatre, request))
    await theatre.send(await b.freeze())
    await b.released()
    assert (await b.ledger.freeze(theatre.tenant)).frozen is None
    [excess] = await b.documents(kind="overpayment")
    assert excess["state"] == "sending", "it is looked for"
    await told(theatre, requested(theatre, {**request, "payment_status": "failed"}))
    assert beyond(theatre) == []
    [excess] = await b.documents(kind="overpayment")
    assert (excess["state"], excess["cause"]) == ("skipped", "lago:payment_failed")


async def test_a_look_counts_for_one_request_and_for_an_hour(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(excess="overpayment")
        [bill] = await b.posted()
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=1300)))
        await b.accept(await b.freeze())
        await b.released()
        refused = Refusal("payment_account_invalid", "No.", "Map another.")
        for _ in range(2):
            assert (await b.ledger.freeze(b.tenants[0])).frozen is None
            assert await b.looked() == 1
            frozen = (await b.ledger.freeze(b.tenants[0])).frozen
            assert frozen is not None
            await b.ledger.settle(frozen.request_id, Answered((refused,)), Reply(200, b""))
            async for _ in retry(b.database, Which(), who="ann", reason=None):
                pass
            await b.released()
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        assert await b.looked() == 1
        await b.database.execute("update request set started_at = started_at - interval '2 hours'")
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        assert await b.looked() == 1, "the last look was too long ago"
        assert (await b.freeze()).purpose == "overpayment_create"


async def test_an_overpayment_waits_for_all_that_is_paid_on_its_invoice(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(excess="overpayment")
        [bill] = await b.posted()
        first, second = (payment(b.choices, [bill], amount_cents=cents) for cents in (1000, 300))
        await b.told(b.paid(first), b.paid(second))
        frozen = await b.freeze()
        assert (frozen.purpose, frozen.count) == ("payment_create", 1)
        [on_invoice] = await b.documents(kind="payment", state="sending")
        [excess] = await b.documents(kind="overpayment")
        assert (excess["state"], excess["cause"]) == ("waiting", f"doc:{on_invoice['id']}")
        refused = Refusal("payment_exceeds_open", "Payment amount exceeds.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refused,)), Reply(200, b""))
        assert await b.work() == [], "what is open there is not what Lago says"
        await b.told(b.paid({**first, "payment_status": "failed"}))
        assert [one.purpose for one in await b.work()] == ["payment_create"]
