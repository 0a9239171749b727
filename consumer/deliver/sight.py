"""Sight: a member of a doubtful request and what Xero keeps in, what that shows of it out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic_core import from_json

from consumer.domain.answers import Saved
from consumer.domain.matching import (
    Mismatch,
    match_by_hand,
    match_contact,
    match_draft,
    match_marked,
    match_numbered,
    match_overpayments_by_hand,
    match_payments,
)
from consumer.domain.pairing import uuid
from consumer.ports import Absent, ByHand, Other, Sent, Sighting


def numbered(member: Sent, saved: Sequence[Saved]) -> Sighting:
    match = match_numbered(member.element, saved)
    if isinstance(match, Mismatch):
        return Other(match.sentence)
    return Absent() if match is None else match


def moved(member: Sent, saved: Sequence[Saved]) -> Saved | None:
    """The document of the member's number that differs from what was sent by nothing but its contact."""
    match = match_numbered(member.element, saved)
    if isinstance(match, Mismatch) and [one.field for one in match.differences] == ["contact"]:
        return next(one for one in saved if one.xero_id == match.xero_id)
    return None


def entered(member: Sent, saved: Sequence[Saved]) -> Sighting:
    for ours in match_payments(member.element, saved):
        return ours
    return ByHand(tuple(match_by_hand(member.element, saved, member.own_day)))


def entered_beyond(member: Sent, saved: Sequence[Saved]) -> Sighting:
    for ours in match_marked(member.element, saved):
        return ours
    equal, others = match_overpayments_by_hand(member.element, saved, member.own_day)
    return ByHand(tuple(equal), tuple(others))


def draft(member: Sent, saved: Sequence[Saved], *, refused: bool) -> Sighting:
    match = match_draft(member.element, member.xero_id, saved)
    if isinstance(match, str):
        return Other(match) if refused else Absent()
    return Absent() if match is None else match


def contact_id(member: Sent) -> UUID | None:
    """The contact that the element names, or is."""
    element = from_json(member.element)
    return uuid((element.get("Contact") or element).get("ContactID"))


def contact(member: Sent, saved: Sequence[Saved]) -> Sighting:
    match = match_contact(str(member.lago_id), saved)
    return Absent() if match is None else match
