"""A case's short words for one of Lago's messages in, the record's bytes out.

What a case leaves out is filled in as Lago would: an invoice of one seat for 100.00 EUR, and every figure
that follows from the others (half up). ``lago-101`` and ``xero-101`` stand for ids that sort by their number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.unit.translate.books import invoice

JSON = dict[str, Any]
ORGANIZATION = "1a901a90-1a90-4a90-8a90-1a901a901a90"
_IDS = {"lago": "-1a90-4000-8000-000000000000", "xero": "-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}
_OBJECTS = {
    "invoice.payment_dispute_lost": "payment_dispute_lost",
    "credit_note.refund_failure": "credit_note_payment_provider_refund_error",
    "lago_api.invoice": "invoice",
}
_POORER = re.compile(r"invoice\.(payment_|generated|ready_|deleted)")
CUSTOMER: JSON = {
    "lago_id": "lago-1",
    "external_id": "kauri",
    "billing_entity_code": "acme-nz",
    "name": "Kauri Ltd",
    "updated_at": "2026-03-01T00:00:00Z",
}


def with_ids(text: str) -> str:
    """With real ids for the short ones."""
    return re.sub(r"\b(lago|xero)-(\d+)\b", lambda m: f"{int(m[2]):08d}{_IDS[m[1]]}", text)


def without_ids(text: str) -> str:
    """With the short ids again."""
    for system, tail in _IDS.items():
        text = re.sub(rf"\b0*([1-9]\d*){tail}", rf"{system}-\1", text)
    return text


def record(message: Mapping[str, Any]) -> bytes:
    """The value of a Kafka record; ``log <type>`` is an activity log of that type."""
    [(kind, said)] = message.items()
    is_log, kind = kind.startswith("log "), kind.removeprefix("log ")
    about = _about(kind, said or {})
    if is_log:
        whole = {"activity_type": kind, "organization_id": ORGANIZATION, "activity_object": about}
    else:
        name = _OBJECTS.get(kind, kind.partition(".")[0])
        whole = {
            "webhook_type": kind,
            "object_type": name,
            "organization_id": ORGANIZATION,
            name: about,
        }
    return with_ids(json.dumps(whole)).encode()


def _about(kind: str, said: JSON) -> JSON:
    family = kind.partition(".")[0]
    if kind == "invoice.payment_dispute_lost":
        return {"invoice": _poor(said)}
    if kind == "credit_note.refund_failure":
        return {"lago_credit_note_id": "lago-301", **said}
    if family == "customer":
        return {**CUSTOMER, "integration_customers": [], **said}
    if family in ("invoice", "lago_api"):
        return _poor(said) if _POORER.match(kind) else _invoice(said)
    if family == "credit_note":
        return _note(said)
    if family == "payment_receipt":
        return {"lago_id": "lago-450", "payment": _payment(said)}
    if family == "payment_request":
        invoices = [_poor(one) for one in said.get("invoices", ())]
        paid = {"lago_id": "lago-401", "amount_currency": "EUR", "payment_status": "succeeded"}
        at = {"created_at": "2026-04-20T10:00:00Z"}
        return {**paid, **at, "customer": CUSTOMER, **said, "invoices": invoices}
    return _payment(said)


def _customer(said: Mapping[str, Any]) -> JSON:
    return {**CUSTOMER, **(said.get("customer") or {})}


def _poor(said: JSON) -> JSON:
    """An invoice's message without its fees."""
    known = {"lago_id": "lago-101", "status": "finalized", "updated_at": "2026-03-31T00:00:00Z"}
    return {**known, **said, "customer": _customer(said)}


def _payment(said: JSON) -> JSON:
    return {
        "lago_id": "lago-401",
        "lago_customer_id": "lago-1",
        "invoice_ids": ["lago-101"],
        "amount_cents": 10000,
        "amount_currency": "EUR",
        "payment_status": "succeeded",
        "type": "provider",
        "reference": None,
        "created_at": "2026-04-20T10:00:00Z",
        **said,
    }


def _fee(number: int, said: JSON) -> JSON:
    item = {"type": "charge", "code": "seats", "name": "Seats", "lago_item_id": "lago-900"}
    amount, rate = said.get("amount_cents", 10000), said.get("taxes_rate", 0.0)
    net = amount - Decimal(said.get("precise_coupons_amount_cents", "0.0"))
    return {
        "lago_id": f"lago-{10 + number}",
        "amount_cents": amount,
        "taxes_amount_cents": _whole(net * Decimal(str(rate)) / 100),
        "taxes_rate": rate,
        "units": "1.0",
        "precise_unit_amount": str(Decimal(amount) / 100),
        "precise_coupons_amount_cents": "0.0",
        "created_at": "2026-03-31T00:00:00Z",
        **said,
        "item": {**item, **said.get("item", {})},
    }


def _invoice(said: JSON) -> JSON:
    """``fees: null`` is a message that is too large to have them."""
    fees = [_fee(n, fee) for n, fee in enumerate(said.get("fees", [{}]) or [], 1)]
    usual = {
        "lago_id": "lago-101",
        "invoice_type": "subscription",
        "applied_taxes": _applied("fees_amount_cents", fees, [fee["amount_cents"] for fee in fees]),
        "updated_at": "2026-03-31T00:00:00Z",
    }
    whole = invoice(*fees, **{**usual, **said, "fees": fees, "customer": _customer(said)})
    return whole if fees else {key: part for key, part in whole.items() if key != "fees"}


def _note(said: JSON) -> JSON:
    items = []
    for n, one in enumerate(said.get("items", [{}]), 1):
        fee = _fee(n, one.get("fee", {}))
        amount = one.get("amount_cents", fee["amount_cents"])
        items.append({"lago_id": f"lago-{30 + n}", "amount_cents": amount, **one, "fee": fee})
    amounts = [item["amount_cents"] for item in items]
    net = sum(amounts) - said.get("coupons_adjustment_amount_cents", 0)
    taxes = [Decimal(str(i["fee"]["taxes_rate"])) * i["amount_cents"] / 100 for i in items]
    tax = said.get("taxes_amount_cents", _whole(sum(taxes, Decimal(0))))
    parts = ("refund_amount_cents", "offset_amount_cents")
    credit = net + tax - sum(said.get(part, 0) for part in parts)
    return {
        "lago_id": "lago-301",
        "number": "ACM-001-CN001",
        "lago_invoice_id": "lago-101",
        "invoice_number": "ACM-001",
        "issuing_date": "2026-04-15",
        "credit_status": "available" if credit else None,
        "refund_status": "pending" if said.get("refund_amount_cents") else None,
        "currency": "EUR",
        "sub_total_excluding_taxes_amount_cents": net,
        "taxes_amount_cents": tax,
        "total_amount_cents": net + tax,
        "credit_amount_cents": credit,
        "balance_amount_cents": credit,
        "applied_taxes": _applied("base_amount_cents", [i["fee"] for i in items], amounts),
        "updated_at": "2026-04-15T00:00:00Z",
        **said,
        "items": items,
        "customer": _customer(said),
    }


def _applied(base: str, fees: Sequence[JSON], amounts: Sequence[int]) -> list[JSON]:
    """The document's taxes ``vat_<rate>``; a case with coupons or other taxes lists its own."""
    sums: dict[float, int] = {}
    for fee, amount in zip(fees, amounts, strict=True):
        if fee["taxes_rate"]:
            sums[fee["taxes_rate"]] = sums.get(fee["taxes_rate"], 0) + amount
    return [
        {"lago_tax_id": "lago-800", "tax_code": f"vat_{rate:g}", "tax_rate": rate, base: amount}
        for rate, amount in sums.items()
    ]


def _whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
