"""Messages that must not reach Xero: a good envelope in; undecodable bytes or unusable ones out."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

from consumer.sandbox.lago.catalogue import UNMAPPED, VAT_20, Item, Regime, Tax
from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.clock import instant, iso
from consumer.sandbox.lago.customers import generate_customer
from consumer.sandbox.lago.drawn_invoices import generate_invoice
from consumer.sandbox.lago.fees import FeeFacts, Price
from consumer.sandbox.lago.invoices import InvoiceFacts, invoice
from consumer.sandbox.lago.messages import Record, encode, key_of, raw_record
from consumer.sandbox.lago.totals import Money

Json = dict[str, Any]
UNMAPPED_REGIME: Regime = ((UNMAPPED,),)
_TWIN = Tax("vat_20_twin", Decimal(20))


def _with(message: Json, field: str, value: Any) -> Json:
    """The message with one field of its object replaced."""
    kind = message["object_type"]
    return {**message, kind: {**message[kind], field: value}}


def _without(message: Json, field: str) -> Json:
    kind = message["object_type"]
    return {**message, kind: {k: v for k, v in message[kind].items() if k != field}}


def _marked(message: Json, raw: bytes) -> bytes:
    """The message with ``raw`` as the value of a free text, where only the bytes are at fault."""
    field = "phone" if message["object_type"] == "customer" else "purchase_order_number"
    return encode(_with(message, field, "@@")).replace(b'"@@"', raw)


_FAULTS: dict[str, Callable[[Json], bytes]] = {
    "empty": lambda message: b"",
    "not_json": lambda message: b"<html><body>502 Bad Gateway</body></html>",
    "truncated": lambda message: encode(message)[:-20],
    "trailing": lambda message: encode(message) + b"}",
    "invalid_utf8": lambda message: _marked(message, b'"\xff\xfe\xc3("'),
    "latin_1": lambda message: _marked(message, '"Dupré"'.encode("latin-1")),
    "nul": lambda message: _marked(message, b'"PO\\u00004711"'),
    "lone_surrogate": lambda message: _marked(message, b'"\\ud800"'),
    "nan": lambda message: _marked(message, b"NaN"),
    "infinity": lambda message: _marked(message, b"-Infinity"),
    "nested_too_deep": lambda message: _marked(message, b"[" * 50_000 + b"]" * 50_000),
    "top_level_array": lambda message: encode([message]),
    "top_level_string": lambda message: encode(encode(message).decode()),
    "top_level_null": lambda message: b"null",
    "no_object": lambda message: encode(
        {name: value for name, value in message.items() if name != message["object_type"]}
    ),
    "no_object_type": lambda message: encode(
        {name: value for name, value in message.items() if name != "object_type"}
    ),
    "organization_not_uuid": lambda message: encode({**message, "organization_id": "acme"}),
    "missing_id": lambda message: encode(_without(message, "lago_id")),
    "null_id": lambda message: encode(_with(message, "lago_id", None)),
    "id_not_uuid": lambda message: encode(_with(message, "lago_id", "nil")),
    "wrong_type": lambda message: encode(_with(message, "updated_at", {"seconds": 1})),
    "object_is_array": lambda message: encode({**message, message["object_type"]: []}),
}
_INVOICE_FAULTS: dict[str, Callable[[Json], bytes]] = {
    "amount_is_text": lambda message: encode(_with(message, "fees_amount_cents", "12 EUR")),
    "amount_is_fraction": lambda message: encode(_with(message, "fees_amount_cents", 12.5)),
    "amount_is_bool": lambda message: encode(_with(message, "total_amount_cents", True)),
    "amount_is_absurd": lambda message: encode(_with(message, "total_amount_cents", 10**30)),
    "fees_is_object": lambda message: encode(_with(message, "fees", {"0": {}})),
    "fee_without_id": lambda message: encode(_with(message, "fees", [{"amount_cents": 1}])),
    "units_absurd": lambda message: encode(_with_units(message, "1e999999")),
    "units_nan": lambda message: encode(_with_units(message, "NaN")),
    "date_impossible": lambda message: encode(_with(message, "issuing_date", "2026-02-31")),
}


def _with_units(message: Json, units: str) -> Json:
    fees = deepcopy(message["invoice"]["fees"])
    fees[0]["units"] = units
    return _with(message, "fees", fees)


def malformed_records(message: Json) -> list[Record]:
    """One record for each way to be undecodable; more for an invoice. Notes: ``malformed:<how>``.

    Args:
        message: a good envelope of a customer or an invoice with at least one fee.
    """
    faults = _FAULTS | (_INVOICE_FAULTS if message["object_type"] == "invoice" else {})
    key = key_of(message)
    return [raw_record(key, make(message), f"malformed:{how}") for how, make in faults.items()]


def oversized_record(message: Json, size: int) -> Record:
    """A decodable message padded with a long string to at least ``size`` bytes."""
    padded = encode(_with(message, "padding", "x" * size))
    return raw_record(key_of(message), padded, "oversized")


def disagreeing(payload: Json, figure: str = "total_amount_cents", by: int = 100) -> Json:
    """The invoice with one figure that no longer agrees with the others."""
    return {**payload, figure: payload[figure] + by}


def unmapped_invoice(choices: Choices, **options: Any) -> Json:
    """A consistent invoice whose only tax is one that nobody maps; options as for
    ``generate_invoice``."""
    return generate_invoice(choices, regime=UNMAPPED_REGIME, **options)


def ambiguous_invoice(
    choices: Choices, *, customer: Json | None = None, currency: str = "EUR"
) -> Json:
    """Two equal fees, two taxes of one rate: nothing tells which fee has which."""
    at = instant(choices)
    price = Price.plain(1, choices.integer(1, 1000))
    fees = tuple(
        FeeFacts("add_on", Item.named("setup", "Set-up"), price, (tax,)) for tax in (VAT_20, _TWIN)
    )
    facts = InvoiceFacts(
        customer=customer or generate_customer(choices),
        money=Money(currency, fees),
        issuing_date=at.date(),
        at=iso(at),
        invoice_type="one_off",
    )
    return invoice(choices, facts)
