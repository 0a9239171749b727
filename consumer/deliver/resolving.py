"""Resolving: requests in doubt in; each sent again, adopted or dissolved out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from consumer.deliver.calling import Caller, kind_of
from consumer.deliver.sending import count_fates
from consumer.deliver.stopping import drain, either
from consumer.domain.answers import InDoubt, NotDone, Reply, Saved, classify, not_done
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted
from consumer.domain.lookup import (
    UNRESOLVED,
    Found,
    by_id_path,
    contact_by_number_path,
    contact_sweep_path,
    credit_note_path,
    invoice_lookup_path,
    parse_allocations,
    parse_found,
    payment_sweep_path,
)
from consumer.domain.matching import (
    Mismatch,
    match_allocation,
    match_contact,
    match_numbered,
    match_payment,
    match_removed,
)
from consumer.domain.operations import OPERATIONS, elements_of
from consumer.metrics import Metrics
from consumer.ports import (
    Absent,
    Budget,
    Call,
    Doubtful,
    Finding,
    Ledger,
    Other,
    Sent,
    Unavailable,
)

log = structlog.get_logger()

AT_ONCE = 20
"""Requests that this process looks up side by side."""
A_TENANT = 2
"""Of them, those of one tenant: whose answers are slow must not hold up the others."""
SKEW = timedelta(minutes=5)
"""How far Xero's clock and the database's may be apart when a sweep asks what changed since."""


class Postponed(Exception):
    """The request cannot be looked at now, for a reason that will pass; again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"look again in {seconds:.1f} s")
        self.seconds = seconds


class Resolver:
    """Finds out what became of requests without a usable answer.

    Args:
        on_work: told when documents have moved on or something is to be announced.
    """

    def __init__(
        self,
        ledger: Ledger,
        caller: Caller,
        budget: Budget,
        metrics: Metrics,
        clocks: Clocks,
        on_work: Callable[[], None],
    ) -> None:
        self.ledger = ledger
        self.caller = caller
        self.budget = budget
        self.metrics = metrics
        self.clocks = clocks
        self.on_work = on_work
        self._wake = asyncio.Event()
        self._looks: dict[asyncio.Task[None], UUID] = {}
        """Under way, each with its tenant."""

    async def run(self, stop: asyncio.Event, patience: float = 20.0) -> None:
        """Until ``stop``; look-ups under way then have ``patience`` seconds to end."""
        while not stop.is_set():
            self._wake.clear()
            try:
                await self._begin()
            except Unavailable as error:
                log.warning("ledger_away", why=str(error))
            except Exception:
                log.exception("resolving_fault")  # one bad row must not stop the service
            await either(self._wake, stop, self.clocks.look_for_work)
        await drain(lambda: self._looks, patience)

    async def _begin(self) -> None:
        """Look at what is due, as far as there is room for its tenant."""
        busy = Counter(self._looks.values())
        full = [tenant_id for tenant_id, looks in busy.items() if looks >= A_TENANT]
        room = AT_ONCE - len(self._looks)
        for request_id, tenant_id in await self.ledger.doubtful(room, A_TENANT, full):
            if busy[tenant_id] < A_TENANT:
                busy[tenant_id] += 1
                task = asyncio.create_task(self._resolve(request_id))
                self._looks[task] = tenant_id
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._looks[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("resolving_fault", error=type(error).__name__)

    async def _resolve(self, request_id: UUID) -> None:
        try:
            doubtful = await self.ledger.take_doubt(request_id)
            if doubtful is not None:
                await self._take_up(doubtful)
        except Unavailable as error:  # the claim ends by itself
            log.warning("ledger_away", why=str(error), request_id=str(request_id))

    async def _take_up(self, doubtful: Doubtful) -> None:
        request_id = doubtful.frozen.request_id
        try:
            await (self._resend(doubtful) if doubtful.resend else self._find_out(doubtful))
        except Postponed as later:
            await self.ledger.postpone(request_id, later.seconds)
        except (NotExecuted, Doubt) as error:
            await self._failed(doubtful, error.code)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("resolving_fault", request_id=str(request_id))
            await self._failed(doubtful, type(error).__name__)

    async def _find_out(self, doubtful: Doubtful) -> None:
        findings = await self._look_up(doubtful)
        fates = await self.ledger.resolve(doubtful.frozen.request_id, findings)
        count_fates(self.metrics, fates)
        self.on_work()
        if len(findings) == len(doubtful.members):
            self._ended(doubtful, findings)
        else:  # the rest may still arrive
            raise Postponed(min(doubtful.final_in, self.clocks.stretched(60)))

    async def _failed(self, doubtful: Doubtful, why: str) -> None:
        """The look-up told nothing: the next comes later than the last one did."""
        wait = self.clocks.backoff(doubtful.looks)
        announced = await self.ledger.look_failed(doubtful.frozen.request_id, why, wait)
        if announced:
            self.metrics.doubts.labels("unresolved").inc()
            self.metrics.failures.labels(UNRESOLVED).inc(announced)
            self.on_work()
        log.warning(
            "look_up_failed",
            request_id=str(doubtful.frozen.request_id),
            tenant=str(doubtful.frozen.tenant_id),
            why=why,
            looks=doubtful.looks + 1,
            again_in=wait,
        )

    def _ended(self, doubtful: Doubtful, findings: dict[int, Finding]) -> None:
        adopted = sum(isinstance(f, Saved) for f in findings.values())
        self.metrics.doubts.labels("adopted" if adopted else "dissolved").inc()
        log.info(
            "doubt_resolved",
            request_id=str(doubtful.frozen.request_id),
            why=doubtful.why,
            adopted=adopted,
            absent=sum(isinstance(f, Absent) for f in findings.values()),
        )

    async def _resend(self, doubtful: Doubtful) -> None:
        """The same bytes under the same key: Xero answers as it did, or does it now."""
        frozen = doubtful.frozen
        try:
            reply = await self._call(
                doubtful, frozen.method, frozen.path, "resend", frozen.body or None
            )
        except NotExecuted:
            raise Postponed(self.clocks.look_for_work) from None
        except Doubt:  # not again while this one may be under way
            lease = self.clocks.freeze_to_first_byte + self.clocks.call_timeout
            raise Postponed(lease) from None
        verdict = classify(reply, kind_of(frozen.purpose), elements_of(frozen.body))
        if isinstance(verdict, NotDone):
            # It says nothing of the first call, which may well have been executed.
            raise Postponed(verdict.retry_after or self.clocks.look_for_work)
        fates = await self.ledger.settle(frozen.request_id, verdict, reply)
        count_fates(self.metrics, fates)
        self.on_work()
        if not isinstance(verdict, InDoubt):
            self.metrics.doubts.labels("resent").inc()

    async def _look_up(self, doubtful: Doubtful) -> dict[int, Finding]:
        operation = OPERATIONS[doubtful.frozen.purpose]
        if operation.step == "update":
            return {m.position: Absent() for m in doubtful.members}  # as good as done once
        if operation.kind == "allocation":
            return await self._allocations(doubtful, gone=operation.step == "remove")
        if operation.step == "remove":
            ids = [m.xero_id for m in doubtful.members if m.xero_id is not None]
            paths = by_id_path(operation.kind, ids)
            saved = await self._read(doubtful, paths, single=operation.kind != "invoice")
            gone = {m.position: match_removed(m.xero_id, saved) for m in doubtful.members}
            return {n: one if one is not None else Absent() for n, one in gone.items()}
        if operation.kind == "invoice":
            numbers = [m.number for m in doubtful.members if m.number]
            saved = await self._read(doubtful, invoice_lookup_path(numbers))
            return {m.position: _numbered(m, saved) for m in doubtful.members}
        if operation.kind == "credit_note":
            paths = [credit_note_path(m.number) for m in doubtful.members if m.number]
            saved = await self._read(doubtful, paths, single=True)
            return {m.position: _numbered(m, saved) for m in doubtful.members}
        if operation.kind in ("payment", "refund"):
            return await self._payments(doubtful)
        if doubtful.why == "number_taken":
            paths = [contact_by_number_path(str(m.lago_id)) for m in doubtful.members]
            saved = await self._read(doubtful, paths, single=True)
        else:
            saved = await self._sweep(doubtful, contact_sweep_path)
        return {m.position: _contact(m, saved) for m in doubtful.members}

    async def _payments(self, doubtful: Doubtful) -> dict[int, Finding]:
        """Xero keeps payments apart by nothing, so one may be made twice: it counts as absent only
        once neither the call nor a repetition under its key can still arrive."""
        saved = await self._sweep(doubtful, payment_sweep_path)
        matches = {m.position: match_payment(m.element, saved) for m in doubtful.members}
        if doubtful.final:
            return {n: one if one is not None else Absent() for n, one in matches.items()}
        return {n: one for n, one in matches.items() if one is not None}

    async def _allocations(self, doubtful: Doubtful, *, gone: bool) -> dict[int, Finding]:
        """By their credit note, which names all of its own; ``gone``: were they to be removed?"""
        [member] = doubtful.members
        note = "/".join(doubtful.frozen.path.split("/")[:2])
        reply = await self._call(doubtful, "GET", note, "lookup", None)
        found = self._found(parse_allocations(reply))
        if gone:
            there = any(one.xero_id == member.xero_id for one in found.saved)
            removed = None if there or member.xero_id is None else Saved(member.xero_id)
            return {member.position: removed or Absent()}
        match = match_allocation(member.element, found.saved)
        if match is not None:
            return {member.position: match}
        return {member.position: Absent()} if doubtful.final else {}

    async def _read(
        self, doubtful: Doubtful, paths: Sequence[str], *, single: bool = False
    ) -> list[Saved]:
        saved: list[Saved] = []
        for path in paths:
            found = await self._page(doubtful, path, single=single)
            saved += found.saved
        return saved

    async def _sweep(self, doubtful: Doubtful, path: Callable[[int], str]) -> list[Saved]:
        """All of a kind that changed since the freeze."""
        saved: list[Saved] = []
        page, pages = 0, 1
        while page < pages:
            page += 1
            found = await self._page(doubtful, path(page), since=doubtful.started_at - SKEW)
            saved += found.saved
            pages = found.pages
        return saved

    async def _page(
        self,
        doubtful: Doubtful,
        path: str,
        *,
        single: bool = False,
        since: datetime | None = None,
    ) -> Found:
        reply = await self._call(doubtful, "GET", path, "lookup", None, since)
        return self._found(parse_found(reply, kind_of(doubtful.frozen.purpose), single=single))

    def _found(self, found: Found | NotDone | InDoubt) -> Found:
        """What was found.

        Raises:
            Postponed: the tenant may not be asked now.
            Doubt: the answer tells nothing.
        """
        if isinstance(found, NotDone):
            raise Postponed(found.retry_after or self.clocks.look_for_work)
        if isinstance(found, InDoubt):
            raise Doubt(found.why, "The look-up's answer tells nothing.")
        return found

    async def _call(
        self,
        doubtful: Doubtful,
        method: str,
        path: str,
        purpose: str,
        body: bytes | None,
        since: datetime | None = None,
    ) -> Reply:
        """One counted call on behalf of the request.

        Raises:
            Postponed: the tenant may not be asked now.
            NotExecuted, Doubt: no answer came, as ``Accounting`` says.
        """
        frozen = doubtful.frozen
        token = await self.caller.token(frozen.tenant_id, frozen.authorisation_id)
        if token is None:
            raise Postponed(self.clocks.stretched(10))
        began = asyncio.get_running_loop().time()
        taken = await self.budget.take(frozen.tenant_id, purpose, method, path)
        if isinstance(taken, float):
            raise Postponed(taken)
        key = frozen.request_id if purpose == "resend" else taken
        call = Call(
            tenant_id=frozen.tenant_id,
            token=token,
            method="GET" if method == "GET" else frozen.method,
            path=path,
            body=body,
            idempotency_key=None if method == "GET" else str(key),
            if_modified_since=since,
            first_byte_by=began + self.clocks.freeze_to_first_byte,
            timeout=self.clocks.call_timeout,
        )
        try:
            reply = await self.caller.call(call, purpose)
        except NotExecuted:
            await self.budget.answered(taken, None)
            raise
        await self.budget.answered(taken, reply)
        if refused := not_done(reply):
            await self.caller.refused(frozen.tenant_id, frozen.authorisation_id, token, refused)
        return reply


def _numbered(member: Sent, saved: Sequence[Saved]) -> Finding:
    match = match_numbered(member.element, saved)
    if isinstance(match, Mismatch):
        return Other(match.sentence)
    return Absent() if match is None else match


def _contact(member: Sent, saved: Sequence[Saved]) -> Finding:
    match = match_contact(str(member.lago_id), saved)
    return Absent() if match is None else match
