"""Reading: a request in doubt and paths in, what Xero shows there out; each call is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from consumer.deliver.calling import Caller, kind_of
from consumer.domain.answers import InDoubt, NotDone, Reply, Saved
from consumer.domain.classifying import GRANTED_APART, SCOPE_MISSING, not_done
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted
from consumer.domain.lookup import Found, parse_allocations, parse_found
from consumer.domain.operations import DocumentKind
from consumer.ports import Budget, Call, Doubtful

SKEW = timedelta(minutes=5)
"""How far Xero's clock and the database's may be apart when a sweep asks what changed since."""


class Postponed(Exception):
    """The request cannot be looked at now, for a reason that will pass; again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"look again in {seconds:.1f} s")
        self.seconds = seconds


class Reader:
    """Asks Xero on behalf of requests in doubt; all raise as ``call`` does, and ``Doubt`` where an answer
    tells nothing."""

    def __init__(self, caller: Caller, budget: Budget, clocks: Clocks) -> None:
        self.caller = caller
        self.budget = budget
        self.clocks = clocks

    async def read(
        self, doubtful: Doubtful, paths: Sequence[str], *, single: bool = False
    ) -> list[Saved]:
        """All that is there; ``single``: a path shows one document, or none."""
        saved: list[Saved] = []
        for path in paths:
            found = await self.page(doubtful, path, single=single)
            saved += found.saved
        return saved

    async def sweep(self, doubtful: Doubtful, path: Callable[[int], str]) -> list[Saved]:
        """All of a kind that changed since the freeze."""
        return await self.pages(doubtful, path, since=doubtful.started_at - SKEW)

    async def pages(
        self, doubtful: Doubtful, path: Callable[[int], str], since: datetime | None = None
    ) -> list[Saved]:
        """All pages, whose path ``path`` gives by number; what changed ``since``."""
        saved: list[Saved] = []
        page, pages = 0, 1
        while page < pages:
            page += 1
            found = await self.page(doubtful, path(page), since=since)
            saved += found.saved
            pages = found.pages
        return saved

    async def page(
        self,
        doubtful: Doubtful,
        path: str,
        *,
        single: bool = False,
        since: datetime | None = None,
        kind: DocumentKind | None = None,
    ) -> Found:
        """One page, of the request's kind if ``kind`` does not say another."""
        reply = await self.call(doubtful, "GET", path, "lookup", None, since)
        kind = kind or kind_of(doubtful.frozen.purpose)
        return self._found(parse_found(reply, kind, single=single))

    async def allocations(self, doubtful: Doubtful) -> Sequence[Saved]:
        """Those of the credit note that the request takes from."""
        note = "/".join(doubtful.frozen.path.split("/")[:2])
        reply = await self.call(doubtful, "GET", note, "lookup", None)
        return self._found(parse_allocations(reply)).saved

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

    async def call(
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
            if refused.why == "scope" and kind_of(frozen.purpose) in GRANTED_APART:
                raise Doubt(SCOPE_MISSING, "Xero does not let our client look it up.")
            await self.caller.refused(frozen.tenant_id, frozen.authorisation_id, token, refused)
        return reply
