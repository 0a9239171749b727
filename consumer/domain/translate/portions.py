"""Amounts of Lago's that settle documents in, each document's share and its cents out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from consumer.domain.errors import BelowCent, Inconsistent
from consumer.domain.money import in_cents, major
from consumer.domain.translate.types import Note, Portion, Posted

NOTHING = Posted()


def next_portion(
    amount_cents: int, currency: str, posted: Posted = NOTHING, most: int | None = None
) -> Portion:
    """What Xero gets for the next ``amount_cents`` on a document (ACCOUNTING.md 7).

    Not the amount is rounded but what it makes the document's sum, so that amounts which together
    are Lago's total together are Xero's. What cents cannot say is a ``subcent`` note: the notes of
    a document add up to what its sum has lost.

    Args:
        most: cents that are there to be given; None: as many as are asked for.
    """
    # Less than nothing only where a posted amount was taken back since.
    portion = max(0, in_cents(posted.subunits + amount_cents, currency) - posted.cents)
    if most is not None:
        portion = min(portion, most)
    amount = Decimal(portion).scaleb(-2)
    lost = major(amount_cents, currency) - amount
    return Portion(amount, portion, (Note("subcent", "portion", lost),) if lost else ())


def left_of(
    note_total: Decimal | None, amount_cents: int, currency: str, taken: Posted
) -> int | None:
    """The cents that a credit note still has to give in Xero, where it is over ``note_total``.

    Raises:
        Inconsistent: ``credit_note_parts_disagree``: with ``amount_cents`` more, Lago gives more than
            the note's total.
    """
    if note_total is None:
        return None
    cents = int(note_total * 100)
    if in_cents(taken.subunits + amount_cents, currency) > cents:
        raise Inconsistent(
            "credit_note_parts_disagree",
            f"{major(amount_cents, currency)} {currency} are to be taken from a credit note over "
            f"{note_total} of which {Decimal(taken.cents).scaleb(-2)} are taken already.",
            "Compare the credit note's parts in Lago, and enter what is missing in Xero by hand.",
        )
    return max(0, cents - taken.cents)


def payable(portion: Portion) -> Decimal:
    """The amount to send.

    Raises:
        BelowCent: there is nothing to send.
    """
    if portion.cents == 0:
        raise BelowCent
    return portion.amount


def split_payment(amount_cents: int, open_cents: Mapping[UUID, int]) -> Mapping[UUID, int]:
    """What each invoice gets of one payment (ACCOUNTING.md 6); one that had nothing open is left out.

    A payment of one invoice is that invoice's, in part or more than it owes. Lago does not say how
    one over several is split, but it pays them in full: each gets what it still had open.

    Args:
        open_cents: what Lago still had open on each of the payment's invoices before it.

    Raises:
        Inconsistent: ``payment_split_unknown``.
    """
    if len(open_cents) == 1:
        return dict.fromkeys(open_cents, amount_cents)
    total = sum(open_cents.values())
    if total != amount_cents or any(part < 0 for part in open_cents.values()):
        parts = ", ".join(f"{id}: {open_cents[id]}" for id in sorted(open_cents))
        raise Inconsistent(
            "payment_split_unknown",
            f"A payment of {amount_cents} over {len(open_cents)} invoices cannot be split: they "
            f"had {total} open ({parts or 'none is known'}).",
            "Record the payment in Xero by hand, or correct the invoices in Lago.",
        )
    return {id: part for id, part in open_cents.items() if part}
