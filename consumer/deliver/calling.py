"""Calling: a tenant's authorisation in, tokens and counted calls out; who is refused is parked."""

from __future__ import annotations

import time
from uuid import UUID

import structlog

from consumer.domain.answers import NotDone, Reply
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted, Throttled, Unauthorised
from consumer.domain.operations import OPERATIONS, DocumentKind
from consumer.metrics import Metrics
from consumer.ports import Accounting, Authorisation, Authorisations, Call, Ledger, Tokens

log = structlog.get_logger()

RESTING_DAYS = 30
"""Half of what Xero allows: there is a month left to find out why it does not work."""
RENEWALS = 20
PROBLEMS = ("minute", "day", "concurrent", "appminute")
"""The limits that Xero's X-Rate-Limit-Problem names (xero.md 2)."""


def kind_of(purpose: str) -> DocumentKind:
    """The kind of document that a request of this purpose carries."""
    return OPERATIONS[purpose].kind


class Caller:
    """Makes calls for sending and for resolving alike."""

    def __init__(
        self,
        accounting: Accounting,
        tokens: Tokens,
        authorisations: Authorisations,
        ledger: Ledger,
        metrics: Metrics,
        clocks: Clocks,
    ) -> None:
        self.accounting = accounting
        self.tokens = tokens
        self.authorisations = authorisations
        self.ledger = ledger
        self.metrics = metrics
        self.clocks = clocks
        self._refused: dict[int, set[str]] = {}
        self._away_until: dict[int, float] = {}

    async def token(self, tenant_id: UUID, authorisation_id: int) -> str | None:
        """A token, fetched before anything is frozen; None if the tenant must wait or is parked.

        While the identity server is away it is asked once in a while for each authorisation, not
        once for each of its tenants.
        """
        pause = self.clocks.stretched(5)
        left = self._away_until.get(authorisation_id, 0.0) - time.monotonic()
        if left > 0:
            await self.ledger.block(tenant_id, left, "identity")
            return None
        authorisation = await self.authorisations.get(authorisation_id)
        try:
            return await self.tokens.token(authorisation)
        except Throttled as error:
            log.warning("token_unavailable", code=error.code, authorisation=authorisation_id)
            self._away_until[authorisation_id] = time.monotonic() + pause
            await self.ledger.block(tenant_id, pause, "identity")
        except Unauthorised as error:
            await self._park(tenant_id, error, authorisation)
        return None

    async def renew_resting(self) -> int:
        """Renew consents that would end unused (xero.md 1: after 60 days), and finish renewals that
        somebody left unfinished, while Xero still takes the old token (30 minutes); how many."""
        resting = await self.authorisations.resting(RESTING_DAYS * self.clocks.day, RENEWALS)
        for tenant_id, authorisation_id in resting:
            authorisation = await self.authorisations.get(authorisation_id)
            try:
                await self.tokens.renew(authorisation)
            except Throttled as error:
                log.warning("token_unavailable", code=error.code, authorisation=authorisation_id)
            except Unauthorised as error:
                await self._park(tenant_id, error, authorisation)
        return len(resting)

    async def call(self, call: Call, purpose: str) -> Reply:
        """One call, counted in the metrics by its outcome; raises as ``Accounting`` does."""
        started = time.perf_counter()
        outcome = "no_answer"
        try:
            reply = await self.accounting.call(call)
            outcome = "429" if reply.status == 429 else f"{reply.status // 100}xx"
            if reply.status == 429:
                problem = (reply.limits.problem or "").lower()
                self.metrics.throttled.labels(problem if problem in PROBLEMS else "other").inc()
            return reply
        except NotExecuted:
            outcome = "not_executed"
            raise
        except Doubt:
            raise
        finally:
            self.metrics.calls.labels(purpose, outcome).inc()
            self.metrics.call_seconds.labels(purpose).observe(time.perf_counter() - started)

    def accepted(self, authorisation_id: int) -> None:
        """Xero took a token of this authorisation."""
        self._refused.pop(authorisation_id, None)

    async def refused(
        self, tenant_id: UUID, authorisation_id: int, token: str, verdict: NotDone
    ) -> None:
        """401: forget the token; a second fresh one refused parks the authorisation. 403: the tenant."""
        if verdict.why == "forbidden":
            error = Unauthorised(
                "tenant_forbidden",
                "Xero does not let our client into this organisation.",
                "Connect the organisation to the client again: lago-xero connect where people consent, "
                "else in Xero, then run apply.",
            )
            await self._park(tenant_id, error, None)
        elif verdict.why in ("unauthorised", "scope"):
            authorisation = await self.authorisations.get(authorisation_id)
            self.tokens.forget(authorisation, token)
            refused = self._refused.setdefault(authorisation_id, set())
            refused.add(token)
            if len(refused) > 1:
                error = Unauthorised(
                    "token_refused",
                    "Xero refuses fresh tokens of this authorisation.",
                    "Check the client's scopes and its connection in Xero, then run apply, or "
                    "lago-xero connect where people consent.",
                )
                await self._park(tenant_id, error, authorisation)

    async def _park(
        self, tenant_id: UUID, error: Unauthorised, authorisation: Authorisation | None
    ) -> None:
        if await self.ledger.park(tenant_id, error, authorisation):
            self.metrics.parked.labels(error.code).inc()
            log.error("parked", tenant=str(tenant_id), code=error.code, hint=error.hint)


class Measured:
    """``Accounting`` by way of a caller: all calls have one purpose in the metrics."""

    def __init__(self, caller: Caller, purpose: str) -> None:
        self.caller = caller
        self.purpose = purpose

    async def call(self, call: Call) -> Reply:
        """As ``Accounting`` says."""
        return await self.caller.call(call, self.purpose)
