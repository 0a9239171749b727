"""Which invoices Xero takes, and what it says to the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator import TENANT, ZERO, line, messages, simulated

NOT_UNIQUE = ["Invoice # must be unique."]
NOT_MODIFIABLE = ["Invoice not of valid status for modification"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Type": None}, "Invoice Type must be specified"),
        ({"Contact": None}, "A Contact must be specified for this type of transaction"),
        ({"Date": None}, "The Date field must be specified."),
        ({"DueDate": None}, "The document DueDate field must be specified."),
        ({"DueDate": "2026-09-30"}, "The document DueDate cannot be before the document Date."),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"LineItems": None}, "One or more line items must be specified"),
        ({"Status": "VOIDED"}, "Invoice not of valid status for creation"),
        ({"Status": "PAID"}, "Invoice not of valid status for creation"),
        ({"CurrencyCode": "USD"}, "Organisation is not subscribed to currency USD"),
        ({"Reference": "r" * 256}, "The field Reference must be a string with a maximum "),
        ({"InvoiceNumber": "n" * 256}, "The field InvoiceNumber must be a string with a maximum "),
        ({"InvoiceNumber": "N–1"}, "InvoiceNumber can only contain printable ASCII characters."),
        ({"Url": "ftp://lago"}, "Url must be a valid URL."),
        ({"Url": "https://lago.test/xero"}, "Url must not contain xero."),
    ],
)
async def test_header_rules(fields: dict[str, Any], message: str) -> None:
    async with simulated() as lab:
        shown = await lab.put_invoice(**fields)
        books = await lab.control("GET", f"books/{TENANT}")
    assert len(messages(shown)) == 1
    assert messages(shown)[0].startswith(message)
    assert (shown["InvoiceID"], shown["HasErrors"], books["invoices"]) == (ZERO, True, [])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"AccountCode": None}, "Account code must be specified"),
        ({"AccountCode": "999"}, "Account code '999' is not a valid code for this document."),
        ({"AccountCode": "610"}, "Account code '610' is not a valid code for this document."),
        ({"AccountCode": "881"}, "Account code '881' is not a valid code for this document."),
        (
            {"AccountCode": "299"},
            "Account code '299' has been archived, or has been deleted. "
            "Each line item must reference a valid account.",
        ),
        (
            {"TaxType": "INPUT2"},
            "The TaxType code 'INPUT2' cannot be used with account code '200'.",
        ),
        (
            {"TaxType": "TAX001"},
            "The TaxType code 'TAX001' cannot be used with account code '200'.",
        ),
        ({"TaxType": "VAT"}, "The TaxType code 'VAT' cannot be used with account code '200'."),
        ({"ItemCode": "NOPE"}, "Item code 'NOPE' is not valid"),
        ({"Description": "d" * 4001}, "Description cannot be longer than 4000 characters."),
        ({"Description": None}, "Description must be specified."),
        ({"Tracking": [{}, {}, {}]}, "A line item can have a maximum of 2 tracking categories."),
    ],
)
async def test_line_rules(fields: dict[str, Any], message: str) -> None:
    async with simulated() as lab:
        shown = await lab.put_invoice(LineItems=[line(), line(**fields)])
    assert messages(shown) == [message]
    assert [messages(one) for one in shown["LineItems"]] == [[], [message]]


async def test_item_lends_account_description_and_price() -> None:
    item = {
        "Code": "HAT",
        "Description": "A hat",
        "SalesDetails": {"AccountCode": "260", "UnitPrice": 7.5, "TaxType": "RROUTPUT"},
    }
    async with simulated() as lab:
        tenant = await lab.control("POST", "tenants", {"chart": {"items": [item]}})
        app = {"client_id": "two", "client_secret": "s", "tenant_ids": [tenant["tenant_id"]]}
        await lab.control("POST", "clients", app)
        form = {"grant_type": "client_credentials", "client_id": "two", "client_secret": "s"}
        token = (await lab.http.post("/connect/token", data=form)).json()["access_token"]
        lab.headers.update({"Authorization": f"Bearer {token}", "xero-tenant-id": ""})
        fields = {"Contact": {"Name": "Somebody"}, "LineItems": [{"ItemCode": "HAT"}]}
        (made,) = (await lab.saved_invoice(**fields))["LineItems"]
    assert (made["AccountCode"], made["Description"]) == ("260", "A hat")
    assert (made["Quantity"], made["LineAmount"], made["TaxAmount"]) == (1.0, 7.5, 0.38)


async def test_drafts_need_little() -> None:
    fields = {"Status": None, "Date": None, "DueDate": None, "CurrencyCode": None}
    bare = {"Description": "later", "Quantity": 1, "UnitAmount": 5}
    async with simulated() as lab:
        shown = await lab.saved_invoice(**fields, LineItems=[bare])
    assert (shown["Status"], shown["CurrencyCode"]) == ("DRAFT", "NZD")
    # 2026-09-21 14:13 UTC is already the next day in Auckland.
    assert shown["DateString"] == "2026-09-22T00:00:00"


async def test_description_only_line_is_legal() -> None:
    async with simulated() as lab:
        shown = await lab.saved_invoice(LineItems=[line(), {"Description": "For October"}])
    assert shown["Total"] == 12.0
    assert "Quantity" not in shown["LineItems"][1]


async def test_numbers_are_unique_also_within_a_batch() -> None:
    async with simulated() as lab:
        first, second = await lab.write(
            "PUT", "Invoices", *[lab.invoice(InvoiceNumber="A-1") for _ in range(2)]
        )
        again = await lab.put_invoice(InvoiceNumber="A-1")
    assert (messages(first), messages(second), messages(again)) == ([], NOT_UNIQUE, NOT_UNIQUE)


async def test_bills_may_share_a_number() -> None:
    fields = {"Type": "ACCPAY", "InvoiceNumber": "B-1"}
    bill = [line(AccountCode="429", TaxType="INPUT2")]
    async with simulated() as lab:
        for _ in range(2):
            await lab.saved_invoice(**fields, LineItems=bill)
        await lab.saved_invoice(InvoiceNumber="B-1")


async def test_missing_number_is_assigned() -> None:
    async with simulated() as lab:
        await lab.saved_invoice(InvoiceNumber="INV-0001")
        shown = await lab.saved_invoice()
    assert shown["InvoiceNumber"] == "INV-0002"


@pytest.mark.parametrize("status", ["VOIDED", "DELETED"])
@pytest.mark.parametrize("rejected", [True, False])
async def test_number_of_a_dead_invoice(status: str, rejected: bool) -> None:
    switch = f"put_{status.lower()}_number_rejected"
    async with simulated(**{switch: rejected}) as lab:
        start = "AUTHORISED" if status == "VOIDED" else "DRAFT"
        dead = await lab.saved_invoice(InvoiceNumber="A-1", Status=start)
        change = {"InvoiceID": dead["InvoiceID"], "Status": status}
        (gone,) = await lab.write("POST", "Invoices", change)
        put = await lab.put_invoice(InvoiceNumber="A-1")
    assert gone["Status"] == status
    assert messages(put) == (NOT_UNIQUE if rejected else [])


async def test_post_edits_an_existing_number() -> None:
    async with simulated() as lab:
        first = await lab.saved_invoice(InvoiceNumber="A-1")
        other = lab.invoice(InvoiceNumber="A-1", LineItems=[line(UnitAmount=99)])
        (edited,) = await lab.write("POST", "Invoices", other)
        found = await lab.get("Invoices", InvoiceNumbers="A-1")
    assert edited["InvoiceID"] == first["InvoiceID"]
    assert [one["SubTotal"] for one in found["Invoices"]] == [99.0]


async def test_post_to_the_number_of_a_voided_invoice() -> None:
    async with simulated() as lab:
        first = await lab.saved_invoice(InvoiceNumber="A-1")
        change = {"InvoiceID": first["InvoiceID"], "Status": "VOIDED"}
        await lab.write("POST", "Invoices", change)
        (again,) = await lab.write("POST", "Invoices", lab.invoice(InvoiceNumber="A-1"))
    assert messages(again) == NOT_MODIFIABLE


LIVES = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
}


@pytest.mark.parametrize("start", list(LIVES))
@pytest.mark.parametrize("end", ["DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"])
async def test_transitions(start: str, end: str) -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice(Status=start)
        change = {"InvoiceID": stored["InvoiceID"], "Status": end}
        (shown,) = await lab.write("POST", "Invoices", change)
        after = (await lab.get(f"Invoices/{stored['InvoiceID']}"))["Invoices"][0]
    allowed = end in LIVES[start]
    assert messages(shown) == ([] if allowed else NOT_MODIFIABLE)
    assert after["Status"] == (end if allowed else start)


@pytest.mark.parametrize("dead", ["VOIDED", "DELETED"])
async def test_dead_invoices_stay_dead(dead: str) -> None:
    async with simulated() as lab:
        start = "AUTHORISED" if dead == "VOIDED" else "DRAFT"
        stored = await lab.saved_invoice(Status=start)
        for status, expected in ((dead, []), ("AUTHORISED", NOT_MODIFIABLE)):
            change = {"InvoiceID": stored["InvoiceID"], "Status": status}
            (shown,) = await lab.write("POST", "Invoices", change)
            assert messages(shown) == expected


async def test_void_keeps_the_amount_due() -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice()
        change = {"InvoiceID": stored["InvoiceID"], "Status": "VOIDED"}
        (shown,) = await lab.write("POST", "Invoices", change)
    assert (shown["Status"], shown["AmountDue"], shown["Total"]) == ("VOIDED", 12.0, 12.0)


async def test_money_on_an_invoice_protects_it() -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice(InvoiceNumber="A-1")
        pay = {"action": "pay", "number": "A-1", "amount": 5}
        paid = await lab.control("POST", f"books/{TENANT}/invoices", pay)
        known = {"InvoiceID": stored["InvoiceID"]}
        void, edit, rename = await lab.write(
            "POST",
            "Invoices",
            {**known, "Status": "VOIDED"},
            {**known, "Date": "2026-10-02"},
            {**known, "Reference": "PO 7"},
        )
    assert (paid["Status"], paid["AmountDue"]) == ("AUTHORISED", 7.0)
    assert messages(void) == [
        "The status VOIDED cannot be applied to the invoice because it has payments or credit "
        "notes allocated to it."
    ]
    assert messages(edit) == [
        "This document cannot be edited as it has a payment or credit note allocated to it."
    ]
    assert (messages(rename), rename["Reference"]) == ([], "PO 7")


async def test_paid_in_full_is_set_by_xero() -> None:
    async with simulated() as lab:
        await lab.saved_invoice(InvoiceNumber="A-1")
        paid = await lab.control(
            "POST", f"books/{TENANT}/invoices", {"action": "pay", "number": "A-1"}
        )
    assert (paid["Status"], paid["AmountDue"], paid["AmountPaid"]) == ("PAID", 0.0, 12.0)


@pytest.mark.parametrize(("switch", "status"), [(True, "PAID"), (False, "AUTHORISED")])
async def test_nothing_to_pay(switch: bool, status: str) -> None:
    async with simulated(zero_total_becomes_paid=switch) as lab:
        shown = await lab.saved_invoice(LineItems=[line(UnitAmount=0)])
    assert shown["Status"] == status


async def test_negative_totals_are_refused() -> None:
    async with simulated() as lab:
        errors = await lab.line_errors(line(), line(UnitAmount=-20))
        assert errors == ["The document total cannot be negative."]
        assert await lab.line_errors(line(), line(UnitAmount=-10)) == []


async def test_lines_left_out_are_deleted_and_named_ones_updated() -> None:
    async with simulated() as lab:
        stored = await lab.saved_invoice(LineItems=[line(), line(Description="Gone")])
        first = stored["LineItems"][0]["LineItemID"]
        change = {
            "InvoiceID": stored["InvoiceID"],
            "LineItems": [{"LineItemID": first, "UnitAmount": 20}, line(Description="New")],
        }
        (shown,) = await lab.write("POST", "Invoices", change)
    kept = [(one["Description"], one["LineAmount"], one["TaxAmount"]) for one in shown["LineItems"]]
    assert kept == [("Seats", 20.0, 4.0), ("New", 10.0, 2.0)]
    assert shown["LineItems"][0]["LineItemID"] == first


@pytest.mark.parametrize(
    ("field", "name"),
    [("period_lock_date", "period lock date"), ("end_of_year_lock_date", "end of year lock date")],
)
async def test_lock_dates(field: str, name: str) -> None:
    async with simulated() as lab:
        open_one = await lab.saved_invoice(Date="2026-10-01")
        await lab.control("POST", f"lock_dates/{TENANT}", {field: "2026-10-01"})
        locked = await lab.put_invoice(Date="2026-10-01")
        draft = await lab.put_invoice(Date="2026-10-01", Status="DRAFT")
        after = await lab.put_invoice(Date="2026-10-02")
        change = {"InvoiceID": open_one["InvoiceID"], "Status": "VOIDED"}
        (void,) = await lab.write("POST", "Invoices", change)
        organisation = (await lab.get("Organisation"))["Organisations"][0]
    text = f"The document date cannot be before the {name}, currently set at 1 October 2026"
    assert (messages(locked), messages(void)) == ([text], [text])
    assert (messages(draft), messages(after)) == ([], [])
    shown = "PeriodLockDate" if field == "period_lock_date" else "EndOfYearLockDate"
    assert organisation[shown] == "/Date(1790812800000+0000)/"


async def test_contact_by_id_only_refers_more_writes() -> None:
    async with simulated() as lab:
        known = {"ContactID": lab.contact_id}
        await lab.saved_invoice(Contact=known)
        before = (await lab.get(f"Contacts/{lab.contact_id}"))["Contacts"][0]
        await lab.saved_invoice(Contact={**known, "EmailAddress": "new@acme.test"})
        after = (await lab.get(f"Contacts/{lab.contact_id}"))["Contacts"][0]
        made = await lab.saved_invoice(Contact={"Name": "Unheard of"})
    assert (before["EmailAddress"], after["EmailAddress"]) == ("", "new@acme.test")
    assert before["IsCustomer"] is True
    assert made["Contact"]["ContactID"] not in (lab.contact_id, ZERO)


async def test_archived_and_unknown_contacts_are_refused() -> None:
    async with simulated() as lab:
        unknown = await lab.put_invoice(Contact={"ContactID": TENANT})
        order = {"action": "archive", "contact_id": lab.contact_id}
        await lab.control("POST", f"books/{TENANT}/contacts", order)
        archived = await lab.put_invoice()
    assert messages(unknown) == ["The Contact could not be found."]
    assert messages(archived) == [
        "The specified contact details matched an archived contact. "
        "Archived contacts cannot currently be edited via the API."
    ]


async def test_sent_flag_on_a_draft_is_a_warning_and_saved() -> None:
    async with simulated() as lab:
        shown = await lab.put_invoice(Status="DRAFT", SentToContact=True)
    assert shown["StatusAttributeString"] == "WARNING"
    assert shown["Warnings"] == [
        {"Message": "Only AUTHORISED invoices may have SentToContact updated."}
    ]
    assert shown["InvoiceID"] != ZERO


async def test_every_complaint_is_given() -> None:
    async with simulated() as lab:
        shown = await lab.put_invoice(DueDate=None, LineItems=[line(AccountCode="999")])
    assert messages(shown) == [
        "The document DueDate field must be specified.",
        "Account code '999' is not a valid code for this document.",
    ]


async def test_dates_are_shown_twice() -> None:
    async with simulated() as lab:
        shown = await lab.saved_invoice(Date="/Date(1790812800000+0000)/")
    assert (shown["Date"], shown["DateString"]) == (
        "/Date(1790812800000+0000)/",
        "2026-10-01T00:00:00",
    )
    assert shown["UpdatedDateUTC"] == "/Date(1790000000000+0000)/"


async def test_url_with_xero_is_a_switch() -> None:
    async with simulated(url_with_xero_refused=False) as lab:
        shown = await lab.saved_invoice(Url="https://lago.test/xero")
    assert shown["Url"] == "https://lago.test/xero"
