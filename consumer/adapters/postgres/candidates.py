"""Rows of ready documents with what Lago and Xero say of them in, what translation takes out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from consumer.domain.candidates import AllocationPart, Candidate, ClearingPart, PaymentPart
from consumer.domain.documents import CLEARING, consumes
from consumer.domain.objects import (
    Facts,
    credit_note_of,
    customer_of,
    invoice_of,
    load_facets,
    money_of,
)
from consumer.domain.residuals import RESIDUAL, residual_moneys
from consumer.domain.translate.types import Posted

_PAYMENTS = ("payment", "overpayment")


def candidate_of(
    row: asyncpg.Record,
    allocated: Sequence[UUID] = (),
    cleared: Sequence[UUID] = (),
    there: Sequence[UUID] = (),
) -> Candidate:
    """The document of a row of the statement ``ready``.

    Args:
        allocated, cleared: the credits that need no line, and those whose line is cleared.
        there: the credits whose notes Xero has.
    """
    kind = row["kind"]
    owner, thing = _facts(row["customer_facts"]), _facts(row["facts"])
    return Candidate(
        id=row["id"],
        connection_id=row["connection_id"],
        wanted=row["wanted"],
        customer=customer_of(owner) if owner else None,
        invoice=invoice_of(thing) if thing and kind == "invoice" else None,
        allocated=frozenset(allocated),
        cleared=frozenset(cleared),
        there=frozenset(there),
        consumes=consumes(kind, row["part"]),
        note=credit_note_of(thing) if thing and kind in ("credit_note", "refund") else None,
        payment=_payment_part(row, thing) if thing and kind in _PAYMENTS else None,
        allocation=_allocation_part(row) if kind == "allocation" else None,
        clearing=_clearing_part(row),
        amount_cents=row["amount_cents"],
        settled=_posted(row, "settled"),
        taken=_posted(row, "taken"),
        source_id=row["source_id"],
        source_total=row["source_total"],
        synced=row["synced"],
        xero_id=row["xero_id"],
        xero_status=row["xero_status"],
        contact_id=row["contact_id"],
        dated=row["dated"],
        suffix=row["suffix"],
        batch_limit=row["batch_limit"],
        linked=row["linked"],
    )


def _posted(row: asyncpg.Record, what: str) -> Posted:
    return Posted(int(row[f"{what}_subunits"] or 0), int(row[f"{what}_cents"] or 0))


def _payment_part(row: asyncpg.Record, of: Facts) -> PaymentPart | None:
    residual = row["part"] == RESIDUAL
    money = residual_moneys(of, row["target"]).get(row["lago_id"]) if residual else money_of(of)
    if money is None or row["amount_cents"] is None:
        return None
    return PaymentPart(
        lago_id=row["lago_id"],
        target=row["target"],
        amount_cents=row["amount_cents"],
        money=money,
        invoice_currency=row["target_currency"],
        invoice_id=row["target_id"],
        invoice_number=row["target_number"],
        due_cents=_total_of(row["target_facts"]),
    )


def _total_of(invoice: str | None) -> int | None:
    """The invoice's, in Lago's subunits."""
    facts = _facts(invoice)
    told = invoice_of(facts) if facts is not None else None
    return told.total_amount_cents if told is not None else None


def _allocation_part(row: asyncpg.Record) -> AllocationPart | None:
    if None in (row["amount_cents"], row["currency"], row["source_dated"], row["target_dated"]):
        return None
    return AllocationPart(
        amount_cents=row["amount_cents"],
        currency=row["currency"],
        note_date=row["source_dated"],
        invoice_date=row["target_dated"],
        invoice_id=row["target_id"],
    )


def _clearing_part(row: asyncpg.Record) -> ClearingPart | None:
    if not row["part"].startswith(CLEARING):
        return None
    return ClearingPart(
        credit_id=UUID(row["part"].removeprefix(CLEARING)),
        line=row["cleared_amount"],
        note_date=row["source_dated"],
        invoice_date=row["target_dated"],
    )


def _facts(text: str | None) -> Facts | None:
    return Facts(load_facets(text)) if text is not None else None
