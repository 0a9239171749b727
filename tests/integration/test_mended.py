"""What should be, found by attacking the engine: each was a fault once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres.retrying import Which, retry
from consumer.domain.answers import Answered, NotDone, Refusal, Reply, Saved
from consumer.domain.chart import Organisation
from consumer.sandbox.lago import payment, payment_request, payment_request_event
from tests.integration.ledger import CHART, Books, books
from tests.integration.notes import a_note, consumed_note, consuming, note_told

Json = dict[str, Any]
LATER = "2026-05-04T00:00:00Z"


async def _end_patience(b: Books) -> int:
    await b.database.execute(
        "update document set wait_until = now() where state = 'waiting' and wait_until is not null"
    )
    return await b.ledger.end_patience(200)


async def _in_xero(b: Books, invoice: Json) -> int:
    rows = await b.documents(kind="payment", target=UUID(invoice["lago_id"]))
    return sum(int(r["total"] * 100) for r in rows if r["xero_id"] is not None)


async def test_money_that_was_taken_back_is_not_posted_again_as_a_residual(
    database_url: str,
) -> None:
    """Lago's last figure of the invoice is from before the payment was given back."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        told = {**invoice, "total_paid_amount_cents": 1000, "updated_at": LATER}
        request = payment_request(b.choices, [invoice])
        await b.told(b.said(told, "invoice.payment_status_updated"))
        await b.told(payment_request_event(request, str(b.organization_id)))
        await b.work()
        assert await _in_xero(b, invoice) == 1000
        failed = {**request, "payment_status": "failed"}
        await b.told(payment_request_event(failed, str(b.organization_id)))
        assert [f.purpose for f in await b.work()] == ["payment_delete"]
        await _end_patience(b)
        assert [f.purpose for f in await b.work()] == []
        assert await _in_xero(b, invoice) == 0


async def _taken_from_a_residual(b: Books) -> tuple[Json, Json]:
    """An invoice whose money was posted without a payment, and the request that paid it."""
    [invoice] = await b.posted()
    told = {**invoice, "total_paid_amount_cents": 1000, "updated_at": LATER}
    await b.told(b.said(told, "invoice.payment_status_updated"))
    await _end_patience(b)
    await b.work()
    request = payment_request(b.choices, [invoice])
    await b.told(payment_request_event(request, str(b.organization_id)))
    return invoice, request


async def test_a_payment_taken_from_a_residual_and_given_back_leaves_xero(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        invoice, request = await _taken_from_a_residual(b)
        failed = {**request, "payment_status": "failed"}
        back = {**invoice, "total_paid_amount_cents": 0, "updated_at": "2026-05-05T00:00:00Z"}
        await b.told(payment_request_event(failed, str(b.organization_id)))
        await b.told(b.said(back, "invoice.payment_status_updated"))
        await b.work()
        announced = await b.announced()
        findings = await b.database.fetch("select class from finding where document_id is not null")
        assert await _in_xero(b, invoice) == 0 or announced or findings


async def test_a_payment_taken_from_a_residual_takes_it_along_when_it_fails(
    database_url: str,
) -> None:
    """Its own message says so, before Lago tells its figure again; and it may succeed yet."""
    async with books(database_url) as b:
        invoice, request = await _taken_from_a_residual(b)
        failed = {**request, "payment_status": "failed"}
        await b.told(payment_request_event(failed, str(b.organization_id)))
        assert [f.purpose for f in await b.work()] == ["payment_delete"]
        again = {**request, "status": "again"}
        await b.told(payment_request_event(again, str(b.organization_id)))
        assert [f.purpose for f in await b.work()] == ["payment_create"]
        assert await _in_xero(b, invoice) == 1000


async def test_new_money_is_not_taken_for_old(database_url: str) -> None:
    """A partial payment by hand sends no invoice webhook (lago.md 1): Lago's figure stays behind.

    600 by hand, told by the figure alone and posted; a week later another payment of 400 with its
    own message. It was made after the figure was told, and cannot be in it.
    """
    async with books(database_url) as b:
        [invoice] = await b.posted()
        told = {**invoice, "total_paid_amount_cents": 600, "updated_at": LATER}
        await b.told(b.said(told, "invoice.payment_overdue"))
        await _end_patience(b)
        await b.work()
        assert await _in_xero(b, invoice) == 600
        more = payment(b.choices, [invoice], amount_cents=400, at="2026-05-11T09:00:00Z")
        await b.told(b.paid(more))
        await b.work()
        assert await _in_xero(b, invoice) == 1000


async def test_ignored_residuals_are_not_posted(database_url: str) -> None:
    """The policy was changed while the money waited."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        told = {**invoice, "total_paid_amount_cents": 600, "updated_at": LATER}
        await b.told(b.said(told, "invoice.payment_status_updated"))
        await b.settings(residual_payments="ignore")
        await b.released()
        await _end_patience(b)
        assert [f.purpose for f in await b.work()] == []


async def test_a_void_does_not_wait_for_a_payment_that_xero_refused(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(b.paid(payment(b.choices, [invoice])))
        frozen = await b.freeze()
        assert frozen.purpose == "payment_create"
        gone = {**invoice, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        refused = Refusal("payment_account", "no", "hint")
        await b.ledger.settle(frozen.request_id, Answered((refused,)), None)
        await b.released()
        [void] = await b.documents(kind="invoice")
        [paid] = await b.documents(kind="payment")
        assert paid["state"] == "failed"
        assert void["state"] == "ready", (void["state"], void["cause"])


async def test_a_void_does_not_wait_for_a_removal_that_nobody_wants(database_url: str) -> None:
    """It goes on, or is left for a person: but it says so."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        paid = payment(b.choices, [invoice])
        await b.told(b.paid(paid))
        await b.work()
        await b.told(b.paid({**paid, "payment_status": "failed"}))
        gone = {**invoice, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        await b.told(b.paid({**paid, "status": "again"}))
        await b.work()
        await b.ledger.expire(100)
        [void] = await b.documents(kind="invoice")
        [row] = await b.documents(kind="payment")
        assert (row["state"], row["wanted"]) == ("synced", row["synced"])
        assert void["state"] != "waiting", (void["state"], void["cause"], void["wait_until"])


@pytest.mark.parametrize("how", ["throttled", "none"])
async def test_what_waits_again_while_it_is_sent_goes_on_waiting(
    database_url: str, how: str
) -> None:
    """A split that cannot be told any more ends with a word, not in silence."""
    async with books(database_url) as b:
        one, other = await b.posted(2)
        request = payment_request(b.choices, [one, other])
        for thing in request["invoices"]:
            thing.pop("total_due_amount_cents")
            thing.pop("total_paid_amount_cents", None)
        await b.told(payment_request_event(request, str(b.organization_id)))
        frozen = await b.freeze()
        assert frozen.count == 2
        part = payment(b.choices, [one], amount_cents=1)
        await b.told(b.paid(part))
        verdict = NotDone("throttled", 0.001) if how == "throttled" else None
        await b.ledger.settle(frozen.request_id, verdict, None)
        await b.released()
        rows = await b.documents(kind="payment", lago_id=UUID(request["lago_id"]))
        assert {r["cause"] for r in rows} == {f"split:{request['lago_id']}"}
        assert {r["state"] for r in rows} == {"waiting"}
        assert all(r["wait_until"] for r in rows)


async def test_an_amount_that_changes_while_it_is_sent_does_not_spin(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        paid = payment(b.choices, [invoice], amount_cents=300)
        await b.told(b.paid(paid))
        frozen = await b.freeze()
        await b.told(b.paid({**paid, "amount_cents": 500}))
        await b.ledger.settle(frozen.request_id, None, None)  # nothing left
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        sent = None
        rounds = 0
        while sent is None and rounds < 20:
            rounds += 1
            await b.database.execute("update tenant set due_at = now()")
            sent = (await b.ledger.freeze(b.tenants[0])).frozen
            await b.released()
        [row] = await b.documents(kind="payment")
        assert sent is not None, f"{rounds} rounds: {row['state']} {row['amount_cents']}"
        assert json.loads(sent.body)["Payments"][0]["Amount"] == 5.0


async def test_a_refund_sends_the_amount_that_is_wanted(database_url: str) -> None:
    """The same for a refund: nothing there compares what is sent with what is wanted."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        note = a_note(invoice, refund=400)
        await b.told(note_told(b, note))
        first = await b.freeze()
        await b.accept(first)
        await b.released()
        frozen = await b.freeze()
        assert frozen.purpose == "refund_create"
        more = {**note, "refund_amount_cents": 300, "credit_amount_cents": 100,
                "updated_at": "2026-05-04T10:00:00Z"}  # fmt: skip
        await b.told(note_told(b, more))
        await b.ledger.settle(frozen.request_id, None, None)
        await b.released()
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        again = await b.freeze()
        assert json.loads(again.body)["Payments"][0]["Amount"] == 3.0


async def test_a_voided_invoice_asks_nobody_to_credit_it(database_url: str) -> None:
    """Its credit's note never came, and is no longer needed."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(b.said(later))
        assert [f.purpose for f in await b.work()] == ["invoice_create"]
        gone = {**later, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        await b.work()
        assert not await b.ledger.expire(10)
        assert not await b.database.fetch("select code, said from outbox")


async def test_one_object_that_cannot_be_planned_does_not_hold_up_everybodys_patience(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        invoices = await b.posted(3)
        for n, one in enumerate(invoices):
            told = {**one, "total_paid_amount_cents": 100, "updated_at": LATER}
            await b.told(b.said(told, "invoice.payment_status_updated"))
            if n == 0:
                await b.database.execute(
                    "update object set facts = jsonb_set(facts::jsonb, '{content,1,fees}', '7')::json "
                    "where kind = 'invoice' and lago_id = $1",
                    UUID(one["lago_id"]),
                )
        await _end_patience(b)
        await b.released()
        rows = await b.documents(kind="payment")
        assert [r["state"] for r in rows] == ["failed", "ready", "ready"]


async def test_patience_that_planning_does_not_end_does_not_spin(database_url: str) -> None:
    """A later message of the invoice lacks its currency."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        told = {**invoice, "total_paid_amount_cents": 100, "updated_at": LATER}
        await b.told(b.said(told, "invoice.payment_status_updated"))
        bad = {**told, "currency": None, "updated_at": "2026-05-05T00:00:00Z"}
        await b.told(b.said(bad))
        await _end_patience(b)
        await b.released()
        rounds = 0
        while rounds < 50 and await b.ledger.end_patience(200):
            rounds += 1
            await b.released()
        assert rounds < 50
        [row] = await b.documents(kind="payment")
        assert (row["state"], row["code"]) == ("failed", "not_asked_for")


async def test_what_is_left_out_while_it_is_sent_frees_what_waits_for_it(
    database_url: str,
) -> None:
    """A request that never left, and meanwhile Lago's note turned out to be self-billed: the credit
    that a posted invoice left to it is lost, and nobody hears of it."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(note_told(b, note), b.said(later))
        frozen = [await b.freeze(), await b.freeze()]
        by = {f.purpose: f for f in frozen}
        await b.accept(by["invoice_create"])
        await b.released()
        [credit] = await b.documents(kind="allocation")
        assert credit["state"] == "waiting"
        again = note | {"self_billed": True, "updated_at": "2026-05-04T10:00:00Z"}
        await b.told(note_told(b, again))
        await b.ledger.settle(by["credit_note_create"].request_id, None, None)
        await b.released()
        await b.ledger.expire(10)
        [row] = await b.documents(kind="credit_note")
        [credit] = await b.documents(kind="allocation")
        assert row["state"] == "skipped"
        assert credit["state"] != "waiting", (credit["cause"], credit["wait_until"])


async def test_what_is_left_out_with_its_contact_frees_what_waits_for_it(
    database_url: str,
) -> None:
    """Xero refuses the contact; then Lago says that he is a partner: nothing of him is posted."""
    async with books(database_url) as b:
        who = b.customer()
        bill = b.invoice(who)
        await b.told(b.said(who), b.said(bill))
        await b.told(b.paid(payment(b.choices, [bill])))
        frozen = await b.freeze()
        await b.ledger.settle(
            frozen.request_id, Answered((Refusal("contact_name", "no", "hint"),)), None
        )
        partner = {**who, "account_type": "partner", "updated_at": LATER}
        await b.told(b.said(partner, "customer.updated"))
        await b.released()
        states = {d["kind"]: (d["state"], d["cause"]) for d in await b.documents()}
        assert {state for state, _ in states.values()} == {"skipped"}, states


async def test_a_payment_below_a_cent_that_failed_counts_no_more(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        bill = b.invoice(who, currency="KWD")
        await b.told(b.said(who), b.said(bill))
        await b.work()
        small = payment(b.choices, [bill], amount_cents=4)
        await b.told(b.paid(small))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        await b.told(b.paid({**small, "payment_status": "failed"}))
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=13)))
        frozen = await b.freeze()
        assert [e["Amount"] for e in json.loads(frozen.body)["Payments"]] == [0.01], "13 in all"


async def test_a_note_is_never_allocated_beyond_its_total(database_url: str) -> None:
    """1.005 dinars are 1.01 in Xero; three invoices consume 0.335 of them each."""
    async with books(database_url) as b:
        [first] = await b.posted(currency="KWD")
        note = a_note(first, credit=1005)
        await b.told(note_told(b, note))
        for _ in range(3):
            told = consuming(b, first, note, 335)
            await b.told(b.said(told | {"currency": "KWD"}))
        await b.work()
        [row] = await b.documents(kind="credit_note")
        credits = await b.documents(kind="allocation")
        assert {d["state"] for d in credits} == {"synced"}
        assert sum(d["total"] for d in credits) <= row["total"]


async def _lock(b: Books, day: date) -> None:
    await b.settings(chart=replace(CHART, organisation=Organisation(period_lock_date=day)))
    await b.released()


@pytest.mark.parametrize("kind", ["invoice", "payment"])
async def test_a_removal_that_a_lock_date_holds_goes_out_once_it_moves(
    database_url: str, kind: str
) -> None:
    """As its hint says: the document follows by itself."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        if kind == "payment":
            paid = payment(b.choices, [invoice])
            await b.told(b.paid(paid))
            await b.work()
        await _lock(b, date(2026, 5, 10))
        if kind == "payment":
            await b.told(b.paid({**paid, "payment_status": "failed"}))
        else:
            gone = {**invoice, "status": "voided", "updated_at": LATER}
            await b.told(b.said(gone, "invoice.voided"))
        assert not await b.work()
        [held] = await b.documents(kind=kind)
        assert (held["state"], held["code"]) == ("failed", "locked_period")
        assert "follows by itself" in held["hint"]
        await _lock(b, date(2026, 4, 30))
        assert [f.purpose for f in await b.work()], (await b.documents(kind=kind))[0]["state"]


async def test_a_retried_removal_is_tried_again(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        gone = {**invoice, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        frozen = await b.freeze()
        refusal = Refusal("void_with_money", "The status VOIDED cannot be applied.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        async for _ in retry(b.database, Which(), who="ann", reason=None):
            pass
        await b.released()
        assert (await b.freeze()).purpose == "invoice_void"


async def test_money_on_an_invoice_that_is_never_told_has_an_end(database_url: str) -> None:
    """A payment request names its invoices without their customers."""
    async with books(database_url) as b:
        who = b.customer()
        bill = b.invoice(who)
        request = payment_request(b.choices, [bill])
        await b.told(payment_request_event(request, str(b.organization_id)))
        await b.database.execute(
            "update document set wait_until = now() where wait_until is not null"
        )
        await b.ledger.end_patience(100)
        await b.ledger.expire(100)
        rows = await b.documents(kind="payment")
        assert [(r["state"], r["cause"], r["wait_until"]) for r in rows] == [
            ("failed", f"lago_invoice:{bill['lago_id']}", None)
        ]


async def test_money_beside_a_split_that_is_never_told_is_told(database_url: str) -> None:
    async with books(database_url) as b:
        one, other = await b.posted(2)
        request = payment_request(b.choices, [one, other])
        request["amount_cents"] -= 1
        await b.told(payment_request_event(request, str(b.organization_id)))
        told = {**one, "total_paid_amount_cents": 5000, "updated_at": LATER}
        await b.told(b.said(told, "invoice.payment_status_updated"))
        for _ in range(3):
            await b.database.execute(
                "update document set wait_until = now() where state = 'waiting' and wait_until is not null"
            )
            await b.ledger.end_patience(100)
            await b.released()
            await b.ledger.expire(100)
            await b.work()
        rows = await b.documents(kind="payment")
        assert [r["state"] for r in rows] == ["failed"] * 3


async def test_a_negative_payment_is_no_payment(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(b.paid(payment(b.choices, [invoice], amount_cents=-500)))
        await b.work()
        bad = await b.documents(kind="payment")
        events = await b.database.fetch("select outcome from event where outcome = 'dead'")
        assert events or [d["state"] for d in bad] == ["failed"], [d["state"] for d in bad]
        await b.told(b.paid(payment(b.choices, [invoice], amount_cents=1000)))
        await b.work()
        assert await _in_xero(b, invoice) == 1000


async def test_a_refused_void_puts_its_allocations_back(database_url: str) -> None:
    """DESIGN: a refusal afterwards puts the parts back and is announced."""
    async with books(database_url) as b:
        [first] = await b.posted()
        _, later = await consumed_note(b, first, 400)
        gone = {**later, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        frozen = await b.freeze()
        assert frozen.purpose == "allocation_delete"
        [row] = await b.documents(kind="allocation")
        await b.ledger.settle(
            frozen.request_id, Answered((Saved(row["xero_id"], status="DELETED"),)), None
        )
        await b.released()
        frozen = await b.freeze()
        assert frozen.purpose == "invoice_void"
        refusal = Refusal("void_with_money", "The status VOIDED cannot be applied.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        await b.released()
        [row] = await b.documents(kind="allocation")
        assert row["state"] in ("ready", "synced"), row["state"]


async def test_a_void_does_not_wait_for_an_allocation_below_a_cent(database_url: str) -> None:
    """There is nothing in Xero to be taken off."""
    async with books(database_url) as b:
        [first] = await b.posted(currency="KWD")
        note = a_note(first, credit=2005)
        later = consuming(b, first, note, 4) | {"currency": "KWD"}
        await b.told(note_told(b, note), b.said(later))
        await b.work()
        gone = {**later, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        await b.work()
        [void] = await b.documents(kind="invoice", lago_id=UUID(later["lago_id"]))
        rows = [(d["kind"], d["state"], d["cause"], d["code"]) for d in await b.documents()]
        assert void["state"] == "skipped", rows
