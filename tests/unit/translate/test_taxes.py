"""ACCOUNTING.md 3, tax amounts and tax types."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from consumer.domain.chart import TaxRate
from consumer.domain.errors import Inconsistent, Unmapped
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.translate import Note
from tests.unit.translate.books import (
    CHART,
    connection,
    fee,
    invoice,
    lines,
    targets,
    tax,
    taxed_fee,
    translate,
    uuid,
)

JSON = dict[str, Any]


def taxes(payload: JSON, **options: Any) -> list[tuple[str, str]]:
    """TaxType and TaxAmount of every line."""
    return [(one.tax_type, f"{one.tax_amount:.2f}") for one in lines(payload, **options)]


def vat(fees_amount: int | None) -> JSON:
    return tax("vat_20", 20.0, fees_amount)


# ── Amounts ───────────────────────────────────────────────────────────────────────────────────────


def test_tax_difference_goes_one_cent_a_line() -> None:
    # Three fees of 0.33: 6.6 each, rounded to 7; the invoice's tax is 19.8, rounded to 20.
    fees = [taxed_fee(i, 33, 7) for i in (1, 2, 3)]
    payload = invoice(*fees, taxes_amount_cents=20, applied_taxes=[vat(99)])
    assert [amount for _, amount in taxes(payload)] == ["0.06", "0.07", "0.07"]


def test_tax_difference_goes_by_fractional_remainder_first() -> None:
    # 6.2 + 6.4 + 6.4 rounds down to 6 each; the invoice's 19 raises the largest remainder.
    fees = [taxed_fee(1, 31, 6), taxed_fee(2, 32, 6), taxed_fee(3, 32, 6)]
    payload = invoice(*fees, taxes_amount_cents=19, applied_taxes=[vat(95)])
    assert [amount for _, amount in taxes(payload)] == ["0.06", "0.07", "0.06"]


def test_tax_difference_goes_to_taxed_lines_only() -> None:
    fees = [fee(1, 50000), taxed_fee(2, 32, 6), taxed_fee(3, 32, 6), taxed_fee(4, 32, 6)]
    payload = invoice(*fees, taxes_amount_cents=19, applied_taxes=[vat(96)])
    assert taxes(payload)[:2] == [("EXEMPT", "0.00"), ("OUT20", "0.07")]


def test_tax_difference_beyond_rounding_is_inconsistent() -> None:
    payload = invoice(taxed_fee(1, 1000, 200), taxes_amount_cents=202, applied_taxes=[vat(1000)])
    with pytest.raises(Inconsistent) as caught:
        translate(payload)
    assert caught.value.code == "lago_taxes_disagree"
    assert "200" in caught.value.sentence
    assert "202" in caught.value.sentence


def test_tax_on_a_fee_without_a_rate_is_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        translate(invoice(fee(1, 1000, taxes_amount_cents=200, taxes_rate=0.0)))
    assert caught.value.code == "lago_taxes_disagree"


def test_tax_type_and_amount_are_sent_on_every_line() -> None:
    fees = [taxed_fee(1, 1000, 200), fee(2, 1000), fee(3, 0, units="0.0")]
    payload = invoice(*fees, prepaid_credit_amount_cents=100, applied_taxes=[vat(1000)])
    assert taxes(payload) == [
        ("OUT20", "2.00"),
        ("EXEMPT", "0.00"),
        ("EXEMPT", "0.00"),
        ("NONE", "0.00"),
    ]


def test_tax_off_its_rate_by_more_than_two_cents_is_counted() -> None:
    rates = {**CHART.tax_rates, "OUT20": TaxRate("OUT20", Decimal(19))}
    payload = invoice(taxed_fee(1, 1000, 200), applied_taxes=[vat(1000)])
    off = translate(payload, chart=replace(CHART, tax_rates=rates))
    assert off.notes == (Note("tax_override", uuid(1), Decimal("0.10")),)
    assert off.payload.line_items[0].tax_amount == 2
    assert translate(payload).notes == ()


def test_two_cents_off_the_rate_are_rounding() -> None:
    payload = invoice(taxed_fee(1, 1000, 198), applied_taxes=[vat(1000)])
    assert translate(payload).notes == ()
    payload = invoice(taxed_fee(1, 1000, 197), applied_taxes=[vat(1000)])
    assert [note.kind for note in translate(payload).notes] == ["tax_override"]


def test_tax_on_a_zero_rate_type_is_never_sent() -> None:
    mapped = {**targets(), MappingKey("", "tax", "vat_20"): Target(tax_type="ZERO")}
    with pytest.raises(Unmapped) as caught:
        translate(invoice(taxed_fee(), applied_taxes=[vat(10000)]), by=connection(mappings=mapped))
    assert (caught.value.code, caught.value.cause) == ("tax_rate_zero", "tax:vat_20")


# ── Types ─────────────────────────────────────────────────────────────────────────────────────────


def test_fee_without_any_lago_tax_is_no_tax() -> None:
    assert taxes(invoice(fee())) == [("EXEMPT", "0.00")]


def test_zero_rate_code_keeps_its_mapping() -> None:
    payload = invoice(fee(), applied_taxes=[tax("vat_0", 0.0, 10000)])
    assert taxes(payload) == [("ZERO", "0.00")]


def test_untaxed_and_zero_rate_fees_are_told_apart_by_the_taxed_sum() -> None:
    payload = invoice(fee(1, 700), fee(2, 300), applied_taxes=[tax("vat_0", 0.0, 300)])
    assert taxes(payload) == [("EXEMPT", "0.00"), ("ZERO", "0.00")]


def test_two_taxes_on_one_fee_use_the_combined_mapping() -> None:
    payload = invoice(
        taxed_fee(1, 10000, 2250, taxes_rate=22.5),
        applied_taxes=[vat(10000), tax("levy_2_5", 2.5, 10000)],
    )
    assert taxes(payload) == [("OUT22_5", "22.50")]


def test_rate_alone_tells_which_taxes_a_fee_has() -> None:
    payload = invoice(
        taxed_fee(1, 10000, 2250, taxes_rate=22.5),
        taxed_fee(2, 10000, 250, taxes_rate=2.5),
        taxed_fee(3, 10000, 2000),
        applied_taxes=[vat(20000), tax("levy_2_5", 2.5, 20000)],
    )
    assert [kind for kind, _ in taxes(payload)] == ["OUT22_5", "OUT2_5", "OUT20"]


def test_combined_taxes_without_a_mapping_name_it() -> None:
    mapped = targets()
    del mapped[MappingKey("", "tax", "levy_2_5+vat_20")]
    payload = invoice(
        taxed_fee(1, 10000, 2250, taxes_rate=22.5),
        applied_taxes=[vat(10000), tax("levy_2_5", 2.5, 10000)],
    )
    with pytest.raises(Unmapped) as caught:
        translate(payload, by=connection(mappings=mapped))
    assert (caught.value.code, caught.value.cause) == ("tax_unmapped", "tax:levy_2_5+vat_20")


def same_rate() -> dict[MappingKey, Target]:
    """Two taxes of 20 % on different Xero types."""
    return {**targets(), MappingKey("", "tax", "tva_20"): Target(tax_type="TVA20")}


def test_taxes_of_one_rate_are_told_apart_by_their_fees_amount() -> None:
    payload = invoice(
        taxed_fee(1, 700, 140),
        taxed_fee(2, 300, 60),
        applied_taxes=[vat(300), tax("tva_20", 20.0, 700)],
    )
    assert taxes(payload, by=connection(mappings=same_rate())) == [
        ("TVA20", "1.40"),
        ("OUT20", "0.60"),
    ]


def test_taxes_of_one_rate_that_nothing_tells_apart_are_ambiguous() -> None:
    payload = invoice(
        taxed_fee(1, 500, 100),
        taxed_fee(2, 500, 100),
        applied_taxes=[vat(500), tax("tva_20", 20.0, 500)],
    )
    with pytest.raises(Unmapped) as caught:
        translate(payload, by=connection(mappings=same_rate()))
    assert caught.value.code == "tax_ambiguous"
    assert "tva_20 or vat_20" in caught.value.sentence


def test_ambiguous_taxes_with_one_xero_type_need_no_choice() -> None:
    payload = invoice(
        taxed_fee(1, 500, 100),
        taxed_fee(2, 500, 100),
        applied_taxes=[vat(500), tax("tva_20", 20.0, 500)],
    )
    mapped = {**targets(), MappingKey("", "tax", "tva_20"): Target(tax_type="OUT20")}
    assert taxes(payload, by=connection(mappings=mapped)) == [("OUT20", "1.00")] * 2


def test_taxed_fee_bears_no_zero_rate_tax_beside_its_own() -> None:
    # vat_0's sum would fit the taxed fee as well as the untaxed one.
    payload = invoice(
        taxed_fee(1, 500, 100),
        fee(2, 500),
        applied_taxes=[vat(500), tax("vat_0", 0.0, 500)],
    )
    assert taxes(payload) == [("OUT20", "1.00"), ("ZERO", "0.00")]


def test_fee_discounted_below_a_cent_takes_the_codes_of_its_peers() -> None:
    tiny = fee(1, 100, precise_coupons_amount_cents="99.7")
    payload = invoice(
        tiny, fee(2, 900), coupons_amount_cents=100, applied_taxes=[tax("vat_0", 0.0, 900)]
    )
    assert [kind for kind, _ in taxes(payload)] == ["ZERO", "ZERO"]


def test_fees_base_that_lago_cut_to_whole_cents_still_fits() -> None:
    # 333.4 are vat_0's, cut to 333; 332 would be another fee's.
    payload = invoice(
        fee(1, 500, precise_coupons_amount_cents="166.6"),
        fee(2, 500, precise_coupons_amount_cents="133.4"),
        coupons_amount_cents=300,
        applied_taxes=[tax("vat_0", 0.0, 333)],
    )
    assert [kind for kind, _ in taxes(payload)] == ["ZERO", "EXEMPT"]


def test_no_set_of_the_invoices_taxes_with_the_fees_rate() -> None:
    with pytest.raises(Unmapped) as caught:
        translate(invoice(taxed_fee(1, 10000, 2000), applied_taxes=[tax("gst_15", 15.0, 10000)]))
    assert caught.value.code == "tax_ambiguous"
    assert "20 %" in caught.value.sentence


def test_rates_are_sums_of_binary_floats() -> None:
    payload = invoice(
        taxed_fee(1, 10000, 1060, taxes_rate=10.600000000000001),
        applied_taxes=[tax("vat_8_1", 8.1, 10000), tax("levy_2_5", 2.5, 10000)],
    )
    assert taxes(payload) == [("OUT10_6", "10.60")]


def test_codes_of_the_lago_api_need_no_guess() -> None:
    coded = {"applied_taxes": [{"tax_code": "tva_20", "tax_rate": 20.0}]}
    payload = invoice(
        taxed_fee(1, 500, 100, **coded),
        taxed_fee(2, 500, 100, applied_taxes=[{"tax_code": "vat_20", "tax_rate": 20.0}]),
        applied_taxes=[vat(500), tax("tva_20", 20.0, 500)],
    )
    assert [kind for kind, _ in taxes(payload, by=connection(mappings=same_rate()))] == [
        "TVA20",
        "OUT20",
    ]


def provided(rate: float, **said: Any) -> JSON:
    return tax("anrok_ny", rate, 10000, lago_tax_id=None, **said)


def test_provider_taxes_share_one_mapping() -> None:
    mapped = {**targets(), MappingKey("", "provider_tax"): Target(tax_type="OUT5")}
    payload = invoice(taxed_fee(1, 10000, 500, taxes_rate=5.0), applied_taxes=[provided(5.0)])
    assert taxes(payload, by=connection(mappings=mapped)) == [("OUT5", "5.00")]


def test_provider_tax_of_zero_is_no_tax() -> None:
    assert taxes(invoice(fee(), applied_taxes=[provided(0.0)])) == [("EXEMPT", "0.00")]


def test_provider_tax_without_a_mapping_names_it() -> None:
    payload = invoice(taxed_fee(1, 10000, 700, taxes_rate=7.0), applied_taxes=[provided(7.0)])
    with pytest.raises(Unmapped) as caught:
        translate(payload)
    assert caught.value.cause == "provider_tax"


@pytest.mark.parametrize("kept_by", ["mapping", "fallback"])
def test_unmapped_tax_uses_the_items_or_fallbacks_type_of_the_same_rate(kept_by: str) -> None:
    mapped = targets()
    if kept_by == "mapping":
        mapped[MappingKey("", "billable_metric", "seats")] = Target("SEATS", "221", "OUT17")
    else:
        mapped[MappingKey("", "fallback_item")] = Target("LAGO", "200", "OUT17")
    applied = [tax("vat_17_5_old", 17.5, 10000)]
    payload = invoice(taxed_fee(1, 10000, 1750, taxes_rate=17.5), applied_taxes=applied)
    assert taxes(payload, by=connection(mappings=mapped)) == [("OUT17", "17.50")]


def test_unmapped_tax_uses_no_type_of_another_rate() -> None:
    mapped = {
        **targets(),
        MappingKey("", "billable_metric", "seats"): Target("SEATS", "221", "OUT15"),
    }
    applied = [tax("vat_17_5_old", 17.5, 10000)]
    payload = invoice(taxed_fee(1, 10000, 1750, taxes_rate=17.5), applied_taxes=applied)
    with pytest.raises(Unmapped) as caught:
        translate(payload, by=connection(mappings=mapped))
    assert (caught.value.code, caught.value.cause) == ("tax_unmapped", "tax:vat_17_5_old")


@pytest.mark.parametrize(("kind", "taken"), [("no_tax", 0), ("outside_tax", 100)])
def test_mandatory_tax_types_are_asked_for(kind: Any, taken: int) -> None:
    mapped = targets()
    del mapped[MappingKey("", kind)]
    with pytest.raises(Unmapped) as caught:
        translate(invoice(fee(), prepaid_credit_amount_cents=taken), by=connection(mappings=mapped))
    assert (caught.value.code, caught.value.cause) == ("tax_unmapped", kind)


def test_entitys_tax_mapping_comes_first() -> None:
    mapped = {**targets(), MappingKey("acme-eu", "tax", "vat_20"): Target(tax_type="EU20")}
    payload = invoice(taxed_fee(), applied_taxes=[vat(10000)])
    by = connection(mappings=mapped)
    assert taxes(payload, by=by, entity="acme-eu") == [("EU20", "20.00")]
    assert taxes(payload, by=by, entity="acme-nz") == [("OUT20", "20.00")]
