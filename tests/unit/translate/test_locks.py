"""Lock dates: what lies in a locked period is held, moved or failed; never sent to be refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest

from consumer.domain.chart import Organisation
from consumer.domain.errors import Refused
from consumer.domain.mapping import Connection
from consumer.domain.translate.locks import check_removal, unlocked
from schemas import xero

LOCKED = Organisation(period_lock_date=date(2026, 3, 31), end_of_year_lock_date=date(2025, 12, 31))
HOLD = Connection(1, "acme", uuid4(), uuid4())
MOVE = replace(HOLD, locked_period="first_open_day")
DRAFT = replace(HOLD, locked_period="draft")
FAIL = replace(HOLD, locked_period="fail")


def payment(day: date) -> xero.Payment:
    """Ten of something."""
    return xero.Payment(
        invoice=xero.InvoiceRef(invoice_id=uuid4()),
        account=xero.AccountRef(code="880"),
        date=day,
        amount=Decimal(10),
        reference="Lago 0",
    )


def note(day: date, reference: str | None) -> xero.CreditNote:
    """One line of nothing."""
    line = xero.LineItem(
        description="x",
        quantity=Decimal(1),
        unit_amount=Decimal(0),
        line_amount=Decimal(0),
        account_code="200",
        tax_type="NONE",
        tax_amount=Decimal(0),
    )
    return xero.CreditNote(
        contact=xero.ContactRef(contact_id=uuid4()),
        credit_note_number="CN-1",
        reference=reference,
        date=day,
        currency_code="NZD",
        line_items=(line,),
    )


@pytest.mark.parametrize("connection", [HOLD, MOVE, FAIL])
def test_what_is_dated_after_the_lock_goes_out_as_it_is(connection: Connection) -> None:
    made = payment(date(2026, 4, 1))
    assert unlocked(made, LOCKED, connection) is made
    assert unlocked(made, Organisation(), connection) is made


@pytest.mark.parametrize(("connection", "cause"), [(HOLD, "lock"), (FAIL, "")])
def test_the_later_lock_date_holds(connection: Connection, cause: str) -> None:
    with pytest.raises(Refused, match="until 2026-03-31") as caught:
        unlocked(payment(date(2026, 3, 31)), LOCKED, connection)
    assert (caught.value.code, caught.value.cause) == ("locked_period", cause)


def test_the_first_open_day_is_the_day_after_and_the_own_day_is_shown() -> None:
    assert unlocked(payment(date(2026, 1, 5)), LOCKED, MOVE).date == date(2026, 4, 1)
    moved = unlocked(note(date(2026, 1, 5), "PO 7"), LOCKED, MOVE)
    assert (moved.date, moved.reference) == (date(2026, 4, 1), "PO 7 · dated 2026-01-05")
    long = unlocked(note(date(2026, 1, 5), "x" * 255), LOCKED, MOVE)
    assert long.reference is not None
    assert len(long.reference) <= 255
    assert long.reference.endswith("dated 2026-01-05")


def test_a_document_of_a_locked_period_may_be_a_draft_and_money_is_held() -> None:
    made = note(date(2026, 1, 5), "PO 7")
    assert unlocked(made, LOCKED, DRAFT) == made.model_copy(update={"status": "DRAFT"})
    with pytest.raises(Refused) as caught:
        unlocked(payment(date(2026, 1, 5)), LOCKED, DRAFT)
    assert caught.value.cause == "lock"


@pytest.mark.parametrize("connection", [HOLD, MOVE, FAIL])
def test_no_lock_date_concerns_lagos_own_drafts(connection: Connection) -> None:
    made = note(date(2026, 1, 5), None).model_copy(update={"status": "DRAFT"})
    assert unlocked(made, LOCKED, connection) is made


@pytest.mark.parametrize("connection", [HOLD, MOVE, FAIL])
def test_nothing_is_taken_back_in_a_locked_period(connection: Connection) -> None:
    with pytest.raises(Refused):
        check_removal(date(2026, 3, 1), LOCKED, connection)
    check_removal(date(2026, 4, 1), LOCKED, connection)
    check_removal(None, LOCKED, connection)
