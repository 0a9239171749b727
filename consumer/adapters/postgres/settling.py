"""Settling: an answer or a look-up's findings in, each document's new state out, exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from consumer.adapters.postgres.budget import tell_limits
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.answers import Answered, InDoubt, NotDone, Refusal, Reply, Saved, Verdict
from consumer.domain.clocks import Clocks
from consumer.domain.documents import Stands, linked_contact, rest
from consumer.domain.objects import Object, ObjectKey, customer_of, load_facets
from consumer.domain.pacing import Limits
from consumer.domain.translate.contact import name_suffix
from consumer.ports import Absent, Fate, Finding, Other, Sink

SQL = statements("ledger")

REMADE = ("payment", "allocation", "refund")
"""Kinds that Lago may take back and tell of again: a payment that failed succeeds at last."""
GIVE_UP_ALONE = 8
"""So often a document is tried in a request of its own that Xero answers without an outcome."""


@dataclass(slots=True)
class _Writes:
    """What one settlement writes, gathered so that each table gets one statement."""

    saved: list[tuple[Any, ...]] = field(default_factory=list)
    unsent: list[tuple[Any, ...]] = field(default_factory=list)
    failed: list[tuple[Any, ...]] = field(default_factory=list)
    announced: list[tuple[Any, ...]] = field(default_factory=list)
    findings: list[tuple[Any, ...]] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    gained: list[int] = field(default_factory=list)
    """Documents that Xero keeps now, for which others may wait."""
    replanned: list[int] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)


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

    async def resolve(self, request_id: UUID, findings: Mapping[int, Finding]) -> Sequence[Fate]:
        """Record what a look-up found, by position; the request closes when nothing is open."""
        return await self.database.run(lambda c: self._resolve(c, request_id, findings))

    async def _settle(
        self, conn: Conn, request_id: UUID, verdict: Verdict | None, reply: Reply | None
    ) -> Sequence[Fate]:
        request = await conn.fetchrow(SQL["lock_request"], request_id)
        if request is None or request["outcome"] is not None:
            return ()
        tenant_id = request["tenant_id"]
        members = await conn.fetch(SQL["open_members"], request_id)
        if reply is not None or not isinstance(verdict, InDoubt):
            status = reply.status if reply else None
            correlation = reply.correlation if reply else None
            await conn.execute(SQL["answer_request"], request_id, status, correlation)
        if reply is not None:
            await tell_limits(conn, tenant_id, reply, self.limits, self.clocks)
        writes = _Writes()
        look: tuple[str, float] | None = None
        if verdict is None:
            self._unsend(members, writes, "not_executed", delay=self.clocks.look_for_work)
        elif isinstance(verdict, NotDone):
            self._unsend(members, writes, verdict.why)
            if verdict.why == "throttled":
                seconds = verdict.retry_after or self.clocks.look_for_work
                await conn.execute(SQL["block_tenant"], tenant_id, _s(seconds), "throttled", 0)
        elif isinstance(verdict, InDoubt):
            if verdict.batch_refused:
                look = (verdict.why, 0.0)
            elif reply is not None:
                look = (verdict.why, self.clocks.freeze_to_first_byte)
                failures = await conn.fetchval(SQL["failures_of"], tenant_id)
                seconds = min(300.0, 5.0 * 2**failures) * self._scale
                await conn.execute(SQL["block_tenant"], tenant_id, _s(seconds), "unavailable", 1)
        else:
            looking = await self._elements(conn, tenant_id, members, verdict, writes)
            look = ("number_taken", 0.0) if looking else None
        await self._write(conn, request_id, writes)
        if look is not None:
            await conn.execute(SQL["doubt_request"], request_id, look[0], _s(look[1]), False)
        elif verdict is None or not isinstance(verdict, InDoubt):
            outcome = "answered" if isinstance(verdict, Answered) else "not_executed"
            await conn.execute(SQL["close_request"], request_id, outcome)
        await conn.execute(SQL["wake"], tenant_id)
        return writes.fates

    @property
    def _scale(self) -> float:
        return self.clocks.look_for_work / Clocks().look_for_work

    def _backoff(self, member: asyncpg.Record) -> float:
        return float(min(900.0, 5.0 * 2 ** member["attempts"])) * self._scale

    async def _elements(
        self,
        conn: Conn,
        tenant_id: UUID,
        members: Sequence[asyncpg.Record],
        verdict: Answered,
        writes: _Writes,
    ) -> bool:
        """Each element's fate; True if one must be looked up."""
        looking = False
        saved: list[tuple[asyncpg.Record, Saved]] = []
        for member in members:
            element = verdict.elements[member["position"]]
            if isinstance(element, Saved):
                saved.append((member, element))
            elif element.next == "look":
                looking = True
            elif element.next == "wait":
                self._unsend([member], writes, element.code, delay=self._backoff(member))
            elif element.next == "rename":
                self._rename(member, element, writes)
            else:
                self._refuse(member, element, writes)
        await self._saved(conn, tenant_id, saved, writes, "accepted")
        return looking

    async def _saved(
        self,
        conn: Conn,
        tenant_id: UUID,
        saved: Sequence[tuple[asyncpg.Record, Saved]],
        writes: _Writes,
        outcome: str,
    ) -> None:
        """Those that Xero keeps; an id that another document has is a failure naming both."""
        for kind in {member["kind"] for member, _ in saved} - {"contact"}:
            ids = [m["document_id"] for m, _ in saved]
            xero_ids = [s.xero_id for _, s in saved]
            rows = await conn.fetch(SQL["claimed_ids"], tenant_id, kind, xero_ids, ids)
            holders = {row["xero_id"]: row["id"] for row in rows}
            if holders:
                for member, element in saved:
                    if element.xero_id in holders:
                        self._refuse(member, _claimed(member, element, holders), writes)
                saved = [(m, s) for m, s in saved if s.xero_id not in holders]
        now = datetime.now(UTC)
        for member, element in saved:
            # A contact found under our number may be older than this request: it is updated next.
            older = outcome == "found" and member["kind"] == "contact"
            synced = b"" if older else member["sent"]
            xero_id: UUID | None = element.xero_id
            link = _link_of(member)
            if member["sent"] is None and member["kind"] in REMADE:
                xero_id = None  # what Lago tells of again is another one in Xero
            elif link is not None and link != xero_id:
                xero_id, synced = link, member["wanted"]  # made in vain: Lago's link counts
                facts = to_json({"linked": str(link)}).decode()
                writes.findings.append(
                    (member["document_id"], element.xero_id, "linked_elsewhere", facts)
                )
            stands = Stands("sending", member["cause"], member["wanted"], synced, xero_id)
            target = rest(member["kind"], stands)
            writes.saved.append(
                (member["document_id"], stands.xero_id, synced, target.state, target.cause,
                 target.drift, element.status, element.net, element.tax, element.total, element.due)
            )  # fmt: skip
            writes.closed.append((member["position"], outcome))
            if target.drift:
                writes.findings.append((member["document_id"], element.xero_id, "drift", "{}"))
            writes.gained.append(member["document_id"])
            if member["sent"] is None:
                writes.fates.append(Fate(member["kind"], "removed"))
                continue
            self._compare(member, element, writes)
            appended = member["appended_at"]
            after = (now - appended).total_seconds() if appended is not None else None
            writes.fates.append(Fate(member["kind"], "synced", None, after))

    def _compare(self, member: asyncpg.Record, element: Saved, writes: _Writes) -> None:
        """Xero's totals against those sent; a difference is synced, recorded and announced."""
        pairs = {
            name: (member[name], theirs)
            for name, theirs in (
                ("net", element.net),
                ("tax", element.tax),
                ("total", element.total),
            )
            if member[name] is not None and theirs is not None and member[name] != theirs
        }
        if not pairs:
            return
        facts = to_json({name: [str(a), str(b)] for name, (a, b) in pairs.items()}).decode()
        writes.findings.append((member["document_id"], element.xero_id, "totals_differ", facts))
        differences = ", ".join(f"{name} {b} instead of {a}" for name, (a, b) in pairs.items())
        writes.announced.append(
            (member["document_id"], "Inconsistent", "totals_differ",
             f"Xero saved the document with {differences}.",
             "Compare both documents; correct the one in Xero by hand or report a translation fault.")
        )  # fmt: skip
        writes.fates.append(Fate(member["kind"], "synced", "totals_differ"))

    def _refuse(self, member: asyncpg.Record, refusal: Refusal, writes: _Writes) -> None:
        """Failed and announced, unless Lago has said something newer meanwhile."""
        if member["wanted"] != member["sent"]:
            self._unsend([member], writes, "refused")
            return
        if _link_of(member) is not None:
            self._plan_again(member, writes)
            return
        writes.failed.append(
            (member["document_id"], refusal.code, refusal.said, refusal.hint, None)
        )
        writes.announced.append(
            (member["document_id"], "Refused", refusal.code, refusal.said, refusal.hint)
        )
        writes.closed.append((member["position"], "refused"))
        writes.fates.append(Fate(member["kind"], "failed", refusal.code))

    def _rename(self, member: asyncpg.Record, refusal: Refusal, writes: _Writes) -> None:
        """Another active contact has the name: the next try shows a suffix, then a second one."""
        facts = member["customer_facts"]
        key = ObjectKey("customer", member["lago_id"])
        customer = customer_of(Object(key, key.lago_id, load_facets(facts))) if facts else None
        if customer is not None:
            suffixes = [name_suffix(customer, 1), name_suffix(customer, 2)]
            position = suffixes.index(member["suffix"]) + 1 if member["suffix"] in suffixes else 0
            if position < len(suffixes):
                self._unsend([member], writes, "renamed", suffix=suffixes[position])
                return
        self._refuse(member, refusal, writes)

    def _unsend(
        self,
        members: Iterable[asyncpg.Record],
        writes: _Writes,
        outcome: str,
        *,
        delay: float = 0.0,
        suffix: str | None = None,
        batch_limit: int | None = None,
    ) -> None:
        """Certainly not in Xero: back to where it belongs, with a new key next time."""
        uncounted = outcome in ("not_executed", "throttled", "unauthorised", "forbidden")
        for member in members:
            if _link_of(member) is not None:
                self._plan_again(member, writes)
                continue
            stands = Stands(
                "ready", member["cause"], member["wanted"], member["synced"], member["xero_id"]
            )
            target = rest(member["kind"], stands)
            attempts = member["attempts"] - uncounted
            writes.unsent.append(
                (member["document_id"], target.state, target.cause, _s(delay),
                 batch_limit or member["batch_limit"],
                 member["suffix"] if suffix is None else suffix, attempts)
            )  # fmt: skip
            writes.closed.append((member["position"], "dissolved"))
            writes.fates.append(Fate(member["kind"], "dissolved", outcome))

    def _plan_again(self, member: asyncpg.Record, writes: _Writes) -> None:
        """Lago has linked the contact while it was being created: that one is used instead."""
        writes.replanned.append(member["document_id"])
        writes.closed.append((member["position"], "dissolved"))
        writes.fates.append(Fate(member["kind"], "dissolved", "linked"))

    async def _resolve(
        self, conn: Conn, request_id: UUID, findings: Mapping[int, Finding]
    ) -> Sequence[Fate]:
        request = await conn.fetchrow(SQL["lock_request"], request_id)
        if request is None or request["outcome"] is not None:
            return ()
        members = await conn.fetch(SQL["open_members"], request_id)
        writes = _Writes()
        adopted: list[tuple[asyncpg.Record, Saved]] = []
        absent = []
        for member in members:
            finding = findings.get(member["position"])
            if isinstance(finding, Saved):
                adopted.append((member, finding))
            elif isinstance(finding, Other):
                self._refuse(member, _taken(finding.sentence), writes)
            elif isinstance(finding, Absent):
                absent.append(member)
        how = "found" if request["doubt"] == "number_taken" else "adopted"
        await self._saved(conn, request["tenant_id"], adopted, writes, how)
        self._dissolve(request, absent, len(members), writes)
        await self._write(conn, request_id, writes)
        if len(writes.closed) == len(members):
            await conn.execute(SQL["close_request"], request_id, "looked_up")
        await conn.execute(SQL["wake"], request["tenant_id"])
        return writes.fates

    def _dissolve(
        self,
        request: asyncpg.Record,
        absent: Sequence[asyncpg.Record],
        size: int,
        writes: _Writes,
    ) -> None:
        """Xero has none of these: send again, halved if the batch itself seems to be at fault."""
        doubt = request["doubt"] or "no_answer"
        if doubt == "number_taken":
            for member in absent:
                self._refuse(
                    member, _taken("Xero says the number is taken, but shows no holder."), writes
                )
            return
        if doubt == "no_answer":
            self._unsend(absent, writes, doubt)
            return
        final = doubt.startswith("whole_") or doubt == "key_reused"
        if size == 1 and (final or any(m["attempts"] >= GIVE_UP_ALONE for m in absent)):
            refusal = Refusal(
                "request_refused",
                f"Xero refuses the whole request ({doubt}) without naming a reason.",
                "Look at the document in Lago for unusual values; Xero's support can trace it.",
            )
            for member in absent:
                self._refuse(member, refusal, writes)
            return
        delay = 0.0 if size > 1 else max((self._backoff(m) for m in absent), default=0.0)
        self._unsend(absent, writes, doubt, delay=delay, batch_limit=max(1, size // 2))

    async def _write(self, conn: Conn, request_id: UUID, writes: _Writes) -> None:
        if writes.saved:
            await conn.execute(SQL["settle_documents"], *columns(writes.saved, 11))
        if writes.unsent:
            await conn.execute(SQL["unsend_documents"], *columns(writes.unsent, 7))
        if writes.failed:
            await conn.execute(SQL["fail_documents"], *columns(writes.failed, 5))
        if writes.announced:
            await conn.execute(SQL["announce_documents"], *columns(writes.announced, 5), self.sinks)
        if writes.findings:
            await conn.execute(SQL["find"], *columns(writes.findings, 4))
        if writes.closed:
            await conn.execute(SQL["close_members"], request_id, *columns(writes.closed, 2))
        if writes.replanned:
            await conn.execute(SQL["plan_again"], sorted(writes.replanned))
        if writes.gained:
            await conn.execute(SQL["release_waiting"], writes.gained)


def _link_of(member: asyncpg.Record) -> UUID | None:
    """The contact that Lago links by now, if Xero's id of the member's own is not known yet."""
    if member["kind"] != "contact" or member["xero_id"] is not None or not member["customer_facts"]:
        return None
    key = ObjectKey("customer", member["lago_id"])
    customer = customer_of(Object(key, key.lago_id, load_facets(member["customer_facts"])))
    return linked_contact(customer, member["connection_code"]) if customer is not None else None


def _claimed(member: asyncpg.Record, element: Saved, holders: Mapping[UUID, int]) -> Refusal:
    return Refusal(
        "identity_claimed",
        f"Document {holders[element.xero_id]} already holds Xero's {element.xero_id}; "
        f"document {member['document_id']} claims it too.",
        "Two Lago documents meet in one Xero document: correct the numbering, then retry.",
    )


def _taken(sentence: str) -> Refusal:
    return Refusal(
        "number_taken",
        sentence,
        "Compare both; correct the one in Xero or give the connection a number_prefix.",
    )


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, 10_000_000))
