"""The planner: objects that changed in, their documents' rows and the releases that follow out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.documents import Patience, write_documents
from consumer.adapters.postgres.objects import lock_objects, write_objects
from consumer.adapters.postgres.sql import statements
from consumer.domain.documents import Planned
from consumer.domain.invoices import VOID
from consumer.domain.objects import Object, ObjectKey
from consumer.domain.planning import plan_family
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
    ) -> Sequence[Planned]:
        """Plan ``objects`` and write all that changed; returns all that they ask for.

        Args:
            known: the locked rows, as they were.
            made: when each event that changed an object was appended.
            due: as for ``again``.
        """
        at = await conn.fetchrow(SQL["now"])
        assert at is not None
        plan = plan_family(
            known,
            objects,
            (await self.configuration.at(conn, at["revision"])).connections,
            await _contacts(conn, objects),
            now=at["now"],
            patience=self.patience.home,
            due=due,
            unvoided=await _unvoided(conn, objects.values()),
        )
        objects.update(plan.objects)
        await write_objects(conn, known, objects)
        family = {**known, **objects}
        tenants = await write_documents(
            conn, plan.documents, family, made, at["now"], self.patience, self.sinks
        )
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


async def _contacts(conn: Conn, keys: Iterable[ObjectKey]) -> dict[UUID, list[int]]:
    """The connections in which the customers among them have contacts."""
    customers = [key.lago_id for key in keys if key.kind == "customer"]
    rows = await conn.fetch(SQL["contacts"], customers) if customers else []
    return {row["lago_id"]: row["connections"] for row in rows}
