"""Drafts in the simulated Xero: edited by id, free of lock dates, of no use to payments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator import TENANT, Lab, line, messages, simulated

JSON = dict[str, Any]
NOTES = "CreditNotes"
NOT_MODIFIABLE = ["Credit Note not of valid status for modification"]


async def _note(lab: Lab, **fields: Any) -> JSON:
    whole = lab.invoice(Type="ACCRECCREDIT", DueDate=None, CreditNoteNumber="CN-1", **fields)
    (shown,) = await lab.write("PUT", NOTES, whole)
    return shown


async def _change(lab: Lab, kind: str, stored: JSON, **fields: Any) -> JSON:
    name = f"{kind.removesuffix('s')}ID"
    (shown,) = await lab.write("POST", kind, {name: stored[name], **fields})
    return shown


async def test_an_invoice_is_edited_until_it_is_approved() -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice(Status="DRAFT", InvoiceNumber="DRAFT-1")
        lines = [line(Description="a"), line(Description="b")]
        shown = await _change(lab, "Invoices", stored, LineItems=lines)
        assert [one["Description"] for one in shown["LineItems"]] == ["a", "b"]
        final = {"InvoiceNumber": "A-1", "Status": "AUTHORISED", "LineItems": lines[1:]}
        shown = await _change(lab, "Invoices", stored, **final)
        assert (shown["InvoiceNumber"], shown["Status"], shown["Total"]) == (
            "A-1",
            "AUTHORISED",
            12.0,
        )
        assert messages(await lab.put_invoice(InvoiceNumber="A-1", Status="DRAFT")) == [
            "Invoice # must be unique."
        ]
        assert messages(await lab.put_invoice(InvoiceNumber="DRAFT-1", Status="DRAFT")) == []


async def test_a_draft_takes_no_payment() -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice(Status="DRAFT")
        money = {"Account": {"Code": "880"}, "Amount": 5, "Date": "2026-10-01", "Reference": "x"}
        pay = {"Invoice": {"InvoiceID": stored["InvoiceID"]}, **money}
        (shown,) = await lab.write("PUT", "Payments", pay)
        assert "Payments can only be made against Authorised documents" in messages(shown)


async def test_a_note_is_edited_until_it_is_approved() -> None:
    async with simulated() as lab:
        stored = await _note(lab, Status="DRAFT")
        shown = await _change(lab, NOTES, stored, CreditNoteNumber="CN-2", Reference="r")
        assert (shown["CreditNoteNumber"], shown["Reference"], shown["Total"]) == (
            "CN-2",
            "r",
            12.0,
        )
        assert messages(await _note(lab, Status="DRAFT")) == [], "its first number is free again"
        assert messages(await _change(lab, NOTES, stored, CreditNoteNumber="CN-1")) == [
            "Credit Note # must be unique."
        ]
        shown = await _change(lab, NOTES, stored, Status="AUTHORISED", LineItems=[line(), line()])
        assert (shown["Status"], shown["Total"], shown["RemainingCredit"]) == (
            "AUTHORISED",
            24.0,
            24.0,
        )


LIVES = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
}


@pytest.mark.parametrize("start", list(LIVES))
@pytest.mark.parametrize("end", ["DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"])
async def test_transitions_of_a_note(start: str, end: str) -> None:
    async with simulated() as lab:
        stored = await _note(lab, Status=start)
        shown = await _change(lab, NOTES, stored, Status=end)
        after = (await lab.get(f"{NOTES}/{stored['CreditNoteID']}"))[NOTES][0]
    allowed = end in LIVES[start]
    assert messages(shown) == ([] if allowed else NOT_MODIFIABLE)
    assert after["Status"] == (end if allowed else start)


async def test_lock_dates_do_not_concern_draft_notes() -> None:
    async with simulated() as lab:
        await lab.control("POST", f"lock_dates/{TENANT}", {"period_lock_date": "2026-10-31"})
        stored = await _note(lab, Status="DRAFT")
        assert messages(stored) == []
        assert messages(await _change(lab, NOTES, stored, Reference="r")) == []
        (refused,) = messages(await _change(lab, NOTES, stored, Status="AUTHORISED"))
        assert "period lock date" in refused
        assert messages(await _change(lab, NOTES, stored, Status="DELETED")) == []
