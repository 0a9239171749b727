"""Contacts: a customer and a connection in, his contact there out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from consumer.domain import causes
from consumer.domain.documents import Planned
from consumer.domain.fingerprints import fingerprint
from consumer.domain.homes import Home
from consumer.domain.mapping import Connection
from consumer.domain.objects import ERASED, LINKED_BY_HAND, Facet, Object, Stamp, customer_of
from schemas import lago


def plan_contact(customer: Object, home: Home, connection: Connection | None) -> Planned:
    """The contact of a customer in his home."""
    facts = customer_of(customer)
    wanted, hold, waits = None, None, False
    if connection is None:
        hold, waits = causes.home(customer.key.lago_id), True
    elif facts is None:
        hold, waits = causes.content(customer.key.lago_id), True
    elif customer.erased:
        hold = causes.ERASED
    elif is_partner(facts):
        hold = causes.PARTNER
    else:
        wanted = fingerprint(facts)
    return Planned(
        kind="contact",
        lago_id=customer.key.lago_id,
        customer_id=customer.key.lago_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=wanted,
        hold=hold,
        waits=waits,
        stays=hold,  # a contact is never removed
        until=home.until if connection is None else None,
        xero_id=linked_contact(facts, connection.code) if facts and connection else None,
        leaves_linked=connection is not None and connection.linked_contacts == "leave",
    )


def with_link(customer: Object, code: str, contact_id: UUID) -> Object:
    """The customer with a person's link for the connection of that code."""
    links = {**(customer.value(LINKED_BY_HAND) or {}), code: str(contact_id)}
    return replace(customer, facets={**customer.facets, LINKED_BY_HAND: Facet(Stamp(0), links)})


NOT_PERSONAL = (
    "lago_id",
    "external_id",
    "billing_entity_code",
    "account_type",
    "currency",
    "updated_at",
)
"""What is kept of an erased customer's content: ids, and what his documents go by."""


def personal(customer: Object) -> Mapping[str, Any]:
    """What of the customer's content tells of a person, by Lago's names; empties are nothing."""
    content = customer.value("content") or {}
    return {
        name: value
        for name, value in content.items()
        if name not in (*NOT_PERSONAL, ERASED) and value not in (None, "", {})
    }


def erased(customer: Object) -> Object:
    """The customer without what is personal; the same if there is none.

    His content stays as old as it is: what told it changes nothing when it comes once more, and any
    later message replaces it whole.
    """
    content = customer.facets.get("content")
    if content is None or customer.erased:
        return customer
    kept = {name: content.value[name] for name in NOT_PERSONAL if name in content.value}
    facet = content._replace(value={**kept, ERASED: True})
    return replace(customer, facets={**customer.facets, "content": facet})


def is_partner(facts: lago.Customer | None) -> bool:
    """Whether Lago bills him for others: nothing of his is posted (ACCOUNTING.md 2)."""
    return facts is not None and facts.account_type == "partner"


def linked_contact(facts: lago.Customer, code: str) -> UUID | None:
    """The ContactID that Lago's link, else a person's, gives for the connection of that code."""
    for link in facts.integration_customers or ():
        if link.type == "xero" and link.integration_code == code:
            try:
                return UUID(link.external_customer_id or "")
            except ValueError:
                continue  # Lago has linked him to a contact that is yet to be made
    return None
