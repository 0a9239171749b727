"""Settling: an answer or what a look-up shows in, each document's new state out, exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from consumer.adapters.postgres.budget import tell_limits
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.members import contacts_of, open_members
from consumer.adapters.postgres.outcomes import wake, write
from consumer.adapters.postgres.sql import columns, interval, statements
from consumer.domain.answers import Answered, InDoubt, NotDone, Refusal, Reply, Saved, Verdict
from consumer.domain.clocks import Clocks
from consumer.domain.dependents import settle_dependents
from consumer.domain.lookup import ALREADY_PAID, RESTORED
from consumer.domain.merging import Traced
from consumer.domain.operations import OPERATIONS
from consumer.domain.outcomes import (
    Member,
    changed_in_xero,
    claimed,
    excess_unclear,
    taken,
)
from consumer.domain.pacing import Limits
from consumer.domain.refusals import ARCHIVED, PAID_ALREADY
from consumer.domain.settlement import DRAFT_REFUSED, Settlement
from consumer.domain.surpluses import settle_beyond, settle_late, settle_unasked
from consumer.ports import Absent, ByHand, Fate, Other, Sighting, Sink

SQL = statements("ledger")


class Settler:
    """Implements the part of ``Ledger`` that records outcomes."""

    def __init__(
        self, database: Database, *, limits: Limits, clocks: Clocks, sinks: Sequence[Sink]
    ) -> None:
        self.database = database
        self.limits = limits
        self.clocks = clocks
        self.sinks = list(sinks)

    async def settle(
        self, request_id: UUID, verdict: Verdict | None, reply: Reply | None
    ) -> Sequence[Fate]:
        """Record an answer; to a closed request it changes nothing."""
        return await self.database.run(lambda c: self._settle(c, request_id, verdict, reply))

    async def resolve(self, request_id: UUID, sightings: Mapping[int, Sighting]) -> Sequence[Fate]:
        """Record what a look-up showed, by position; the request closes when nothing is open."""
        return await self.database.run(lambda c: self._resolve(c, request_id, sightings))

    async def audited(
        self, request_id: UUID, found: Mapping[int, Sequence[Saved]]
    ) -> Sequence[Fate]:
        """Record all that Xero has of it, by position: what the ledger does not know is removed."""
        return await self.database.run(lambda c: self._audited(c, request_id, found))

    async def _audited(
        self, conn: Conn, request_id: UUID, found: Mapping[int, Sequence[Saved]]
    ) -> Sequence[Fate]:
        request = await conn.fetchrow(SQL["lock_request"], request_id)
        members = await open_members(conn, request_id, closed=True)
        if request is None or any(member.stands.state == "sending" for member in members):
            return ()  # what is under way may have made it: looked at again
        settlement = Settlement(self.clocks.backoff)
        kind = OPERATIONS[request["purpose"]].kind
        ids = [one.xero_id for saved in found.values() for one in saved]
        rows = await conn.fetch(SQL["claimed_ids"], request["tenant_id"], kind, ids, [])
        ours = {row["xero_id"] for row in rows}
        for member in members:
            beyond = [one for one in found.get(member.position, ()) if one.xero_id not in ours]
            # An allocation bears no marker: a person's own may look like it.
            settle_beyond(settlement, member, beyond, ours=member.kind != "allocation")
        fates = await write(conn, request_id, settlement, self.sinks)
        await conn.execute(SQL["end_audit"], request_id)
        await wake(conn, request["tenant_id"], settlement)
        return fates

    async def _settle(
        self, conn: Conn, request_id: UUID, verdict: Verdict | None, reply: Reply | None
    ) -> Sequence[Fate]:
        request = await conn.fetchrow(SQL["lock_request"], request_id)
        if request is None:
            return ()
        if request["outcome"] is not None:
            return await self._late(conn, request_id, request["tenant_id"], verdict)
        tenant_id = request["tenant_id"]
        members = await open_members(conn, request_id)
        if reply is not None or not isinstance(verdict, InDoubt):
            status = reply.status if reply else None
            correlation = reply.correlation if reply else None
            await conn.execute(SQL["answer_request"], request_id, status, correlation)
        if reply is not None:
            await tell_limits(conn, tenant_id, reply, self.limits, self.clocks)
        settlement = Settlement(self.clocks.backoff)
        look: tuple[str, float] | None = None
        if verdict is None:
            settlement.unsend(members, "not_executed", delay=self.clocks.look_for_work)
        elif isinstance(verdict, NotDone):
            settlement.unsend(members, verdict.why)
            if verdict.why == "throttled":
                seconds = verdict.retry_after or self.clocks.look_for_work
                await conn.execute(
                    SQL["block_tenant"], tenant_id, interval(seconds), "throttled", 0
                )
        elif isinstance(verdict, InDoubt):
            settle_unasked(settlement, members, verdict.surplus)
            if verdict.batch_refused:
                look = (verdict.why, 0.0)
            elif reply is not None:
                look = (verdict.why, self.clocks.freeze_to_first_byte)
                failures = await conn.fetchval(SQL["failures_of"], tenant_id)
                seconds = self.clocks.backoff(failures, most=300.0)
                await conn.execute(
                    SQL["block_tenant"], tenant_id, interval(seconds), "unavailable", 1
                )
        else:
            doubt = await self._elements(conn, request_id, tenant_id, members, verdict, settlement)
            look = (doubt, 0.0) if doubt else None
        fates = await write(conn, request_id, settlement, self.sinks)
        if look is not None:
            said = verdict.said if isinstance(verdict, InDoubt) else ""
            await conn.execute(
                SQL["doubt_request"], request_id, look[0], interval(look[1]), said or None
            )
        elif verdict is None or not isinstance(verdict, InDoubt):
            outcome = "answered" if isinstance(verdict, Answered) else "not_executed"
            await conn.execute(SQL["close_request"], request_id, outcome)
        await wake(conn, tenant_id, settlement)
        return fates

    async def _late(
        self, conn: Conn, request_id: UUID, tenant_id: UUID, verdict: Verdict | None
    ) -> Sequence[Fate]:
        """An answer to what was settled without it: all that it can tell is that there is too much."""
        if not isinstance(verdict, Answered):
            return ()
        settlement = Settlement(self.clocks.backoff)
        members = await open_members(conn, request_id, closed=True)
        rows = await conn.fetch(SQL["surplus"], [member.document_id for member in members])
        told = {row["xero_id"] for row in rows}
        for member in members:
            answer = verdict.elements[member.position]
            if isinstance(answer, Saved) and answer.xero_id not in told:
                settle_late(settlement, member, answer)
        fates = await write(conn, request_id, settlement, self.sinks)
        await wake(conn, tenant_id, settlement)
        return fates

    async def _elements(
        self,
        conn: Conn,
        request_id: UUID,
        tenant_id: UUID,
        members: Sequence[Member],
        verdict: Answered,
        settlement: Settlement,
    ) -> str | None:
        """Each element's fate; why some must be looked up."""
        looked: list[tuple[Member, Refusal]] = []
        voids: list[tuple[Member, Refusal]] = []
        drafts = False
        saved: list[tuple[Member, Saved]] = []
        for member in members:
            element = verdict.elements[member.position]
            if isinstance(element, Saved):
                saved.append((member, element))
            elif settlement.refused_draft(member, element):
                drafts = True
            elif settlement.refused_void(member, element):
                voids.append((member, element))
            elif element.next == "look" and member.is_looked_up(element):
                looked.append((member, element))
            elif element.next == "wait":
                settlement.wait(member, element)
            elif element.next == "rename":
                settlement.rename(member, element)
            else:
                settlement.refuse(member, element)
        await self._keep(conn, tenant_id, saved, settlement, "accepted")
        kept = (*PAID_ALREADY, ARCHIVED)
        told = [(m, r) for m, r in looked if r.code in kept]
        if told or voids:
            rows = [(m.position, r.code, r.said, r.hint) for m, r in (*told, *voids)]
            await conn.execute(SQL["keep_refusals"], request_id, *columns(rows, 4))
        if told:
            return ARCHIVED if any(r.code == ARCHIVED for _, r in told) else ALREADY_PAID
        if drafts or voids:
            return DRAFT_REFUSED
        return "number_taken" if looked else None

    async def _keep(
        self,
        conn: Conn,
        tenant_id: UUID,
        saved: Sequence[tuple[Member, Saved]],
        settlement: Settlement,
        outcome: str,
    ) -> None:
        """Those that Xero keeps; an id that another document has is a failure naming both."""
        holders: dict[UUID, int] = {}
        ids = [member.document_id for member, _ in saved]
        xero_ids = [answer.xero_id for _, answer in saved]
        for kind in {member.kind for member, _ in saved} - {"contact"}:
            rows = await conn.fetch(SQL["claimed_ids"], tenant_id, kind, xero_ids, ids)
            holders |= {row["xero_id"]: row["id"] for row in rows}
        for member, answer in saved:
            if answer.xero_id in holders and member.kind != "contact":
                settlement.refuse(member, claimed(member, answer, holders[answer.xero_id]))
            else:
                settlement.keep(member, answer, outcome)

    async def _resolve(
        self, conn: Conn, request_id: UUID, sightings: Mapping[int, Sighting]
    ) -> Sequence[Fate]:
        request = await conn.fetchrow(SQL["lock_request"], request_id)
        if request is None or request["outcome"] is not None:
            return ()
        if any(isinstance(one, Traced) for one in sightings.values()):
            await conn.execute(SQL["lock_with_contacts"], request_id)
        members = await open_members(conn, request_id)
        settlement = Settlement(self.clocks.backoff)
        dependents: list[tuple[Member, Traced]] = []
        adopted: list[tuple[Member, Saved]] = []
        entered: list[tuple[Member, ByHand]] = []
        absent = []
        for member in members:
            sighting = sightings.get(member.position)
            if isinstance(sighting, Saved):
                adopted.append((member, sighting))
            elif isinstance(sighting, ByHand):
                entered.append((member, sighting))
            elif isinstance(sighting, Traced) and member.kind == "contact":
                settlement.trace(member, sighting)
            elif isinstance(sighting, Traced):
                dependents.append((member, sighting))
            elif isinstance(sighting, Other):
                other = changed_in_xero if member.stands.open else taken
                settlement.refuse(member, other(sighting.sentence))
            elif isinstance(sighting, Absent):
                absent.append(member)
        if dependents:
            contacts = await contacts_of(conn, [member for member, _ in dependents])
            settle_dependents(settlement, dependents, contacts)
        how = "found" if request["doubt"] in ("number_taken", ARCHIVED) else "adopted"
        await self._keep(conn, request["tenant_id"], adopted, settlement, how)
        absent += await self._by_hand(conn, request["tenant_id"], entered, settlement)
        doubt, said = request["doubt"] or "no_answer", request["said"] or ""
        settlement.dissolve(doubt, absent, len(members), said)
        fates = await write(conn, request_id, settlement, self.sinks)
        if doubt == RESTORED:
            told = [m.document_id for m in members if m.position in sightings]
            await conn.execute(SQL["sought"], told)
        if len(settlement.closed) == len(members):
            await conn.execute(SQL["close_request"], request_id, "looked_up")
        await wake(conn, request["tenant_id"], settlement)
        return fates

    async def _by_hand(
        self,
        conn: Conn,
        tenant_id: UUID,
        entered: Sequence[tuple[Member, ByHand]],
        settlement: Settlement,
    ) -> list[Member]:
        """What a person entered counts as one of ours each; returns those that are left without."""
        if not entered:
            return []
        ids = [
            one.xero_id for _, sighting in entered for one in (*sighting.payments, *sighting.others)
        ]
        ours = [member.document_id for member, _ in entered]
        rows = await conn.fetch(SQL["claimed_payments"], tenant_id, ids, ours)
        claimed_ids: set[UUID] = {row["id"] for row in rows}
        left: dict[int, tuple[Member, ByHand]] = {}
        for member, sighting in entered:
            free = (one for one in sighting.payments if one.xero_id not in claimed_ids)
            # What a person paid back was no line on the clearing account.
            theirs = next(free, None) if not member.clears else None
            if theirs is None:
                left[member.document_id] = member, sighting
            else:
                claimed_ids.add(theirs.xero_id)
                settlement.by_hand(member, theirs)
        unsure = [id for id, (_, sighting) in left.items() if sighting.others]
        rows = await conn.fetch(SQL["whole_receipts"], unsure) if unsure else []
        for row in rows:
            member, sighting = left[row["id"]]
            others = [
                one
                for one in sighting.others
                if one.xero_id not in claimed_ids and (row["by_hand"] or one.total == row["whole"])
            ]
            if others:
                settlement.refuse(member, excess_unclear(member, others))
                del left[row["id"]]
        return [member for member, _ in left.values()]
