"""Invoices: one of Lago's and the connection it belongs to in, what must exist in Xero of it out."""

from __future__ import annotations

from consumer.domain import causes
from consumer.domain.credit_notes import Placed, consumed
from consumer.domain.documents import Planned, before_start
from consumer.domain.errors import Inconsistent
from consumer.domain.fingerprints import fingerprint
from consumer.domain.homes import Home
from consumer.domain.mapping import Connection
from consumer.domain.money import SUBUNITS, in_cents
from consumer.domain.objects import FINAL, Object, invoice_of
from consumer.domain.translate.header import number_of
from schemas import lago

VOID = ("voided", "deleted")
"""Lago's statuses of an invoice that is none any more."""


def plan_invoice(
    invoice: Object,
    connection: Connection | None,
    home: Home | None,
    *,
    partners: bool = False,
    unvoided: bool = False,
    placed: Placed | None = None,
) -> Planned:
    """The invoice in the connection it belongs to.

    Args:
        partners: its customer is a partner.
        unvoided: voiding it was refused.
        placed: how it has its credits in Xero; None while it was not sent.
    """
    facts = invoice_of(invoice)
    hold, waits = _why_not(invoice, facts, connection, partners=partners)
    number = number_of(facts) if facts else None
    return Planned(
        kind="invoice",
        lago_id=invoice.key.lago_id,
        customer_id=invoice.customer_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=fingerprint(facts) if facts is not None and hold is None else None,
        hold=hold,
        waits=waits,
        stays=causes.VOID_REFUSED if unvoided else _why_left(invoice, hold, connection, placed),
        until=home.until if connection is None and home is not None else None,
        number=f"{connection.number_prefix if connection else ''}{number}" if number else None,
        currency=facts.currency if facts else None,
        dated=facts.issuing_date if facts else None,
        findings=("dispute_lost",) if invoice.value("dispute") else (),
    )


def _why_left(
    invoice: Object, hold: str | None, connection: Connection | None, placed: Placed | None
) -> str | None:
    """Why a posted invoice that must be absent stays (ACCOUNTING.md 4); None: it is voided."""
    if hold not in causes.TAKEN_BACK:
        return hold  # a switch or a date concerns what is not posted yet
    if invoice.value("paid") or invoice.value("offset"):
        return causes.VOID_WITH_MONEY
    if not _charges(invoice, placed):
        return causes.NOTHING_CHARGED
    if connection is not None and connection.voids == "report":
        return causes.policy("voids", connection.code)
    return None


def left_open(invoice: Object, *, draft: bool = False) -> Inconsistent | None:
    """What a person is asked about a voided invoice that stays in Xero with money on it; None where all
    of it was paid or offset: nobody owes it any more (ACCOUNTING.md 4).

    Args:
        draft: it is a draft in Xero, as far as is known: nothing of it is in the books, nor of the money.
    """
    if draft:
        return Inconsistent(
            "void_with_money",
            "Lago voided this invoice, but money was received on it: it stays in Xero as it is, a draft "
            "unless somebody has approved it, and what was received is not posted.",
            "Give the money back in Lago and delete the draft in Xero; or approve it there, enter what was "
            "received and credit the rest.",
        )
    facts = invoice_of(invoice)
    total = facts.total_amount_cents if facts is not None else None
    settled = (invoice.value("paid") or 0) + (invoice.value("offset") or 0)
    if total is not None and total <= settled:
        return None
    return Inconsistent(
        "void_with_money",
        "Lago voided this invoice, but money was received on it: it stays in Xero with what is open.",
        "Credit the rest in Xero by hand, or give the money back in Lago and Xero and void it there.",
    )


def _charges(invoice: Object, placed: Placed | None) -> bool:
    """Whether the invoice has a total in Xero, in its cents. One without is paid there, and stays as it
    is: what is paid cannot be voided (xero.md 5). Credits that are allocated lower what is due, not the
    total."""
    facts = invoice_of(invoice)
    if facts is None or facts.total_amount_cents is None:
        return True
    allocated = facts.credit_notes_amount_cents
    if placed is not None:
        credits = consumed(invoice).values()
        allocated = sum(one.amount_cents for one in credits if one.lago_id in placed.allocated)
    total = facts.total_amount_cents + allocated
    currency = facts.currency or ""
    return (in_cents(total, currency) if currency in SUBUNITS else total) != 0


def _why_not(
    invoice: Object,
    facts: lago.Invoice | None,
    connection: Connection | None,
    *,
    partners: bool,
) -> tuple[str | None, bool]:
    """Why the invoice is not to be posted, and whether that will pass (ACCOUNTING.md 2)."""
    status = invoice.value("status")
    if status in VOID:
        return causes.in_lago(status), False
    if facts is None:
        return causes.content(invoice.key.lago_id), True
    if facts.self_billed:
        return causes.SELF_BILLED, False
    if partners:
        return causes.PARTNER, False
    drafted = facts.status == "draft"
    if facts.status != "finalized" and not drafted:
        return causes.in_lago(facts.status or "unknown"), False
    # The content may be the draft's yet, whose number is no number.
    if not drafted and invoice.facets["content"].stamp.rank < FINAL:
        return causes.content(invoice.key.lago_id), True
    if connection is None:
        return causes.nowhere(invoice.key.lago_id, invoice.customer_id), True
    if drafted and connection.drafts == "skip":
        return causes.policy("drafts", connection.code), False
    if not connection.sync_invoices:
        return causes.switched_off("invoices", connection.code), False
    if before_start(connection, facts.issuing_date):
        return causes.before_start(connection.code), False
    if not facts.fees_amount_cents and (connection.zero_invoices == "skip" or not facts.fees):
        # Usage may still come to a draft: one that Xero has stays until Lago finalizes it.
        return causes.policy("zero_draft" if drafted else "zero", connection.code), False
    return None, False
