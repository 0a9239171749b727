"""ACCOUNTING.md 5 and 6: payments of invoices and refunds of credit notes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.chart import Chart, Organisation
from consumer.domain.errors import Inconsistent, Refused, Unmapped
from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.translate import (
    Note,
    Posted,
    payment_marker,
    refund_marker,
    split_payment,
    translate_payment,
    translate_refund,
    zone_notes,
)
from schemas import lago, xero
from tests.unit.translate.books import connection, fee, targets
from tests.unit.translate.notes import credit_note, item

JSON = dict[str, Any]
PAYMENT, INVOICE, OTHER, NOTE = (UUID(int=n) for n in (11, 12, 13, 14))
XERO_INVOICE, XERO_NOTE = UUID(int=21), UUID(int=22)
PAID_AT = datetime(2026, 5, 3, 22, 30, tzinfo=UTC)


def chart(timezone: str = "UTC") -> Chart:
    return Chart(organisation=Organisation(timezone=timezone))


def mapped(**accounts: str) -> Connection:
    """Accounts by kind, or by kind and currency: ``payment_account__EUR``."""
    keys: dict[MappingKey, Target] = {}
    for name, account in accounts.items():
        kind, _, currency = name.partition("__")
        assert kind in ("payment_account", "refund_account")
        keys[MappingKey("", kind, currency)] = Target(account=account)  # type: ignore[arg-type]
    return connection({**targets(), **keys})


def paid(**said: Any) -> xero.Payment:
    facts: dict[str, Any] = {
        "lago_id": PAYMENT,
        "target": INVOICE,
        "amount_cents": 1250,
        "currency": "EUR",
        "invoice_currency": "EUR",
        "paid_at": PAID_AT,
        "reference": None,
        "connection": mapped(payment_account="880"),
        "chart": chart(),
        "invoice_id": XERO_INVOICE,
    }
    return translate_payment(**{**facts, **said})


def refund(note: JSON | None = None, **said: Any) -> xero.Payment:
    facts: dict[str, Any] = {
        "amount_cents": 1200,
        "connection": mapped(payment_account="880"),
        "credit_note_id": XERO_NOTE,
    }
    given = note or credit_note(item(fee()), lago_id=str(NOTE))
    return translate_refund(lago.CreditNote.model_validate(given), **{**facts, **said})


# ── Payments ──────────────────────────────────────────────────────────────────────────────────────


def test_whole_payment() -> None:
    assert json.loads(paid(reference=" Wire\t7 ").body()) == {
        "Invoice": {"InvoiceID": str(XERO_INVOICE)},
        "Account": {"Code": "880"},
        "Date": "2026-05-03",
        "Amount": 12.5,
        "Reference": f"Wire 7 · {payment_marker(PAYMENT, INVOICE)}",
    }


@pytest.mark.parametrize(
    ("currency", "subunits", "amount"),
    [
        ("JPY", 1250, "1250.00"),
        ("HUF", 1250, "1250.00"),
        ("MRO", 7, "1.40"),
        ("KWD", 12345, "12.35"),
        ("CLF", 12345, "1.23"),
    ],
)
def test_amount_is_in_major_units_of_lagos_subunits(
    currency: str, subunits: int, amount: str
) -> None:
    made = paid(amount_cents=subunits, currency=currency, invoice_currency=currency)
    assert f"{made.amount}" == amount


def test_amount_continues_what_is_posted_on_the_invoice() -> None:
    made = paid(amount_cents=6003, currency="KWD", invoice_currency="KWD", posted=Posted(6003, 600))
    assert f"{made.amount}" == "6.01"


@pytest.mark.parametrize("amount", [0, 4, -5])
def test_less_than_a_cent_is_not_sent(amount: int) -> None:
    with pytest.raises(Refused) as caught:
        paid(amount_cents=amount, currency="KWD", invoice_currency="KWD")
    assert caught.value.code == "amount_below_cent"


def test_payment_in_another_currency_than_its_invoice_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        paid(currency="USD")
    assert caught.value.code == "payment_currency"


def test_payment_without_a_date_is_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        paid(paid_at=None)
    assert caught.value.code == "lago_header_missing"


# ── Accounts ──────────────────────────────────────────────────────────────────────────────────────


def test_account_of_the_currency_comes_before_the_default() -> None:
    by = mapped(payment_account="880", payment_account__USD="882", refund_account="890")
    assert paid(connection=by).account.code == "880"
    assert paid(connection=by, currency="USD", invoice_currency="USD").account.code == "882"


def test_payment_without_an_account_waits_for_one() -> None:
    for by in (connection(), mapped(refund_account="890")):
        with pytest.raises(Unmapped) as caught:
            paid(connection=by)
        assert (caught.value.code, caught.value.cause) == (
            "payment_account_unmapped",
            "payment_account",
        )


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ({"payment_account": "880"}, "880"),
        ({"payment_account": "880", "payment_account__EUR": "881"}, "881"),
        ({"payment_account__EUR": "881", "refund_account": "890"}, "890"),
        ({"refund_account": "890", "refund_account__EUR": "891"}, "891"),
        ({"payment_account": "880", "refund_account__USD": "892"}, "880"),
    ],
)
def test_refund_account_comes_before_the_payment_account(
    accounts: Mapping[str, str], expected: str
) -> None:
    assert refund(connection=mapped(**accounts)).account.code == expected


# ── Markers ───────────────────────────────────────────────────────────────────────────────────────


def test_marker_is_short_and_always_the_same() -> None:
    # Written into Xero: another digest would not find what is there.
    assert payment_marker(PAYMENT, INVOICE) == "Lago 2e245eba033e2bd2"
    assert refund_marker(NOTE) == "Lago 66878f2ec40067df"


def test_markers_tell_payments_invoices_and_refunds_apart() -> None:
    markers = {
        payment_marker(PAYMENT, INVOICE),
        payment_marker(PAYMENT, OTHER),
        payment_marker(INVOICE, PAYMENT),
        refund_marker(PAYMENT),
        refund_marker(INVOICE),
    }
    assert len(markers) == 5


@pytest.mark.parametrize("own", [None, "", " \n", "x" * 500, "é🙂" * 200, "Lago 0123456789abcdef"])
def test_reference_ends_in_the_marker_and_fits(own: str | None) -> None:
    reference = paid(reference=own).reference
    assert re.fullmatch(r"(.+ · )?Lago [0-9a-f]{16}", reference)
    assert reference.endswith(payment_marker(PAYMENT, INVOICE))
    assert len(reference.encode("utf-16-le")) // 2 <= 255


# ── Dates ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", "2026-05-03"),
        ("NEWZEALANDSTANDARDTIME", "2026-05-04"),
        ("GMTSTANDARDTIME", "2026-05-03"),  # 23:30 in summer
        ("WEUROPESTANDARDTIME", "2026-05-04"),
        ("EASTERNSTANDARDTIME", "2026-05-03"),
        ("UTC+12", "2026-05-04"),
        ("Pacific/Auckland", "2026-05-04"),
        ("ATLANTIS STANDARD TIME", "2026-05-03"),
        ("", "2026-05-03"),
    ],
)
def test_date_is_the_day_in_the_organisations_timezone(zone: str, day: str) -> None:
    assert f"{paid(chart=chart(zone)).date}" == day


def test_instant_without_an_offset_is_utc_and_others_are_converted() -> None:
    naive = PAID_AT.replace(tzinfo=None)
    assert f"{paid(paid_at=naive, chart=chart('NEWZEALANDSTANDARDTIME')).date}" == "2026-05-04"
    west = PAID_AT.astimezone(timezone(timedelta(hours=-7)))
    assert f"{paid(paid_at=west).date}" == "2026-05-03"


@pytest.mark.parametrize("zone", ["NEWZEALANDSTANDARDTIME", "EASTERNSTANDARDTIME", "UTC"])
def test_a_day_is_itself_in_every_timezone(zone: str) -> None:
    assert f"{paid(paid_at=date(2026, 3, 5), chart=chart(zone)).date}" == "2026-03-05"


def test_unknown_timezone_is_noted() -> None:
    assert zone_notes(chart("ATLANTISSTANDARDTIME")) == (
        Note("timezone_unknown", "ATLANTISSTANDARDTIME"),
    )
    assert zone_notes(chart("")) == (Note("timezone_unknown", "none"),)
    assert zone_notes(chart("NEWZEALANDSTANDARDTIME")) == ()


# ── Refunds ───────────────────────────────────────────────────────────────────────────────────────


def test_whole_refund() -> None:
    by = replace(mapped(payment_account="880", refund_account="890"), number_prefix="L-")
    assert json.loads(refund(connection=by).body()) == {
        "CreditNote": {"CreditNoteID": str(XERO_NOTE)},
        "Account": {"Code": "890"},
        "Date": "2026-04-15",
        "Amount": 12.0,
        "Reference": f"L-ACM-001-CN001 · {refund_marker(NOTE)}",
    }


def test_refund_is_dated_at_the_notes_issuing_date_in_any_timezone() -> None:
    assert f"{refund(credit_note(item(fee()), issuing_date='2026-12-31')).date}" == "2026-12-31"


def test_refund_continues_what_was_taken_from_the_note() -> None:
    note = credit_note(item(fee(1, 12006)), currency="KWD")
    made = refund(note, amount_cents=6003, taken=Posted(6003, 600))
    assert f"{made.amount}" == "6.01"


def test_refund_of_a_note_without_a_date_is_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        refund({**credit_note(item(fee())), "issuing_date": None})
    assert caught.value.code == "lago_header_missing"


def test_refund_without_a_number_has_the_marker_alone() -> None:
    bare = credit_note(item(fee()), lago_id=str(NOTE), number=None)
    assert refund(bare).reference == refund_marker(NOTE)


# ── One payment over several invoices ─────────────────────────────────────────────────────────────


def test_payment_of_one_invoice_is_all_its_own() -> None:
    assert split_payment(700, {INVOICE: 1000}) == {INVOICE: 700}
    assert split_payment(1200, {INVOICE: 1000}) == {INVOICE: 1200}


def test_payment_over_several_invoices_gives_each_what_it_had_open() -> None:
    assert split_payment(1500, {INVOICE: 1000, OTHER: 500}) == {INVOICE: 1000, OTHER: 500}
    assert split_payment(1000, {INVOICE: 1000, OTHER: 0}) == {INVOICE: 1000}


@pytest.mark.parametrize(
    "open_cents",
    [{INVOICE: 1000, OTHER: 499}, {INVOICE: 1000, OTHER: 501}, {INVOICE: 1600, OTHER: -100}, {}],
)
def test_payment_that_is_not_the_sum_of_what_was_open_is_not_guessed(
    open_cents: Mapping[UUID, int],
) -> None:
    with pytest.raises(Inconsistent) as caught:
        split_payment(1500, open_cents)
    assert caught.value.code == "payment_split_unknown"
    assert "1500" in caught.value.sentence
