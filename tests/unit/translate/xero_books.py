"""Xero's arithmetic written a second time: a request body in, what Xero would book out.

It knows nothing of the translation: it reads JSON, computes each line from Quantity, UnitAmount and
DiscountAmount with ``unitdp=4``, half up, and sums lines and taxes (xero.md 5 and 11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
Json = Mapping[str, Any]


class XeroRefuses(AssertionError):
    """A rule of Xero's is broken."""


@dataclass(frozen=True)
class Booked:
    """What Xero makes of the document, in major units."""

    net: Decimal
    tax: Decimal
    total: Decimal
    line_nets: tuple[Decimal, ...]


def book(body: bytes, rates: Mapping[str, Decimal]) -> Booked:
    """Book the invoice.

    Args:
        rates: Xero's tax types with their rates in percent.

    Raises:
        XeroRefuses: Xero would refuse the invoice or book a line otherwise than it says.
    """
    invoice = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    _demand(invoice["Type"] == "ACCREC", "sales invoice")
    _demand(invoice["DueDate"] >= invoice["Date"], "due on or after the date")
    taxes = [line["TaxAmount"] for line in invoice["LineItems"]]
    _demand(all(tax >= 0 for tax in taxes), f"no negative tax: {taxes}")
    return _sum(invoice, rates)


def book_credit_note(body: bytes, rates: Mapping[str, Decimal]) -> Booked:
    """Book the credit note; it has no due date, and its lines no discounts.

    Raises:
        XeroRefuses: as for ``book``.
    """
    note = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    _demand(note["Type"] == "ACCRECCREDIT", "a credit note")
    _demand("DueDate" not in note, "no due date on a credit note")
    for line in note["LineItems"]:
        _demand(not any(key.startswith("Discount") for key in line), "no discount on a credit note")
    return _sum(note, rates)


def _sum(document: Json, rates: Mapping[str, Decimal]) -> Booked:
    _demand(document["LineAmountTypes"] == "Exclusive", "exclusive of tax")
    _demand(set(document["Contact"]) == {"ContactID"}, "contact by id only")
    _demand(bool(document["LineItems"]), "one or more lines")
    nets = tuple(_line(line, rates) for line in document["LineItems"])
    net = sum(nets, Decimal("0.00"))
    tax = sum((line["TaxAmount"] for line in document["LineItems"]), Decimal("0.00"))
    _demand(net + tax >= 0, "no negative total")
    return Booked(net, tax, net + tax, nets)


def _line(line: Json, rates: Mapping[str, Decimal]) -> Decimal:
    quantity, unit = line["Quantity"], line["UnitAmount"]
    discount, given = line.get("DiscountAmount"), line.get("LineAmount")
    _demand(1 <= len(line["Description"]) <= 4000, "a description")
    _demand(bool(line["AccountCode"]), "an account")
    _demand(line["TaxType"] in rates, "a known tax type")
    _demand(quantity > 0 and _places(quantity) <= 4, f"a quantity, not {quantity}")
    _demand(_places(unit) <= 4, f"four decimals of price, not {unit}")
    gross = quantity * unit
    if discount is not None:
        _demand(gross > 0 and _places(discount) <= 2, "a discount on a positive line only")
        _demand(0 < discount <= gross, f"a discount within the line: {discount} of {gross}")
    exact = gross - (discount or 0)
    net = exact.quantize(CENT, ROUND_HALF_UP)
    if discount is not None:
        _demand(net == exact.quantize(CENT, ROUND_DOWN), "a discounted line without half cents")
    if given is None:
        _demand(net == 0, f"a LineAmount on a line of {net}")
    else:
        _demand(given != 0, "no LineAmount of 0.00")
        _demand(given == net, f"LineAmount {given} to match {net}")
    _demand(net != 0 or unit == 0 or discount == gross, "no price that vanishes in rounding")
    tax = line["TaxAmount"]
    _demand(_places(tax) <= 2, f"a tax in cents, not {tax}")
    _demand(tax == 0 or rates[line["TaxType"]] > 0, "no tax on a 0 % type")
    _demand(tax == 0 or net * tax > 0, f"no tax of {tax} on a line of {net}")
    return Decimal(net)


def _places(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def _demand(met: bool, what: str) -> None:
    if not met:
        raise XeroRefuses(f"Xero wants {what}")
