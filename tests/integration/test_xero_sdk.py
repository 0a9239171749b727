"""The official Python SDK against the simulated Xero: what it writes and reads is what it expects."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from xero_python.accounting import (
    Account,
    AccountingApi,
    Allocation,
    Allocations,
    BankTransaction,
    Contact,
    Contacts,
    CreditNote,
    CreditNotes,
    Invoice,
    Invoices,
    LineItem,
    Overpayment,
    Payment,
    PaymentDelete,
    Payments,
)
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token

from consumer.domain.chart import Chart
from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.translate import overpayment_marker, translate_overpayment
from consumer.sandbox.xero import Simulator, serve
from schemas.xero import PaymentDeletion

TENANT = "7f6a0000-0000-4000-8000-000000000002"
ACME = Connection(
    1,
    "acme",
    UUID(int=3),
    UUID(TENANT),
    mappings={MappingKey("", "payment_account"): Target(account="090")},
)


SCOPES = [
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.banktransactions",
]


def accounting(base_url: str, access_token: str) -> AccountingApi:
    """The SDK's client, as its users set it up."""
    oauth2_token = OAuth2Token(client_id="sdk", client_secret="secret")
    client = ApiClient(Configuration(oauth2_token=oauth2_token), pool_threads=1)
    token = {
        "access_token": access_token,
        "expires_in": 1800,
        "token_type": "Bearer",
        "scope": SCOPES,
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


def overpay(base_url: str, access_token: str) -> tuple[BankTransaction, Overpayment, str]:
    """Our overpayment as a user of the SDK reads it, both ways, and deletes it."""
    api = accounting(base_url, access_token)
    contact, _, _ = book(base_url, access_token)
    made = translate_overpayment(
        lago_id=UUID(int=1),
        target=UUID(int=2),
        amount_cents=250,
        currency="NZD",
        paid_at=datetime.date(2026, 10, 3),
        reference="slip 7",
        connection=ACME,
        chart=Chart(),
        contact_id=UUID(contact.contact_id),
        invoice_number="SDK-1",
        due_cents=749,
    )
    answer = httpx.put(
        f"{base_url}/api.xro/2.0/BankTransactions?summarizeErrors=false",
        content=b'{"BankTransactions":[%s]}' % made.body(),
        headers={
            "Authorization": f"Bearer {access_token}",
            "xero-tenant-id": TENANT,
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
    )
    id = answer.json()["BankTransactions"][0]["BankTransactionID"]
    where = 'Type=="RECEIVE-OVERPAYMENT"'
    [read] = api.get_bank_transactions(TENANT, where=where, page=1, page_size=100).bank_transactions
    [credit] = api.get_overpayments(TENANT, page=1).overpayments
    alone = api.get_overpayment(TENANT, credit.overpayment_id).overpayments[0]
    gone = httpx.post(
        f"{base_url}/api.xro/2.0/BankTransactions/{id}",
        content=PaymentDeletion().body(),
        headers={**answer.request.headers, "content-length": "20"},
    )
    assert gone.status_code == 200, gone.text
    after = api.get_bank_transaction(TENANT, id).bank_transactions[0]
    assert (read.bank_transaction_id, alone.overpayment_id) == (id, read.overpayment_id)
    return read, alone, after.status


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
            data={"grant_type": "client_credentials", "scope": " ".join(SCOPES), **app},
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


async def test_sdk_reads_an_overpayment_of_ours() -> None:
    async with opened() as (simulator, _, token):
        read, credit, after = await asyncio.to_thread(overpay, simulator.identity_url, token)
    assert (read.type, read.status, float(read.total)) == (
        "RECEIVE-OVERPAYMENT",
        "AUTHORISED",
        2.5,
    )
    assert (read.bank_account.code, read.date) == ("090", datetime.date(2026, 10, 3))
    marker = overpayment_marker(UUID(int=1), UUID(int=2))
    assert read.line_items[0].description == f"More than invoice SDK-1 had open · {marker}"
    assert (credit.type, float(credit.remaining_credit)) == ("RECEIVE-OVERPAYMENT", 2.5)
    assert credit.contact.name == "Śmiałek & Co"
    assert after == "VOIDED"


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
