"""Fingerprints: facts that translation uses in, a digest that changes with them out."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from schemas import lago

_NOT_IN_AN_INVOICE = {
    "customer",
    "status",
    "payment_status",
    "total_due_amount_cents",
    "total_paid_amount_cents",
    "total_offsetted_credit_note_amount_cents",
    "updated_at",
    "voided_at",
    "web_url",
}
_NOT_IN_A_NOTE = {
    "customer",
    "credit_status",
    "refund_status",
    "balance_amount_cents",
    "credit_amount_cents",
    "refund_amount_cents",
    "offset_amount_cents",
    "updated_at",
}
_NOT_IN_A_CONTACT = {
    "updated_at",
    "integration_customers",
    "currency",
    "account_type",
    "billing_entity_code",
}


DRAFTED = b"draft:"
"""Begins the fingerprint of an invoice that is a draft in Lago."""


def is_drafted(wanted: bytes | None) -> bool:
    """Whether these facts are those of a draft in Lago."""
    return wanted is not None and wanted.startswith(DRAFTED)


def digest(facts: Any) -> bytes:
    """Of what JSON can say; the order of keys does not matter."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def fingerprint(facts: lago.LagoModel) -> bytes:
    """Of the facts that translation uses: what changes nothing in Xero is no change.

    Lists are sets here: Lago gives their order no meaning. A new version of the service may well
    compute another fingerprint: documents are planned again then, before they are sent.
    """
    mark = b""
    if isinstance(facts, lago.Invoice):
        mark = DRAFTED if facts.status == "draft" else b""
        exclude = _NOT_IN_AN_INVOICE
        lists = {name: getattr(facts, name) for name in ("fees", "credits", "applied_taxes")}
        facts = facts.model_copy(
            update={
                name: tuple(sorted(parts, key=lambda part: part.model_dump_json()))
                for name, parts in lists.items()
                if parts
            }
        )
    elif isinstance(facts, lago.CreditNote):
        exclude = _NOT_IN_A_NOTE
        items = tuple(sorted(facts.items or (), key=lambda item: str(item.lago_id)))
        taxes = tuple(sorted(facts.applied_taxes or (), key=lambda tax: tax.model_dump_json()))
        facts = facts.model_copy(update={"items": items, "applied_taxes": taxes})
    else:
        exclude = _NOT_IN_A_CONTACT
    return mark + digest(facts.model_dump(mode="json", exclude=exclude, exclude_none=True))
