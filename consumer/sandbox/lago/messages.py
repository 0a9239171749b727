"""Webhooks: full payloads in, Lago's envelopes and Kafka records out.

Each webhook type shows only some relations of an invoice (lago.md 1).
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]

_DOCUMENT = ("customer", "subscriptions", "billing_periods", "fees", "credits", "applied_taxes")
_SECTIONS = "applied_invoice_custom_sections"
SHOWN: dict[str, frozenset[str]] = {
    "invoice.created": frozenset({*_DOCUMENT, _SECTIONS}),
    "invoice.one_off_created": frozenset({"customer", "fees", "applied_taxes", _SECTIONS}),
    "invoice.paid_credit_added": frozenset({"customer", "fees", "applied_taxes", _SECTIONS}),
    "invoice.drafted": frozenset({*_DOCUMENT, "error_details"}),
    "invoice.ready_to_finalize": frozenset({*_DOCUMENT, "error_details"}),
    "invoice.voided": frozenset(_DOCUMENT),
    "invoice.deleted": frozenset(_DOCUMENT),
    "invoice.payment_status_updated": frozenset({"customer", "fees"}),
    "invoice.payment_overdue": frozenset({"customer", "fees", "applied_taxes"}),
    "invoice.generated": frozenset({"customer"}),
}
"""The relations that each invoice webhook shows."""
_RELATIONS = frozenset({*_DOCUMENT, _SECTIONS, "error_details"})


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record; ``note`` says what it demonstrates and is not sent."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    note: str = ""


def envelope(webhook_type: str, object_type: str, organization_id: str, payload: Json) -> Json:
    """Lago's outer shape; the payload stands under its object type."""
    return {
        "webhook_type": webhook_type,
        "object_type": object_type,
        "organization_id": organization_id,
        object_type: payload,
    }


def announcing_type(invoice: Json) -> str:
    """The webhook by which Lago announces that an invoice of this type and status exists."""
    if invoice["status"] == "draft":
        return "invoice.drafted"
    return {
        "one_off": "invoice.one_off_created",
        "credit": "invoice.paid_credit_added",
    }.get(invoice["invoice_type"], "invoice.created")


def invoice_event(invoice: Json, organization_id: str, webhook_type: str | None = None) -> Json:
    """The envelope of an invoice webhook, by default the announcing one, with its relations."""
    kind = webhook_type or announcing_type(invoice)
    hidden = _RELATIONS - SHOWN[kind]
    payload = {name: value for name, value in invoice.items() if name not in hidden}
    return envelope(kind, "invoice", organization_id, payload)


def customer_event(
    customer: Json, organization_id: str, webhook_type: str = "customer.created"
) -> Json:
    """The envelope of a customer webhook, links included."""
    return envelope(webhook_type, "customer", organization_id, customer)


def encode(message: Any) -> bytes:
    """JSON as Rails writes it: UTF-8, no spaces, HTML's special characters escaped."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def key_of(message: Json) -> bytes:
    """``{organization_id}-{external_customer_id}``: a customer's records share a partition."""
    payload = message[message["object_type"]]
    for inside in ("payment", "invoice"):
        nested = payload.get(inside)
        payload = nested if isinstance(nested, dict) else payload
    customer = payload.get("customer", payload)
    external_id = customer.get("external_customer_id") or customer["external_id"]
    return f"{message['organization_id']}-{external_id}".encode()


def record(message: Json, note: str = "", *, hmac_key: bytes = b"sandbox") -> Record:
    """The record that a bridge makes of a webhook: raw body, Lago's headers."""
    return raw_record(key_of(message), encode(message), note, hmac_key=hmac_key)


def raw_record(key: bytes, value: bytes, note: str = "", *, hmac_key: bytes = b"sandbox") -> Record:
    """A record of any bytes. The unique key follows from them, so a repeat is identical."""
    signature = b64encode(hmac.digest(hmac_key, value, "sha256"))
    unique_key = str(uuid5(NAMESPACE_URL, sha256(value).hexdigest()))
    headers = (
        ("X-Lago-Signature", signature),
        ("X-Lago-Signature-Algorithm", b"hmac"),
        ("X-Lago-Unique-Key", unique_key.encode()),
    )
    return Record(key, value, headers, note)
