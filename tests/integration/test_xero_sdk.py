"""The official Python SDK creates a contact and an invoice against the simulated Xero."""

from __future__ import annotations

import asyncio
import datetime

import httpx
from xero_python.accounting import (
    AccountingApi,
    Contact,
    Contacts,
    Invoice,
    Invoices,
    LineItem,
)
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token

from consumer.sandbox.xero import serve

TENANT = "7f6a0000-0000-4000-8000-000000000002"


def book(base_url: str, access_token: str) -> tuple[Contact, Invoice, Invoice]:
    """What a user of the SDK does: a contact, its invoice, and that invoice read again."""
    oauth2_token = OAuth2Token(client_id="sdk", client_secret="secret")
    client = ApiClient(Configuration(oauth2_token=oauth2_token), pool_threads=1)
    token = {
        "access_token": access_token,
        "expires_in": 1800,
        "token_type": "Bearer",
        "scope": ["accounting.invoices", "accounting.contacts"],
    }
    client.oauth2_token_getter(lambda: token)
    client.oauth2_token_saver(lambda new: None)
    client.set_oauth2_token(token)
    api = AccountingApi(client, base_url=f"{base_url}/api.xro/2.0")
    contacts = api.create_contacts(
        TENANT,
        contacts=Contacts(contacts=[Contact(name="Śmiałek & Co", email_address="a@b.test")]),
        summarize_errors=False,
    )
    contact = contacts.contacts[0]
    invoice = Invoice(
        type="ACCREC",
        contact=Contact(contact_id=contact.contact_id),
        invoice_number="SDK-1",
        date=datetime.date(2026, 10, 1),
        due_date=datetime.date(2026, 10, 31),
        status="AUTHORISED",
        line_items=[
            LineItem(
                description="Storage",
                quantity=1200,
                unit_amount=0.0052,
                account_code="200",
                tax_type="OUTPUT2",
            )
        ],
    )
    made = api.create_invoices(
        TENANT, invoices=Invoices(invoices=[invoice]), summarize_errors=False, unitdp=4
    ).invoices[0]
    read = api.get_invoice(TENANT, made.invoice_id).invoices[0]
    return contact, made, read


async def test_sdk_creates_a_contact_and_an_invoice() -> None:
    async with serve() as simulator, httpx.AsyncClient() as http:
        await http.post(
            f"{simulator.control_url}/tenants", json={"tenant_id": TENANT, "name": "SDK"}
        )
        app = {"client_id": "sdk", "client_secret": "secret", "tenant_ids": [TENANT]}
        await http.post(f"{simulator.control_url}/clients", json=app)
        answer = await http.post(
            f"{simulator.identity_url}/connect/token",
            data={"grant_type": "client_credentials", **app},
        )
        token = answer.json()["access_token"]
        contact, made, read = await asyncio.to_thread(book, simulator.identity_url, token)
        books = (await http.get(f"{simulator.control_url}/books/{TENANT}")).json()
    assert (contact.name, contact.contact_status) == ("Śmiałek & Co", "ACTIVE")
    assert [float(one) for one in (made.sub_total, made.total_tax, made.total)] == [
        6.24,
        1.25,
        7.49,
    ]
    assert made.has_errors is False
    assert made.date == datetime.date(2026, 10, 1)
    assert (read.invoice_id, read.invoice_number) == (made.invoice_id, "SDK-1")
    assert read.contact.contact_id == contact.contact_id
    assert [one["InvoiceNumber"] for one in books["invoices"]] == ["SDK-1"]
