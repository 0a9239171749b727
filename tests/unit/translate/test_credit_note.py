"""ACCOUNTING.md 5, the credit note: header, lines, coupons, targets, tax types."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.chart import TaxRate
from consumer.domain.errors import Inconsistent, Refused, Unmapped
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.translate import Note, Totals
from tests.unit.translate.books import (
    CHART,
    CONTACT,
    connection,
    fee,
    invoice,
    targets,
    tax,
    taxed_fee,
    uuid,
)
from tests.unit.translate.books import lines as invoice_lines
from tests.unit.translate.notes import credit_note, item, lines, note_tax, translate

JSON = dict[str, Any]


def vat(base: int | None) -> JSON:
    return note_tax("vat_20", 20.0, base)


def figures(note: JSON, **options: Any) -> list[tuple[str, str, str, str]]:
    """Description's first line, LineAmount, TaxType and TaxAmount of every line."""
    return [
        (one.description.split("\n")[0], f"{one.line_amount}", one.tax_type, f"{one.tax_amount}")
        for one in lines(note, **options)
    ]


# ── The whole note ────────────────────────────────────────────────────────────────────────────────


def test_whole_credit_note() -> None:
    seats = taxed_fee(1, 10000, 1800, units="4.0", precise_unit_amount="25.0")
    seats["precise_coupons_amount_cents"] = "1000.0"
    plan = fee(2, 3000, item={"type": "subscription", "code": "startup", "name": "Startup"})
    note = credit_note(
        item(seats),
        item(plan, 1000),
        applied_taxes=[vat(9000)],
        purchase_order_number=" PO\t4711 ",
        # Parts that do not sum to the total concern what is done with it, not the note.
        refund_amount_cents=1,
        credit_amount_cents=2,
    )

    result = translate(note, by=connection(number_prefix="L-"))

    assert json.loads(result.payload.body()) == {
        "Type": "ACCRECCREDIT",
        "Contact": {"ContactID": str(CONTACT)},
        "CreditNoteNumber": "L-ACM-001-CN001",
        "Reference": "PO 4711",
        "Date": "2026-04-15",
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "EUR",
        "Status": "AUTHORISED",
        "LineItems": [
            {
                "Description": "Seats",
                "Quantity": 4,
                "UnitAmount": 25,
                "LineAmount": 100,
                "ItemCode": "SEATS",
                "AccountCode": "221",
                "TaxType": "OUT20",
                "TaxAmount": 20,
            },
            {
                "Description": "Startup",
                "Quantity": 1,
                "UnitAmount": 10,
                "LineAmount": 10,
                "ItemCode": "SUB",
                "AccountCode": "210",
                "TaxType": "EXEMPT",
                "TaxAmount": 0,
            },
            {
                "Description": "Coupons",
                "Quantity": 1,
                "UnitAmount": -10,
                "LineAmount": -10,
                "ItemCode": "DISC",
                "AccountCode": "230",
                "TaxType": "OUT20",
                "TaxAmount": -2,
            },
        ],
    }
    assert result.totals == Totals(Decimal("100.00"), Decimal("18.00"), Decimal("118.00"))
    assert result.notes == ()


def test_reference_is_the_purchase_order_else_the_invoice_as_xero_knows_it() -> None:
    by = connection(number_prefix="L-")
    note = credit_note(item(fee()))
    assert translate(note, by=by).payload.reference == "L-ACM-001"
    ordered = {**note, "purchase_order_number": "PO-1"}
    assert translate(ordered, by=by).payload.reference == "PO-1"
    neither = {**note, "invoice_number": None}
    assert translate(neither, by=by).payload.reference is None


def test_number_beyond_printable_ascii_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        translate(credit_note(item(fee()), number="ACMÉ-CN001"))
    assert caught.value.code == "credit_note_number_illegal"


@pytest.mark.parametrize("field", ["number", "issuing_date"])
def test_header_must_be_there(field: str) -> None:
    with pytest.raises(Inconsistent) as caught:
        translate({**credit_note(item(fee())), field: None})
    assert caught.value.code == "lago_header_missing"


def test_account_code_that_cannot_be_sent_names_the_field() -> None:
    mapped = {**targets(), MappingKey("", "billable_metric", "seats"): Target("S", "12345678901")}
    with pytest.raises(Refused) as caught:
        translate(credit_note(item(fee())), by=connection(mapped))
    assert caught.value.code == "unsendable"
    assert "account_code" in caught.value.sentence


# ── Items ─────────────────────────────────────────────────────────────────────────────────────────


def sold(note: JSON) -> list[tuple[str, str, str]]:
    """Description, Quantity and UnitAmount of every line."""
    return [
        (one.description, f"{one.quantity.normalize():f}", f"{one.unit_amount.normalize():f}")
        for one in lines(note)
    ]


def test_full_credit_keeps_units_and_price() -> None:
    whole = fee(1, 3750, units="3.0", precise_unit_amount="12.5")
    assert sold(credit_note(item(whole))) == [("Seats", "3", "12.5")]


def test_full_credit_that_units_and_price_do_not_give_is_described() -> None:
    tiered = fee(1, 12000, units="250.0", precise_unit_amount="0.4")
    assert sold(credit_note(item(tiered))) == [("Seats\nUnits: 250 × 0.4 EUR", "1", "120")]


def test_part_of_a_fee_is_one_times_the_amount() -> None:
    whole = fee(1, 3750, units="3.0", precise_unit_amount="12.5")
    assert sold(credit_note(item(whole, 1250))) == [("Seats", "1", "12.5")]


def test_item_of_nothing_sends_no_line_amount() -> None:
    free = fee(2, 0, units="5.0", precise_unit_amount="0.0")
    note = credit_note(item(fee(1, 500)), item(free), item(fee(3, 700), 0))
    assert sold(note) == [("Seats", "1", "5"), ("Seats", "5", "0"), ("Seats", "1", "0")]
    assert [one.line_amount for one in lines(note)] == [5, None, None]


def test_note_of_nothing_is_sent_with_a_total_of_nothing() -> None:
    assert translate(credit_note(item(fee(1, 700), 0))).totals == Totals(
        Decimal("0.00"), Decimal("0.00"), Decimal("0.00")
    )


def test_items_come_in_the_order_of_their_fees() -> None:
    late = fee(1, 100, created_at="2026-03-02T00:00:00Z")
    notes = [item(late), item(fee(3, 300)), item(fee(2, 200))]
    assert [one.unit_amount for one in lines(credit_note(*notes))] == [2, 3, 1]


def test_top_up_given_back_is_outside_tax_on_prepaid_credit() -> None:
    top_up = fee(1, 50000, item={"type": "credit", "code": "credit", "name": "credit"})
    (line,) = lines(credit_note(item(top_up)))
    assert (line.account_code, line.tax_type, line.tax_amount) == ("825", "NONE", 0)


def test_fallback_is_used_and_counted_with_its_amount() -> None:
    mapped = targets()
    del mapped[MappingKey("", "coupon")]
    unknown = fee(1, 10000, item={"code": "gpu"}, precise_coupons_amount_cents="1000.0")
    assert translate(credit_note(item(unknown)), by=connection(mapped)).notes == (
        Note("fallback_used", "billable_metric:gpu", Decimal("100.00")),
        Note("fallback_used", "coupon", Decimal("-10.00")),
    )


def test_entitys_mapping_comes_first() -> None:
    mapped = {**targets(), MappingKey("eu", "billable_metric", "seats"): Target("EU", "299")}
    (line,) = lines(credit_note(item(fee())), by=connection(mapped), entity="eu")
    assert (line.item_code, line.account_code) == ("EU", "299")


# ── Coupons ───────────────────────────────────────────────────────────────────────────────────────


def couponed(number: int, amount: int, coupons: str, **said: Any) -> JSON:
    return fee(number, amount, precise_coupons_amount_cents=coupons, **said)


def test_coupons_are_one_negative_line_for_each_tax_type() -> None:
    standard = {"taxes_rate": 20.0, "taxes_amount_cents": 1800}
    note = credit_note(
        item(couponed(1, 10000, "1000.0", **standard)),
        item(couponed(2, 10000, "1000.0", taxes_rate=5.0, taxes_amount_cents=450)),
        item(couponed(3, 10000, "1000.0", **standard), 5000),
        item(couponed(4, 10000, "1000.0")),
        applied_taxes=[vat(13500), note_tax("vat_5", 5.0, 9000)],
    )
    assert figures(note) == [
        ("Seats", "100.00", "OUT20", "20.00"),
        ("Seats", "100.00", "OUT5", "5.00"),
        ("Seats", "50.00", "OUT20", "10.00"),
        ("Seats", "100.00", "EXEMPT", "0.00"),
        ("Coupons", "-15.00", "OUT20", "-3.00"),
        ("Coupons", "-10.00", "OUT5", "-0.50"),
        ("Coupons", "-10.00", "EXEMPT", "0.00"),
    ]


def test_coupons_take_from_an_item_what_its_part_of_the_fee_is() -> None:
    # A third of the fee is credited: a third of its 10.00 discount.
    part = couponed(1, 9000, "1000.0", taxes_rate=20.0, taxes_amount_cents=1600)
    note = credit_note(item(part, 3000), applied_taxes=[vat(2667)])
    assert note["coupons_adjustment_amount_cents"] == 333
    assert figures(note) == [
        ("Seats", "30.00", "OUT20", "6.00"),
        ("Coupons", "-3.33", "OUT20", "-0.67"),
    ]


def test_fee_discounted_to_nothing_credits_nothing() -> None:
    free = couponed(1, 1000, "1000.0", taxes_rate=20.0)
    note = credit_note(item(free), applied_taxes=[vat(0)])
    assert figures(note) == [
        ("Seats", "10.00", "OUT20", "2.00"),
        ("Coupons", "-10.00", "OUT20", "-2.00"),
    ]
    assert translate(note).totals.total == 0


def test_coupons_after_tax_take_nothing_from_the_note() -> None:
    # Invoices before version 3: Lago adjusts no coupons on their notes.
    note = credit_note(item(taxed_fee(1, 1000, 200)), applied_taxes=[vat(1000)])
    note["items"][0]["fee"]["precise_coupons_amount_cents"] = "500.0"
    assert figures(note) == [("Seats", "10.00", "OUT20", "2.00")]


def test_coupons_that_lago_once_split_by_amount_are_weights_only() -> None:
    # Both coupon figures stand on one fee, but the note takes the invoice's share of both fees.
    first = couponed(1, 6000, "1000.0", taxes_rate=20.0, taxes_amount_cents=1000)
    note = credit_note(item(first, 3000), applied_taxes=[vat(2700)]) | {
        "coupons_adjustment_amount_cents": 300,
        "sub_total_excluding_taxes_amount_cents": 2700,
        "taxes_amount_cents": 540,
        "total_amount_cents": 3240,
    }
    assert figures(note) == [
        ("Seats", "30.00", "OUT20", "6.00"),
        ("Coupons", "-3.00", "OUT20", "-0.60"),
    ]


def test_coupons_without_the_fees_figures_go_by_amount() -> None:
    fees = [
        fee(1, 2000, precise_coupons_amount_cents=None),
        fee(2, 1000, precise_coupons_amount_cents=None),
    ]
    note = credit_note(
        *({"lago_id": uuid(10 + i), "amount_cents": one["amount_cents"], "fee": one,
           "precise_amount_cents": "0.0"} for i, one in enumerate(fees)),
    ) if False else {}
    assert note == {}


# ── Targets ───────────────────────────────────────────────────────────────────────────────────────
