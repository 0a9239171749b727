"""The control API: what it shows and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.sandbox.xero import SimulatorSettings
from tests.unit.simulator import CLIENT, START, TENANT, simulated


async def test_arrivals_tell_everything_about_a_call() -> None:
    async with simulated() as lab:
        body = {"Contacts": [{"Name": "A"}, {"Name": "B"}]}
        await lab.call("PUT", "Contacts", body, headers={"Idempotency-Key": "k"})
        (one,) = await lab.arrivals()
    assert one == {
        "seq": one["seq"],
        "wall": START,
        "monotonic": START,
        "method": "PUT",
        "path": "/api.xro/2.0/Contacts",
        "query": "summarizeErrors=false&unitdp=4",
        "tenant_id": TENANT,
        "client_id": CLIENT[0],
        "idempotency_key": "k",
        "elements": 2,
        "status": 200,
        "problem": None,
        "fault": None,
        "replay": False,
        "in_flight": 1,
        "answered": START,
    }


async def test_arrivals_go_on_after_a_sequence_number_and_by_tenant() -> None:
    async with simulated() as lab:
        for _ in range(3):
            await lab.call("GET", "Currencies")
        log = await lab.control("GET", "arrivals")
        assert [one["path"] for one in log] == ["/connect/token", *["/api.xro/2.0/Currencies"] * 3]
        rest = await lab.control("GET", f"arrivals?after={log[1]['seq']}")
        assert rest == log[2:]
        assert await lab.control("GET", f"arrivals?tenant_id={TENANT}") == log[1:]
        await lab.control("DELETE", "arrivals")
        await lab.call("GET", "Currencies")
        (last,) = await lab.control("GET", "arrivals")
        assert last["seq"] == log[-1]["seq"] + 1
        assert await lab.control("GET", f"arrivals?after={log[0]['seq']}") == [last]
        assert await lab.control("GET", f"arrivals?after={last['seq']}") == []


async def test_books_show_invoices_in_full() -> None:
    async with simulated() as lab:
        await lab.saved_invoice(InvoiceNumber="A-1")
        books = await lab.control("GET", f"books/{TENANT}")
    assert books["organisation"]["Name"] == "Acme"
    assert [one["Name"] for one in books["contacts"]] == ["First"]
    assert books["invoices"][0]["LineItems"][0]["LineAmount"] == 10.0


async def test_charts_change_as_a_person_changes_them() -> None:
    async with simulated() as lab:
        before = {one["Code"]: one for one in (await lab.get("Accounts"))["Accounts"]}
        order = {
            "accounts": [{"Code": "200", "Type": "REVENUE", "Status": "ARCHIVED"}],
            "items": [{"Code": "NEW", "SalesDetails": {"AccountCode": "200"}}],
            "tax_rates": [{"TaxType": "OUTPUT2", "EffectiveRate": 21}],
            "currencies": ["CHF"],
            "gone": ["SUB"],
        }
        await lab.control("POST", f"books/{TENANT}/chart", order)
        accounts = {one["Code"]: one for one in (await lab.get("Accounts"))["Accounts"]}
        items = {one["Code"] for one in (await lab.get("Items"))["Items"]}
        rates = {one["TaxType"]: one for one in (await lab.get("TaxRates"))["TaxRates"]}
        currencies = {one["Code"] for one in (await lab.get("Currencies"))["Currencies"]}
    assert accounts["200"]["Status"] == "ARCHIVED"
    assert accounts["200"]["AccountID"] == before["200"]["AccountID"]
    assert accounts["260"] == before["260"]
    assert "NEW" in items
    assert "SUB" not in items
    assert rates["OUTPUT2"]["EffectiveRate"] == 21
    assert "CHF" in currencies


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("tenants", {"tenant_id": TENANT}, 400),
        ("tenants", {"timezone": "Mars/Olympus"}, 400),
        ("tenants", {"tenant_id": "no-guid"}, 400),
        ("clients", {"client_id": "c", "client_secret": "s", "tenant_ids": ["nobody"]}, 404),
        ("clients", {}, 404),
        ("settings", {"colour": 1}, 400),
        ("settings", {"time_scale": 0}, 400),
        ("settings", {"window": "round"}, 400),
        ("lock_dates/nobody", {}, 404),
        (f"books/{TENANT}/invoices", {"action": "void", "number": "none"}, 404),
        (f"books/{TENANT}/invoices", {"action": "write", "fields": {}}, 400),
        (f"books/{TENANT}/chart", {"gone": ["nothing"]}, 404),
        ("books/nobody/chart", {}, 404),
        (f"books/{TENANT}/payments", {"action": "delete", "payment_id": "none"}, 404),
        (f"books/{TENANT}/credit_notes", {"action": "void", "number": "none"}, 404),
        (f"books/{TENANT}/contacts", {"action": "burn", "contact_id": "x"}, 400),
    ],
)
async def test_wrong_orders_are_refused(path: str, body: dict[str, Any], status: int) -> None:
    async with simulated() as lab:
        answer = await lab.http.post(f"/sandbox/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "wrong", [{"time_scale": 0}, {"latency": -1}, {"minute_limit": -1}, {"window": "round"}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        SimulatorSettings(**wrong)


async def test_an_accountant_pays_moves_and_takes_back() -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice(InvoiceNumber="A-1")
        books = f"books/{TENANT}"
        await lab.control(
            "POST", f"{books}/invoices", {"action": "pay", "number": "A-1", "amount": 5}
        )
        [first] = (await lab.get("Payments", page="1"))["Payments"]
        moved = {"action": "move", "payment_id": first["PaymentID"], "account": "880"}
        second = await lab.control("POST", f"{books}/payments", moved)
        shown = (await lab.get("Payments", page="1"))["Payments"]
        gone = {"action": "delete", "payment_id": second["PaymentID"]}
        await lab.control("POST", f"{books}/payments", gone)
        [after] = (await lab.get(f"Invoices/{stored['InvoiceID']}"))["Invoices"]
    assert {one["PaymentID"]: (one["Status"], one["Account"]["Code"]) for one in shown} == {
        first["PaymentID"]: ("DELETED", "090"),
        second["PaymentID"]: ("AUTHORISED", "880"),
    }
    assert (after["Status"], after["AmountPaid"]) == ("AUTHORISED", 0.0)


async def test_an_accountant_allocates_a_credit_note_takes_it_off_and_voids_it() -> None:
    async with simulated() as lab:
        await lab.saved_invoice(InvoiceNumber="A-1")
        books = f"books/{TENANT}"
        fields = {**lab.invoice(), "Type": "ACCRECCREDIT", "CreditNoteNumber": "C-1"}
        del fields["DueDate"]
        await lab.control("POST", f"{books}/credit_notes", {"action": "write", "fields": fields})
        edit = {"number": "C-1", "to": "A-1", "amount": "4"}
        await lab.control("POST", f"{books}/credit_notes", {"action": "allocate", **edit})
        [note] = (await lab.get("CreditNotes", page="1", where='Type=="ACCRECCREDIT"'))[
            "CreditNotes"
        ]
        assert (note["RemainingCredit"], len(note["Allocations"])) == (8.0, 1)
        off = await lab.control(
            "POST", f"{books}/credit_notes", {"action": "unallocate", "number": "C-1"}
        )
        assert (off["RemainingCredit"], off["Allocations"]) == (12.0, [])
        gone = await lab.control(
            "POST", f"{books}/credit_notes", {"action": "void", "number": "C-1"}
        )
    assert gone["Status"] == "VOIDED"
