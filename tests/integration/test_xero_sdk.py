"""The official Python SDK against the simulated Xero: what it writes and reads is what it expects."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from xero_python.accounting import (
    Account,
    AccountingApi,
    Allocation,
    Allocations,
    Contact,
    Contacts,
    CreditNote,
    CreditNotes,
    Invoice,
    Invoices,
    LineItem,
    Payment,
    PaymentDelete,
    Payments,
)
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token

from consumer.sandbox.xero import Simulator, serve

TENANT = "7f6a0000-0000-4000-8000-000000000002"


def accounting(base_url: str, access_token: str) -> AccountingApi:
    """The SDK's client, as its users set it up."""
    oauth2_token = OAuth2Token(client_id="sdk", client_secret="secret")
    client = ApiClient(Configuration(oauth2_token=oauth2_token), pool_threads=1)
    token = {
        "access_token": access_token,
        "expires_in": 1800,
        "token_type": "Bearer",
        "scope": ["accounting.invoices", "accounting.payments", "accounting.contacts"],
    }
    client.oauth2_token_getter(lambda: token)
    client.oauth2_token_saver(lambda new: None)
    client.set_oauth2_token(token)
    return AccountingApi(client, base_url=f"{base_url}/api.xro/2.0")


def storage(quantity: int, price: float) -> LineItem:
    """A taxed line."""
    return LineItem(
        description="Storage",
        quantity=quantity,
        unit_amount=price,
        account_code="200",
        tax_type="OUTPUT2",
    )


def book(base_url: str, access_token: str) -> tuple[Contact, Invoice, Invoice]:
    """What a user of the SDK does: a contact, its invoice, and that invoice read again."""
    api = accounting(base_url, access_token)
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
            storage(1200, 0.0052),
        ],
    )
    made = api.create_invoices(
        TENANT, invoices=Invoices(invoices=[invoice]), summarize_errors=False, unitdp=4
    ).invoices[0]
    read = api.get_invoice(TENANT, made.invoice_id).invoices[0]
    return contact, made, read


def settle(base_url: str, access_token: str) -> dict[str, Any]:
    """A credit note allocated in part, a payment made and deleted, an invoice voided."""
    api = accounting(base_url, access_token)
    contact, invoice, _ = book(base_url, access_token)
    note = CreditNote(
        type="ACCRECCREDIT",
        contact=Contact(contact_id=contact.contact_id),
        credit_note_number="SDK-1-CN1",
        date=datetime.date(2026, 10, 2),
        status="AUTHORISED",
        line_items=[
            storage(1, 5),
        ],
    )
    made = api.create_credit_notes(
        TENANT, credit_notes=CreditNotes(credit_notes=[note]), summarize_errors=False, unitdp=4
    ).credit_notes[0]
    allocation = Allocation(
        amount=2.0, date=datetime.date(2026, 10, 2), invoice=Invoice(invoice_id=invoice.invoice_id)
    )
    allocated = api.create_credit_note_allocation(
        TENANT, made.credit_note_id, allocations=Allocations(allocations=[allocation])
    ).allocations[0]
    payment = Payment(
        invoice=Invoice(invoice_id=invoice.invoice_id),
        account=Account(code="880"),
        date=datetime.date(2026, 10, 3),
        amount=3.0,
        reference="Lago 1",
    )
    paid = api.create_payments(
        TENANT, payments=Payments(payments=[payment]), summarize_errors=False
    ).payments[0]
    due = api.get_invoice(TENANT, invoice.invoice_id).invoices[0].amount_due
    deleted = api.delete_payment(
        TENANT, paid.payment_id, payment_delete=PaymentDelete(status="DELETED")
    ).payments[0]
    api.delete_credit_note_allocations(TENANT, made.credit_note_id, allocated.allocation_id)
    read = api.get_credit_note(TENANT, made.credit_note_id).credit_notes[0]
    voided = api.update_invoice(
        TENANT,
        invoice.invoice_id,
        invoices=Invoices(invoices=[Invoice(invoice_id=invoice.invoice_id, status="VOIDED")]),
    ).invoices[0]
    return {
        "credit": float(made.total),
        "remaining": float(read.remaining_credit),
        "due": float(due),
        "deleted": deleted.status,
        "voided": voided.status,
    }


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Simulator, httpx.AsyncClient, str]]:
    """A simulated Xero with one organisation, and a token for it."""
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
        yield simulator, http, answer.json()["access_token"]


async def test_sdk_allocates_pays_deletes_and_voids() -> None:
    async with opened() as (simulator, _, token):
        seen = await asyncio.to_thread(settle, simulator.identity_url, token)
    assert seen == {
        "credit": 6.0,
        "remaining": 6.0,
        "due": 2.49,
        "deleted": "DELETED",
        "voided": "VOIDED",
    }


async def test_sdk_creates_a_contact_and_an_invoice() -> None:
    async with opened() as (simulator, http, token):
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
