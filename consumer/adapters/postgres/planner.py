"""The planner: objects that changed in, their documents' rows and the releases that follow out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json

from consumer.adapters.postgres.changing import Patience
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.documents import write_documents
from consumer.adapters.postgres.leaving import leave
from consumer.adapters.postgres.objects import lock_objects, write_objects
from consumer.adapters.postgres.sql import statements
from consumer.domain.credit_notes import Placed, consumed
from consumer.domain.documents import Planned
from consumer.domain.invoices import VOID
from consumer.domain.objects import Object, ObjectKey
from consumer.domain.overpayments import InXero
from consumer.domain.planning import beyond, consumed_notes, plan_family
from consumer.ports import Sink

SQL = statements("inbox")


class Planner:
    """Plans within a transaction of the caller's, with the settings in force.

    Args:
        patience: how long documents wait, and for what.
        sinks: where a person is asked about what stays in Xero.
    """

    def __init__(
        self, configuration: Configuration, patience: Patience, sinks: Sequence[Sink] = ()
    ) -> None:
        self.configuration = configuration
        self.patience = patience
        self.sinks = list(sinks)

    async def again(
        self, conn: Conn, keys: Iterable[ObjectKey], due: Collection[UUID] = ()
    ) -> Sequence[Planned]:
        """Plan these objects with nothing new learnt of Lago; returns all that they ask for.

        Args:
            due: the invoices whose pending residuals have waited long enough.
        """
        told = set(keys)
        known = await lock_objects(conn, told)
        objects = {key: one for key, one in known.items() if key in told}
        return await self.plan(conn, known, objects, {}, due) if objects else ()

    async def plan(
        self,
        conn: Conn,
        known: Mapping[ObjectKey, Object],
        objects: dict[ObjectKey, Object],
        made: Mapping[int, datetime],
        due: Collection[UUID] = (),
        lane: int | None = None,
    ) -> Sequence[Planned]:
        """Plan ``objects`` and write all that changed; returns all that they ask for.

        Args:
            known: the locked rows, as they were.
            made: when each event that changed an object was appended.
            due: as for ``again``.
            lane: where what changes is sent; None: where it is.
        """
        at = await conn.fetchrow(SQL["now"])
        assert at is not None
        connections = (await self.configuration.at(conn, at["revision"])).connections
        plan = plan_family(
            known,
            objects,
            connections,
            await _contacts(conn, objects),
            now=at["now"],
            patience=self.patience.home,
            due=due,
            unvoided=await _unvoided(conn, objects.values()),
            in_xero=await _in_xero(conn, beyond({**known, **objects}, connections, due)),
            placed=await _placed(conn, objects.values()),
            notes_there=await _notes_there(conn, objects.values()),
        )
        objects.update(plan.objects)
        await write_objects(conn, known, objects)
        family = {**known, **objects}
        tenants = await write_documents(
            conn, plan.documents, family, made, at["now"], self.patience, self.sinks, lane
        )
        gone = [
            (key.lago_id, known[key].connection_id)
            for key, one in objects.items()
            if key in known and one.connection_id != known[key].connection_id
        ]
        await leave(conn, gone)
        if plan.released:
            await conn.execute(SQL["release"], list(plan.released))
        if tenants:
            await conn.execute(SQL["wake_tenants"], list(tenants))
        return plan.documents


async def _unvoided(conn: Conn, objects: Iterable[Object]) -> Collection[UUID]:
    """The invoices among them that are still in Xero, for voiding them was refused."""
    voided = [one.key.lago_id for one in objects if one.value("status") in VOID]
    rows = await conn.fetch(SQL["unvoided"], voided) if voided else []
    return {row["lago_id"] for row in rows}


async def _in_xero(conn: Conn, invoices: Collection[UUID]) -> Mapping[UUID, Mapping[UUID, InXero]]:
    """What Xero has of the money on these invoices; none of it is sent while they are planned."""
    rows = await conn.fetch(SQL["money_in_xero"], sorted(invoices)) if invoices else []
    found: dict[UUID, dict[UUID, InXero]] = {}
    for row in rows:
        if row["there"]:
            of = found.setdefault(row["target"], {})
            before, cents = of.get(row["lago_id"], InXero()), row["amount_cents"] or 0
            beside = row["kind"] == "overpayment"
            of[row["lago_id"]] = (
                replace(before, excess=cents) if beside else replace(before, on_invoice=cents)
            )
    return found


async def _placed(conn: Conn, objects: Iterable[Object]) -> dict[UUID, Placed]:
    """How those invoices among them that consume credits have them, where Xero was asked for them."""
    invoices = (one for one in objects if one.key.kind == "invoice")
    ids = [one.key.lago_id for one in invoices if consumed(one)]
    rows = await conn.fetch(SQL["placed"], ids) if ids else []
    return {
        row["lago_id"]: Placed(
            frozenset(row["allocated"] or ()),
            frozenset(map(UUID, from_json(row["cleared"] or "{}"))),
        )
        for row in rows
        if row["frozen"]
    }


async def _notes_there(conn: Conn, objects: Iterable[Object]) -> Collection[tuple[UUID, int]]:
    """The notes that the invoices among them consume and that Xero has or may have, by connection."""
    notes = [key.lago_id for key in consumed_notes(objects)]
    rows = await conn.fetch(SQL["notes_there"], notes) if notes else []
    return {(row["lago_id"], row["connection_id"]) for row in rows}


async def _contacts(conn: Conn, keys: Iterable[ObjectKey]) -> dict[UUID, list[int]]:
    """The connections in which the customers among them have contacts."""
    customers = [key.lago_id for key in keys if key.kind == "customer"]
    rows = await conn.fetch(SQL["contacts"], customers) if customers else []
    return {row["lago_id"]: row["connections"] for row in rows}
