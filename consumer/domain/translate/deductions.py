"""An invoice in, what is taken off after its fees and taxes out: credits and late coupons."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from uuid import UUID

from consumer.domain.errors import Inconsistent
from consumer.domain.mapping import MappingKind
from consumer.domain.translate.descriptions import plain
from consumer.domain.translate.totals import late_coupons
from schemas import lago


@dataclass(frozen=True, slots=True)
class Deduction:
    """One negative line to be: ``amount_cents`` > 0 in Lago subunits, posted to ``kind``.

    ``instead`` is the mapping used where ``kind`` has none; ``prepaid`` marks wallet credit, and
    ``unsplit`` prepaid credit that Lago did not split into purchased and granted.
    """

    description: str
    amount_cents: int
    kind: MappingKind
    instead: MappingKind | None = None
    prepaid: bool = False
    unsplit: bool = False
    clears: UUID | None = None
    """The credit, if its line stands on the clearing account."""


def deductions(invoice: lago.Invoice, cleared: Set[UUID] = frozenset()) -> list[Deduction]:
    """The deductions of a checked invoice, in line order; they sum to what Lago took off.

    Args:
        cleared: the credits whose lines stand on the clearing account.

    Raises:
        Inconsistent: ``lago_totals_disagree``; the parts of the prepaid credit are not its sum, or the
            cleared credits are more than all of them.
    """
    every = (
        Deduction("Coupons", late_coupons(invoice), "coupon"),
        *_prepaid(invoice),
        *_credit_notes(invoice, cleared),
    )
    return [deduction for deduction in every if deduction.amount_cents > 0]


def _prepaid(invoice: lago.Invoice) -> Iterator[Deduction]:
    used = invoice.prepaid_credit_amount_cents
    purchased = invoice.prepaid_purchased_credit_amount_cents
    granted = invoice.prepaid_granted_credit_amount_cents
    if purchased is None and granted is None:
        yield Deduction("Prepaid credit", used, "prepaid_credit", prepaid=True, unsplit=True)
        return
    purchased, granted = purchased or 0, granted or 0
    if purchased + granted != used:
        raise Inconsistent(
            "lago_totals_disagree",
            f"Lago's own figures do not add up: prepaid credit is {used}, but {purchased} purchased"
            f" and {granted} granted credit were used.",
            "Compare the invoice in Lago; nothing is posted until a consistent message arrives.",
        )
    yield Deduction("Prepaid credit", purchased, "prepaid_credit", prepaid=True)
    # Granted credit was never paid for: it lowers revenue as a coupon does.
    yield Deduction("Granted credit", granted, "prepaid_granted_credit", "coupon", prepaid=True)


def _credit_notes(invoice: lago.Invoice, cleared: Set[UUID]) -> Iterator[Deduction]:
    """A line a consumed note where Lago lists them all, else one line for all that are not cleared."""
    used = invoice.credit_notes_amount_cents
    notes = sorted(
        (c for c in invoice.credits or () if c.item is not None and c.item.type == "credit_note"),
        key=lambda note: str(note.lago_id),
    )
    listed = used == sum(note.amount_cents for note in notes)
    named = [note for note in notes if listed or note.lago_id in cleared]
    rest = used - sum(note.amount_cents for note in named)
    if rest < 0:
        raise Inconsistent(
            "lago_totals_disagree",
            f"Lago's own figures do not add up: {used} of credit notes was used, but the credits that "
            f"the invoice lists are {used - rest}.",
            "Compare the invoice in Lago; nothing is posted until a consistent message arrives.",
        )
    for note in named:
        number = plain(note.item.code or note.item.name) if note.item else ""
        text = f"Credit note {number}".strip()
        clears = note.lago_id if note.lago_id in cleared else None
        yield Deduction(text, note.amount_cents, "credit_note", clears=clears)
    yield Deduction("Credit note", rest, "credit_note")
