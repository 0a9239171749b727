"""Freezing: a tenant in, its next request out, written down with its members before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
from pydantic_core import to_json

from consumer.adapters.postgres.budget import backfill_wait, insert_request, seconds_to_wait
from consumer.adapters.postgres.candidates import candidate_of
from consumer.adapters.postgres.client_minute import ClientMinute
from consumer.adapters.postgres.configuration import Configuration, Snapshot
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.documents import leave_deducted
from consumer.adapters.postgres.failing import fail_documents, put_back
from consumer.adapters.postgres.looking_first import together
from consumer.adapters.postgres.sql import array_of, statements
from consumer.domain.batching import Batch, Failure, assemble, findings_of
from consumer.domain.candidates import Candidate
from consumer.domain.causes import of_connection
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Refused, fault
from consumer.domain.operations import OPERATIONS, Operation, operation_of
from consumer.domain.pacing import BACKFILL, LIVE, Limits, gap
from consumer.domain.translate.locks import LOCK
from consumer.ports import Fate, Freezing, Frozen, Sink, Unavailable

SQL = statements("ledger")

FIRST = ("contact", "create")
_STEPS = (
    [operation.kind for operation in OPERATIONS.values()],
    [operation.step for operation in OPERATIONS.values()],
)
"""Kinds and steps, as two columns."""
HELD_AT_ONCE = 500
"""Documents of a paused connection that one transaction sets aside."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a request may be."""

    documents: int = 50
    bytes: int = 3_000_000


class Freezer:
    """Looks for work and writes requests down; the tenant's row lock is the right to do so."""

    def __init__(
        self,
        database: Database,
        configuration: Configuration,
        *,
        limits: Limits,
        clocks: Clocks,
        sinks: Sequence[Sink],
        shape: Shape | None = None,
    ) -> None:
        self.database = database
        self.configuration = configuration
        self.limits = limits
        self.clocks = clocks
        self.sinks = list(sinks)
        self.shape = shape or Shape()
        self._fewer: dict[UUID, int] = {}
        """Most documents of a tenant whose request could not be frozen in time, until it has no more."""
        self.client_minute = ClientMinute(limits, clocks)

    async def due(self, limit: int) -> tuple[Sequence[tuple[UUID, int]], float]:
        """Tenants with work, and seconds until the next has some (at most a look's interval)."""
        look = self.clocks.look_for_work
        rows = await self.database.fetch(SQL["due"], timedelta(seconds=look), limit)
        waits = [row["wait"] for row in rows if not row["due"]]
        due = [(row["id"], row["authorisation_id"]) for row in rows if row["due"]]
        return due, max(0.0, min([look, *waits]))

    async def freeze(self, tenant_id: UUID) -> Freezing:
        """The tenant's next request; None in it if there is no work, no budget or another pod is at it."""
        most = self._fewer.get(tenant_id, self.shape.documents)
        try:
            freezing = await self.database.run(lambda conn: self._freeze(conn, tenant_id, most))
        except Unavailable:  # what is ready may be too large to be translated in one transaction
            self._fewer[tenant_id] = max(1, most // 2)
            raise
        if freezing.frozen is None:
            self._fewer.pop(tenant_id, None)
        return freezing

    async def _freeze(self, conn: Conn, tenant_id: UUID, most: int) -> Freezing:
        tenant = await conn.fetchrow(SQL["lock_tenant"], tenant_id)
        if tenant is None or tenant["parked"]:
            return Freezing(busy=tenant is None)
        seconds, counts, told = await seconds_to_wait(
            conn, tenant_id, tenant, self.limits, self.clocks, lookup=False
        )
        if seconds > 0:
            await self._sleep(conn, tenant_id, seconds)
            return Freezing()
        snapshot = await self.configuration.at(conn, tenant["revision"])
        operation, lane = await self._operation(conn, tenant_id)
        if operation is None:
            await self._sleep(conn, tenant_id, 0)
            return Freezing()
        if lane >= BACKFILL:
            seconds = backfill_wait(counts, told, self.limits, self.clocks)
            if seconds > 0:
                more = await self._sleep(conn, tenant_id, seconds, BACKFILL)
                return Freezing(more=more)
        most = min(most, operation.most)
        rows = await conn.fetch(SQL["ready"], tenant_id, operation.kind, operation.step, most)
        if any(row["connection_id"] in snapshot.paused for row in rows):
            await conn.execute(
                SQL["hold_paused"], tenant_id, operation.kind, operation.step, HELD_AT_ONCE
            )
            return Freezing(more=await self._sleep(conn, tenant_id, 0))
        full = len(rows) >= most
        seconds = gap(counts, self.limits, minute=self.clocks.minute, full=full)
        if seconds <= 0:
            client = tenant["authorisation_id"]
            reached = snapshot.tenants.get(client, ())
            seconds = await self.client_minute.seconds_to_wait(conn, client, reached)
        if seconds > 0:
            await self._sleep(conn, tenant_id, seconds)
            return Freezing()
        if (operation.kind, operation.step) == ("credit_note", "create"):
            # An invoice may have been frozen with a line of it since it was planned.
            left = await leave_deducted(conn, [row["id"] for row in rows])
            rows = [row for row in rows if row["id"] not in left]
        rows, look = await together(conn, operation, rows, self.clocks)
        candidates, broken = await self._candidates(conn, operation, rows)
        batch = assemble(
            candidates,
            operation,
            snapshot.connections,
            snapshot.charts,
            max_elements=self.shape.documents,
            max_bytes=self.shape.bytes,
        )
        batch = replace(batch, failures=(*broken, *batch.failures))
        batch = await self._claim_numbers(conn, tenant_id, operation, batch)
        fates = await self._fail(conn, batch.failures, rows, snapshot, operation)
        notes = tuple(note for _, note in batch.notes)
        if batch.dust:
            await conn.execute(SQL["count_dust"], list(batch.dust))
            await conn.execute(SQL["release_waiting"], list(batch.dust))
            fates += tuple(Fate(operation.kind, "synced") for _ in batch.dust)
        if batch.locked:
            code_of = {row["id"]: snapshot.connections[row["connection_id"]].code for row in rows}
            causes = [of_connection(LOCK, code_of[id]) for id in batch.locked]
            await conn.execute(SQL["hold_drafts"], list(batch.locked), causes)
        if batch.stale:
            await conn.execute(SQL["plan_again"], list(batch.stale))
        frozen = None
        if batch.elements:
            path = operation.path_of(rows[0]["xero_id"], rows[0]["source_id"])
            frozen = await self._write_down(
                conn, tenant_id, tenant["authorisation_id"], operation, path, batch
            )
        if frozen is not None and look is not None:
            await look(conn, frozen.request_id)
            frozen = None
        more = await self._sleep(conn, tenant_id, 0)  # at once, for what is behind them
        return Freezing(frozen, fates, notes, more=more)

    async def _candidates(
        self, conn: Conn, operation: Operation, rows: Sequence[asyncpg.Record]
    ) -> tuple[list[Candidate], list[Failure]]:
        """What may be sent, and the documents whose stored facts cannot be read."""
        credits: dict[int, tuple[Sequence[UUID], ...]] = {}
        if operation.kind == "invoice" and operation.step != "remove":
            found = await conn.fetch(SQL["allocated"], [row["id"] for row in rows])
            credits = {row["id"]: (row["allocated"], row["cleared"], row["there"]) for row in found}
        candidates, broken = [], []
        for row in rows:
            try:
                candidates.append(candidate_of(row, *credits.get(row["id"], ())))
            except Exception as error:  # noqa: BLE001 - one document must not stop its tenant
                broken.append(Failure(row["id"], fault(error)))
        return candidates, broken

    async def _write_down(
        self,
        conn: Conn,
        tenant_id: UUID,
        authorisation_id: int,
        operation: Operation,
        path: str,
        batch: Batch,
    ) -> Frozen:
        """The request with its members; from now on their documents are being sent."""
        elements, noticed = batch.elements, findings_of(batch.notes)
        request_id = uuid4()
        body = operation.body([element.body for element in elements])
        await insert_request(
            conn,
            id=request_id,
            tenant_id=tenant_id,
            purpose=operation.name,
            method=operation.method,
            path=path,
            body=body,
            clocks=self.clocks,
            look=True,
        )
        totals = [e.totals for e in elements]
        await conn.execute(
            SQL["send_documents"],
            request_id,
            list(range(len(elements))),
            [e.document_id for e in elements],
            [e.wanted for e in elements],
            [t.net if t else None for t in totals],
            [t.tax if t else None for t in totals],
            [t.total if t else None for t in totals],
            [e.suffix for e in elements],
            [e.number for e in elements],
            [None if e.allocated is None else array_of(e.allocated) for e in elements],
            [e.dated for e in elements],
            [
                to_json(noticed[e.document_id]).decode() if e.document_id in noticed else None
                for e in elements
            ],
            [
                to_json({str(id): f"{a:f}" for id, a in e.cleared.items()}).decode()
                for e in elements
            ],
            [e.own_day for e in elements],
            [e.contact_id for e in elements],
        )
        return Frozen(
            request_id,
            tenant_id,
            authorisation_id,
            operation.name,
            operation.method,
            path,
            body,
            len(elements),
        )

    async def _sleep(self, conn: Conn, tenant_id: UUID, seconds: float, lane: int = LIVE) -> bool:
        """Set when to look next: not before a document is ready, nor, for the lanes from ``lane`` on, before
        ``seconds``; True if that is now."""
        return bool(await conn.fetchval(SQL["sleep"], tenant_id, *_STEPS, seconds, lane))

    async def _operation(self, conn: Conn, tenant_id: UUID) -> tuple[Operation | None, int]:
        """The first lane first; in it dependencies, new contacts, then whatever waits longest. A call that is
        not full takes the other lanes' documents along."""
        rows = await conn.fetch(SQL["first_ready"], tenant_id, *_STEPS)
        if not rows:
            return None, LIVE
        first = min(rows, key=lambda r: (r["lane"], (r["kind"], r["step"]) != FIRST, r["ready_at"]))
        return operation_of(first["kind"], first["step"]), first["lane"]

    async def _claim_numbers(
        self, conn: Conn, tenant_id: UUID, operation: Operation, batch: Batch
    ) -> Batch:
        """A number belongs to one document of a tenant; the second claimant fails, naming both."""
        numbers = [e.number for e in batch.elements if e.number is not None]
        if not numbers:
            return batch
        ids = [e.document_id for e in batch.elements]
        rows = await conn.fetch(SQL["claimed_numbers"], tenant_id, numbers, operation.kind, ids)
        holders: dict[str, int] = {row["number"]: row["id"] for row in rows}
        kept, failures = [], list(batch.failures)
        for element in batch.elements:
            if element.number is None:
                kept.append(element)
                continue
            holder = holders.setdefault(element.number, element.document_id)
            if holder == element.document_id:
                kept.append(element)
                continue
            error = Refused(
                "number_claimed",
                f"Document {holder} already has the number {element.number} in this Xero "
                f"organisation; document {element.document_id} claims it too.",
                "Give the connections different number_prefix values, or correct Lago's numbering.",
            )
            failures.append(Failure(element.document_id, error))
        return replace(batch, elements=tuple(kept), failures=tuple(failures))

    async def _fail(
        self,
        conn: Conn,
        failures: Sequence[Failure],
        rows: Sequence[asyncpg.Record],
        snapshot: Snapshot,
        operation: Operation,
    ) -> tuple[Fate, ...]:
        if not failures:
            return ()
        connection_of = {row["id"]: row["connection_id"] for row in rows}
        ordered = sorted(failures, key=lambda failure: failure.document_id)
        causes = []
        for failure in ordered:
            connection = snapshot.connections[connection_of[failure.document_id]]
            cause = failure.error.cause
            causes.append(of_connection(cause, connection.code) if cause else None)
        ids = [f.document_id for f in ordered]
        errors = [f.error for f in ordered]
        await fail_documents(conn, ids, errors, causes, self.sinks)
        if operation == OPERATIONS["invoice_void"]:
            await put_back(conn, ids)
        return tuple(Fate(operation.kind, "failed", e.code) for e in errors)
