"""Consents: one rotating token set, stored, shared by all replicas, renewed by one of them at a time.

Xero gives a new refresh token with each renewal and takes the old one for another 30 minutes
(xero.md 1). So the answer is saved before it is used; a process that dies in between leaves its
claim behind, and whoever comes next renews with the old token, well inside those minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from consumer.adapters.xero_auth.identity import (
    TIMEOUT,
    IdentityServer,
    early,
    no_consent,
    unavailable,
)
from consumer.domain.errors import Throttled, Unauthorised
from consumer.ports import Authorisation, Authorisations, Consent, TokenSet, Unavailable

LEASE = 45.0
"""Seconds that a claim holds off others: more than a call takes, far less than Xero's 30 minutes."""
POLL = 0.5
"""Seconds between looks at what another replica is renewing."""
PATIENCE = LEASE + TIMEOUT
"""Seconds that anybody waits for a renewal; the renewal itself goes on."""
_NEVER = float("-inf")


@dataclass(slots=True)
class _Held:
    """The newest token set seen of one authorisation; instants on the monotonic clock."""

    generation: int = -1
    access_token: str = field(default="", repr=False)
    renew_at: float = _NEVER
    usable_until: float = _NEVER
    """A little before its end: while a renewal fails or is another's, it still does."""


class Consented:
    """Implements ``Tokens`` for consents. ``clock`` is the monotonic clock."""

    def __init__(
        self,
        identity: IdentityServer,
        store: Authorisations,
        clock: Callable[[], float] = time.monotonic,
        *,
        lease: float = LEASE,
        poll: float = POLL,
        patience: float = PATIENCE,
    ) -> None:
        self._identity = identity
        self._store = store
        self._clock = clock
        self._lease = lease
        self._poll = poll
        self._patience = patience
        self._held: dict[int, _Held] = {}
        self._renewals: dict[int, asyncio.Task[str]] = {}

    async def token(self, authorisation: Authorisation) -> str:
        """A token good for at least a little while.

        Raises:
            Unauthorised: the consent has ended, or the client is refused.
            Throttled: it cannot be had now (network, 5xx, 429, a renewal that takes long).
        """
        held = self._take(authorisation)
        if self._clock() < held.renew_at:
            return held.access_token
        try:
            return await self._renewed(authorisation)
        except Throttled:
            if self._clock() < held.usable_until:
                return held.access_token
            raise

    async def renew(self, authorisation: Authorisation) -> None:
        """Renew it whatever the present token is worth; raises as ``token`` does."""
        self._take(authorisation).renew_at = _NEVER
        await self._renewed(authorisation)

    def forget(self, authorisation: Authorisation, token: str) -> None:
        """``token`` was refused with 401: the next call renews it, unless a newer one is there."""
        held = self._held.get(authorisation.id)
        if held is not None and held.access_token == token:
            held.renew_at = held.usable_until = _NEVER

    def _take(self, authorisation: Authorisation) -> _Held:
        """Keep what was read if it is newer; the same set read again lives no longer for it."""
        held = self._held.setdefault(authorisation.id, _Held())
        consent = authorisation.consent
        if consent is not None and consent.generation > held.generation:
            end = self._clock() + consent.good_for
            held.generation, held.access_token = consent.generation, consent.access_token
            held.renew_at = end - early(consent.life)
            held.usable_until = end - early(consent.life) / 2
        return held

    async def _renewed(self, authorisation: Authorisation) -> str:
        """Shared by all who wait here; none of them can cut it off."""
        id = authorisation.id
        task = self._renewals.get(id)
        if task is None:
            task = self._renewals[id] = asyncio.create_task(self._renew(authorisation))
            task.add_done_callback(lambda done: self._ended(id, done))
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(task)
        except TimeoutError:
            pass
        raise unavailable("a renewal takes long")

    def _ended(self, id: int, task: asyncio.Task[str]) -> None:
        self._renewals.pop(id, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; perhaps nobody did

    async def _renew(self, authorisation: Authorisation) -> str:
        """Until the store has a set that serves: ours, or one that somebody else saved."""
        while True:
            current = await self._store.get(authorisation.id)
            held = self._take(current)
            if self._clock() < held.renew_at:
                return held.access_token
            consent = current.consent
            if consent is None or not consent.refresh_token:
                raise no_consent()
            if await self._store.claim(current.id, consent.generation, self._lease):
                await self._exchange(authorisation, consent)
            elif self._clock() < held.usable_until:
                return held.access_token
            else:
                await asyncio.sleep(self._poll)

    async def _exchange(self, authorisation: Authorisation, consent: Consent) -> None:
        """Exchange the refresh token and save what comes, unless somebody saved another first."""
        id, generation = authorisation.id, consent.generation
        asked = self._clock()
        form = {"grant_type": "refresh_token", "refresh_token": consent.refresh_token}
        try:
            granted = await self._identity.grant(
                authorisation.client_id, authorisation.client_secret, form
            )
        except Throttled:
            await self._store.unclaim(id, generation, done=False)
            raise
        except Unauthorised:
            await self._store.unclaim(id, generation, done=True)
            now = (await self._store.get(id)).consent
            if now is not None and now.generation != generation:
                return  # refused, but it was no longer the one that counts
            raise
        while True:
            tokens = TokenSet(
                granted.access_token,
                granted.refresh_token or consent.refresh_token,
                granted.life,
                granted.life - (self._clock() - asked),
            )
            try:
                await self._store.save(id, generation, tokens)
                return
            except Unavailable:  # the answer exists nowhere else
                await asyncio.sleep(self._poll)
