"""An amount of a credit note for an invoice in, Xero's allocation out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from consumer.domain.translate.portions import NOTHING, left_of, next_portion, payable
from consumer.domain.translate.types import Posted
from schemas import xero


def translate_allocation(
    *,
    amount_cents: int,
    currency: str,
    note_date: date,
    invoice_date: date,
    invoice_id: UUID,
    posted: Posted = NOTHING,
    note_total: Decimal | None = None,
    taken: Posted = NOTHING,
) -> xero.Allocation:
    """Part of a credit note set against an invoice of the same contact (ACCOUNTING.md 5).

    Args:
        note_date, invoice_date: as they are in Xero; the later one is the allocation's.
        invoice_id: the invoice in Xero.
        posted: what settled the invoice already.
        note_total: the note's in Xero: it gives no cent more than it has.
        taken: what was taken from the note already.

    Raises:
        BelowCent: there is nothing to send.
        Inconsistent: Lago gives more than the note's total.
    """
    left = left_of(note_total, amount_cents, currency, taken)
    return xero.Allocation(
        invoice=xero.InvoiceRef(invoice_id=invoice_id),
        amount=payable(next_portion(amount_cents, currency, posted, left)),
        date=max(note_date, invoice_date),
    )
