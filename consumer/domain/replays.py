"""Replays: what a message tells, and where the ledger has its objects, in; whether it is meant, and what a
replay finds, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from consumer.domain.events import Event
from consumer.domain.homes import choose_home
from consumer.domain.mapping import Connection
from consumer.domain.objects import Contribution, Object, ObjectKey, ObjectKind

Fate = Literal["known", "new", "without_effect", "decodable", "dead", "ignored", "left_out"]
"""Of a record: known; told for the first time, with something to say or without; dead before and decodable
now; not decodable; of a type that says nothing to us; left out by a filter."""


@dataclass(frozen=True, slots=True)
class Ref:
    """An object or a document for people: what ``show`` takes, and what is the matter."""

    kind: str
    ref: str
    what: tuple[str, ...] = ()


@dataclass(slots=True)
class Survey:
    """What a replay would do. ``calls`` are to Xero, if nothing else rides along with them."""

    counts: Counter[Fate] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    """That would change, by kind."""
    calls: Counter[str] = field(default_factory=Counter)
    """By kind."""
    unplanned: list[Ref] = field(default_factory=list)
    """Objects that planning stumbles over."""


@dataclass(slots=True)
class Verified:
    """What the ledger lacks of what the range told."""

    counts: Counter[Fate] = field(default_factory=Counter)
    objects: int = 0
    lost: list[Ref] = field(default_factory=list)
    """Objects of whose known messages the ledger lacks something."""
    not_taken_in: list[Ref] = field(default_factory=list)
    """Objects of which messages tell that the ledger does not know."""
    differing: list[Ref] = field(default_factory=list)
    """Documents that the facts ask for otherwise than the ledger does."""
    in_part: int = 0
    """Objects with facts that are from outside the range: of those only what the range told is judged."""
    unplanned: list[Ref] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object belongs, as far as the ledger knows."""

    customer_id: UUID | None = None
    connection_id: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Messages that every given filter lets through; without any, all of them.

    ``kind`` is what a message is about; ``customer_id`` the customer whom it concerns, ``connection_id``
    the home of its invoice, or of that customer.
    """

    kind: ObjectKind | None = None
    customer_id: UUID | None = None
    connection_id: int | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Choice()


def concerned(event: Event) -> set[ObjectKey]:
    """The invoices and customers whose places tell where a message belongs."""
    keys = {c.key for c in event.contributions}
    keys |= {ObjectKey("invoice", id) for c in event.contributions for id in c.invoice_ids}
    keys |= {ObjectKey("customer", c.customer_id) for c in event.contributions if c.customer_id}
    return keys


class Chooser:
    """Tells whether messages are meant. What the ledger does not know yet is remembered as it is told.

    Args:
        connections: all, by id.
        now: when a customer who is not known would be told of.
    """

    def __init__(
        self, choice: Choice, connections: Mapping[int, Connection], now: datetime
    ) -> None:
        self.choice = choice
        self._connections = list(connections.values())
        self._organization = None
        if choice.connection_id is not None:
            self._organization = connections[choice.connection_id].organization_id
        self._now = now
        self._told: dict[ObjectKey, Place] = {}

    def means(self, event: Event, places: Mapping[ObjectKey, Place]) -> bool:
        """Whether every filter lets it through.

        Args:
            places: of what it concerns, as far as the ledger has it.
        """
        choice = self.choice
        if choice.is_all:
            return True
        if self._organization not in (None, event.organization_id):
            return False
        for told in event.contributions:
            self._remember(told, places)
        known = {**self._told, **places}
        own = event.contributions[-1]
        customers = self._customers(own, known)
        if choice.customer_id is not None and choice.customer_id not in customers:
            return False
        home = choice.connection_id
        if home is not None and home not in self._homes(own, customers, known):
            return False
        return choice.kind in (None, event.key.kind)

    def _remember(self, told: Contribution, places: Mapping[ObjectKey, Place]) -> None:
        if told.key in places:
            return
        home = None
        if told.key.kind == "customer":
            customer = Object(told.key, told.organization_id, told.facets, told.customer_id)
            chosen = choose_home(customer, self._connections, now=self._now, patience=timedelta(0))
            home = chosen.connection_id
        before = self._told.get(told.key, Place())
        self._told[told.key] = Place(told.customer_id or before.customer_id, home)

    def _customers(self, own: Contribution, known: Mapping[ObjectKey, Place]) -> Collection[UUID]:
        keys = [own.key, *(ObjectKey("invoice", id) for id in own.invoice_ids)]
        found = {known[key].customer_id for key in keys if key in known} | {own.customer_id}
        return {one for one in found if one is not None}

    def _homes(
        self, own: Contribution, customers: Collection[UUID], known: Mapping[ObjectKey, Place]
    ) -> Collection[int | None]:
        """An invoice stays where it is, also when its customer has moved."""
        keys = [own.key, *(ObjectKey("invoice", id) for id in own.invoice_ids)]
        homes = {known[key].connection_id for key in keys if key in known} - {None}
        if homes:
            return homes
        return {
            known[key].connection_id
            for key in (ObjectKey("customer", id) for id in customers)
            if key in known
        }


def as_told(thing: Object) -> Contribution:
    """An object as if one message had told all of it."""
    return Contribution(
        thing.key, thing.organization_id, thing.facets, thing.customer_id, thing.invoice_ids
    )


def lacks(told: Object, known: Object | None) -> Sequence[str]:
    """The facets of which ``known`` has less than was told: none, or an older one of another value."""
    facets = known.facets if known is not None else {}
    return sorted(
        name
        for name, facet in told.facets.items()
        if (there := facets.get(name)) is None
        or (there.stamp < facet.stamp and there.value != facet.value)
    )


def knows_more(told: Object, known: Object | None) -> bool:
    """Whether ``known`` has facts of messages that are not among those that ``told`` is made of."""
    facets = known.facets if known is not None else {}
    return any(
        facet.stamp.digest and (name not in told.facets or told.facets[name].stamp < facet.stamp)
        for name, facet in facets.items()
    )
