"""Lines and taxes as Xero counts them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from consumer.sandbox.xero.arithmetic import Figures, Rules, price, tax
from tests.unit.simulator import line, simulated


def figures(quantity: str | None, unit: str | None, **more: str) -> Figures:
    given = {name: Decimal(value) for name, value in more.items()}
    return Figures(
        None if quantity is None else Decimal(quantity),
        None if unit is None else Decimal(unit),
        **given,
    )


@pytest.mark.parametrize(
    ("places", "unit", "line_amount"),
    [(2, "0.01", "10.00"), (4, "0.0052", "5.20")],
)
def test_unit_price_is_rounded_before_use(places: int, unit: str, line_amount: str) -> None:
    priced = price(figures("1000", "0.00515"), Rules(unit_places=places))
    assert (priced.unit_amount, priced.line_amount) == (Decimal(unit), Decimal(line_amount))


@pytest.mark.parametrize(("unit", "rounded"), [("2.165", "2.17"), ("-2.165", "-2.17")])
def test_lines_are_rounded_half_up(unit: str, rounded: str) -> None:
    assert price(figures("1", unit), Rules(unit_places=4)).line_amount == Decimal(rounded)


def test_quantity_keeps_four_decimals() -> None:
    assert price(figures("1.00005", "1"), Rules()).quantity == Decimal("1.0001")


@pytest.mark.parametrize(("net", "rounded"), [("0.25", "0.03"), ("-0.25", "-0.03")])
def test_taxes_are_rounded_half_up(net: str, rounded: str) -> None:
    assert tax(Decimal(net), Decimal(10), "Exclusive") == Decimal(rounded)


def test_taxes_are_rounded_per_line_and_then_summed() -> None:
    lines = [Decimal("25.06"), Decimal("25.61"), Decimal("25.63")]
    taxes = [tax(one, Decimal(15), "Exclusive") for one in lines]
    assert sum(taxes) == Decimal("11.44")


@pytest.mark.parametrize(("gross", "inside"), [("541.25", "70.60"), ("500.00", "65.22")])
def test_inclusive_tax_is_taken_out_of_the_line(gross: str, inside: str) -> None:
    assert tax(Decimal(gross), Decimal(15), "Inclusive") == Decimal(inside)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("3.09", None),
        ("3.08", "The line total 3.08 does not match the expected line total 3.09"),
        ("3.10", "The line total 3.10 does not match the expected line total 3.09"),
    ],
)
def test_line_amount_must_be_quantity_times_price(given: str, complaint: str | None) -> None:
    priced = price(figures("2.5", "1.2345", line_amount=given), Rules(unit_places=4))
    assert priced.complaints == ((complaint,) if complaint else ())


def test_tolerance_is_a_switch() -> None:
    rules = Rules(unit_places=4, tolerance=Decimal("0.01"))
    assert price(figures("2.5", "1.2345", line_amount="3.08"), rules).complaints == ()
    assert price(figures("2.5", "1.2345", line_amount="3.07"), rules).complaints != ()


@pytest.mark.parametrize(
    ("quantity", "unit", "made"),
    [("4", None, ("4", "2.5")), (None, "2.5", ("4", "2.5")), (None, None, ("1", "10"))],
)
def test_what_is_left_out_is_computed(quantity: Any, unit: Any, made: tuple[str, str]) -> None:
    priced = price(figures(quantity, unit, line_amount="10"), Rules())
    assert (priced.quantity, priced.unit_amount) == (Decimal(made[0]), Decimal(made[1]))


def test_line_amount_is_net_of_the_discount() -> None:
    more = {"discount_amount": "1.5", "line_amount": "8.50"}
    priced = price(figures("1", "10", **more), Rules())
    assert (priced.line_amount, priced.complaints) == (Decimal("8.50"), ())
    gross = price(figures("1", "10", discount_amount="1.5", line_amount="10.00"), Rules())
    assert gross.complaints == ("The line total 10.00 does not match the expected line total 8.50",)


@pytest.mark.parametrize("discount", ["10.01", "10.0001"])
def test_discount_above_the_line_is_refused(discount: str) -> None:
    (complaint,) = price(figures("1", "10", discount_amount=discount), Rules()).complaints
    assert complaint.startswith("The discount rate '100.")
    assert complaint.endswith("is invalid. Discount must not be greater than the line total.")


def test_discount_is_compared_with_the_unrounded_line() -> None:
    rules = Rules(unit_places=4)
    assert price(figures("3", "3.3332", discount_amount="10.00"), rules).complaints != ()
    assert price(figures("3", "3.3334", discount_amount="10.00"), rules).complaints == ()


@pytest.mark.parametrize("discount", ["0", "1"])
def test_any_discount_on_a_negative_line_is_refused(discount: str) -> None:
    assert price(figures("1", "-10", discount_amount=discount), Rules()).complaints != ()


def test_zero_line_amount_takes_the_discount_off_twice() -> None:
    sent = figures("1", "10", discount_amount="10", line_amount="0")
    assert price(sent, Rules()).complaints == (
        "The line total 0.00 does not match the expected line total -10.00",
    )
    assert price(sent, Rules(zero_discounted_refused=False)).complaints == ()
    omitted = price(figures("1", "10", discount_amount="10"), Rules())
    assert (omitted.line_amount, omitted.complaints) == (Decimal("0.00"), ())


def test_discount_rate_is_kept_at_two_decimals_and_wins() -> None:
    fetched = figures(
        "1", "1000", discount_rate="33.33", discount_amount="333.33", line_amount="666.67"
    )
    assert price(fetched, Rules()).complaints == (
        "The line total 666.67 does not match the expected line total 666.70",
    )


def test_rounding_of_discounted_lines_is_a_switch() -> None:
    sent = figures("1", "2000", discount_amount="91.604")
    assert price(sent, Rules()).line_amount == Decimal("1908.40")
    cut = price(sent, Rules(discounted_rounding="truncate"))
    assert cut.line_amount == Decimal("1908.39")


async def test_unitdp_reaches_the_invoice() -> None:
    sent = line(Quantity=1000, UnitAmount=0.0052)
    async with simulated() as lab:
        four = await lab.saved_invoice(LineItems=[sent])
        (two,) = await lab.write("PUT", "Invoices", lab.invoice(LineItems=[sent]), unitdp="2")
    assert (four["SubTotal"], two["SubTotal"]) == (5.2, 10.0)
    assert two["LineItems"][0]["UnitAmount"] == 0.01


async def test_invoice_sums_rounded_line_taxes() -> None:
    lines = [line(UnitAmount=one, TaxType="OUTPUT15") for one in (25.06, 25.61, 25.63)]
    async with simulated() as lab:
        shown = await lab.saved_invoice(LineItems=lines)
    assert (shown["SubTotal"], shown["TotalTax"], shown["Total"]) == (76.3, 11.44, 87.74)
    assert shown["AmountDue"] == 87.74


async def test_tax_amount_given_overrides_the_rate() -> None:
    async with simulated() as lab:
        shown = await lab.saved_invoice(LineItems=[line(TaxAmount=2.37)])
    assert (shown["TotalTax"], shown["Total"]) == (2.37, 12.37)


async def test_tax_amount_tolerance_is_a_switch() -> None:
    async with simulated(tax_amount_tolerance=0.02) as lab:
        assert await lab.line_errors(line(TaxAmount=2.02)) == []
        assert await lab.line_errors(line(TaxAmount=2.03)) != []


@pytest.mark.parametrize(("refused", "saved"), [(True, False), (False, True)])
async def test_tax_on_a_zero_rate_is_a_switch(refused: bool, saved: bool) -> None:
    async with simulated(tax_on_zero_rate_refused=refused) as lab:
        errors = await lab.line_errors(line(TaxType="ZERORATED", TaxAmount=0.01))
        assert (errors == []) is saved
        assert await lab.line_errors(line(TaxType="ZERORATED", TaxAmount=0)) == []


async def test_inclusive_and_untaxed_totals() -> None:
    async with simulated() as lab:
        inside = await lab.saved_invoice(
            LineAmountTypes="Inclusive", LineItems=[line(UnitAmount=541.25, TaxType="OUTPUT15")]
        )
        without = await lab.saved_invoice(LineAmountTypes="NoTax")
    assert (inside["SubTotal"], inside["TotalTax"], inside["Total"]) == (470.65, 70.6, 541.25)
    assert (without["TotalTax"], without["Total"]) == (0.0, 10.0)


async def test_claimed_totals_must_agree() -> None:
    async with simulated() as lab:
        for claim in ({"SubTotal": 10.01}, {"TotalTax": 1.99}, {"Total": 12.01}):
            shown = await lab.put_invoice(**claim)
            assert [one["Message"] for one in shown["ValidationErrors"]] == [
                "The document total does not equal the sum of the lines."
            ]
        await lab.saved_invoice(SubTotal=10, TotalTax=2, Total=12)


@pytest.mark.parametrize(
    ("choice", "explicit_ok", "omitted_ok"),
    [("explicit", False, True), ("always", False, False), ("never", True, True)],
)
async def test_quantity_at_no_price(choice: str, explicit_ok: bool, omitted_ok: bool) -> None:
    async with simulated(zero_line_refused=choice) as lab:
        explicit = await lab.line_errors(line(Quantity=2, UnitAmount=0.001, LineAmount=0))
        omitted = await lab.line_errors(line(Quantity=2, UnitAmount=0))
    refused = ["Account must be valid.", "Tax rate must be valid."]
    assert explicit == ([] if explicit_ok else refused)
    assert omitted == ([] if omitted_ok else refused)
