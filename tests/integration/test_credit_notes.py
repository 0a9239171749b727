"""Credit notes on a real Postgres: the note, what is set against invoices, what is paid back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from consumer.domain.answers import Answered, InDoubt, Reply, Saved
from consumer.domain.clocks import Clocks
from consumer.ports import Frozen, Wish
from consumer.sandbox.lago import envelope
from tests.integration.ledger import CHART, Books, books

Json = dict[str, Any]
LATER = "2026-05-01T12:00:09Z"


def _note(of: Json, **parts: int) -> Json:
    """A credit note over its invoice's one fee: ``credit``, ``offset`` and ``refund`` in cents."""
    total = sum(parts.values())
    [fee] = of["fees"]
    return {
        "lago_id": str(uuid4()),
        "number": f"{of['number']}-CN001",
        "lago_invoice_id": of["lago_id"],
        "invoice_number": of["number"],
        "issuing_date": "2026-05-03",
        "credit_status": "available" if parts.get("credit") else None,
        "refund_status": "pending" if parts.get("refund") else None,
        "currency": of["currency"],
        "total_amount_cents": total,
        "taxes_amount_cents": 0,
        "sub_total_excluding_taxes_amount_cents": total,
        "balance_amount_cents": parts.get("credit", 0),
        "coupons_adjustment_amount_cents": 0,
        "taxes_rate": 0.0,
        "items": [{"lago_id": str(uuid4()), "amount_cents": total, "fee": fee}],
        "applied_taxes": [],
        "customer": of["customer"],
        "updated_at": "2026-05-03T10:00:00Z",
        "created_at": "2026-05-03T10:00:00Z",
        **{f"{name}_amount_cents": parts.get(name, 0) for name in ("credit", "offset", "refund")},
    }


def _told(b: Books, note: Json) -> Json:
    return envelope("credit_note.created", "credit_note", str(b.organization_id), note)


async def _work(b: Books) -> list[Frozen]:
    """Send everything that can be sent; Xero saves all of it."""
    done: list[Frozen] = []
    while True:
        while await b.ledger.release(10):
            pass
        frozen = (await b.ledger.freeze(b.tenants[0])).frozen
        if frozen is None:
            return done
        done.append(frozen)
        if frozen.purpose.endswith("_create") or frozen.purpose == "contact_update":
            await b.accept(frozen)
        else:
            members = await b.database.fetch(
                "select d.xero_id from member m join document d on d.id = m.document_id "
                "where m.request_id = $1 order by m.position",
                frozen.request_id,
            )
            gone = tuple(Saved(row["xero_id"], status="VOIDED") for row in members)
            await b.ledger.settle(frozen.request_id, Answered(gone), None)


async def _posted(b: Books, **facts: Any) -> Json:
    who = b.customer()
    told = b.invoice(who, **facts)
    await b.told(b.said(who), b.said(told))
    await _work(b)
    return told


def _consuming(b: Books, of: Json, note: Json, cents: int) -> Json:
    """A later invoice of the same customer that consumes some of the note."""
    told = b.invoice(of["customer"], amount=5000)
    credit = {
        "lago_id": str(uuid4()),
        "amount_cents": cents,
        "amount_currency": of["currency"],
        "before_taxes": False,
        "item": {
            "lago_item_id": note["lago_id"],
            "type": "credit_note",
            "code": note["number"],
            "name": note["number"],
        },
    }
    due = told["total_amount_cents"] - cents
    return {
        **told,
        "credits": [credit],
        "credit_notes_amount_cents": cents,
        "total_amount_cents": due,
        "total_due_amount_cents": due,
    }


async def test_a_note_with_all_three_parts(database_url: str) -> None:
    async with books(database_url) as b:
        invoice = await _posted(b)
        note = _note(invoice, credit=200, offset=300, refund=100)
        await b.told(_told(b, note))
        done = await _work(b)
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
        first = await _posted(b)
        note = _note(first, credit=400)
        later = _consuming(b, first, note, 400)
        await b.told(b.said(later), _told(b, note))
        done = {frozen.purpose: frozen for frozen in await _work(b)}
        [element] = json.loads(done["invoice_create"].body)["Invoices"]
        assert [line["LineAmount"] for line in element["LineItems"]] == [50.0]
        [element] = json.loads(done["allocation_create"].body)["Allocations"]
        assert element["Amount"] == 4.0
        [allocation] = await b.documents(kind="allocation")
        assert allocation["lago_id"] == UUID(later["credits"][0]["lago_id"])
        assert {d["state"] for d in await b.documents()} == {"synced"}


async def test_an_allocation_waits_for_a_note_that_comes_later(database_url: str) -> None:
    async with books(database_url) as b:
        first = await _posted(b)
        note = _note(first, credit=400)
        await b.told(b.said(_consuming(b, first, note, 400)))
        assert [f.purpose for f in await _work(b)] == ["invoice_create"]
        [allocation] = await b.documents(kind="allocation")
        assert allocation["cause"].startswith(f"credit_note:{note['lago_id']}@")
        await b.told(_told(b, note))
        assert [f.purpose for f in await _work(b)] == ["credit_note_create", "allocation_create"]


async def test_a_note_that_will_never_be_there_is_a_negative_line(database_url: str) -> None:
    async with books(database_url) as b:
        first = await _posted(b)
        note = _note(first, credit=400) | {"self_billed": True}
        await b.told(_told(b, note))
        await b.told(b.said(_consuming(b, first, note, 400)))
        done = {frozen.purpose: frozen for frozen in await _work(b)}
        assert list(done) == ["invoice_create"]
        [element] = json.loads(done["invoice_create"].body)["Invoices"]
        assert [line["LineAmount"] for line in element["LineItems"]] == [50.0, -4.0]
        [credit] = await b.documents(kind="allocation")
        assert (credit["state"], credit["cause"]) == ("skipped", "self_billed")


async def test_a_void_takes_its_allocations_off_first(database_url: str) -> None:
    async with books(database_url) as b:
        first = await _posted(b)
        notes = [_note(first, credit=400), _note(first, credit=100)]
        notes[1]["number"] += "-2"
        later = _consuming(b, first, notes[0], 400)
        other = _consuming(b, first, notes[1], 100)["credits"]
        later["credits"] += other
        later["credit_notes_amount_cents"] += 100
        later["total_amount_cents"] -= 100
        await b.told(*(_told(b, note) for note in notes), b.said(later))
        await _work(b)
        assert {d["state"] for d in await b.documents(kind="allocation")} == {"synced"}
        gone = {**later, "status": "voided", "updated_at": LATER}
        await b.told(b.said(gone, "invoice.voided"))
        done = await _work(b)
        assert [f.purpose for f in done] == ["allocation_delete"] * 2 + ["invoice_void"]
        assert {f.method for f in done[:2]} == {"DELETE"}
        [void] = await b.documents(lago_id=later["lago_id"], kind="invoice")
        assert (void["state"], void["cause"]) == ("skipped", "lago:voided")


async def test_a_refund_that_fails_is_taken_back(database_url: str) -> None:
    async with books(database_url) as b:
        invoice = await _posted(b)
        note = _note(invoice, refund=500)
        await b.told(_told(b, note))
        await _work(b)
        failure = {"lago_credit_note_id": note["lago_id"], "external_customer_id": "ann"}
        kind = "credit_note_payment_provider_refund_error"
        await b.told(envelope("credit_note.refund_failure", kind, str(b.organization_id), failure))
        assert [f.purpose for f in await _work(b)] == ["refund_delete"]
        [refund] = await b.documents(kind="refund")
        assert (refund["state"], refund["cause"]) == ("skipped", "lago:refund_failed")


async def test_switched_off_notes_become_lines(database_url: str) -> None:
    async with books(database_url) as b:
        stored = (await b.connections.stored())["acme"]
        off = replace(stored.connection, sync_credit_notes=False)
        await b.connections.store([Wish(off, stored.client_id, stored.secret, CHART)], "tests", [])
        first = await _posted(b)
        note = _note(first, credit=400)
        await b.told(_told(b, note), b.said(_consuming(b, first, note, 400)))
        assert [f.purpose for f in await _work(b)] == ["invoice_create"]
        [skipped] = await b.documents(kind="credit_note")
        assert (skipped["state"], skipped["cause"]) == ("skipped", "syncs:credit_notes@acme")


async def test_an_allocation_in_doubt_is_handed_out_with_its_note(database_url: str) -> None:
    async with books(database_url) as b:
        invoice = await _posted(b)
        await b.told(_told(b, _note(invoice, offset=300)))
        await b.accept(await b.freeze())
        while await b.ledger.release(10):
            pass
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
        await b.told(_told(b, _note(invoice, credit=100)))
        [contact] = await b.documents(kind="contact")
        assert (contact["state"], contact["connection_id"]) == ("waiting", None)
        async with asyncio.timeout(5):
            while not await b.ledger.end_patience(10):
                await asyncio.sleep(0.01)
        assert await b.ledger.end_patience(10) == 0
        [contact] = await b.documents(kind="contact")
        assert contact["state"] == "ready"


async def _switch(b: Books, on: bool) -> None:
    [stored] = (await b.connections.stored()).values()
    wish = Wish(
        replace(stored.connection, sync_credit_notes=on), stored.client_id, stored.secret, CHART
    )
    await b.connections.store([wish], "tests", [])


async def test_a_credit_that_became_a_line_is_never_allocated(database_url: str) -> None:
    async with books(database_url) as b:
        await _switch(b, False)
        first = await _posted(b)
        note = _note(first, credit=400)
        await b.told(_told(b, note), b.said(_consuming(b, first, note, 400)))
        [done] = await _work(b)
        assert b"-4.0" in done.body
        await _switch(b, True)
        assert [frozen.purpose for frozen in await _work(b)] == ["credit_note_create"]
        [credit] = await b.documents(kind="allocation")
        assert (credit["state"], credit["cause"]) == ("skipped", "deducted")


async def test_a_switch_before_the_invoice_is_sent_makes_the_credit_a_line(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        first = await _posted(b)
        note = _note(first, credit=400)
        await b.told(_told(b, note), b.said(_consuming(b, first, note, 400)))
        await _switch(b, False)
        done = await _work(b)
        assert [frozen.purpose for frozen in done] == ["invoice_create"]
        assert b"-4.0" in done[0].body


async def test_a_credit_that_was_left_to_a_note_that_never_comes_fails_aloud(
    database_url: str,
) -> None:
    """The invoice has no line for it: somebody must know that the customer was not credited."""
    async with books(database_url) as b:
        first = await _posted(b)
        note = _note(first, credit=400)
        await b.told(b.said(_consuming(b, first, note, 400)))
        assert [frozen.purpose for frozen in await _work(b)] == ["invoice_create"]
        await b.told(_told(b, note | {"self_billed": True}))
        await _work(b)
        [fate] = await b.ledger.expire(10)
        assert (fate.kind, fate.code) == ("allocation", "credit_unplaced")
        [told] = await b.database.fetch("select code, said from outbox")
        assert told["code"] == "credit_unplaced"
        assert note["lago_id"] in told["said"]
