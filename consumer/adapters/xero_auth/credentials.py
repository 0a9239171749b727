"""Custom connections (``client_credentials``): no refresh token, so nothing rotates and every pod
may hold a token of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from consumer.adapters.xero_auth.identity import IdentityServer, early, scopes
from consumer.ports import Authorisation


@dataclass(slots=True)
class _Held:
    """What is known of one authorisation; ``until`` on the monotonic clock."""

    token: str = field(default="", repr=False)
    scope: str = ""
    until: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClientCredentials:
    """Implements ``Tokens`` for them, kept in memory per authorisation."""

    def __init__(
        self,
        identity: IdentityServer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._held: dict[int, _Held] = {}

    async def token(self, authorisation: Authorisation) -> str:
        """A token good for at least another minute; one fetch at a time per authorisation.

        Raises:
            Unauthorised: the identity server refuses the client; only a person can mend it.
            Throttled: it cannot be had now (network, 5xx, 429).
        """
        held = self._held.setdefault(authorisation.id, _Held())
        async with held.lock:
            scope = " ".join(scopes(overpays=authorisation.overpays))
            if self._clock() >= held.until or scope != held.scope:
                held.token, held.until = await self._fetch(authorisation, scope)
                held.scope = scope
            return held.token

    def forget(self, authorisation: Authorisation, token: str) -> None:
        """``token`` was refused with 401: the next call fetches another.

        A newer token stays: several calls in flight report the same old one.
        """
        held = self._held.get(authorisation.id)
        if held is not None and held.token == token:
            held.until = float("-inf")

    async def _fetch(self, authorisation: Authorisation, scope: str) -> tuple[str, float]:
        """A new token and when to renew it, reckoned from before it was asked for."""
        asked = self._clock()
        granted = await self._identity.grant(
            authorisation.client_id,
            authorisation.client_secret,
            {"grant_type": "client_credentials", "scope": scope},
        )
        return granted.access_token, asked + granted.life - early(granted.life)
