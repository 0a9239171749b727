"""Homes: a customer and his organization's connections in, the connection he belongs to out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consumer.domain.mapping import Connection
from consumer.domain.objects import Object, customer_of


@dataclass(frozen=True, slots=True)
class Home:
    """A connection, or None and until when a link may still decide (None: for ever)."""

    connection_id: int | None
    until: datetime | None = None


def choose_home(
    customer: Object, connections: Sequence[Connection], *, now: datetime, patience: timedelta
) -> Home:
    """Where the customer's new documents go.

    A Lago link wins at any time; without one a home once chosen stays. With several connections a
    customer known only from invoices waits up to ``patience`` for a message that lists his links;
    one that lists none lets the billing entity, then the default decide.
    """
    ours = [c for c in connections if c.organization_id == customer.organization_id]
    linked = _linked(customer, ours)
    if linked is not None:
        return Home(linked.id)
    if any(c.id == customer.connection_id for c in ours):
        return Home(customer.connection_id)
    waits_until = (customer.first_seen or now) + patience
    if len(ours) > 1 and customer.value("links") is None and now < waits_until:
        return Home(None, waits_until)
    chosen = _serving(customer, ours)
    return Home(None if chosen is None else chosen.id)


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
