"""Customers: what a person says of one in, kept for good, and left to the running service to follow, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.objects import lock_objects, write_objects
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.postgres.sql import statements
from consumer.domain import causes
from consumer.domain.contacts import linked_contact, with_link
from consumer.domain.errors import Halt
from consumer.domain.homes import moving
from consumer.domain.mapping import Connection
from consumer.domain.objects import LINKED_BY_HAND, MOVED, Object, ObjectKey, customer_of

SQL = statements("customers")
CONNECTIONS = statements("connections")

PAGE = 5_000
"""Customers that one statement looks at: no index knows external ids."""
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Linked:
    """A customer's link by a person; ``lago`` is Lago's own, which counts above it. ``before`` is the
    earlier link by a person, ``known`` the contact in the ledger."""

    customer: UUID
    connection: str
    contact: UUID
    before: UUID | None
    lago: UUID | None
    known: UUID | None

    @property
    def changed(self) -> bool:
        """Whether there is anything to store."""
        return self.contact != self.before


@dataclass(frozen=True, slots=True)
class Moved:
    """A customer's move; ``before`` is the connection that was his home, None: he had none."""

    customer: UUID
    connection: str
    before: str | None
    changed: bool


async def find(database: Database, ref: str) -> UUID:
    """The customer of that Lago id or external id.

    Raises:
        Halt: ``not_found``; ``ambiguous`` where several have that external id.
    """
    try:
        lago_id = UUID(ref)
    except ValueError:
        pass
    else:
        if await database.fetch(SQL["customer"], lago_id):
            return lago_id
    found: list[UUID] = []
    after: UUID | None = _FIRST
    while after is not None:
        found += [
            row["lago_id"] for row in await database.fetch(SQL["customers"], after, ref, PAGE)
        ]
        [end] = await database.fetch(SQL["page_end"], after, PAGE)
        after = end["last"]
    if len(found) > 1:
        ids = ", ".join(map(str, found))
        raise Halt(
            "ambiguous", f"Several customers have the external id {ref}.", f"name one of {ids}"
        )
    if not found:
        raise unknown(ref)
    return found[0]


async def link(
    database: Database,
    customer_id: UUID,
    contact_id: UUID,
    code: str | None,
    *,
    who: str,
    reason: str | None,
    dry_run: bool = False,
) -> Linked:
    """Link the customer to the contact in the connection of that code (None: his home, or the only
    one); audited.

    Raises:
        Halt: as ``find``; ``not_found`` for the connection too; ``connection_unclear``.
    """

    async def work(conn: Conn) -> Linked:
        known, customer = await _locked(conn, customer_id)
        connection = await _connection(conn, customer, code)
        facts = customer_of(customer)
        before = (customer.value(LINKED_BY_HAND) or {}).get(connection.code)
        own = None if before is None else UUID(before)
        # A person's link stands behind Lago's: only without one it is the one that counts.
        counts = linked_contact(facts, connection.code) if facts else None
        row = await conn.fetchrow(SQL["contact"], customer_id, connection.id)
        linked = Linked(
            customer_id,
            connection.code,
            contact_id,
            own,
            None if counts == own else counts,
            None if row is None else row["xero_id"],
        )
        if linked.changed and not dry_run:
            after = with_link(customer, connection.code, contact_id)
            said = f"customer {customer_id}, {connection.code}: {own or 'nothing'} → {contact_id}"
            await _store(conn, known, after, "link", said, who, reason)
        return linked

    return await database.run(work)


async def move(
    database: Database,
    customer_id: UUID,
    code: str,
    *,
    who: str,
    reason: str | None,
    dry_run: bool = False,
) -> Moved:
    """Make the connection of that code the home of the customer's new invoices; audited.

    Raises:
        Halt: as ``find``; ``not_found`` for the connection too; ``other_organization``.
    """

    async def work(conn: Conn) -> Moved:
        known, customer = await _locked(conn, customer_id)
        ours = list((await load_snapshot(conn)).connections.values())
        connection = await _connection(conn, customer, code)
        home = next((one.code for one in ours if one.id == customer.connection_id), None)
        due = (customer.value(MOVED) or {}).get("to")
        moved = Moved(customer_id, code, home, (due or home) != code)
        if moved.changed and not dry_run:
            said = f"customer {customer_id}: {home or 'nowhere'} → {connection.code}"
            after = moving(customer, connection.code, ours)
            await _store(conn, known, after, "move", said, who, reason)
        return moved

    return await database.run(work)


async def _locked(conn: Conn, customer_id: UUID) -> tuple[dict[ObjectKey, Object], Object]:
    key = ObjectKey("customer", customer_id)
    known = await lock_objects(conn, {key})
    if key not in known or not known[key].facets:
        raise unknown(str(customer_id))
    return known, known[key]


async def _store(
    conn: Conn,
    known: dict[ObjectKey, Object],
    customer: Object,
    action: str,
    said: str,
    who: str,
    reason: str | None,
) -> None:
    """Whole or not at all; the service plans the customer with the settings of its time."""
    await write_objects(conn, known, {customer.key: customer})
    await conn.execute(SQL["plan_object"], causes.changed(customer.key))
    await conn.execute(CONNECTIONS["audit"], who, action, said, reason)


async def _connection(conn: Conn, customer: Object, code: str | None) -> Connection:
    connections = list((await load_snapshot(conn)).connections.values())
    ours = [one for one in connections if one.organization_id == customer.organization_id]
    if code is None:
        home = [one for one in ours if one.id == customer.connection_id]
        chosen = home or (ours if len(ours) == 1 else [])
        if not chosen:
            raise Halt(
                "connection_unclear",
                "The customer has no home yet, and his organization several connections.",
                f"say --connection: {_listed(ours)}",
            )
        return chosen[0]
    found = next((one for one in connections if one.code == code), None)
    if found is None:
        raise Halt(
            "not_found",
            f"There is no connection {code}.",
            "lago-xero connections lists connections",
        )
    if found not in ours:
        raise Halt(
            "other_organization",
            f"Connection {code} is another Lago organization's than the customer.",
            f"his are: {_listed(ours)}",
        )
    return found


def _listed(connections: Sequence[Connection]) -> str:
    return ", ".join(sorted(one.code for one in connections)) or "none"


def unknown(ref: str) -> Halt:
    """``not_found``: nobody has told of such a customer."""
    return Halt(
        "not_found",
        f"No message of Lago's has told of a customer {ref}: neither as Lago id nor as external id.",
        "lago-xero documents --kind contact lists those who have contacts",
    )
