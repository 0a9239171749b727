"""Homes: a customer and his organization's connections in, the connection he belongs to out.

The facet ``moved`` says that a person has moved him: ``to`` a connection, until that is done, and
``over`` the connection that Lago linked him to at that time. Only another link of Lago's counts since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consumer.domain.mapping import Connection
from consumer.domain.objects import LINKED_BY_HAND, MOVED, Facet, Object, Stamp, customer_of


@dataclass(frozen=True, slots=True)
class Home:
    """A connection, or None and until when a link may still decide (None: for ever)."""

    connection_id: int | None
    until: datetime | None = None


def choose_home(
    customer: Object, connections: Sequence[Connection], *, now: datetime, patience: timedelta
) -> Home:
    """Where the customer's new documents go.

    A Lago link wins at any time, then a person's move; without them a home once chosen stays. With
    several connections a customer known only from invoices waits up to ``patience`` for a message
    that lists his links; one that lists none lets a person's link, the billing entity, then the
    default decide.
    """
    ours = _ours(customer, connections)
    moved = customer.value(MOVED) or {}
    linked = _linked(customer, ours)
    if linked is not None and linked.code != moved.get("over"):
        return Home(linked.id)
    for connection in ours:
        if connection.code == moved.get("to"):
            return Home(connection.id)
    if any(c.id == customer.connection_id for c in ours):
        return Home(customer.connection_id)
    by_hand = customer.value(LINKED_BY_HAND) or {}
    for connection in ours:
        if connection.code in by_hand:
            return Home(connection.id)
    waits_until = (customer.first_seen or now) + patience
    if len(ours) > 1 and customer.value("links") is None and now < waits_until:
        return Home(None, waits_until)
    chosen = _serving(customer, ours)
    return Home(None if chosen is None else chosen.id)


def settled(customer: Object, home: Home, connections: Sequence[Connection]) -> Object:
    """The customer at that home: a move is done once; the same instance if nothing changes."""
    facets = customer.facets
    if (moved := customer.value(MOVED)) is not None:
        linked = _linked(customer, _ours(customer, connections))
        code = None if linked is None else linked.code
        over = code if code == moved["over"] else None
        if (over, None) != (moved["over"], moved["to"]) or over is None:
            facets = {name: facet for name, facet in facets.items() if name != MOVED}
            if over is not None:
                facets[MOVED] = Facet(Stamp(0), {"to": None, "over": over})
    if facets is customer.facets and home.connection_id == customer.connection_id:
        return customer
    return replace(customer, connection_id=home.connection_id, facets=facets)


def moving(customer: Object, to: str, connections: Sequence[Connection]) -> Object:
    """The customer whom a person moves to the connection of that code."""
    linked = _linked(customer, _ours(customer, connections))
    over = None if linked is None else linked.code
    moved = Facet(Stamp(0), {"to": to, "over": over})
    return replace(customer, facets={**customer.facets, MOVED: moved})


def _ours(customer: Object, connections: Sequence[Connection]) -> list[Connection]:
    return [c for c in connections if c.organization_id == customer.organization_id]


def _linked(customer: Object, connections: Sequence[Connection]) -> Connection | None:
    codes = [
        link.get("integration_code")
        for link in customer.value("links") or ()
        if link.get("type") == "xero"
    ]
    return next((c for code in codes for c in connections if c.code == code), None)


def _serving(customer: Object, connections: Sequence[Connection]) -> Connection | None:
    """By billing entity, else the default, else the only one if it serves everybody."""
    creating = [c for c in connections if c.customers == "create"]
    facts = customer_of(customer)
    entity = facts.billing_entity_code if facts else None
    for connection in creating:
        if entity is not None and entity in connection.billing_entities:
            return connection
    for connection in creating:
        if connection.default or (len(connections) == 1 and not connection.billing_entities):
            return connection
    return None
