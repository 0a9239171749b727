"""A connection and a chart for the tests of translation, and a Lago invoice to vary."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from consumer.domain.chart import Account, Chart, Item, TaxRate
from consumer.domain.mapping import Connection, MappingKey, MappingKind, Target
from consumer.domain.translate import TranslatedInvoice, translate_invoice
from schemas import lago, xero

CONTACT = UUID("0c0ac700-0000-4000-8000-000000000001")
RATES = {
    "OUT20": Decimal(20),
    "OUT17": Decimal("17.5"),
    "OUT22_5": Decimal("22.5"),
    "OUT15": Decimal(15),
    "OUT10_6": Decimal("10.6"),
    "OUT8_1": Decimal("8.1"),
    "OUT5": Decimal(5),
    "OUT2_5": Decimal("2.5"),
    "ZERO": Decimal(0),
    "EXEMPT": Decimal(0),
    "NONE": Decimal(0),
}
CHART = Chart(
    accounts={code: Account(code, "REVENUE") for code in ("200", "210", "220", "825")},
    items={
        "LAGO": Item("LAGO", "200"),
        "SUB": Item("SUB", "210"),
        "STOR": Item("STOR", "220"),
        "BARE": Item("BARE"),
    },
    tax_rates={code: TaxRate(code, rate) for code, rate in RATES.items()},
)


def targets() -> dict[MappingKey, Target]:
    """The mappings of the connection; a test changes its copy."""
    plain: dict[MappingKind, Target] = {
        "fallback_item": Target("LAGO", "200"),
        "subscription_fee": Target("SUB"),
        "minimum_commitment": Target("MIN", "211"),
        "coupon": Target("DISC", "230"),
        "prepaid_credit": Target("PREPAID", "825"),
        "credit_note": Target("CN", "240"),
        "no_tax": Target(tax_type="EXEMPT"),
        "outside_tax": Target(tax_type="NONE"),
    }
    taxes = {
        "vat_20": "OUT20",
        "gst_15": "OUT15",
        "vat_8_1": "OUT8_1",
        "vat_5": "OUT5",
        "levy_2_5": "OUT2_5",
        "vat_0": "ZERO",
        "levy_2_5+vat_20": "OUT22_5",
        "levy_2_5+vat_8_1": "OUT10_6",
    }
    items: dict[tuple[MappingKind, str], Target] = {
        ("billable_metric", "storage"): Target("STOR"),
        ("billable_metric", "seats"): Target("SEATS", "221"),
        ("billable_metric", "api_calls"): Target("API", "222"),
        ("add_on", "setup"): Target("SETUP", "223"),
    }
    return {
        **{MappingKey("", kind): target for kind, target in plain.items()},
        **{MappingKey("", "tax", code): Target(tax_type=code_) for code, code_ in taxes.items()},
        **{MappingKey("", kind, key): target for (kind, key), target in items.items()},
    }


def connection(
    mappings: Mapping[MappingKey, Target] | None = None, number_prefix: str = ""
) -> Connection:
    """A connection with ``targets()`` unless others are given."""
    return Connection(
        id=1,
        code="acme",
        organization_id=UUID(int=1),
        tenant_id=UUID(int=2),
        number_prefix=number_prefix,
        mappings=targets() if mappings is None else mappings,
    )


def translate(
    invoice: Mapping[str, Any],
    *,
    entity: str = "",
    by: Connection | None = None,
    chart: Chart = CHART,
) -> TranslatedInvoice:
    """Translate Lago's JSON."""
    return translate_invoice(
        lago.Invoice.model_validate(invoice),
        entity=entity,
        connection=by or connection(),
        chart=chart,
        contact_id=CONTACT,
    )


def lines(invoice: Mapping[str, Any], **options: Any) -> tuple[xero.LineItem, ...]:
    """The line items of the translated invoice."""
    return translate(invoice, **options).payload.line_items


def uuid(number: int) -> str:
    """Ids that sort by their number."""
    return str(UUID(int=number))


def fee(number: int = 1, amount: int = 10000, **said: Any) -> dict[str, Any]:
    """One unit of a metric at ``amount`` subunits; dotted keys of the item as ``item=``."""
    item = {
        "type": "charge",
        "code": "seats",
        "name": "Seats",
        "lago_item_id": uuid(900),
        "item_type": "BillableMetric",
        **said.pop("item", {}),
    }
    return {
        "lago_id": uuid(number),
        "item": item,
        "amount_cents": amount,
        "taxes_amount_cents": 0,
        "taxes_rate": 0.0,
        "units": "1.0",
        "precise_unit_amount": str(Decimal(amount) / 100),
        "precise_coupons_amount_cents": "0.0",
        "created_at": "2026-03-01T00:00:00Z",
        **said,
    }


def tax(code: str, rate: float, fees_amount: int | None, **said: Any) -> dict[str, Any]:
    """One of the invoice's applied taxes."""
    return {
        "lago_tax_id": uuid(800),
        "tax_code": code,
        "tax_rate": rate,
        "fees_amount_cents": fees_amount,
        **said,
    }


def invoice(*fees: Mapping[str, Any], **said: Any) -> dict[str, Any]:
    """A consistent invoice of ``fees``; what follows from them and ``said`` is computed."""
    gross = sum(one["amount_cents"] for one in fees)
    version = said.get("version_number", 4)
    coupons = said.get("coupons_amount_cents", 0)
    before, after = (coupons, 0) if version >= 3 else (0, coupons)
    net = gross - before - said.get("progressive_billing_credit_amount_cents", 0)
    taxes = said.get("taxes_amount_cents", sum(one["taxes_amount_cents"] for one in fees))
    taken = said.get("credit_notes_amount_cents", 0) + said.get("prepaid_credit_amount_cents", 0)
    return {
        "lago_id": uuid(100),
        "number": "ACM-001",
        "version_number": 4,
        "status": "finalized",
        "currency": "EUR",
        "issuing_date": "2026-03-31",
        "payment_due_date": "2026-04-30",
        "fees_amount_cents": gross,
        "taxes_amount_cents": taxes,
        "sub_total_excluding_taxes_amount_cents": net,
        "sub_total_including_taxes_amount_cents": net + taxes,
        "total_amount_cents": net + taxes - after - taken,
        "fees": list(fees),
        "credits": [],
        "applied_taxes": [],
        **said,
    }


def taxed_fee(number: int = 1, amount: int = 10000, tax: int = 2000, **said: Any) -> dict[str, Any]:
    """A fee with 20 % unless ``taxes_rate`` says otherwise."""
    return fee(number, amount, taxes_amount_cents=tax, **{"taxes_rate": 20.0, **said})
