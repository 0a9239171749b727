"""What Xero has twice of one payment: found once nothing can arrive any more, removed and told."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from consumer.domain.answers import Answered, Reply, Saved
from consumer.sandbox.lago import payment
from consumer.sandbox.xero.idempotency import Keys
from tests.lives.short import batch, begin
from tests.lives.stage import Stage

PAYMENT_CALL = 2
"""After the contact's and the invoice's."""


async def paid(theatre: Stage, fault: str | None) -> None:
    """A paid invoice in Xero; the payment's call suffers ``fault``, and is settled after it. Time stops
    before its audit."""
    life, bill = begin(receipts=True)
    life.pay(bill, bill.open // 2, "provider")
    await theatre.clean()
    theatre.accounting.faults = {PAYMENT_CALL: fault} if fault else {}
    theatre.accounting.calls = 0
    await theatre.books.ingest.store(list(batch(life.messages).records))
    await theatre.rest(470.0)


async def repeated(theatre: Stage, purpose: str) -> None:
    """The newest request of that kind arrives once more, under another key."""
    [row] = await theatre.books.database.fetch(
        "select method, path, body from request where purpose = $1 order by started_at desc limit 1",
        purpose,
    )
    await theatre.call(row["method"], row["path"], row["body"])


def standing(theatre: Stage) -> list[str]:
    return [one.payment_id for one in theatre.xero.payments.values() if one.status == "AUTHORISED"]


async def told(theatre: Stage) -> list[tuple[str, str]]:
    """What is announced, and the findings."""
    found = await theatre.books.database.fetch(
        "select class from finding where class <> 'fallback_used' order by id"
    )
    codes = await theatre.books.announced()
    return [("outbox", code) for code in codes] + [("finding", row["class"]) for row in found]


async def audits(theatre: Stage) -> int:
    [row] = await theatre.books.database.fetch(
        "select count(*) from request where audit_at > '-infinity'"
    )
    return int(row["count"])


@pytest.mark.parametrize("fault", ["reply_lost", "500_after", "close_before"])
async def test_a_payment_that_was_made_twice_is_removed_once(theatre: Stage, fault: str) -> None:
    await paid(theatre, fault)
    [ours] = standing(theatre)
    assert await audits(theatre) == 1
    await repeated(theatre, "payment_create")
    assert len(standing(theatre)) == 2
    await theatre.rest(5_000.0)
    assert standing(theatre) == [ours]
    documents = {one["part"]: one for one in await theatre.books.documents(kind="payment")}
    assert (documents[""]["state"], str(documents[""]["xero_id"])) == ("synced", ours)
    [surplus] = [one for part, one in documents.items() if part]
    assert (surplus["state"], surplus["cause"], surplus["xero_id"]) == ("skipped", "surplus", None)
    assert await told(theatre) == [("outbox", "surplus"), ("finding", "surplus")]
    assert await audits(theatre) == 0


@pytest.mark.parametrize("died", ["before the look", "after it"])
async def test_an_audit_whose_process_dies_is_made_by_another(theatre: Stage, died: str) -> None:
    """What was taken is due again once nobody can be at it any more; and is recorded once."""
    await paid(theatre, "reply_lost")
    await repeated(theatre, "payment_create")
    await theatre.books.database.execute(
        "update request set audit_at = now() where audit_at > now()"
    )
    taken = await theatre.books.ledger.take_audit()
    assert taken is not None
    if died == "after it":
        await theatre.auditor.lookups.all_of(taken)
    assert await theatre.books.ledger.take_audit() is None, "it has been claimed"
    await theatre.rest(5_000.0)
    assert len(standing(theatre)) == 1
    assert await told(theatre) == [("outbox", "surplus"), ("finding", "surplus")]
    assert await audits(theatre) == 0


async def test_what_is_there_once_is_left_alone(theatre: Stage) -> None:
    await paid(theatre, "reply_lost")
    calls = theatre.accounting.calls
    await theatre.rest(5_000.0)
    assert (len(standing(theatre)), await told(theatre)) == (1, [])
    assert theatre.accounting.calls == calls + 1, "one look"


async def test_without_a_doubt_nothing_is_audited(theatre: Stage) -> None:
    await paid(theatre, None)
    assert await audits(theatre) == 0


async def test_what_a_repetition_refuses_leaves_its_batch_to_be_audited(theatre: Stage) -> None:
    """Xero was at both at the same time: the first paid one invoice in part and another in full, its
    repetition the one once more, and found the other paid."""
    await theatre.clean()
    b = theatre.books
    bills = [b.invoice(who := b.customer()), b.invoice(who)]
    await b.told(b.said(who), *map(b.said, bills))
    await theatre.rest(0.0)
    where = {"method": "PUT", "path_prefix": "/api.xro/2.0/Payments"}
    theatre.world.faults.order({"kind": "reply_lost", "match": where})
    sums = zip(bills, [300, bills[1]["total_amount_cents"]], strict=True)
    await b.told(*(b.paid(payment(b.choices, [one], amount_cents=sum)) for one, sum in sums))
    await theatre._work()
    assert len(standing(theatre)) == 2
    theatre.world.keys = Keys()
    await theatre.rest(5_000.0)
    assert len(standing(theatre)) == 2
    assert len(theatre.xero.payments) == 3
    assert await told(theatre) == [("outbox", "surplus"), ("finding", "surplus")]


async def test_a_tenant_that_cannot_be_asked_for_hours_is_audited_then(theatre: Stage) -> None:
    await paid(theatre, "reply_lost")
    await repeated(theatre, "payment_create")
    await theatre.books.database.execute("update tenant set blocked_until = now() + '2 h'")
    await theatre._pass(4_000.0)
    await theatre._work()  # what is over is pruned
    await theatre._pass(4_000.0)
    await theatre.rest(5_000.0)
    assert len(standing(theatre)) == 1
    assert await told(theatre) == [("outbox", "surplus"), ("finding", "surplus")]


async def test_a_surplus_in_a_locked_period_is_told_and_removed_once_it_is_open(
    theatre: Stage,
) -> None:
    await paid(theatre, "reply_lost")
    await repeated(theatre, "payment_create")
    books = theatre.books
    await _lock(theatre, "2027-01-01")
    await theatre.rest(5_000.0)
    [surplus] = [d for d in await books.documents(kind="payment") if d["part"]]
    assert (surplus["state"], surplus["code"]) == ("failed", "locked_period")
    assert len(standing(theatre)) == 2
    await _lock(theatre, None)
    await books.database.execute("insert into release (cause) values ($1)", surplus["cause"])
    await theatre.rest(5_000.0)
    assert len(standing(theatre)) == 1
    [surplus] = [d for d in await books.documents(kind="payment") if d["part"]]
    assert (surplus["state"], surplus["cause"]) == ("skipped", "surplus")


async def test_a_retry_of_a_surplus_removes_it(theatre: Stage) -> None:
    await paid(theatre, "reply_lost")
    await repeated(theatre, "payment_create")
    await _lock(theatre, "2027-01-01")
    await theatre.rest(5_000.0)
    await _lock(theatre, None)
    books = theatre.books
    [surplus] = [d for d in await books.documents(kind="payment") if d["part"]]
    await books.database.execute(
        "update document set state = 'waiting', cause = 'plan:retry:7' where id = $1", surplus["id"]
    )
    await books.database.execute("insert into release (cause) values ('plan:retry:7')")
    await theatre.rest(5_000.0)
    assert len(standing(theatre)) == 1


async def _lock(theatre: Stage, day: str | None) -> None:
    """The period lock date of the chart, and of Xero."""
    organisation = json.dumps({"period_lock_date": day} if day else {})
    await theatre.books.database.execute("update tenant set organisation = $1", organisation)
    await theatre.books.database.execute("update configuration set revision = revision + 1")


async def test_a_late_answer_counts_where_nothing_else_does(theatre: Stage) -> None:
    """Given up and about to be sent again; then it turns out that Xero had saved it."""
    await paid(theatre, None)
    [ours] = standing(theatre)
    books = theatre.books
    [request] = await books.database.fetch(
        "select id from request where purpose = 'payment_create'"
    )
    await books.database.execute(
        "update document set xero_id = null, synced = null, state = 'ready', ready_at = now() + '1 h' "
        "where kind = 'payment'"
    )
    answer = Answered((Saved(UUID(ours), status="AUTHORISED"),))
    await books.ledger.settle(request["id"], answer, Reply(200, b""))
    [document] = await books.documents(kind="payment")
    assert (document["state"], str(document["xero_id"])) == ("synced", ours)
    assert await told(theatre) == []
