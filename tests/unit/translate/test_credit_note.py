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


@pytest.mark.parametrize(("prefix", "number"), [("", "ACMÉ-CN001"), ("L-", "A" * 254), ("", "")])
def test_number_that_xero_does_not_take_is_refused(prefix: str, number: str) -> None:
    with pytest.raises(Refused) as caught:
        translate(credit_note(item(fee()), number=number), by=connection(number_prefix=prefix))
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
    note = credit_note(
        item(taxed_fee(1, 2000, 360)), item(fee(2, 1000)), applied_taxes=[vat(1800)]
    ) | {
        "coupons_adjustment_amount_cents": 300,
        "sub_total_excluding_taxes_amount_cents": 2700,
        "taxes_amount_cents": 360,
        "total_amount_cents": 3060,
    }
    for one in note["items"]:
        one["fee"]["precise_coupons_amount_cents"] = None
    assert figures(note)[2:] == [
        ("Coupons", "-2.00", "OUT20", "-0.40"),
        ("Coupons", "-1.00", "EXEMPT", "0.00"),
    ]


def test_lines_of_a_credit_note_have_no_discounts() -> None:
    note = credit_note(item(couponed(1, 10000, "1000.0")))
    assert [one.discount_amount for one in lines(note)] == [None, None]


# ── Targets: Total, TotalTax, items − coupons ─────────────────────────────────────────────────────


def test_total_and_tax_are_lagos_whatever_its_items_sum_to() -> None:
    # 0.5 + 0.5 + 0.5 subunits: items of 1 each, but a subtotal of 2.
    notes = [item(fee(n, 100), "0.5") for n in (1, 2, 3)]
    note = credit_note(*notes)
    assert [one["amount_cents"] for one in note["items"]] == [1, 1, 1]
    assert note["sub_total_excluding_taxes_amount_cents"] == 2
    assert [amount for _, amount, _, _ in figures(note)] == ["0.01", "0.01", "None"]
    assert translate(note).totals.net == Decimal("0.02")


def test_missing_cent_goes_to_the_largest_remainder() -> None:
    notes = [item(fee(1, 100), "33.3"), item(fee(2, 100), "33.4"), item(fee(3, 100), "33.3")]
    assert [amount for _, amount, _, _ in figures(credit_note(*notes))] == ["0.33", "0.34", "0.33"]


def test_full_credit_keeps_its_amount_beside_parts_that_round() -> None:
    whole = fee(1, 3750, units="3.0", precise_unit_amount="12.5")
    note = credit_note(item(whole), *(item(fee(n, 100), "0.9") for n in (2, 3, 4)))
    assert sold(note)[0] == ("Seats", "3", "12.5")
    assert [amount for _, amount, _, _ in figures(note)] == ["37.50", "0.01", "0.01", "0.01"]


def test_cents_that_items_do_not_take_go_to_the_coupons() -> None:
    # 100.4 − 10.6 = 89.8, rounded to 90: the item is 100, so the coupons are 10 and not 11.
    note = credit_note(item(couponed(1, 1004, "106.0"), "100.4"))
    assert note["coupons_adjustment_amount_cents"] == 11
    assert figures(note) == [
        ("Seats", "1.00", "EXEMPT", "0.00"),
        ("Coupons", "-0.10", "EXEMPT", "0.00"),
    ]


def test_tax_cents_go_by_largest_remainder_over_items() -> None:
    # 6.2 + 6.4 + 6.4 = 19.0.
    notes = [item(taxed_fee(n, amount, 6)) for n, amount in ((1, 31), (2, 32), (3, 32))]
    note = credit_note(*notes, applied_taxes=[vat(95)])
    assert note["taxes_amount_cents"] == 19
    assert [amount for *_, amount in figures(note)] == ["0.06", "0.07", "0.06"]


def test_items_that_lago_kept_no_fractions_of_are_taken_as_they_are() -> None:
    note = credit_note(item(taxed_fee(1, 1000, 200)), applied_taxes=[vat(1000)])
    note["items"][0]["precise_amount_cents"] = "0.0"
    assert figures(note) == [("Seats", "10.00", "OUT20", "2.00")]


def test_fee_that_does_not_tell_its_tax_is_taxed_at_its_rate() -> None:
    untold = taxed_fee(1, 1000)
    del untold["taxes_amount_cents"]
    note = credit_note(item(untold), item(fee(2, 1000)), applied_taxes=[vat(1000)])
    assert [amount for *_, amount in figures(note)] == ["2.00", "0.00"]


def test_fee_that_does_not_tell_its_rate_is_taxed_as_it_was() -> None:
    # 18.00 on 100.00 − 10.00 are 20 %, also of what the coupons took.
    note = credit_note(
        item(couponed(1, 10000, "1000.0", taxes_rate=20.0, taxes_amount_cents=1800)),
        applied_taxes=[vat(9000)],
    )
    note["items"][0]["fee"]["taxes_rate"] = None
    assert [amount for *_, amount in figures(note)] == ["20.00", "-2.00"]


def test_tax_goes_to_no_item_that_became_nothing() -> None:
    # The last item's tax, 0.08775, has the largest remainder, but of its 0.39 nothing is left.
    parts = [item(taxed_fee(n, 100, 20), "0.4") for n in range(1, 7)]
    last = taxed_fee(7, 100, 22, taxes_rate=22.5)
    applied = [vat(3), note_tax("levy_2_5", 2.5, 0)]
    note = credit_note(*parts, item(last, "0.39"), applied_taxes=applied)
    assert note["taxes_amount_cents"] == 1
    amounts = [(line, tax) for _, line, _, tax in figures(note)]
    assert amounts[0] == ("0.01", "0.01")
    assert amounts[-1] == ("None", "0.00")


def test_tax_is_taken_from_no_coupons_that_became_nothing() -> None:
    # Coupons of 0.4 and 0.6: the one cent is the second's. Of a tax of 200.5 − 0.08 remain 200.
    taxed = couponed(1, 2005, "0.8", taxes_rate=20.0, taxes_amount_cents=401)
    untaxed = couponed(2, 2005, "1.2")
    note = credit_note(item(taxed, "1002.5"), item(untaxed, "1002.5"), applied_taxes=[vat(1002)])
    assert figures(note)[2:] == [("Coupons", "-0.01", "EXEMPT", "0.00")]
    assert [amount for *_, amount in figures(note)] == ["2.00", "0.00", "0.00"]


def test_tax_alone_stands_on_a_line_of_nothing() -> None:
    note = credit_note(item(taxed_fee(1, 100, 20), "0.4"), adjust=1, applied_taxes=[vat(0)])
    assert translate(note).totals == Totals(Decimal("0.00"), Decimal("0.01"), Decimal("0.01"))
    assert [amount for *_, amount in figures(note)] == ["0.01"]


def test_last_note_of_an_invoice_carries_the_taxes_rounding() -> None:
    # Its tax would be 2.00, but the earlier notes have one cent too much.
    note = credit_note(item(taxed_fee(1, 1000, 200)), adjust=-1, applied_taxes=[vat(1000)])
    assert figures(note) == [("Seats", "10.00", "OUT20", "1.99")]
    assert translate(note).notes == ()


def test_tax_off_its_rate_by_more_than_two_cents_is_counted() -> None:
    rates = {**CHART.tax_rates, "OUT20": TaxRate("OUT20", Decimal(19))}
    part = couponed(1, 2000, "1000.0", taxes_rate=20.0, taxes_amount_cents=200)
    note = credit_note(item(part), applied_taxes=[vat(1000)])
    result = translate(note, chart=replace(CHART, tax_rates=rates))
    assert result.notes == (
        Note("tax_override", uuid(1), Decimal("0.20")),
        Note("tax_override", "coupon:OUT20", Decimal("-0.10")),
    )
    assert translate(note).notes == ()


def test_tax_of_a_type_whose_rate_is_unknown_is_compared_with_lagos() -> None:
    note = credit_note(item(taxed_fee(1, 1000, 200)), adjust=-3, applied_taxes=[vat(1000)])
    result = translate(note, chart=replace(CHART, tax_rates={}))
    assert result.notes == (Note("tax_override", uuid(1), Decimal("-0.03")),)


def test_provider_that_taxed_less_than_the_fee_is_credited_what_it_booked() -> None:
    # 5 % of half of the first fee, 2.50 instead of 5.00; the second one was taxed in full.
    first = fee(1, 10000, taxes_rate=5.0, taxes_amount_cents=250)
    second = fee(2, 10000, taxes_rate=5.0, taxes_amount_cents=500)
    note = credit_note(
        item(first), item(second, 5000), applied_taxes=[note_tax("vat_5", 5.0, 15000)]
    ) | {"taxes_amount_cents": 500, "total_amount_cents": 15500}
    assert [amount for *_, amount in figures(note)] == ["2.50", "2.50"]
    assert translate(note).notes == (Note("tax_override", uuid(1), Decimal("-2.50")),)


def test_credit_of_a_whole_invoice_has_its_tax_types_and_totals() -> None:
    fees = [taxed_fee(1, 10000, 2000), fee(2, 3000)]
    billed = invoice_lines(invoice(*fees, applied_taxes=[tax("vat_20", 20.0, 10000)]))
    given = lines(credit_note(*map(item, fees), applied_taxes=[vat(10000)]))
    assert given == billed


# ── Lago's own figures ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "figure",
    [
        "total_amount_cents",
        "taxes_amount_cents",
        "sub_total_excluding_taxes_amount_cents",
        "coupons_adjustment_amount_cents",
    ],
)
def test_figures_that_do_not_add_up_are_rejected_with_the_figures(figure: str) -> None:
    note = credit_note(item(fee(1, 10000)), item(fee(2, 234)))
    note[figure] += 100
    with pytest.raises(Inconsistent) as caught:
        translate(note)
    assert caught.value.code == "lago_totals_disagree"
    found, said = map(int, re.findall(r" is (-?\d+)", caught.value.sentence))
    assert abs(found - said) == 100


@pytest.mark.parametrize(("off", "halves"), [(1, True), (2, False)])
def test_rounding_of_one_subunit_is_no_disagreement(off: int, halves: bool) -> None:
    # Before Lago corrected its totals, subtotal + taxes missed them by one.
    note = credit_note(item(taxed_fee(1, 1000, 200)), applied_taxes=[vat(1000)])
    note["total_amount_cents"] += off
    if halves:
        assert translate(note).totals == Totals(Decimal("10.01"), Decimal("2.00"), Decimal("12.01"))
    else:
        with pytest.raises(Inconsistent, match="is 1200, but total_amount_cents is 1202"):
            translate(note)


@pytest.mark.parametrize(
    "figure",
    [
        "items",
        "currency",
        "total_amount_cents",
        "taxes_amount_cents",
        "sub_total_excluding_taxes_amount_cents",
    ],
)
def test_missing_figures_are_named(figure: str) -> None:
    with pytest.raises(Inconsistent) as caught:
        translate({**credit_note(item(fee())), figure: None})
    assert caught.value.code == "lago_totals_missing"
    assert figure in caught.value.sentence


def test_negative_total_is_never_sent() -> None:
    with pytest.raises(Refused) as caught:
        translate({**credit_note(item(fee())), "total_amount_cents": -1})
    assert caught.value.code == "negative_total"


def test_tax_that_leaves_less_than_nothing_is_inconsistent() -> None:
    note = credit_note(item(taxed_fee(1, 1, 200))) | {
        "total_amount_cents": 199,
        "taxes_amount_cents": 200,
        "sub_total_excluding_taxes_amount_cents": 0,
    }
    with pytest.raises(Inconsistent) as caught:
        translate(note)
    assert caught.value.code == "negative_amount"


def test_negative_items_are_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        translate(credit_note(item(fee(1, 1000)), item(fee(2, 1000), -100)))
    assert caught.value.code == "negative_amount"


def test_tax_that_no_item_can_bear_is_inconsistent() -> None:
    note = credit_note(item(fee(1, 1000))) | {"taxes_amount_cents": 200, "total_amount_cents": 1200}
    with pytest.raises(Inconsistent) as caught:
        translate(note)
    assert caught.value.code == "lago_taxes_disagree"


def test_amount_that_no_item_can_bear_is_inconsistent() -> None:
    note = credit_note(item(fee(1, 1000), 0)) | {
        "sub_total_excluding_taxes_amount_cents": 2,
        "total_amount_cents": 2,
    }
    with pytest.raises(Inconsistent) as caught:
        translate(note)
    assert caught.value.code == "lago_totals_disagree"


def test_note_without_items_has_no_lines() -> None:
    with pytest.raises(Refused) as caught:
        translate(credit_note())
    assert caught.value.code == "no_lines"


# ── Tax types ─────────────────────────────────────────────────────────────────────────────────────


def types(note: JSON, **options: Any) -> list[str]:
    return [one.tax_type for one in lines(note, **options)]


def test_taxes_of_one_rate_are_told_apart_by_what_they_were_applied_to() -> None:
    by = connection({**targets(), MappingKey("", "tax", "tva_20"): Target(tax_type="TVA20")})
    applied = [vat(300), note_tax("tva_20", 20.0, 700)]
    notes = [item(taxed_fee(1, 700, 140)), item(taxed_fee(2, 9000, 1800), 300)]
    assert types(credit_note(*notes, applied_taxes=applied), by=by) == ["TVA20", "OUT20"]


def test_taxes_of_one_rate_that_nothing_tells_apart_are_ambiguous() -> None:
    by = connection({**targets(), MappingKey("", "tax", "tva_20"): Target(tax_type="TVA20")})
    applied = [vat(500), note_tax("tva_20", 20.0, 500)]
    notes = [item(taxed_fee(n, 500, 100)) for n in (1, 2)]
    with pytest.raises(Unmapped) as caught:
        translate(credit_note(*notes, applied_taxes=applied), by=by)
    assert caught.value.code == "tax_ambiguous"
    assert "tva_20 or vat_20" in caught.value.sentence


@pytest.mark.parametrize(
    ("coupons", "part", "base"),
    [("333.33333", "500", 333), ("0.0", "333.4", 333), ("0.0", "333.5", 334)],
)
def test_fractions_still_fit_what_a_tax_was_applied_to(coupons: str, part: str, base: int) -> None:
    # Lago rounds each tax's base.
    by = connection({**targets(), MappingKey("", "tax", "tva_20"): Target(tax_type="TVA20")})
    one = taxed_fee(1, 1000, 133, precise_coupons_amount_cents=coupons)
    applied = [vat(base), note_tax("tva_20", 20.0, 1000)]
    note = credit_note(item(one, part), item(taxed_fee(2, 3000, 600), 1000), applied_taxes=applied)
    assert types(note, by=by)[:2] == ["OUT20", "TVA20"]


def test_untaxed_and_zero_rate_items_are_told_apart_by_the_taxed_sum() -> None:
    note = credit_note(
        item(fee(1, 700)), item(fee(2, 300)), applied_taxes=[note_tax("vat_0", 0.0, 300)]
    )
    assert types(note) == ["EXEMPT", "ZERO"]


def test_two_taxes_on_one_item_use_the_combined_mapping() -> None:
    both = taxed_fee(1, 10000, 2250, taxes_rate=22.5)
    note = credit_note(item(both), applied_taxes=[vat(10000), note_tax("levy_2_5", 2.5, 10000)])
    assert figures(note) == [("Seats", "100.00", "OUT22_5", "22.50")]


def test_provider_taxes_share_one_mapping() -> None:
    by = connection({**targets(), MappingKey("", "provider_tax"): Target(tax_type="OUT5")})
    applied = [note_tax("anrok_ny", 5.0, 10000, lago_tax_id=None)]
    taxed = taxed_fee(1, 10000, 500, taxes_rate=5.0)
    assert types(credit_note(item(taxed), applied_taxes=applied), by=by) == ["OUT5"]


def test_rate_that_no_tax_of_the_note_has_is_ambiguous() -> None:
    with pytest.raises(Unmapped) as caught:
        translate(credit_note(item(taxed_fee()), applied_taxes=[]))
    assert (caught.value.code, caught.value.cause) == ("tax_ambiguous", "")


def test_tax_on_a_zero_rate_type_is_never_sent() -> None:
    by = connection({**targets(), MappingKey("", "tax", "vat_20"): Target(tax_type="ZERO")})
    with pytest.raises(Unmapped) as caught:
        translate(credit_note(item(taxed_fee()), applied_taxes=[vat(10000)]), by=by)
    assert (caught.value.code, caught.value.cause) == ("tax_rate_zero", "tax:vat_20")


def test_tax_without_a_mapping_is_waited_for() -> None:
    mapped = targets()
    del mapped[MappingKey("", "tax", "vat_20")]
    with pytest.raises(Unmapped) as caught:
        translate(credit_note(item(taxed_fee()), applied_taxes=[vat(10000)]), by=connection(mapped))
    assert (caught.value.code, caught.value.cause) == ("tax_unmapped", "tax:vat_20")


def test_item_without_an_account_is_waited_for() -> None:
    by = connection({**targets(), MappingKey("", "coupon"): Target("BARE")})
    with pytest.raises(Unmapped) as caught:
        translate(credit_note(item(couponed(1, 1000, "100.0"))), by=by)
    assert (caught.value.code, caught.value.cause) == ("account_unmapped", "coupon")
