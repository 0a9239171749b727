"""Lago's credit notes for the ledger: an invoice in, a note on it, and what consumes it, out."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from consumer.sandbox.lago import envelope
from tests.integration.ledger import Books

Json = dict[str, Any]


def a_note(of: Json, **parts: int) -> Json:
    """A credit note over its invoice's one fee: ``credit``, ``offset`` and ``refund`` in cents."""
    total = sum(parts.values())
    [fee] = of["fees"]
    return {
        "lago_id": str(uuid4()),
        "number": f"{of['number']}-CN001",
        "lago_invoice_id": of["lago_id"],
        "invoice_number": of["number"],
        "issuing_date": "2026-05-03",
        "credit_status": "available" if parts.get("credit") else None,
        "refund_status": "pending" if parts.get("refund") else None,
        "currency": of["currency"],
        "total_amount_cents": total,
        "taxes_amount_cents": 0,
        "sub_total_excluding_taxes_amount_cents": total,
        "balance_amount_cents": parts.get("credit", 0),
        "coupons_adjustment_amount_cents": 0,
        "taxes_rate": 0.0,
        "items": [{"lago_id": str(uuid4()), "amount_cents": total, "fee": fee}],
        "applied_taxes": [],
        "customer": of["customer"],
        "updated_at": "2026-05-03T10:00:00Z",
        "created_at": "2026-05-03T10:00:00Z",
        **{f"{name}_amount_cents": parts.get(name, 0) for name in ("credit", "offset", "refund")},
    }


def note_told(b: Books, note: Json) -> Json:
    """Lago's message of a new one."""
    return envelope("credit_note.created", "credit_note", str(b.organization_id), note)


def consuming(b: Books, of: Json, note: Json, cents: int) -> Json:
    """A later invoice of the same customer that consumes some of the note."""
    told = b.invoice(of["customer"], amount=5000)
    credit = {
        "lago_id": str(uuid4()),
        "amount_cents": cents,
        "amount_currency": of["currency"],
        "before_taxes": False,
        "item": {
            "lago_item_id": note["lago_id"],
            "type": "credit_note",
            "code": note["number"],
            "name": note["number"],
        },
    }
    due = told["total_amount_cents"] - cents
    return {
        **told,
        "credits": [credit],
        "credit_notes_amount_cents": cents,
        "total_amount_cents": due,
        "total_due_amount_cents": due,
    }


async def consumed_note(
    b: Books, of: Json, cents: int, *, credit: int | None = None
) -> tuple[Json, Json]:
    """A note with so much ``credit`` on a posted invoice, and a later one that consumes ``cents``: both in
    Xero."""
    note = a_note(of, credit=cents if credit is None else credit)
    later = consuming(b, of, note, cents)
    await b.told(note_told(b, note), b.said(later))
    await b.work()
    return note, later
