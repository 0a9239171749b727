"""Access tokens of Xero's identity server: an authorisation in, a token good for a while out.

Custom connections (``client_credentials``): no refresh token, so nothing rotates and every pod may
hold a token of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID

import httpx

from consumer.domain.errors import Throttled, Unauthorised
from consumer.ports import Authorisation, TenantRef

SCOPES = (
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.settings.read",
)
EARLY = 120.0
"""Seconds before its end at which a token is renewed, but at most a third of its life."""
TIMEOUT = 30.0


@dataclass(slots=True)
class _Held:
    """What is known of one authorisation; ``until`` on the monotonic clock."""

    token: str = field(default="", repr=False)
    until: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClientCredentials:
    """``Tokens`` for custom connections, kept in memory per authorisation.

    ``api_url`` is the Accounting API's base: the list of organisations is on the same host.
    ``timeout`` in seconds bounds each call.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        identity_url: str,
        api_url: str,
        scopes: Sequence[str] = SCOPES,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = TIMEOUT,
    ) -> None:
        self._client = client
        self._token_url = f"{identity_url.rstrip('/')}/connect/token"
        self._connections_url = str(httpx.URL(api_url).copy_with(raw_path=b"/connections"))
        self._scope = " ".join(scopes)
        self._clock = clock
        self._timeout = timeout
        self._held: dict[int, _Held] = {}

    async def token(self, authorisation: Authorisation) -> str:
        """A token good for at least another minute; one fetch at a time per authorisation.

        Raises:
            Unauthorised: the identity server refuses the client; only a person can mend it.
            Throttled: it cannot be had now (network, 5xx, 429).
        """
        held = self._held.setdefault(authorisation.id, _Held())
        async with held.lock:
            if self._clock() >= held.until:
                held.token, held.until = await self._fetch(authorisation)
            return held.token

    def forget(self, authorisation: Authorisation, token: str) -> None:
        """``token`` was refused with 401: the next call fetches another.

        A newer token stays: several calls in flight report the same old one.
        """
        held = self._held.get(authorisation.id)
        if held is not None and held.token == token:
            held.until = float("-inf")

    async def tenants(self, authorisation: Authorisation) -> list[TenantRef]:
        """The organisations it reaches. Raises as ``token`` does."""
        token = await self.token(authorisation)
        status, document = await self._ask(
            "GET", self._connections_url, headers={"Authorization": f"Bearer {token}"}
        )
        if status in (401, 403):
            self.forget(authorisation, token)
            raise _refused(f"status {status}")
        if status != 200 or not isinstance(document, list):
            raise _unavailable(f"status {status}")
        try:
            return [
                TenantRef(UUID(one["tenantId"]), str(one.get("tenantName") or ""))
                for one in document
                if one.get("tenantType") == "ORGANISATION"
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise _unavailable("an answer that cannot be read")

    async def _fetch(self, authorisation: Authorisation) -> tuple[str, float]:
        """A new token and when to renew it, reckoned from before it was asked for."""
        asked = self._clock()
        status, document = await self._ask(
            "POST",
            self._token_url,
            data={"grant_type": "client_credentials", "scope": self._scope},
            auth=httpx.BasicAuth(  # RFC 6749, 2.3.1: both are form-encoded first
                quote_plus(authorisation.client_id), quote_plus(authorisation.client_secret)
            ),
        )
        answer = document if isinstance(document, dict) else {}
        if status == 401 or (status == 400 and isinstance(answer.get("error"), str)):
            raise _refused(_error_code(answer.get("error")) or f"status {status}")
        if status != 200:
            raise _unavailable(f"status {status}")
        token, life = answer.get("access_token"), answer.get("expires_in")
        sendable = isinstance(token, str) and token.isascii() and token.isprintable()
        if not token or not sendable or not isinstance(life, int | float) or not life > 0:
            raise _unavailable("an answer that cannot be read")
        return str(token), asked + life - min(EARLY, life / 3)

    async def _ask(self, method: str, url: str, **request: Any) -> tuple[int, Any]:
        """Status and JSON (None if it is none)."""
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.request(
                    method, url, timeout=self._timeout, follow_redirects=False, **request
                )
            return response.status_code, _json(response)
        except (httpx.HTTPError, OSError) as error:
            what = type(error).__name__
        # Raised here, not in the handler: httpx's errors carry the request with its secret.
        raise _unavailable(what)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _error_code(error: object) -> str:
    """OAuth's word for it, if it looks like one: an answer's free text goes to no log."""
    word = error if isinstance(error, str) else ""
    return word if word.replace("_", "").isalpha() and len(word) < 50 else ""


def _refused(what: str) -> Unauthorised:
    return Unauthorised(
        "authorisation_refused",
        f"Xero refuses the authorisation ({what}).",
        "Check client id, secret and scopes of the custom connection in Xero's developer portal, "
        "correct the connections file and apply it.",
    )


def _unavailable(what: str) -> Throttled:
    return Throttled(
        "identity_unavailable",
        f"Xero's identity server gives no token now ({what}).",
        "Nothing to do: it is tried again. Check the network if this lasts.",
    )
