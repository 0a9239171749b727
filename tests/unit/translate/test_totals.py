"""ACCOUNTING.md 1 and 7: what must agree, currencies, dates, the header."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from consumer.domain.errors import Inconsistent, Refused
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.translate import Note, Totals
from consumer.sandbox.lago import (
    FeeFacts,
    InvoiceFacts,
    Money,
    Organization,
    Price,
    RandomChoices,
    customer,
)
from consumer.sandbox.lago import invoice as lago_invoice
from consumer.sandbox.lago.catalogue import METRICS, VAT_20
from tests.unit.translate.books import (
    CONTACT,
    connection,
    fee,
    invoice,
    lines,
    targets,
    tax,
    taxed_fee,
    translate,
)

JSON = dict[str, Any]


def whole() -> JSON:
    """A consistent invoice with every kind of figure, made by the generator."""
    at = "2026-10-01T08:00:00Z"
    entity = Organization().entities[1]
    money = Money(
        "EUR",
        (
            FeeFacts("charge", METRICS[0], Price.plain(3, "12.5"), (VAT_20,)),
            FeeFacts("charge", METRICS[1], Price.of_amount(1000, "62.5"), (VAT_20,)),
        ),
        coupons=(1000,),
        progressive=2000,
        credit_notes=(500,),
        prepaid=1000,
        granted=400,
    )
    who = customer(lago_id=str(CONTACT), external_id="crm-1", entity=entity, at=at)
    facts = InvoiceFacts(
        customer=who,
        money=money,
        issuing_date=date(2026, 10, 1),
        at=at,
        number="AEU-001-007",
        net_payment_term=14,
        purchase_order_number=" PO\t4711 ",
        web_url="https://app.getlago.test/invoice/1",
    )
    return lago_invoice(RandomChoices(Random(1)), facts)


def test_whole_invoice() -> None:
    period = "2026-09-01 – 2026-09-30"
    billed = "Less usage already billed (20.00 EUR on this invoice)"

    def deduction(description: str, amount: int, item: str, account: str) -> JSON:
        return {
            "Description": description,
            "Quantity": 1,
            "UnitAmount": amount,
            "LineAmount": amount,
            "ItemCode": item,
            "AccountCode": account,
            "TaxType": "NONE",
            "TaxAmount": 0,
        }

    result = translate(whole(), by=connection(number_prefix="L-"))
    assert json.loads(result.payload.body()) == {
        "Type": "ACCREC",
        "Contact": {"ContactID": str(CONTACT)},
        "InvoiceNumber": "L-AEU-001-007",
        "Reference": "PO 4711",
        "Url": "https://app.getlago.test/invoice/1",
        "Date": "2026-10-01",
        "DueDate": "2026-10-15",
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "EUR",
        "Status": "AUTHORISED",
        "LineItems": [
            {
                "Description": f"Seats\n{period}\n{billed}",
                "Quantity": 1000,
                "UnitAmount": 0.0625,
                "LineAmount": 43.75,
                "DiscountAmount": 18.75,
                "ItemCode": "SEATS",
                "AccountCode": "221",
                "TaxType": "OUT20",
                "TaxAmount": 8.75,
            },
            {
                "Description": f"Storage\n{period}\n{billed}",
                "Quantity": 3,
                "UnitAmount": 12.5,
                "LineAmount": 26.25,
                "DiscountAmount": 11.25,
                "ItemCode": "STOR",
                "AccountCode": "220",
                "TaxType": "OUT20",
                "TaxAmount": 5.25,
            },
            deduction("Prepaid credit", -6, "PREPAID", "825"),
            deduction("Granted credit", -4, "DISC", "230"),
            deduction("Credit note AEU-001-900-CN001", -5, "CN", "240"),
        ],
    }
    assert result.totals == Totals(Decimal("55.00"), Decimal("14.00"), Decimal("69.00"))


# ── Lago's own figures ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "figure",
    [
        "fees_amount_cents",
        "sub_total_excluding_taxes_amount_cents",
        "sub_total_including_taxes_amount_cents",
        "total_amount_cents",
        "taxes_amount_cents",
        "coupons_amount_cents",
        "progressive_billing_credit_amount_cents",
        "credit_notes_amount_cents",
        "prepaid_credit_amount_cents",
    ],
)
def test_figures_that_do_not_add_up_are_rejected_with_the_figures(figure: str) -> None:
    payload = invoice(fee(1, 10000), fee(2, 234))
    payload[figure] = payload.get(figure, 0) + 100
    with pytest.raises(Inconsistent) as caught:
        translate(payload)
    assert caught.value.code == "lago_totals_disagree"
    # What was found and what Lago says; they differ by what the test added.
    found, said = map(int, re.findall(r" is (-?\d+)", caught.value.sentence))
    assert abs(found - said) == 100


@pytest.mark.parametrize("figure", ["fees", "currency", "total_amount_cents", "taxes_amount_cents"])
def test_missing_figures_are_named(figure: str) -> None:
    with pytest.raises(Inconsistent) as caught:
        translate({**invoice(fee()), figure: None})
    assert caught.value.code == "lago_totals_missing"
    assert figure in caught.value.sentence


def test_negative_total_is_never_sent() -> None:
    with pytest.raises(Refused) as caught:
        translate(invoice(fee(1, 1000), credit_notes_amount_cents=1100))
    assert caught.value.code == "negative_total"


def test_negative_parts_are_inconsistent() -> None:
    with pytest.raises(Inconsistent) as caught:
        translate(invoice(fee(1, 1000), fee(2, -100)))
    assert caught.value.code == "negative_amount"


def test_invoice_without_fees_has_no_lines() -> None:
    with pytest.raises(Refused) as caught:
        translate(invoice())
    assert caught.value.code == "no_lines"


def test_invoice_that_prepaid_credit_brings_to_zero_is_posted() -> None:
    payload = invoice(fee(1, 1000), prepaid_credit_amount_cents=1000)
    assert translate(payload).totals == Totals(Decimal(0), Decimal(0), Decimal(0))
    assert [line.line_amount for line in lines(payload)] == [10, -10]


# ── Currencies ────────────────────────────────────────────────────────────────────────────────────


def amounts(payload: JSON) -> list[tuple[str, str]]:
    return [(f"{one.line_amount}", f"{one.tax_amount}") for one in lines(payload)]


def test_three_decimals_total_first_then_tax_net_is_the_difference() -> None:
    # 10.005 + 2.001 = 12.006: Total 12.01, TotalTax 2.00, so net 10.01 and not 10.00 or 10.005.
    payload = invoice(
        taxed_fee(1, 10005, 2001), currency="KWD", applied_taxes=[tax("vat_20", 20.0, 10005)]
    )
    assert translate(payload).totals == Totals(Decimal("10.01"), Decimal("2.00"), Decimal("12.01"))
    assert amounts(payload) == [("10.01", "2.00")]


def test_three_decimals_lost_fraction_is_kept_as_subcent() -> None:
    payload = invoice(fee(1, 10004), currency="BHD")
    assert translate(payload).notes == (Note("subcent", "total", Decimal("0.004")),)
    assert translate(invoice(fee(1, 10010), currency="BHD")).notes == ()


def test_four_decimals_lines_by_largest_remainder() -> None:
    # 0.0149 + 0.0151 + 0.0100 = 0.0400: whole cents 1 + 2 + 1.
    payload = invoice(fee(1, 149), fee(2, 151), fee(3, 100), currency="CLF")
    assert [net for net, _ in amounts(payload)] == ["0.01", "0.02", "0.01"]
    assert translate(payload).totals.total == Decimal("0.04")


@pytest.mark.parametrize("currency", ["JPY", "HUF"])
def test_whole_unit_currencies_have_whole_amounts_and_explicit_taxes(currency: str) -> None:
    payload = invoice(
        taxed_fee(1, 1003, 201), currency=currency, applied_taxes=[tax("vat_20", 20.0, 1003)]
    )
    result = translate(payload)
    assert amounts(payload) == [("1003.00", "201.00")]
    # 20 % are 200.60: rounding to whole units is no override.
    assert result.notes == ()


def test_ouguiya_has_five_subunits() -> None:
    payload = invoice(fee(1, 7), currency="MRO")
    assert [net for net, _ in amounts(payload)] == ["1.40"]
    assert translate(payload).totals.total == Decimal("1.40")


def test_unknown_currency_is_not_guessed() -> None:
    with pytest.raises(Inconsistent) as caught:
        translate(invoice(fee(), currency="XXX"))
    assert caught.value.code == "unknown_currency"


# ── The header ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "due"),
    [("2026-04-30", "2026-04-30"), ("2026-03-01", "2026-03-31"), (None, "2026-03-31")],
)
def test_due_date_is_never_before_the_date(said: str | None, due: str) -> None:
    sent = json.loads(translate(invoice(fee(), payment_due_date=said)).payload.body())
    assert (sent["Date"], sent["DueDate"]) == ("2026-03-31", due)


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("https://app.getlago.test/1", "https://app.getlago.test/1"),
        ("https://lago.test/to-xero", None),
        ("javascript:alert(1)", None),
        (None, None),
    ],
)
def test_url_only_where_lago_has_a_web_address(address: str | None, sent: str | None) -> None:
    assert translate(invoice(fee(), web_url=address)).payload.url == sent


def test_number_beyond_printable_ascii_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        translate(invoice(fee(), number="ACMÉ-001"))
    assert caught.value.code == "invoice_number_illegal"


@pytest.mark.parametrize("field", ["number", "issuing_date"])
def test_header_must_be_there(field: str) -> None:
    with pytest.raises(Inconsistent) as caught:
        translate({**invoice(fee()), field: None})
    assert caught.value.code == "lago_header_missing"


def test_long_texts_are_cut_to_xeros_limits() -> None:
    long = fee(item={"name": "x" * 5000, "invoice_display_name": None})
    payload = translate(invoice(long, purchase_order_number="é" * 300)).payload
    assert len(payload.line_items[0].description) == 4000
    assert payload.line_items[0].description.endswith("x…")
    assert payload.reference == "é" * 254 + "…"


def test_account_code_that_cannot_be_sent_names_the_field() -> None:
    mapped = {**targets(), MappingKey("", "billable_metric", "seats"): Target("S", "12345678901")}
    with pytest.raises(Refused) as caught:
        translate(invoice(fee()), by=connection(mappings=mapped))
    assert caught.value.code == "unsendable"
    assert "account_code" in caught.value.sentence
