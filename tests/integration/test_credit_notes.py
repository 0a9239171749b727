"""Credit notes on a real Postgres: the note, what is set against invoices, what is paid back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.answers import InDoubt, Reply, Saved
from consumer.domain.clocks import Clocks
from consumer.sandbox.lago import envelope
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, consumed_note, consuming, note_told

Json = dict[str, Any]
LATER = "2026-05-01T12:00:09Z"


async def test_a_note_with_all_three_parts(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        note = a_note(invoice, credit=200, offset=300, refund=100)
        await b.told(note_told(b, note))
        done = await b.work()
        assert done[0].purpose == "credit_note_create"
        assert sorted(f.purpose for f in done[1:]) == ["allocation_create", "refund_create"]
        [posted] = await b.documents(kind="invoice")
        [credit_note] = await b.documents(kind="credit_note")
        by = {frozen.purpose: frozen for frozen in done}
        [element] = json.loads(by["credit_note_create"].body)["CreditNotes"]
        assert (element["Type"], element["CreditNoteNumber"]) == ("ACCRECCREDIT", note["number"])
        assert element["Reference"] == invoice["number"]
        assert sum(line["LineAmount"] for line in element["LineItems"]) == 6.0
        assert by["allocation_create"].path.startswith(
            f"CreditNotes/{credit_note['xero_id']}/Allocations?"
        )
        [element] = json.loads(by["allocation_create"].body)["Allocations"]
        assert element == {
            "Invoice": {"InvoiceID": str(posted["xero_id"])},
            "Amount": 3.0,
            "Date": "2026-05-03",
        }
        [element] = json.loads(by["refund_create"].body)["Payments"]
        assert element["CreditNote"] == {"CreditNoteID": str(credit_note["xero_id"])}
        assert (element["Amount"], element["Date"]) == (1.0, "2026-05-03")
        assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_a_consumed_note_is_allocated_and_needs_no_line(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(b.said(later), note_told(b, note))
        done = {frozen.purpose: frozen for frozen in await b.work()}
        [element] = json.loads(done["invoice_create"].body)["Invoices"]
        assert [line["LineAmount"] for line in element["LineItems"]] == [50.0]
        [element] = json.loads(done["allocation_create"].body)["Allocations"]
        assert element["Amount"] == 4.0
        [allocation] = await b.documents(kind="allocation")
        assert allocation["lago_id"] == UUID(later["credits"][0]["lago_id"])
        assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_an_allocation_waits_for_a_note_that_comes_later(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(b.said(consuming(b, first, note, 400)))
        assert [f.purpose for f in await b.work()] == ["invoice_create"]
        [allocation] = await b.documents(kind="allocation")
        assert allocation["cause"].startswith(f"credit_note:{note['lago_id']}@")
        await b.told(note_told(b, note))
        assert [f.purpose for f in await b.work()] == ["credit_note_create", "allocation_create"]


async def test_a_note_that_will_never_be_there_is_a_negative_line(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400) | {"self_billed": True}
        await b.told(note_told(b, note))
        await b.told(b.said(consuming(b, first, note, 400)))
        done = {frozen.purpose: frozen for frozen in await b.work()}
        assert list(done) == ["invoice_create"]
        [element] = json.loads(done["invoice_create"].body)["Invoices"]
        assert [line["LineAmount"] for line in element["LineItems"]] == [50.0, -4.0]
        [credit] = await b.documents(kind="allocation")
        assert (credit["state"], credit["cause"]) == ("skipped", "self_billed")


async def test_a_void_takes_its_allocations_off_first(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        notes = [a_note(first, credit=400), a_note(first, credit=100)]
        notes[1]["number"] += "-2"
        later = consuming(b, first, notes[0], 400)
        other = consuming(b, first, notes[1], 100)["credits"]
        later["credits"] += other
        later["credit_notes_amount_cents"] += 100
        later["total_amount_cents"] -= 100
        await b.told(*(note_told(b, note) for note in notes), b.said(later))
        await b.work()
        assert {d["state"] for d in await b.documents(kind="allocation")} == {"synced"}
        gone = {**later, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        done = await b.work()
        assert [f.purpose for f in done] == ["allocation_delete"] * 2 + ["invoice_void"]
        assert {f.method for f in done[:2]} == {"DELETE"}
        [void] = await b.documents(lago_id=later["lago_id"], kind="invoice")
        assert (void["state"], void["cause"]) == ("skipped", "lago:voided")


async def test_a_refund_that_fails_is_taken_back(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        note = a_note(invoice, refund=500)
        await b.told(note_told(b, note))
        await b.work()
        failure = {"lago_credit_note_id": note["lago_id"], "external_customer_id": "ann"}
        kind = "credit_note_payment_provider_refund_error"
        await b.told(envelope("credit_note.refund_failure", kind, str(b.organization_id), failure))
        assert [f.purpose for f in await b.work()] == ["refund_delete"]
        [refund] = await b.documents(kind="refund")
        assert (refund["state"], refund["cause"]) == ("skipped", "lago:refund_failed")


async def test_switched_off_notes_become_lines(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(sync_credit_notes=False)
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(note_told(b, note), b.said(consuming(b, first, note, 400)))
        assert [f.purpose for f in await b.work()] == ["invoice_create"]
        [skipped] = await b.documents(kind="credit_note")
        assert (skipped["state"], skipped["cause"]) == ("skipped", "syncs:credit_notes@acme")


async def test_an_allocation_in_doubt_is_handed_out_with_its_note(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        await b.told(note_told(b, a_note(invoice, offset=300)))
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        assert frozen.purpose == "allocation_create"
        await b.ledger.settle(frozen.request_id, InDoubt("status_500"), Reply(500, b"{}"))
        await b.database.execute("update request set look_at = now() where outcome is null")
        doubtful = await b.ledger.take_doubt(frozen.request_id)
        assert doubtful is not None
        assert not doubtful.final
        [member] = doubtful.members
        adopted = Saved(uuid4())
        await b.ledger.resolve(frozen.request_id, {member.position: adopted})
        [allocation] = await b.documents(kind="allocation")
        assert allocation["state"] == "synced"


async def test_a_customer_known_from_a_note_alone_is_planned_once_his_wait_is_over(
    database_url: str,
) -> None:
    """Planning again must change the row: what is looked at again and again stops the rest."""
    clocks = replace(Clocks(), home_wait=0.05)
    async with books(database_url, tenants=2, clocks=clocks) as b:
        invoice = b.invoice(b.customer())
        await b.told(note_told(b, a_note(invoice, credit=100)))
        [contact] = await b.documents(kind="contact")
        assert (contact["state"], contact["connection_id"]) == ("waiting", None)
        async with asyncio.timeout(5):
            while not await b.ledger.end_patience(10):
                await asyncio.sleep(0.01)
        assert await b.ledger.end_patience(10) == 0
        await b.released()
        [contact] = await b.documents(kind="contact")
        assert contact["state"] == "ready"


async def test_a_credit_that_became_a_line_is_never_allocated(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(sync_credit_notes=False)
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(note_told(b, note), b.said(consuming(b, first, note, 400)))
        [done] = await b.work()
        assert b"-4.0" in done.body
        await b.settings(sync_credit_notes=True)
        assert await b.work() == []
        [credit] = await b.documents(kind="allocation")
        assert (credit["state"], credit["cause"]) == ("skipped", "deducted")


@pytest.mark.parametrize("told", ["before", "late"])
async def test_a_note_whose_credit_became_a_line_is_never_posted(
    database_url: str, told: str
) -> None:
    """The customer would be credited twice; what is left of it becomes a line as well."""
    async with books(database_url) as b:
        await b.settings(start_date=date(2026, 5, 4))
        who = b.customer()
        first = b.invoice(who)
        await b.told(b.said(who), b.said(first))
        note = a_note(first, credit=400, offset=100)
        later = {**consuming(b, first, note, 300), "issuing_date": "2026-05-05"}
        if told == "before":
            await b.told(note_told(b, note), b.said(later))
            await b.work()
        else:
            await b.settings(sync_credit_notes=False)
            await b.told(b.said(later))
            await b.work()
            await b.settings(sync_credit_notes=True, start_date=None)
            await b.told(note_told(b, note))
        await b.settings(start_date=None)
        assert [f.purpose for f in await b.work()] == ["invoice_create"], "the first one"
        [row] = await b.documents(kind="credit_note")
        assert (row["state"], row["cause"]) == ("skipped", "deducted")
        await b.told(note_told(b, {**note, "balance_amount_cents": 0, "updated_at": LATER}))
        last = consuming(b, first, note, 100)
        await b.told(b.said(last))
        [done] = await b.work()
        [element] = json.loads(done.body)["Invoices"]
        assert [line["LineAmount"] for line in element["LineItems"]] == [50.0, -1.0]
        assert {d["state"] for d in await b.documents(kind="allocation")} == {"skipped"}


async def test_a_note_is_left_out_also_if_its_credit_became_a_line_since_it_was_planned(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _consumed_and_switched_on(b)
        assert [f.purpose for f in await b.work()] == ["invoice_create"]
        [row] = await b.documents(kind="credit_note")
        assert (row["state"], row["cause"]) == ("skipped", "deducted")


async def test_a_switch_before_the_invoice_is_sent_makes_the_credit_a_line(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(note_told(b, note), b.said(consuming(b, first, note, 400)))
        await b.settings(sync_credit_notes=False)
        done = await b.work()
        assert [frozen.purpose for frozen in done] == ["invoice_create"]
        assert b"-4.0" in done[0].body


async def test_a_credit_that_was_left_to_a_note_that_never_comes_fails_aloud(
    database_url: str,
) -> None:
    """The invoice has no line for it: somebody must know that the customer was not credited."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(b.said(later))
        assert [frozen.purpose for frozen in await b.work()] == ["invoice_create"]
        await b.told(note_told(b, note | {"self_billed": True}))
        await b.work()
        [fate] = await b.ledger.expire(10)
        assert (fate.kind, fate.code) == ("allocation", "credit_unplaced")
        [told] = await b.database.fetch("select code, said from outbox")
        assert told["code"] == "credit_unplaced"
        assert note["lago_id"] in told["said"]
        for thing in (note_told(b, note | {"self_billed": True, "updated_at": LATER}),
                      b.said({**later, "updated_at": LATER}, "invoice.payment_overdue")):  # fmt: skip
            await b.told(thing)
            await b.work()
            assert await b.ledger.expire(10) == []
        assert await b.announced() == ["credit_unplaced"]
        [credit] = await b.documents(kind="allocation")
        assert (credit["state"], credit["code"]) == ("failed", "credit_unplaced")


async def test_parts_beyond_their_note_fail_and_the_note_is_posted(database_url: str) -> None:
    """ACCOUNTING.md 5: of 400 in all, 300 lower the invoice and 200 are to be paid back."""
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        await b.told(b.said(who), b.said(invoice))
        await b.work()
        note = a_note(invoice, offset=300, refund=100) | {"refund_amount_cents": 200}
        await b.told(note_told(b, note))
        await b.work()
        states = {d["kind"]: (d["state"], d["code"]) for d in await b.documents()}
        assert states["credit_note"] == ("synced", None)
        assert sorted((states["allocation"], states["refund"])) == [
            ("failed", "credit_note_parts_disagree"),
            ("synced", None),
        ]


async def _credit_voided(b: Books, note: dict[str, Any]) -> None:
    gone = {"credit_status": "voided", "balance_amount_cents": 0, "updated_at": LATER}
    await b.told(note_told(b, note | gone))


async def test_a_note_whose_credit_is_voided_unused_is_voided(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(note_told(b, note))
        await b.work()
        await _credit_voided(b, note)
        frozen = await b.freeze()
        [document] = await b.documents(kind="credit_note")
        element = {"CreditNoteID": str(document["xero_id"]), "Status": "VOIDED"}
        assert json.loads(frozen.body) == {"CreditNotes": [element]}
        await b.ledger.settle(frozen.request_id, None, None)  # not executed: sent again
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        assert [f.purpose for f in await b.work()] == ["credit_note_void"]
        [document] = await b.documents(kind="credit_note")
        assert (document["state"], document["cause"]) == ("skipped", "lago:credit_voided")


async def test_a_note_whose_credit_is_voided_before_it_was_posted_is_not(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        await _credit_voided(b, a_note(first, credit=400))
        assert await b.work() == []


async def test_a_used_note_whose_credit_is_voided_stays_and_is_told(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note, _ = await consumed_note(b, first, 100, credit=400)
        for _ in range(2):
            await _credit_voided(b, note)
            assert await b.work() == []
            note["updated_at"] = LATER
        [document] = await b.documents(kind="credit_note")
        assert (document["state"], document["cause"]) == ("synced", "credit_used")
        assert {d["state"] for d in await b.documents(kind="allocation")} == {"synced"}
        rows = await b.database.fetch("select class from finding where class like 'credit%'")
        assert [row["class"] for row in rows] == ["credit_voided"]


async def test_what_was_consumed_stays_allocated_when_the_rest_is_voided(database_url: str) -> None:
    """Whatever is told of its invoice afterwards."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note, later = await consumed_note(b, first, 250, credit=400)
        await _credit_voided(b, note)
        await b.told(b.said({**later, "updated_at": LATER}, "invoice.payment_overdue"))
        assert await b.work() == []
        [allocation] = await b.documents(kind="allocation")
        assert (allocation["state"], allocation["cause"]) == ("synced", None)


async def test_what_was_consumed_of_a_note_that_is_not_posted_is_a_line(database_url: str) -> None:
    """Lago had voided the rest of it before we heard of either."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await _credit_voided(b, note)
        await b.told(b.said(consuming(b, first, note, 250)))
        [frozen] = await b.work()
        amounts = [
            line["LineAmount"] for line in json.loads(frozen.body)["Invoices"][0]["LineItems"]
        ]
        assert amounts == [50, -2.5]
        [allocation] = await b.documents(kind="allocation")
        assert allocation["state"] == "skipped"


async def test_a_note_with_a_refund_stays_when_its_credit_is_voided(database_url: str) -> None:
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400, refund=100)
        await _credit_voided(b, note)
        done = [frozen.purpose for frozen in await b.work()]
        assert done == ["credit_note_create", "refund_create"]
        rows = await b.database.fetch("select class from finding where class like 'credit%'")
        assert [row["class"] for row in rows] == ["credit_voided"]


@pytest.mark.parametrize(
    "off", [{"sync_credit_notes": False}, {"start_date": date(2026, 5, 4)}], ids=["switch", "date"]
)
@pytest.mark.parametrize("told", ["before", "after"])
async def test_what_is_consumed_of_a_note_that_xero_has_is_allocated_whatever_is_switched_off_since(
    database_url: str, off: dict[str, Any], told: str
) -> None:
    """As a line too the credit would be given twice: what is open on the note stays there."""
    async with books(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(note_told(b, note))
        assert [f.purpose for f in await b.work()] == ["credit_note_create"]
        later = {**consuming(b, first, note, 400), "issuing_date": "2026-05-05"}
        if told == "before":
            await b.told(b.said(later))
        await b.settings(**off)
        if told == "after":
            await b.told(b.said(later))
        done = await b.work()
        assert [f.purpose for f in done] == ["invoice_create", "allocation_create"]
        assert b"-4.0" not in done[0].body
        assert await b.announced() == []


async def test_a_credit_whose_note_came_to_xero_since_the_invoice_was_planned_is_no_line(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await _consumed_and_switched_on(b)
        await b.database.execute(
            "update document set ready_at = now() + interval '1 h' where kind = 'invoice' and state = 'ready'"
        )
        assert [f.purpose for f in await b.work()] == ["credit_note_create"]
        await b.database.execute("update document set ready_at = now() where state = 'ready'")
        done = [*await b.work(), *await b.work()]  # what is planned again is not found at once
        assert [f.purpose for f in done] == ["invoice_create", "allocation_create"]
        assert b"-4.0" not in done[0].body


async def _consumed_and_switched_on(b: Books) -> None:
    """A note that is left out and an invoice that consumes it; of a release of many documents, now that notes
    are posted, the note's page came first, and the allocation's is yet to come."""
    await b.settings(sync_credit_notes=False)
    [first] = await b.posted()
    note = a_note(first, credit=400)
    await b.told(note_told(b, note), b.said(consuming(b, first, note, 400)))
    await _switched_on_for(b, await b.documents(kind="credit_note"))


async def _switched_on_for(b: Books, rows: list[Json]) -> None:
    """Notes are synced from now on, and of all that this releases these documents alone had their turn."""
    await b.settings(sync_credit_notes=True)
    await b.database.execute("delete from release")
    await b.database.execute(
        "update document set cause = 'plan:here' where id = any($1)", [row["id"] for row in rows]
    )
    await b.database.execute("insert into release (cause) values ('plan:here')")
