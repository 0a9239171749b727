"""A ledger set back to an earlier time before a simulated Xero: what it forgot is found, not made anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.adapters.postgres.restoring import Marked, mark, read_to
from consumer.sandbox.lago import payment
from tests.lives.stage import MANY, Stage

Json = dict[str, Any]
BEGIN = datetime(1970, 1, 2, tzinfo=UTC)
"""Before all that Xero has by its own clock."""
_FORGET = """
update document set xero_id = null, synced = null, sent = null, accepted_at = null, xero_total = null,
       state = 'ready', ready_at = now(), attempts = 0, cause = null
 where kind = any($1::text[])
"""


async def paid(theatre: Stage, beyond: int = 250) -> Json:
    """An invoice that was paid, and more."""
    await theatre.clean()
    b = theatre.books
    bill = b.invoice(who := b.customer(), amount=1000)
    money = payment(b.choices, [bill], amount_cents=bill["total_amount_cents"] + beyond)
    await b.told(b.said(who), b.said(bill), b.paid(money))
    await theatre.rest(float(MANY))
    assert await states(theatre) == {"payment": "synced", "overpayment": "synced"}
    return bill


async def states(theatre: Stage) -> dict[str, str]:
    rows = await theatre.books.database.fetch(
        "select kind, state from document where kind in ('payment', 'overpayment')"
    )
    return {row["kind"]: row["state"] for row in rows}


async def forget(theatre: Stage, *kinds: str) -> None:
    """As if it had been restored to before these were sent."""
    await theatre.books.database.execute("delete from member; delete from request")
    await theatre.books.database.execute(_FORGET, list(kinds))
    await theatre.books.database.execute("update tenant set due_at = now()")


async def restored(theatre: Stage) -> Marked:
    return await mark(theatre.books.database, BEGIN, who="ann", reason=None)


def money(theatre: Stage) -> list[tuple[str, Decimal]]:
    xero = theatre.xero
    payments = [(one.status, one.amount) for one in xero.payments.values()]
    return sorted([*payments, *((o.status, o.amount) for o in xero.bank_transactions.values())])


def reads(theatre: Stage) -> list[str]:
    shown = theatre.world.arrivals.shown(0, None, "/api.xro/2.0/")
    return [one["path"] for one in shown if one["method"] == "GET"]


async def test_what_was_forgotten_is_doubled_unless_it_is_said(theatre: Stage) -> None:
    """Else the tests below would show nothing: the invoice has room for the same payment again."""
    await theatre.clean()
    b = theatre.books
    bill = b.invoice(who := b.customer(), amount=1000)
    await b.told(b.said(who), b.said(bill), b.paid(payment(b.choices, [bill], amount_cents=400)))
    await theatre.rest(float(MANY))
    assert money(theatre) == [("AUTHORISED", Decimal("4.00"))]
    await forget(theatre, "payment")
    await theatre.rest(float(MANY))
    assert money(theatre) == [("AUTHORISED", Decimal("4.00"))] * 2


async def test_a_forgotten_overpayment_is_found_in_any_case(theatre: Stage) -> None:
    """For it is looked for before it is made."""
    await paid(theatre)
    before = money(theatre)
    await forget(theatre, "overpayment")
    await theatre.rest(float(MANY))
    assert money(theatre) == before
    [document] = await theatre.books.documents(kind="overpayment")
    assert str(document["xero_id"]) in theatre.xero.bank_transactions
    assert (document["state"], document["by_hand"]) == ("synced", None)


async def test_what_was_forgotten_is_adopted(theatre: Stage) -> None:
    await paid(theatre)
    before = money(theatre)
    ids = {*theatre.xero.payments, *theatre.xero.bank_transactions}
    await forget(theatre, "payment", "overpayment")
    assert await restored(theatre) == Marked(1, 0)
    theatre.world.arrivals.clear()
    await theatre.rest(100.0)
    assert reads(theatre) == [], "something from before may still arrive"
    await theatre.rest(float(MANY))
    assert money(theatre) == before
    assert await states(theatre) == {"payment": "synced", "overpayment": "synced"}
    rows = await theatre.books.database.fetch(
        "select xero_id, attempts from document where kind in ('payment', 'overpayment')"
    )
    assert {str(row["xero_id"]) for row in rows} == ids
    assert len(reads(theatre)) == 2
    assert await theatre.books.announced() == []


async def test_another_amount_is_adopted_and_told(theatre: Stage) -> None:
    """Portions of a cent may have fallen otherwise: no other document bears the marker."""
    await paid(theatre)
    [there] = theatre.xero.bank_transactions.values()
    there.amount += Decimal("0.01")
    await forget(theatre, "overpayment")
    await restored(theatre)
    await theatre.rest(float(MANY))
    assert len(theatre.xero.bank_transactions) == 1
    assert await theatre.books.announced() == ["totals_differ"]


async def test_what_xero_does_not_have_is_sent_after_one_look(theatre: Stage) -> None:
    await paid(theatre)
    await forget(theatre, "payment")
    for one in theatre.xero.payments.values():
        one.status = "DELETED"
    await restored(theatre)
    theatre.world.arrivals.clear()
    await theatre.rest(float(MANY))
    tried = theatre.world.arrivals.shown(0, None, "/api.xro/2.0/Payments")
    assert [one["method"] for one in tried][:2] == ["GET", "PUT"]


async def test_what_is_told_later_is_not_looked_up(theatre: Stage) -> None:
    await paid(theatre)
    await restored(theatre)
    await theatre.books.database.execute(
        "update tenant set restored_on = restored_on - interval '60 years'"
    )
    theatre.world.arrivals.clear()
    b = theatre.books
    bill = b.invoice(who := b.customer())
    await b.told(b.said(who), b.said(bill), b.paid(payment(b.choices, [bill])))
    await theatre.rest(float(MANY))
    assert reads(theatre) == []
    assert [row["state"] for row in await b.documents(kind="payment")] == ["synced", "synced"]


async def test_what_is_gone_already_is_not_removed_again(theatre: Stage) -> None:
    """Lago took it back, and so did we, after the time that the ledger was set back to."""
    await theatre.clean()
    b = theatre.books
    bill = b.invoice(who := b.customer())
    await b.told(b.said(who), b.said(bill))
    await theatre.rest(float(MANY))
    await b.told(b.said({**bill, "status": "voided"}, "invoice.voided"))
    [row] = await b.documents(kind="invoice")
    await theatre.rest(float(MANY))
    [invoice] = theatre.xero.invoices.values()
    assert invoice.status == "VOIDED"
    await theatre.books.database.execute("delete from member; delete from request")
    await b.database.execute(
        "update document set state = 'ready', cause = $2, synced = $3, xero_status = 'AUTHORISED', "
        "xero_id = $4, ready_at = now() where id = $1",
        row["id"], row["cause"], row["synced"], UUID(invoice.invoice_id),
    )  # fmt: skip
    await b.database.execute("update tenant set due_at = now()")
    await restored(theatre)
    theatre.world.arrivals.clear()
    await theatre.rest(float(MANY))
    [row] = await b.documents(kind="invoice")
    assert (row["state"], row["cause"]) == ("skipped", "lago:voided")
    shown = theatre.world.arrivals.shown(0, None, "/api.xro/2.0/Invoices")
    assert {one["method"] for one in shown} == {"GET"}
    assert await b.announced() == []


async def test_what_was_under_way_is_not_repeated_under_its_old_key(theatre: Stage) -> None:
    """It may have been given up and sent anew since, in what the ledger has forgotten."""
    await theatre.clean()
    b = theatre.books
    await b.told(b.said(b.customer()))
    frozen = await b.freeze()
    assert await restored(theatre) == Marked(1, 1)
    await b.database.execute("update request set look_at = now()")
    doubtful = await b.ledger.take_doubt(frozen.request_id)
    assert doubtful is not None
    assert not doubtful.resend


async def test_a_dry_run_marks_nothing_and_an_earlier_restore_keeps_its_time(
    theatre: Stage,
) -> None:
    await theatre.clean()
    db = theatre.books.database
    assert await mark(db, BEGIN, who="ann", reason=None, dry_run=True) == Marked(1, 0)
    [row] = await db.fetch("select restored_at, restored_on from tenant")
    assert tuple(row) == (None, None)
    await restored(theatre)
    await mark(db, BEGIN + timedelta(days=1), who="ann", reason=None)
    [row] = await db.fetch("select restored_at from tenant")
    assert row["restored_at"] == BEGIN


async def test_reading_goes_on_behind_the_last_known_record(theatre: Stage) -> None:
    await theatre.clean()
    b = theatre.books
    await b.told(b.said(b.customer()), b.said(b.customer()))
    assert await read_to(b.database, ["lago.webhooks"]) == {("lago.webhooks", 0): b.offset + 1}
    assert await read_to(b.database, ["other"]) == {}


@pytest.fixture(autouse=True)
async def _not_restored(theatre: Stage) -> None:
    """And its process is another one, which remembers no sweep."""
    theatre.resolver.lookups._swept.clear()
    await theatre.books.database.execute("update tenant set restored_at = null, restored_on = null")
