"""Lago's credit notes for the tests of translation: fees and what is credited of them in, JSON out.

The figures are Lago's own, computed in Decimal as its services do (lago.md 7): items, coupons,
subtotal, taxes and total are rounded one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import combinations
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from consumer.domain.mapping import Connection
from consumer.domain.translate import TranslatedCreditNote, translate_credit_note
from schemas import lago, xero
from tests.strategies import invoices
from tests.unit.translate.books import CHART, CONTACT, connection, uuid

JSON = dict[str, Any]
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)


def translate(
    note: Mapping[str, Any], *, entity: str = "", by: Connection | None = None, chart: Any = CHART
) -> TranslatedCreditNote:
    """Translate Lago's JSON."""
    return translate_credit_note(
        lago.CreditNote.model_validate(note),
        entity=entity,
        connection=by or connection(),
        chart=chart,
        contact_id=CONTACT,
    )


def lines(note: Mapping[str, Any], **options: Any) -> tuple[xero.LineItem, ...]:
    """The line items of the translated credit note."""
    return translate(note, **options).payload.line_items


def item(fee: JSON, amount: int | str | None = None, number: int = 0) -> JSON:
    """``amount`` subunits of the fee, all of it by default; ids sort as the fees' unless given."""
    precise = Decimal(fee["amount_cents"] if amount is None else amount)
    return {
        "lago_id": uuid(number) if number else "1" + fee["lago_id"][1:],
        "amount_cents": whole(precise),
        "precise_amount_cents": str(precise),
        "fee": fee,
    }


def whole(amount: Decimal) -> int:
    """Half up, as Lago rounds."""
    return int(amount.quantize(Decimal(1), context=_WIDE))


def share(one: JSON) -> Decimal:
    """The item's part of its fee's coupons."""
    fee = one["fee"]
    if not fee["amount_cents"]:
        return Decimal(0)
    coupons = Decimal(fee["precise_coupons_amount_cents"]) * Decimal(one["precise_amount_cents"])
    return _WIDE.divide(coupons, Decimal(fee["amount_cents"]))


def note_tax(code: str, rate: float, base: int | None, **said: Any) -> JSON:
    """One of the note's applied taxes."""
    return {
        "lago_tax_id": uuid(800),
        "tax_code": code,
        "tax_rate": rate,
        "base_amount_cents": base,
        **said,
    }


def credit_note(*items: JSON, adjust: int = 0, strict: bool = True, **said: Any) -> JSON:
    """A credit note of ``items`` as Lago computes it.

    Args:
        adjust: what Lago adds to the last note's tax, so that all notes have the invoice's.
        strict: whether Lago corrects the total to subtotal + taxes; older versions did not.
    """
    precise = sum((Decimal(one["precise_amount_cents"]) for one in items), Decimal(0))
    coupons = sum(map(share, items), Decimal(0))
    tax = sum(
        (_net(one) * Decimal(str(one["fee"]["taxes_rate"])) / 100 for one in items), Decimal(0)
    )
    tax += adjust
    subtotal, taxes = whole(precise - coupons), whole(tax)
    total = whole(precise - whole(coupons) + tax)
    if strict and total - taxes != subtotal:
        total += -1 if total - taxes > subtotal else 1
    return {
        "lago_id": uuid(500),
        "number": "ACM-001-CN001",
        "lago_invoice_id": uuid(100),
        "invoice_number": "ACM-001",
        "purchase_order_number": None,
        "issuing_date": "2026-04-15",
        "credit_status": "available",
        "refund_status": None,
        "currency": "EUR",
        "total_amount_cents": total,
        "taxes_amount_cents": taxes,
        "sub_total_excluding_taxes_amount_cents": subtotal,
        "coupons_adjustment_amount_cents": whole(coupons),
        "balance_amount_cents": total,
        "credit_amount_cents": total,
        "refund_amount_cents": 0,
        "offset_amount_cents": 0,
        "items": list(items),
        "applied_taxes": [],
        **said,
    }


def _net(one: JSON) -> Decimal:
    return Decimal(one["precise_amount_cents"]) - share(one)


def _codes(fee: JSON, taxes: Sequence[JSON]) -> tuple[str, ...]:
    """The fee's taxes: the only set of the invoice's whose rates sum to the fee's."""
    rate = Decimal(str(fee["taxes_rate"]))
    (codes,) = [
        tuple(tax["tax_code"] for tax in some)
        for size in range(len(taxes) + 1)
        for some in combinations(taxes, size)
        if sum((Decimal(str(tax["tax_rate"])) for tax in some), Decimal(0)) == rate
    ]
    return codes


def _applied(items: Sequence[JSON], taxes: Sequence[JSON]) -> list[JSON]:
    bases: dict[str, Decimal] = {}
    for one in items:
        for code in _codes(one["fee"], taxes):
            bases[code] = bases.get(code, Decimal(0)) + _net(one)
    return [
        note_tax(tax["tax_code"], tax["tax_rate"], whole(bases[tax["tax_code"]]))
        for tax in taxes
        if tax["tax_code"] in bases
    ]


@st.composite
def credit_notes(draw: st.DrawFn, /, **options: Any) -> JSON:
    """Credit notes of any fees of an invoice, in full or in part; options as for ``invoices``."""
    invoice = draw(invoices(**options))
    fees = invoice["fees"]
    chosen = draw(st.lists(st.sampled_from(range(len(fees))), min_size=1, unique=True))
    items = []
    for at in chosen:
        fee = fees[at]
        most = fee["amount_cents"]
        if draw(st.booleans()):
            items.append(item(fee))
            continue
        part = Decimal(draw(st.integers(0, most)))
        if part and draw(st.booleans()):  # a termination credits fractions of a subunit
            part -= Decimal(draw(st.integers(1, 99_999))) / 100_000
        items.append(item(fee, str(part)))
    note = credit_note(
        *items,
        adjust=draw(st.sampled_from((0, 0, 0, 1, -1))),
        strict=draw(st.booleans()),
        currency=invoice["currency"],
        applied_taxes=_applied(items, invoice["applied_taxes"]),
    )
    # What Lago refuses to issue: nothing to credit, or less than nothing.
    assume(0 <= note["taxes_amount_cents"] <= note["total_amount_cents"])
    taxed = any(one["fee"]["taxes_rate"] and one["amount_cents"] for one in items)
    assume(taxed or not note["taxes_amount_cents"])
    return note
