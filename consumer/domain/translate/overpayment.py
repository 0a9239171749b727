"""What a payment has beyond its invoice in; the bank transaction that keeps it for the customer out.

Its Reference ends in a marker by which it is found again, and so does its line, for Xero's own
description of the API grants a Reference to plain receipts only.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from consumer.domain.chart import Chart
from consumer.domain.errors import Inconsistent
from consumer.domain.mapping import Connection
from consumer.domain.money import in_cents
from consumer.domain.translate.descriptions import clip, plain
from consumer.domain.translate.payment import account_of, marked, payment_marker
from consumer.domain.translate.portions import NOTHING, next_portion, payable
from consumer.domain.translate.timezones import local_date
from consumer.domain.translate.types import Posted
from schemas import xero


def overpayment_marker(lago_id: UUID, target: UUID) -> str:
    """What Reference and line end in: another one than that of the payment itself."""
    return payment_marker(lago_id, target, "excess")


def translate_overpayment(
    *,
    lago_id: UUID,
    target: UUID,
    amount_cents: int,
    currency: str,
    paid_at: datetime | date | None,
    reference: str | None,
    connection: Connection,
    chart: Chart,
    contact_id: UUID,
    invoice_number: str | None,
    due_cents: int,
    posted: Posted = NOTHING,
) -> xero.Overpayment:
    """The receipt to create (ACCOUNTING.md 6). Xero puts its line on accounts receivable by itself.

    Args:
        lago_id, target: Lago's ids of the payment and the invoice; its identity.
        amount_cents: what is beyond the invoice, in Lago's subunits.
        paid_at: an instant, or the day itself.
        contact_id: the customer's contact in Xero.
        invoice_number: Xero's, for people.
        due_cents: the invoice's total in Lago's subunits: cents are counted from there on, so that what
            is on the invoice and beyond it together are Lago's money.
        posted: what is beyond the same invoice already.

    Raises:
        Inconsistent: it has no date.
        BelowCent: there is nothing to send.
        Unmapped: no payment account.
    """
    if paid_at is None:
        raise Inconsistent("lago_header_missing", "The payment has no date.", "Send it again.")
    before = Posted(due_cents + posted.subunits, in_cents(due_cents, currency) + posted.cents)
    amount = payable(next_portion(amount_cents, currency, before))
    marker = overpayment_marker(lago_id, target)
    of = clip(plain(invoice_number), 255)
    said = f"More than invoice {of} had open" if of else "More than its invoice had open"
    line = xero.OverpaymentLine(description=f"{said} · {marker}", line_amount=amount)
    return xero.Overpayment(
        contact=xero.ContactRef(contact_id=contact_id),
        bank_account=account_of(connection, ("payment_account",), currency),
        date=local_date(paid_at, chart),
        currency_code=currency,
        reference=marked(reference, marker),
        line_items=(line,),
    )
