"""Activity logs: the same payloads in; messages of Lago's own topic ``activity_logs`` out (lago.md 5)."""

from __future__ import annotations

from typing import Any

from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.messages import Record, encode

Json = dict[str, Any]

MOST_FEES = 25
"""An invoice with more is logged without any."""
ACTIVITIES = frozenset(
    (
        *(f"customer.{name}" for name in ("created", "updated")),
        *(
            f"invoice.{name}"
            for name in (
                "drafted",
                "created",
                "one_off_created",
                "paid_credit_added",
                "generated",
                "payment_status_updated",
                "payment_overdue",
                "voided",
            )
        ),
        *(f"credit_note.{name}" for name in ("created", "generated", "refund_failure")),
        "payment.recorded",
        "payment_receipt.created",
        "payment_receipt.generated",
        "payment_request.created",
    )
)
"""The types that the generator's lives have logs of; ``payment.recorded`` has no webhook."""


def activity_log(
    choices: Choices, kind: str, payload: Json, organization_id: str, *, at: str
) -> Json:
    """The log of one activity; ``payload`` with all that its serializer can show."""
    return {
        "activity_source": "api",
        "api_key_id": None,
        "user_id": None,
        "activity_type": kind,
        "activity_id": choices.uuid(),
        "logged_at": at.removesuffix("Z"),
        "created_at": at.removesuffix("Z"),
        "resource_id": payload["lago_id"],
        "resource_type": kind.partition(".")[0].title().replace("_", ""),
        "organization_id": organization_id,
        "activity_object": _shown(kind, payload),
        "activity_object_changes": {},
        "external_customer_id": None,
        "external_subscription_id": None,
    }


def log_record(log: Json) -> Record:
    """As Lago produces it: no headers, keyed ``{organization_id}--{activity_id}``."""
    key = f"{log['organization_id']}--{log['activity_id']}"
    return Record(key.encode(), encode(log))


def _shown(kind: str, payload: Json) -> Json:
    """Invoices with every relation and their customer's links; credit notes without a customer."""
    if kind.startswith("invoice."):
        customer = {"integration_customers": [], **payload["customer"]}
        shown = {**payload, "customer": customer, "metadata": []}
        if len(payload["fees"]) > MOST_FEES:
            del shown["fees"]
        return shown
    if kind.startswith("credit_note."):
        return {name: value for name, value in payload.items() if name != "customer"}
    return payload
