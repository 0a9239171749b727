"""Payments on a real Postgres: once for each invoice, after it, and taken back when Lago says so."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.answers import Answered, InDoubt, Reply, Saved
from consumer.ports import Absent
from consumer.sandbox.lago import (
    payment,
    payment_request,
    payment_request_event,
    receipt_event,
)
from tests.integration.ledger import Books, books

Json = dict[str, Any]


def _requested(b: Books, request: Json) -> Json:
    return payment_request_event(request, str(b.organization_id))


async def _payments(b: Books) -> list[Json]:
    return await b.documents(kind="payment")


async def test_a_payment_goes_to_its_invoice_once_however_often_it_is_told(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        paid = payment(b.choices, [invoice], reference="bank slip 7")
        receipt = receipt_event(b.choices, paid, str(b.organization_id))
        await b.told(b.paid(paid), receipt)
        await b.told(receipt_event(b.choices, paid, str(b.organization_id)))
        frozen = await b.freeze()
        assert (frozen.purpose, frozen.count) == ("payment_create", 1)
        [element] = json.loads(frozen.body)["Payments"]
        [posted] = await b.documents(kind="invoice")
        assert element["Invoice"] == {"InvoiceID": str(posted["xero_id"])}
        assert (element["Amount"], element["Account"]) == (10.0, {"Code": "880"})
        assert element["Date"] == "2026-05-03"
        assert element["Reference"].startswith("bank slip 7 · Lago ")
        await b.accept(frozen)
        [document] = await _payments(b)
        assert (document["state"], document["amount_cents"]) == ("synced", 1000)
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None


@pytest.mark.parametrize("order", list(itertools.permutations(("customer", "invoice", "payment"))))
async def test_any_order_of_messages_ends_alike(database_url: str, order: tuple[str, ...]) -> None:
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        said = {
            "customer": b.said(who),
            "invoice": b.said(invoice),
            "payment": b.paid(payment(b.choices, [invoice])),
        }
        for one in order:
            await b.told(said[one])
        purposes = []
        for _ in range(3):
            frozen = await b.freeze()
            purposes.append(frozen.purpose)
            await b.accept(frozen)
            await b.released()
        assert purposes == ["contact_create", "invoice_create", "payment_create"]
        assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_a_payment_of_several_invoices_gives_each_what_it_had_open(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        one, other = await b.posted(2)
        part = payment(b.choices, [one], amount_cents=300)
        rest = payment_request(b.choices, [one, other])
        rest["amount_cents"] -= 300
        await b.told(b.paid(part), _requested(b, rest))
        frozen = await b.freeze()
        amounts = {e["Amount"] for e in json.loads(frozen.body)["Payments"]}
        assert (frozen.count, amounts) == (3, {3.0, 7.0, 20.0})


async def test_a_split_that_cannot_be_told_waits(database_url: str) -> None:
    async with books(database_url) as b:
        one, other = await b.posted(2)
        request = payment_request(b.choices, [one, other])
        request["amount_cents"] -= 1
        await b.told(_requested(b, request))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        assert {d["state"] for d in await _payments(b)} == {"waiting"}
        part = payment(b.choices, [one], amount_cents=1)
        await b.told(b.paid(part))
        assert {d["state"] for d in await _payments(b)} == {"ready"}


async def test_one_that_fails_afterwards_is_deleted_and_one_that_never_succeeded_not_made(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        one, other = await b.posted(2)
        request = payment_request(b.choices, [one])
        pending = payment_request(b.choices, [other], status="pending")
        await b.told(_requested(b, request), _requested(b, pending))
        await b.accept(await b.freeze())
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        await b.told(_requested(b, {**request, "payment_status": "failed"}))
        frozen = await b.freeze()
        [made] = [d for d in await _payments(b) if d["xero_id"]]
        assert (frozen.purpose, frozen.path) == ("payment_delete", f"Payments/{made['xero_id']}")
        assert json.loads(frozen.body) == {"Status": "DELETED"}
        gone = Saved(made["xero_id"], status="DELETED")
        await b.ledger.settle(frozen.request_id, Answered((gone,)), None)
        states = {d["target"]: d["state"] for d in await _payments(b)}
        assert set(states.values()) == {"skipped"}
        await b.told(_requested(b, request))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None, "a late success stays failed"


async def test_payments_of_what_is_not_posted_are_not_posted(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        bill = b.invoice(who) | {"self_billed": True}
        await b.told(b.said(who), b.said(bill), b.paid(payment(b.choices, [bill])))
        [document] = await _payments(b)
        [bill] = await b.documents(kind="invoice")
        assert (document["state"], document["cause"]) == ("skipped", f"doc:{bill['id']}")


async def test_a_payment_in_doubt_is_absent_only_when_nothing_can_arrive_any_more(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(b.paid(payment(b.choices, [invoice])))
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, InDoubt("status_500"), Reply(500, b"{}"))
        now = "update request set look_at = now() where outcome is null"
        await b.database.execute(now)
        early = await b.ledger.take_doubt(frozen.request_id)
        assert early is not None
        assert not early.final
        await b.database.execute(
            "update request set look_at = now(), deadline_at = now() - interval '7 min', "
            "started_at = now() - interval '9 min' where outcome is null"
        )
        late = await b.ledger.take_doubt(frozen.request_id)
        assert late is not None
        assert late.final
        await b.ledger.resolve(frozen.request_id, {0: Absent()})
        [document] = await _payments(b)
        assert document["state"] == "ready"


async def test_an_invoice_that_had_nothing_open_gets_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        one, other = await b.posted(2)
        await b.told(b.paid(payment(b.choices, [one])))
        await b.accept(await b.freeze())
        both = payment(b.choices, [one, other], amount_cents=other["total_due_amount_cents"])
        await b.told(b.paid(both))
        frozen = await b.freeze()
        assert [e["Amount"] for e in json.loads(frozen.body)["Payments"]] == [20.0]
        [nothing] = [d for d in await _payments(b) if d["state"] == "skipped"]
        assert nothing["cause"] == "nothing_open"


async def test_a_shared_payment_survives_news_of_one_of_its_invoices(database_url: str) -> None:
    """What each invoice gets hangs on what else paid the others, also if only one is told again."""
    async with books(database_url) as b:
        one, two = await b.posted(2)
        part = payment(b.choices, [two], amount_cents=500)
        await b.told(b.paid(part))
        await b.told(b.paid(payment(b.choices, [one, two], amount_cents=2500)))
        before = await _payments(b)
        paid = {**one, "payment_status": "succeeded", "updated_at": "2026-05-04T00:00:00Z"}
        await b.told(b.said(paid, "invoice.payment_status_updated"))
        after = await _payments(b)
        assert [d["amount_cents"] for d in after] == [d["amount_cents"] for d in before]
        assert [d["amount_cents"] for d in after] == [500, 1000, 1500]
        assert {d["state"] for d in after} == {"ready"}


async def _delete(b: Books) -> None:
    """Xero deletes the payment that the next request is about."""
    frozen = await b.freeze()
    assert frozen.purpose == "payment_delete"
    id = UUID(frozen.path.split("/")[1])
    await b.ledger.settle(frozen.request_id, Answered((Saved(id, status="DELETED"),)), None)


async def test_one_that_succeeds_after_it_failed_is_posted_again(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        request = payment_request(b.choices, [invoice])
        await b.told(_requested(b, request))
        await b.accept(await b.freeze())
        await b.told(_requested(b, {**request, "payment_status": "failed"}))
        await _delete(b)
        await b.told(_requested(b, {**request, "payment_attempts": 2}))
        frozen = await b.freeze()
        assert frozen.purpose == "payment_create"
        assert [e["Amount"] for e in json.loads(frozen.body)["Payments"]] == [10.0]
        await b.accept(frozen)
        assert [d["state"] for d in await _payments(b)] == ["synced"]


async def test_what_was_posted_keeps_its_amount_whatever_the_split_says_later(
    database_url: str,
) -> None:
    """A further payment of an invoice makes the split unknown; what Xero has counts on."""
    async with books(database_url) as b:
        one, two = await b.posted(2)
        await b.told(b.paid(payment(b.choices, [one, two])))
        await b.accept(await b.freeze())
        await b.told(b.paid(payment(b.choices, [two], amount_cents=100)))
        shared = [d for d in await _payments(b) if d["xero_id"]]
        assert [(d["state"], d["amount_cents"]) for d in shared] == [
            ("synced", 1000),
            ("synced", 2000),
        ]
        assert [e["Amount"] for e in json.loads((await b.freeze()).body)["Payments"]] == [1.0]


async def test_a_wait_for_what_lago_never_tells_ends_with_a_word(database_url: str) -> None:
    async with books(database_url) as b:
        one, other = await b.posted(2)
        who = b.customer()
        unknown = b.invoice(who)
        request = payment_request(b.choices, [one, other])
        request["amount_cents"] -= 1
        await b.told(_requested(b, request), b.paid(payment(b.choices, [unknown], type="manual")))
        assert {d["state"] for d in await _payments(b)} == {"waiting"}
        assert not await b.ledger.expire(10)
        await b.database.execute("update document set wait_until = wait_until - interval '2 days'")
        fates = await b.ledger.expire(10)
        codes = ["missing_dependency", "payment_split_unknown", "payment_split_unknown"]
        assert sorted(str(fate.code) for fate in fates) == codes
        told = await b.database.fetch("select code, said from outbox order by code")
        assert [row["code"] for row in told] == codes
        assert f"invoice {unknown['lago_id']}" in told[0]["said"]
        await b.told(b.said(who), b.said(unknown))
        late = await b.documents(kind="payment", target=UUID(unknown["lago_id"]))
        assert [d["state"] for d in late] == ["waiting"], "the invoice came after all"


async def test_a_void_waits_for_the_deletion_of_our_payment(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        request = payment_request(b.choices, [invoice])
        await b.told(_requested(b, request))
        await b.accept(await b.freeze())
        gone = {**invoice, "status": "voided", "updated_at": "2026-05-04T00:00:00Z"}
        await b.told(
            _requested(b, {**request, "payment_status": "failed"}),
            b.said(gone, "invoice.voided"),
        )
        await _delete(b)
        await b.released()
        assert (await b.freeze()).purpose == "invoice_void"


async def test_a_switch_counts_for_what_was_ready_before_it(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(b.paid(payment(b.choices, [invoice])))
        assert [d["state"] for d in await _payments(b)] == ["ready"]
        await b.settings(sync_payments=False)
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        await b.released()
        [document] = await _payments(b)
        assert (document["state"], document["cause"]) == ("skipped", "syncs:payments@acme")


async def test_payments_below_a_cent_count_until_they_make_one(database_url: str) -> None:
    """Dinars have 1,000 fils: of three payments of 4 fils the second makes the cent full."""
    async with books(database_url) as b:
        who = b.customer()
        bill = b.invoice(who, currency="KWD")
        await b.told(b.said(who), b.said(bill))
        for _ in range(2):
            await b.accept(await b.freeze())
            await b.ledger.release(10)
        for _ in range(3):
            await b.told(b.paid(payment(b.choices, [bill], amount_cents=4)))
        frozen = await b.freeze()
        assert [e["Amount"] for e in json.loads(frozen.body)["Payments"]] == [0.01]
        await b.accept(frozen)
        assert {d["state"] for d in await _payments(b)} == {"synced"}
        assert sorted(d["total"] for d in await _payments(b)) == [0, 0, Decimal("0.01")]
        assert not await b.database.fetch("select from outbox")
        await b.told(b.paid(payment(b.choices, [bill], amount_cents=9)))
        frozen = await b.freeze()
        assert [e["Amount"] for e in json.loads(frozen.body)["Payments"]] == [0.01], "21 in all"


async def test_money_that_only_the_invoice_tells_of_is_posted_after_a_while(
    database_url: str,
) -> None:
    """Its payment's message, come late, is taken from it; more money is posted beside it."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        paid = {
            **invoice,
            "payment_status": "succeeded",
            "total_paid_amount_cents": 600,
            "updated_at": "2026-05-04T00:00:00Z",
        }
        await b.told(b.said(paid, "invoice.payment_status_updated"))
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        [document] = await _payments(b)
        assert (document["state"], document["part"]) == ("waiting", "residual")
        await b.database.execute("update document set wait_until = now() where kind = 'payment'")
        assert await b.ledger.end_patience(10) == 1
        await b.released()
        frozen = await b.freeze()
        [element] = json.loads(frozen.body)["Payments"]
        assert (element["Amount"], element["Date"]) == (6.0, "2026-05-04")
        assert element["Reference"].startswith("Lago ")
        await b.accept(frozen)
        await b.told(b.paid(payment(b.choices, [invoice], amount_cents=600)))
        states = {d["part"]: (d["state"], d["cause"]) for d in await _payments(b)}
        assert states == {"residual": ("synced", None), "": ("skipped", "in_residual")}
        await b.told(b.paid(payment(b.choices, [invoice], amount_cents=400)))
        [element] = json.loads((await b.freeze()).body)["Payments"]
        assert element["Amount"] == 4.0


async def test_a_residual_gives_way_to_a_payment_in_time_and_to_the_policy(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        paid = {**invoice, "total_paid_amount_cents": 1000, "updated_at": "2026-05-04T00:00:00Z"}
        await b.told(b.said(paid, "invoice.payment_status_updated"))
        await b.told(b.paid(payment(b.choices, [invoice])))
        states = {d["part"]: (d["state"], d["cause"]) for d in await _payments(b)}
        assert states == {"residual": ("skipped", "nothing_open"), "": ("ready", None)}
        assert await b.ledger.end_patience(10) == 0
        await b.settings(residual_payments="ignore")
        other = b.invoice(invoice["customer"])
        await b.told(b.said({**other, "total_paid_amount_cents": 1000}))
        late = await b.documents(kind="payment", target=UUID(other["lago_id"]))
        assert [(d["state"], d["cause"]) for d in late] == [("skipped", "policy:residual@acme")]
        await b.settings(residual_payments="post")
        await b.released()
        late = await b.documents(kind="payment", target=UUID(other["lago_id"]))
        assert [d["state"] for d in late] == ["waiting"]


@pytest.mark.parametrize(("why", "final"), [("whole_400", True), ("key_reused", False)])
async def test_a_payment_that_is_refused_with_its_whole_request_is_absent_at_once(
    database_url: str, why: str, final: bool
) -> None:
    """The call is over: what Xero has refused and does not show will not arrive later."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(b.paid(payment(b.choices, [invoice])))
        frozen = await b.freeze()
        refused = InDoubt(why, batch_refused=True)
        await b.ledger.settle(frozen.request_id, refused, Reply(400, b"{}"))
        doubtful = await b.ledger.take_doubt(frozen.request_id)
        assert doubtful is not None
        assert doubtful.final == final


async def test_an_answer_to_a_payment_that_was_given_up_is_told_and_removed(
    database_url: str,
) -> None:
    """Its process stood still too long; meanwhile the payment was made once more."""
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(b.paid(payment(b.choices, [invoice])))
        first = await b.freeze()
        await b.ledger.settle(first.request_id, None, None)
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        await b.accept(await b.freeze())
        late = uuid4()
        for _ in range(2):
            answer = Answered((Saved(late),))
            await b.ledger.settle(first.request_id, answer, Reply(200, b""))
        document, surplus = await _payments(b)
        assert (document["state"], surplus["state"]) == ("synced", "ready")
        assert await b.announced() == ["surplus"]
        frozen = await b.freeze()
        assert frozen.path == f"Payments/{late}"


async def _figure_told(b: Books, cents: int) -> Json:
    """An invoice in Xero of which Lago counts so much as paid, and says no more."""
    [invoice] = await b.posted()
    told = {**invoice, "total_paid_amount_cents": cents, "updated_at": "2026-05-04T00:00:00Z"}
    await b.told(b.said(told, "invoice.payment_overdue"))
    return invoice


async def test_what_was_paid_after_lagos_figure_is_not_in_it(database_url: str) -> None:
    """600 by hand are told by the figure; a provider's 300 come later, and go back again."""
    async with books(database_url) as b:
        invoice = await _figure_told(b, 600)
        later = payment(b.choices, [invoice], amount_cents=300, at="2026-05-04T09:00:00Z")
        await b.told(b.paid(later))
        residual = {d["part"]: d["amount_cents"] for d in await _payments(b)}
        assert residual == {"residual": 600, "": 300}
        await b.told(b.paid({**later, "payment_status": "failed"}))
        residual = {d["part"]: d["amount_cents"] for d in await _payments(b)}
        assert residual["residual"] == 600


async def test_a_day_to_come_makes_no_other_money_of_a_payment_by_hand(database_url: str) -> None:
    async with books(database_url) as b:
        invoice = await _figure_told(b, 600)
        paid = payment(b.choices, [invoice], amount_cents=600, at="2026-06-01T00:00:00Z")
        await b.told(b.paid({**paid, "type": "manual"}))
        states = {d["part"]: d["state"] for d in await _payments(b)}
        assert states == {"residual": "skipped", "": "ready"}
