"""Xero's identity server and its list of connections over HTTP: forms in, tokens or errors out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID

import httpx

from consumer.domain.consent import word
from consumer.domain.errors import Throttled, Unauthorised
from consumer.ports import TenantRef

SCOPES = (
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.settings.read",
)
OVERPAYMENTS = "accounting.banktransactions"
"""Asked for only where overpayments are posted: a client that was not granted it gets no token at all."""
EARLY = 120.0
"""Seconds before its end at which a token is renewed, but at most a third of its life."""
TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Granted:
    """An answer of the token endpoint, in clear: never log this. ``life`` in seconds."""

    access_token: str
    life: float
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Granted(life={self.life})"


def early(life: float) -> float:
    """Seconds before its end at which a token of such a life is renewed."""
    return min(EARLY, life / 3)


def scopes(*, overpays: bool) -> tuple[str, ...]:
    """What to ask for."""
    return (*SCOPES, OVERPAYMENTS) if overpays else SCOPES


class IdentityServer:
    """``api_url`` is the Accounting API's base: the list of connections is on the same host.

    ``timeout`` in seconds bounds each call.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        identity_url: str,
        api_url: str,
        timeout: float = TIMEOUT,
    ) -> None:
        self._client = client
        self._token_url = f"{identity_url.rstrip('/')}/connect/token"
        self._connections_url = str(httpx.URL(api_url).copy_with(raw_path=b"/connections"))
        self._timeout = timeout

    async def grant(self, client_id: str, secret: str, form: Mapping[str, str]) -> Granted:
        """Ask the token endpoint; a client without a secret says its id alone (PKCE).

        Raises:
            Unauthorised: consent_ended (``invalid_grant``), authorisation_refused (all others).
            Throttled: no usable answer; what was asked may have been done all the same.
        """
        request: dict[str, Any] = {"data": dict(form)}
        if secret:  # RFC 6749, 2.3.1: both are form-encoded first
            request["auth"] = httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))
        else:
            request["data"]["client_id"] = client_id
        status, document = await self._ask("POST", self._token_url, **request)
        answer = document if isinstance(document, dict) else {}
        if status == 401 or (status == 400 and isinstance(answer.get("error"), str)):
            raise refused(word(answer.get("error")) or f"status {status}")
        if status != 200:
            raise unavailable(f"status {status}")
        token, life = answer.get("access_token"), answer.get("expires_in")
        if not _sendable(token) or not isinstance(life, int | float) or not life > 0:
            raise unavailable("an answer that cannot be read")
        refresh = answer.get("refresh_token")
        return Granted(str(token), float(life), str(refresh) if _sendable(refresh) else "")

    async def tenants(self, token: str) -> list[TenantRef]:
        """The organisations that a token reaches.

        Raises:
            Unauthorised: the token is refused.
            Throttled: they cannot be listed now.
        """
        status, document = await self._ask("GET", self._connections_url, headers=_bearer(token))
        if status in (401, 403):
            raise refused(f"status {status}")
        if status != 200 or not isinstance(document, list):
            raise unavailable(f"status {status}")
        try:
            return [
                TenantRef(
                    UUID(one["tenantId"]), str(one.get("tenantName") or ""), str(one.get("id"))
                )
                for one in document
                if one.get("tenantType") == "ORGANISATION"
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise unavailable("an answer that cannot be read")

    async def disconnect(self, token: str, link: str) -> None:
        """End one connection by its own id (not the tenant's); one that is gone is fine.

        Raises as ``tenants`` does.
        """
        url = f"{self._connections_url}/{quote_plus(link)}"
        status, _ = await self._ask("DELETE", url, headers=_bearer(token))
        if status in (401, 403):
            raise refused(f"status {status}")
        if status not in (200, 204, 404):
            raise unavailable(f"status {status}")

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
        raise unavailable(what)


def refused(what: str) -> Unauthorised:
    """Only a person can mend it."""
    if what == "invalid_grant":
        return Unauthorised(
            "consent_ended",
            "Xero refuses what the consent gave us (invalid_grant).",
            "Run lago-xero connect for a connection of this client.",
        )
    return Unauthorised(
        "authorisation_refused",
        f"Xero refuses the authorisation ({what}).",
        "Check the client's id, secret and scopes in Xero's developer portal, correct the "
        "connections file and apply it.",
    )


def no_consent() -> Unauthorised:
    """Nobody has let us in."""
    return Unauthorised(
        "unauthorised",
        "Nobody has consented to this client yet.",
        "Run lago-xero connect for a connection of this client.",
    )


def unavailable(what: str) -> Throttled:
    """It is tried again."""
    return Throttled(
        "identity_unavailable",
        f"Xero's identity server gives no token now ({what}).",
        "Nothing to do: it is tried again. Check the network if this lasts.",
    )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _sendable(token: object) -> bool:
    return isinstance(token, str) and bool(token) and token.isascii() and token.isprintable()


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None
