"""JSON Schemas of what travels on topics and webhooks: models in, files in ``schemas/json`` out.

``python -m schemas.export`` writes them; with ``--check`` it only says whether they are current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from schemas.dead_letter import DeadLetterHeaders
from schemas.error_event import FailurePost
from schemas.generated import Generated
from schemas.lago import (
    ActivityLog,
    CreditNote,
    Customer,
    Envelope,
    Invoice,
    Payment,
    PaymentDisputeLost,
    PaymentReceipt,
    PaymentRequest,
    PaymentState,
    RefundFailure,
)
from schemas.reconciliation import Reconciliation

FOLDER = Path(__file__).parent / "json"
WRITTEN: dict[str, type[BaseModel]] = {
    "webhook_failures": FailurePost,
    "dead_letter_headers": DeadLetterHeaders,
    "reconciliation": Reconciliation,
}
"""What we write: the schema of the JSON as it leaves; of a dead letter's headers, of their texts by name."""
READ: dict[str, type[BaseModel]] = {
    "lago_webhook": Envelope,
    "lago_customer": Customer,
    "lago_invoice": Invoice,
    "lago_credit_note": CreditNote,
    "lago_refund_failure": RefundFailure,
    "lago_activity_log": ActivityLog,
    "lago_payment": Payment,
    "lago_payment_receipt": PaymentReceipt,
    "lago_payment_request": PaymentRequest,
    "lago_payment_state": PaymentState,
    "lago_payment_dispute_lost": PaymentDisputeLost,
}
"""What we read: the least that a message must be."""


class Tolerant(GenerateJsonSchema):
    """Of what we read: older versions of Lago write some numbers as texts, and codes as numbers."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """A text, or the number that it looks like."""
        return {"anyOf": [super().str_schema(schema), {"type": "number"}]}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        """A number, or its digits."""
        digits = {"type": "string", "pattern": r"^\s*[-+]?[0-9_]+(\.0*)?\s*$"}
        return {"anyOf": [super().int_schema(schema), digits]}

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A number, or the text of one; no NaN and nothing infinite."""
        digits = r"^\s*[-+]?([0-9_]+\.?[0-9_]*|\.[0-9_]+)([eE][-+]?[0-9]+)?\s*$"
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": digits}]}

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        """A day, or its midnight."""
        return {"anyOf": [super().date_schema(schema), {"type": "string", "format": "date-time"}]}


def schemas() -> dict[str, str]:
    """File name → content, deterministic."""
    written = {name: _schema(name, model, "serialization") for name, model in WRITTEN.items()}
    read = {name: _schema(name, model, "validation") for name, model in READ.items()}
    return {f"{name}.json": content for name, content in {**written, **read}.items()}


def _schema(name: str, model: type[BaseModel], mode: JsonSchemaMode) -> str:
    generator = Tolerant if mode == "validation" else GenerateJsonSchema
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lago-xero:{name}",
        **model.model_json_schema(mode=mode, schema_generator=generator),
    }
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def generated() -> Generated:
    """The folder as it is to be."""
    return Generated(FOLDER, schemas(), "*.json", "schemas.export", "schemas", "models")


if __name__ == "__main__":
    sys.exit(generated().main(sys.argv[1:]))
