"""Both sides of a connection: what an accountant did in Xero is found, each act once, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from consumer.sandbox.lago import payment
from consumer.sandbox.lago.catalogue import VAT_20
from consumer.sandbox.xero.accountant import edit_credit_note, edit_invoice, edit_payment
from consumer.sandbox.xero.books import Payment
from tests.integration.notes import a_note, note_told
from tests.integration.reconciling import Desk, human, told
from tests.lives.stage import Stage

Json = dict[str, Any]
REST = 5_000.0


@pytest.fixture
async def desk(theatre: Stage) -> Desk:
    await theatre.clean()
    theatre.accounting.faults = {}
    return Desk(theatre)


async def bill(desk: Desk, amount: int = 1000, who: Json | None = None, **facts: Any) -> Json:
    """An invoice of a new customer's that Xero has."""
    b = desk.stage.books
    who = who or b.customer()
    made = b.invoice(who, amount, **facts)
    await b.told(b.said(who), b.said(made))
    await desk.stage.rest(REST)
    return made


async def paid(desk: Desk, cents: int | None = None, amount: int = 1000) -> tuple[Json, Payment]:
    """An invoice, and a payment of Lago's on it."""
    made = await bill(desk, amount)
    b = desk.stage.books
    before = set(desk.stage.xero.payments)
    await b.told(b.paid(payment(b.choices, [made], amount_cents=cents)))
    await desk.stage.rest(REST)
    [new] = set(desk.stage.xero.payments) - before
    return made, desk.stage.xero.payments[new]


async def offset(desk: Desk) -> Json:
    """A credit note that is allocated to the invoice that it corrects."""
    made = await bill(desk)
    note = a_note(made, offset=400)
    await desk.stage.books.told(note_told(desk.stage.books, note))
    await desk.stage.rest(REST)
    return note


def edited(desk: Desk, made: Json, **fields: Any) -> None:
    """An accountant changes the invoice in Xero."""
    stored = desk.stage.xero.sales_invoices(made["number"])[-1]
    desk.edit(edit_invoice, action="write", fields={"InvoiceID": stored.invoice_id, **fields})


def line(**fields: Any) -> Json:
    return {
        "Description": "Seats", "Quantity": 1, "UnitAmount": Decimal(10), "AccountCode": "200",
        "TaxType": "OUTPUT2", **fields,
    }  # fmt: skip


# ── What an accountant does ───────────────────────────────────────────────────────────────────────


async def _voids(desk: Desk) -> str:
    made = await bill(desk)
    desk.edit(edit_invoice, action="void", number=made["number"])
    return str(made["number"])


async def _settles(desk: Desk) -> str:
    made = await bill(desk)
    desk.edit(edit_invoice, action="pay", number=made["number"])
    return str(made["number"])


async def _pays_some(desk: Desk) -> None:
    made = await bill(desk)
    desk.edit(edit_invoice, action="pay", number=made["number"], amount="1.00")


async def _reprices(desk: Desk) -> str:
    made = await bill(desk, taxes=(VAT_20,))
    edited(desk, made, LineItems=[line(UnitAmount=Decimal(12))])
    return str(made["number"])


async def _retaxes(desk: Desk) -> str:
    made = await bill(desk, taxes=(VAT_20,))
    edited(desk, made, LineItems=[line(TaxType="OUTPUT15")])
    return str(made["number"])


async def _redates(desk: Desk) -> str:
    made = await bill(desk)
    edited(desk, made, Date="2026-05-09", DueDate="2026-05-09")
    return str(made["number"])


async def _recontacts(desk: Desk) -> str:
    made = await bill(desk)
    other = await bill(desk)
    theirs = desk.stage.xero.sales_invoices(other["number"])[-1].contact_id
    edited(desk, made, Contact={"ContactID": theirs})
    return str(made["number"])


async def _changes_currency(desk: Desk) -> str:
    made = await bill(desk)
    edited(desk, made, CurrencyCode="NZD")
    return str(made["number"])


async def _renames(desk: Desk) -> None:
    made = await bill(desk)
    edited(desk, made, InvoiceNumber="ours-1")


async def _defers(desk: Desk) -> str:
    made = await bill(desk)
    edited(desk, made, DueDate="2027-01-31")
    return str(made["number"])


async def _sells(desk: Desk) -> None:
    made = await bill(desk)
    contact = desk.stage.xero.sales_invoices(made["number"])[-1].contact_id
    fields = {
        "Type": "ACCREC", "Contact": {"ContactID": contact}, "Date": "2026-05-20",
        "DueDate": "2026-05-30", "Status": "AUTHORISED", "CurrencyCode": "EUR",
        "LineItems": [line(UnitAmount=Decimal(7))],
    }  # fmt: skip
    desk.edit(edit_invoice, action="write", fields=fields)


async def _copies(desk: Desk) -> None:
    made = await bill(desk, taxes=(VAT_20,))
    stored = desk.stage.xero.sales_invoices(made["number"])[-1]
    fields = {
        "Type": "ACCREC", "Contact": {"ContactID": stored.contact_id}, "Date": "2026-05-01",
        "DueDate": "2026-05-30", "Status": "AUTHORISED", "CurrencyCode": "EUR",
        "LineItems": [line()],
    }  # fmt: skip
    desk.edit(edit_invoice, action="write", fields=fields)


async def _pays_twice(desk: Desk) -> None:
    made, ours = await paid(desk, 300)
    del made
    fields = {
        "Invoice": {"InvoiceID": ours.invoice_id}, "Account": {"Code": "090"},
        "Amount": ours.amount, "Date": ours.date.isoformat(), "Reference": ours.reference,
    }  # fmt: skip
    desk.edit(edit_payment, action="enter", fields=fields)


async def _deletes_payment(desk: Desk) -> None:
    _, ours = await paid(desk)
    desk.edit(edit_payment, action="delete", payment_id=ours.payment_id)


async def _moves_payment(desk: Desk) -> None:
    _, ours = await paid(desk)
    desk.edit(edit_payment, action="move", payment_id=ours.payment_id, account="881")


async def _enters_payment_anew(desk: Desk) -> None:
    _, ours = await paid(desk)
    desk.edit(edit_payment, action="move", payment_id=ours.payment_id, account="090")


async def _unallocates(desk: Desk) -> None:
    note = await offset(desk)
    desk.edit(edit_credit_note, action="unallocate", number=note["number"])


async def _allocates(desk: Desk) -> None:
    """Credit of ours on an invoice that somebody else made."""
    made = await bill(desk)
    note = a_note(made, credit=300)
    await desk.stage.books.told(note_told(desk.stage.books, note))
    await desk.stage.rest(REST)
    edit = {"action": "allocate", "number": note["number"], "to": made["number"], "amount": "2"}
    desk.edit(edit_credit_note, **edit)


async def _voids_note(desk: Desk) -> str:
    made = await bill(desk)
    note = a_note(made, credit=300)
    await desk.stage.books.told(note_told(desk.stage.books, note))
    await desk.stage.rest(REST)
    desk.edit(edit_credit_note, action="void", number=note["number"])
    return str(note["number"])


Act = Callable[[Desk], Awaitable[str | None]]
ACTS: dict[Act, tuple[str, str]] = {
    _voids: ("status", "invoice"),
    _settles: ("status", "invoice"),
    _voids_note: ("status", "credit_note"),
    _pays_some: ("extra_in_xero", "payment"),
    _sells: ("extra_in_xero", "invoice"),
    _copies: ("duplicate", "invoice"),
    _pays_twice: ("duplicate", "payment"),
    _reprices: ("amount", "invoice"),
    _retaxes: ("tax", "invoice"),
    _redates: ("date", "invoice"),
    _recontacts: ("contact", "invoice"),
    _changes_currency: ("currency", "invoice"),
    _renames: ("edited", "invoice"),
    _defers: ("edited", "invoice"),
    _allocates: ("edited", "invoice"),
    _deletes_payment: ("payment_missing", "payment"),
    _enters_payment_anew: ("payment_missing", "payment"),
    _moves_payment: ("payment_account", "payment"),
    _unallocates: ("unallocated_credit", "allocation"),
}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_what_an_accountant_does_is_found_once(desk: Desk, act: Act) -> None:
    number = await act(desk)
    found = await desk.run()
    assert told(found) == [ACTS[act]]
    [one] = human(found)
    if number is not None:
        assert one.number == number
    assert one.safety == "accountant_only"
    assert one.cause
    assert one.repair


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_it_is_found_too_once_the_books_had_been_read(desk: Desk, act: Act) -> None:
    """By what changed since."""
    await bill(desk)
    assert await desk.told() == []
    await act(desk)
    assert await desk.told() == [ACTS[act]]
    assert await desk.told() == [ACTS[act]], "also where nothing has changed since"
