"""Merging: contacts that Xero shows as archived in, the active ones that they were merged into out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from consumer.domain.answers import Saved

MOST_MERGES = 5
"""So many merges, one after another, are followed."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Where a contact has gone in Xero.

    ``path`` are the contacts passed, the one that was asked for first, each merged into the next.
    ``active`` is the contact at its end, if it can be used.
    """

    path: tuple[UUID, ...]
    active: UUID | None = None

    @property
    def merged(self) -> bool:
        """Whether another contact takes its place."""
        return self.active is not None and len(self.path) > 1


def trace(contact_id: UUID, seen: Mapping[UUID, Saved]) -> Traced:
    """Follow the contact's merges as far as contacts were read.

    A circle, more than ``MOST_MERGES`` and what was not read end in no contact.
    """
    path = [contact_id]
    while (one := seen.get(path[-1])) is not None:
        if one.status == "ACTIVE":
            return Traced(tuple(path), one.xero_id)
        if one.merged_to is None or one.merged_to in path or len(path) > MOST_MERGES:
            break
        path.append(one.merged_to)
    return Traced(tuple(path))


def unread(contact_ids: Iterable[UUID], seen: Mapping[UUID, Saved]) -> set[UUID]:
    """The contacts to read before these can be traced further."""
    return {trace(one, seen).path[-1] for one in contact_ids} - seen.keys()
