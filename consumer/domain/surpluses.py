"""Surpluses: what Xero has beside what was sent, or twice, in; what is told of it and removed out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from uuid import UUID

from consumer.domain.answers import Refusal, Saved
from consumer.domain.operations import REMADE
from consumer.domain.outcomes import Member, Noticed
from consumer.domain.settlement import Settlement


def settle_unasked(
    settlement: Settlement, members: Sequence[Member], xero_ids: Iterable[UUID]
) -> None:
    """Xero has answered with documents that were not sent: told beside the first that was."""
    for member, xero_id in product(members[:1], xero_ids):
        refusal = Refusal(
            "surplus",
            f"Xero answered with a document that was not sent: {xero_id}.",
            "Look at it in Xero; what was sent is looked up before anything else is done.",
        )
        settlement.noticed.append(Noticed(member, xero_id, "surplus", {}, refusal))


def settle_late(settlement: Settlement, member: Member, answer: Saved) -> None:
    """Xero saved it, and says so after the request was given up: it may be there twice.

    Where Xero keeps numbers apart, a document that is still to be sent will find this one.
    """
    posted = member.stands.xero_id
    if member.sent is None or answer.xero_id in (posted, *member.stands.merged):
        return
    if member.kind in REMADE:
        settle_beyond(settlement, member, [answer])
    elif posted is not None:
        _too_much(settlement, member, answer, ours=False)


def settle_beyond(
    settlement: Settlement, member: Member, found: Sequence[Saved], *, ours: bool = True
) -> None:
    """What Xero has of the document and no document of ours has: the first is it, if Xero's is not
    known, nothing is under way and Lago still wants it so; the others are too much.

    Args:
        ours: certainly, and not a person's that looks like it.
    """
    now, others = member.stands, list(found)
    unknown = now.xero_id is None and now.state != "sending" and now.wanted is not None
    if others and unknown and now.wanted == member.sent:
        settlement.keep(member, others.pop(0), "adopted")
    for one in others:
        _too_much(settlement, member, one, ours=ours)


def _too_much(settlement: Settlement, member: Member, answer: Saved, *, ours: bool) -> None:
    """Removed where it is a payment or an allocation of ours, and told in any case."""
    if ours:
        settlement.surpluses.append((member, answer.xero_id))
    refusal = Refusal(
        "surplus",
        f"Xero has {answer.xero_id} beside the document: its request was carried out twice.",
        "It is removed by itself; if that fails, it is told, and to be removed by hand."
        if ours
        else "Look whether Xero has it twice, and remove the one that is too much.",
    )
    settlement.notice(member, answer, "surplus", {"removed": True} if ours else {}, refusal)
