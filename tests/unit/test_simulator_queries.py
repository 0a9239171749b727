"""Lists, look-ups and the settings of an organisation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator import TENANT, Lab, line, simulated


async def fill(lab: Lab, count: int) -> None:
    """Invoices N-0, N-1, … one second apart."""
    for number in range(count):
        await lab.saved_invoice(InvoiceNumber=f"N-{number}", Reference=f"PO {number % 2}")
        lab.advance(1)


async def numbers(lab: Lab, **query: str) -> list[str]:
    return [one["InvoiceNumber"] for one in (await lab.get("Invoices", **query))["Invoices"]]


async def test_invoices_by_number_in_any_status() -> None:
    async with simulated() as lab:
        await fill(lab, 4)
        void = {"action": "void", "number": "N-2"}
        await lab.control("POST", f"books/{TENANT}/invoices", void)
        found = await numbers(lab, InvoiceNumbers="N-2,N-0,N-9")
        live = await numbers(lab, InvoiceNumbers="N-2,N-0", Statuses="AUTHORISED,PAID")
    assert found == ["N-0", "N-2"]
    assert live == ["N-0"]


async def test_invoices_by_id_and_contact() -> None:
    async with simulated() as lab:
        await fill(lab, 2)
        shown = await lab.saved_invoice(Contact={"Name": "Other"}, InvoiceNumber="N-2")
        by_id = await numbers(lab, IDs=shown["InvoiceID"].upper())
        by_contact = await numbers(lab, ContactIDs=lab.contact_id)
    assert (by_id, by_contact) == (["N-2"], ["N-0", "N-1"])


async def test_lines_only_with_pages_or_alone() -> None:
    async with simulated() as lab:
        await fill(lab, 1)
        unpaged = (await lab.get("Invoices", InvoiceNumbers="N-0"))["Invoices"][0]
        paged = (await lab.get("Invoices", page="1"))["Invoices"][0]
        alone = (await lab.get("Invoices/N-0"))["Invoices"][0]
        summary = (await lab.get("Invoices", page="1", summaryOnly="true"))["Invoices"][0]
    assert [len(one["LineItems"]) for one in (unpaged, paged, alone)] == [0, 1, 1]
    assert not {"LineItems", "Payments", "HasAttachments"} & summary.keys()
    assert unpaged["Total"] == summary["Total"] == 12.0


async def test_pages() -> None:
    async with simulated() as lab:
        await fill(lab, 5)
        answer = await lab.get("Invoices", page="2", pageSize="2")
        beyond = await lab.get("Invoices", page="4", pageSize="2")
        plain = await lab.get("Invoices", page="1")
    assert [one["InvoiceNumber"] for one in answer["Invoices"]] == ["N-2", "N-3"]
    assert answer["pagination"] == {"page": 2, "pageSize": 2, "pageCount": 3, "itemCount": 5}
    assert beyond["Invoices"] == []
    assert plain["pagination"]["pageSize"] == 100


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"page": "1", "pageSize": "1001"}, {"page": "1", "pageSize": "many"}]
)
async def test_impossible_pages(query: dict[str, Any]) -> None:
    async with simulated() as lab:
        answer = await lab.call("GET", "Invoices", **query)
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 16)


async def test_if_modified_since_counts_seconds() -> None:
    async with simulated() as lab:
        lab.advance(0.5)
        await fill(lab, 3)
        found = []
        for since in (
            "2026-09-21T14:13:21",
            "Mon, 21 Sep 2026 14:13:22 GMT",
            "2026-09-21T15:00:00",
        ):
            answer = await lab.call("GET", "Invoices", headers={"If-Modified-Since": since})
            found.append([one["InvoiceNumber"] for one in answer.json()["Invoices"]])
    assert found == [["N-1", "N-2"], ["N-2"], []]


async def test_an_update_moves_an_invoice_to_the_end() -> None:
    async with simulated() as lab:
        await fill(lab, 3)
        change = {"action": "write", "fields": {"Type": "ACCREC", "InvoiceNumber": "N-0"}}
        await lab.control("POST", f"books/{TENANT}/invoices", change)
        assert await numbers(lab) == ["N-1", "N-2", "N-0"]
        assert await numbers(lab, order="InvoiceNumber DESC") == ["N-2", "N-1", "N-0"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('InvoiceNumber=="N-1"', ["N-1"]),
        ('Status=="AUTHORISED" AND Reference=="PO 1"', ["N-1"]),
        ('Status == "PAID" && Reference == "PO 1"', []),
        ('Contact.ContactID==Guid("{contact}")', ["N-0", "N-1", "N-2"]),
        ('Contact.Name!="First"', []),
        ("Date>=DateTime(2026, 10, 01) AND Date<DateTime(2026,10,2)", ["N-0", "N-1", "N-2"]),
        ("AmountDue>12", []),
        ("AmountDue==12.00", ["N-0", "N-1", "N-2"]),
        ('Reference=="PO 1 AND PO 2"', []),
    ],
)
async def test_where(where: str, found: list[str]) -> None:
    async with simulated() as lab:
        await fill(lab, 3)
        assert await numbers(lab, where=where.replace("{contact}", lab.contact_id)) == found


@pytest.mark.parametrize("where", ['Colour=="red"', "Status", 'Status="', "Date>DateTime(1,2,99)"])
async def test_unreadable_where(where: str) -> None:
    async with simulated() as lab:
        answer = await lab.call("GET", "Invoices", where=where)
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 16)
    assert answer.json()["Type"] == "QueryParseException"


async def test_contacts_are_found_and_archived_ones_only_on_request() -> None:
    async with simulated() as lab:
        await lab.write("PUT", "Contacts", {"Name": "Beta"}, {"Name": "Gamma"})
        order = {"action": "archive", "contact_id": lab.contact_id}
        await lab.control("POST", f"books/{TENANT}/contacts", order)

        async def names(**query: str) -> set[str]:
            return {one["Name"] for one in (await lab.get("Contacts", **query))["Contacts"]}

        assert await names() == {"Beta", "Gamma"}
        assert await names(includeArchived="true") == {"First", "Beta", "Gamma"}
        assert await names(searchTerm="BET") == {"Beta"}
        assert await names(IDs=lab.contact_id, includeArchived="true") == {"First"}
        assert await names(where='Name=="gamma"') == {"Gamma"}
        summary = (await lab.get("Contacts", summaryOnly="true"))["Contacts"][0]
    assert "Addresses" not in summary


async def test_settings_endpoints() -> None:
    async with simulated() as lab:
        organisation = (await lab.get("Organisation"))["Organisations"][0]
        currencies = (await lab.get("Currencies"))["Currencies"]
        accounts = {one["Code"]: one for one in (await lab.get("Accounts"))["Accounts"]}
        items = {one["Code"]: one for one in (await lab.get("Items"))["Items"]}
        rates = {one["TaxType"]: one for one in (await lab.get("TaxRates"))["TaxRates"]}
        one_item = (await lab.get("Items/STOR-EU"))["Items"]
        banks = (await lab.get("Accounts", where='Type=="BANK"'))["Accounts"]
    assert organisation["BaseCurrency"] == "NZD"
    assert organisation["ShortCode"].startswith("!")
    assert len(organisation["ShortCode"]) == 6
    assert organisation["Timezone"] == "NEWZEALANDSTANDARDTIME"
    assert [one["Code"] for one in currencies] == ["NZD", "EUR", "JPY"]
    assert accounts["825"]["Class"] == "LIABILITY"
    assert accounts["880"]["EnablePaymentsToAccount"] is True
    assert accounts["610"]["SystemAccount"] == "DEBTORS"
    assert items["LAGO"]["SalesDetails"]["AccountCode"] == "200"
    assert items["WIDGET"]["IsTrackedAsInventory"] is True
    assert (rates["OUTPUT2"]["EffectiveRate"], rates["TAX001"]["Status"]) == (20.0, "DELETED")
    assert rates["INPUT2"]["CanApplyToRevenue"] is False
    assert [one["Code"] for one in one_item] == ["STOR-EU"]
    assert [one["Code"] for one in banks] == ["090", "881"]


async def test_a_chart_of_ones_own() -> None:
    chart = {
        "accounts": [{"Code": "1", "Type": "SALES", "TaxType": "X"}],
        "items": [],
        "tax_rates": [{"TaxType": "X", "EffectiveRate": 12.5}],
    }
    request = {"name": "Own", "country_code": "GB", "base_currency": "GBP", "chart": chart}
    async with simulated() as lab:
        tenant = await lab.control("POST", "tenants", request)
        app = {"client_id": "own", "client_secret": "s", "tenant_ids": [tenant["tenant_id"]]}
        await lab.control("POST", "clients", app)
        form = {"grant_type": "client_credentials", "client_id": "own", "client_secret": "s"}
        token = (await lab.http.post("/connect/token", data=form)).json()["access_token"]
        lab.headers |= {"Authorization": f"Bearer {token}", "xero-tenant-id": tenant["tenant_id"]}
        sent = line(AccountCode="1", TaxType=None)
        shown = await lab.saved_invoice(Contact={"Name": "A"}, CurrencyCode="GBP", LineItems=[sent])
        items = (await lab.get("Items"))["Items"]
    assert (shown["TotalTax"], shown["LineItems"][0]["TaxType"], items) == (1.25, "X", [])
