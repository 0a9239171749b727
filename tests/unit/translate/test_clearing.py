"""ACCOUNTING.md 3, consumed credits by policy ``negative_line``: the line, and the refund that clears it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.errors import BelowCent, Inconsistent, Unmapped
from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.translate import (
    Posted,
    TranslatedInvoice,
    payment_marker,
    refund_marker,
    translate_clearing,
    translate_invoice,
)
from schemas import lago, xero
from tests.unit.translate.books import CHART, CONTACT, connection, fee, invoice, targets, uuid
from tests.unit.translate.notes import credit_note, item

NOTE, FIRST, SECOND = (UUID(uuid(n)) for n in (500, 701, 702))
XERO_NOTE = UUID(int=22)
ACCOUNT = MappingKey("", "clearing_account")


def mapped(account: str | None = "890", **without: Any) -> Connection:
    mappings = {**targets(), **({ACCOUNT: Target(account=account)} if account else {})}
    gone = without.get("without")
    return connection({key: one for key, one in mappings.items() if key.kind != gone})


def credit(id: UUID, cents: int, code: str = "ACM-000-CN001") -> dict[str, Any]:
    item = {"lago_item_id": str(NOTE), "type": "credit_note", "code": code, "name": code}
    return {"lago_id": str(id), "amount_cents": cents, "before_taxes": False, "item": item}


def consuming(*credits: dict[str, Any], used: int | None = None, **said: Any) -> dict[str, Any]:
    total = sum(one["amount_cents"] for one in credits) if used is None else used
    return invoice(fee(), credits=list(credits), credit_notes_amount_cents=total, **said)


def made(said: dict[str, Any], *cleared: UUID, by: Connection | None = None) -> TranslatedInvoice:
    return translate_invoice(
        lago.Invoice.model_validate(said),
        entity="",
        connection=by or mapped(),
        chart=CHART,
        contact_id=CONTACT,
        cleared=frozenset(cleared),
    )


def refund(note: dict[str, Any] | None = None, **said: Any) -> xero.Payment:
    facts: dict[str, Any] = {
        "credit_id": FIRST,
        "amount_cents": 400,
        "line": Decimal("4.00"),
        "day": date(2026, 5, 3),
        "connection": mapped(),
        "credit_note_id": XERO_NOTE,
        **said,
    }
    return translate_clearing(
        lago.CreditNote.model_validate(note or credit_note(item(fee()))), **facts
    )


# ── The line ──────────────────────────────────────────────────────────────────────────────────────


def test_the_line_of_a_cleared_credit() -> None:
    translated = made(consuming(credit(FIRST, 400)), FIRST)
    assert json.loads(translated.payload.body())["LineItems"][1] == {
        "Description": "Credit note ACM-000-CN001",
        "Quantity": 1,
        "UnitAmount": -4.0,
        "LineAmount": -4.0,
        "ItemCode": "CN",
        "AccountCode": "890",
        "TaxType": "NONE",
        "TaxAmount": 0,
    }
    assert translated.cleared == {FIRST: Decimal("4.00")}
    assert f"{translated.totals.total}" == "96.00"


def test_it_has_no_item_where_credit_notes_have_none_of_their_own() -> None:
    translated = made(consuming(credit(FIRST, 400)), FIRST, by=mapped(without="credit_note"))
    assert translated.payload.line_items[1].item_code is None
    assert translated.payload.line_items[1].account_code == "890"
    assert translated.notes == ()


def test_a_credit_beside_it_that_is_not_cleared_is_a_plain_line() -> None:
    translated = made(consuming(credit(FIRST, 400), credit(SECOND, 100)), FIRST)
    lines = [(one.account_code, f"{one.line_amount}") for one in translated.payload.line_items]
    assert lines[1:] == [("890", "-4.00"), ("240", "-1.00")]
    assert translated.cleared == {FIRST: Decimal("4.00")}


def test_what_lago_does_not_list_is_one_plain_line() -> None:
    translated = made(consuming(credit(FIRST, 400), used=500), FIRST)
    lines = [(one.account_code, f"{one.line_amount}") for one in translated.payload.line_items]
    assert lines[1:] == [("890", "-4.00"), ("240", "-1.00")]


def test_more_cleared_than_lago_says_was_used_is_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        made(consuming(credit(FIRST, 400), used=300), FIRST)
    assert caught.value.code == "lago_totals_disagree"


def test_a_line_of_less_than_a_cent_is_left_out_and_known_to_be_nothing() -> None:
    """KWD 100.000 less 0.004 are 100.00."""
    translated = made(consuming(credit(FIRST, 4), currency="KWD"), FIRST)
    assert len(translated.payload.line_items) == 1
    assert translated.cleared == {FIRST: Decimal(0)}


def test_without_a_clearing_account_the_invoice_waits_for_it() -> None:
    with pytest.raises(Unmapped) as caught:
        made(consuming(credit(FIRST, 400)), FIRST, by=mapped(None))
    assert (caught.value.code, caught.value.cause) == ("account_unmapped", "clearing_account")


# ── What clears it ────────────────────────────────────────────────────────────────────────────────


def test_the_refund_that_clears_it() -> None:
    by = replace(mapped(), number_prefix="L-")
    assert json.loads(refund(connection=by).body()) == {
        "CreditNote": {"CreditNoteID": str(XERO_NOTE)},
        "Account": {"Code": "890"},
        "Date": "2026-05-03",
        "Amount": 4.0,
        "Reference": f"L-ACM-001-CN001 · {payment_marker(NOTE, FIRST)}",
    }


def test_it_is_told_apart_from_other_refunds_of_the_note() -> None:
    markers = {refund(credit_id=id).reference for id in (FIRST, SECOND)}
    assert len(markers | {f"ACM-001-CN001 · {refund_marker(NOTE)}"}) == 3


@pytest.mark.parametrize(
    ("line", "total", "taken", "amount"),
    [
        ("0.51", "1.52", Posted(), "0.51"),  # 0.506, as the invoice has it
        ("0.50", "1.52", Posted(), "0.50"),  # beside another deduction it may be rounded down
        ("0.51", "1.52", Posted(1012, 102), "0.50"),  # all that the note has left
        ("0.51", None, Posted(1012, 102), "0.51"),  # what it has is not known
    ],
)
def test_it_is_the_lines_amount_but_never_more_than_the_note_has(
    line: str, total: str | None, taken: Posted, amount: str
) -> None:
    note = credit_note(item(fee(1, 1518)), currency="KWD")
    known = Decimal(total) if total else None
    made = refund(note, amount_cents=506, line=Decimal(line), note_total=known, taken=taken)
    assert f"{made.amount}" == amount


def test_a_line_of_nothing_needs_none() -> None:
    with pytest.raises(BelowCent):
        refund(line=Decimal(0))


def test_more_than_the_notes_total_is_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        refund(note_total=Decimal("5.00"), taken=Posted(200, 200))
    assert caught.value.code == "credit_note_parts_disagree"


def test_without_a_clearing_account_it_waits_for_it() -> None:
    with pytest.raises(Unmapped) as caught:
        refund(connection=connection({**targets(), MappingKey("", "payment_account"): Target()}))
    assert caught.value.cause == "clearing_account"
