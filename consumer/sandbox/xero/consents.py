"""Consents: an authorisation request in, the redirect with a code that somebody's consent makes out.

Nobody sits at this login page: the answer is ordered beforehand over the control API, or given in
the query (``tenants``, ``user``), or else is yes for every organisation there is.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from consumer.sandbox.xero.answers import Answer, ApiError, guid, json_answer
from consumer.sandbox.xero.grants import USER, Client, Connection, Grant
from consumer.sandbox.xero.scopes import KNOWN
from consumer.sandbox.xero.settings import CODE_LIFE


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person answers: these organisations, or no."""

    tenant_ids: tuple[str, ...]
    user: str = USER
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """An authorisation code: single use, about five minutes."""

    grant: Grant
    redirect_uri: str
    challenge: str
    issued: float


def refuse(error: str) -> ApiError:
    """400 with OAuth2's word for it."""
    return ApiError(json_answer(400, {"error": error}))


class Consents:
    """Choices that were ordered, by client, and codes not redeemed yet."""

    def __init__(self) -> None:
        self._ordered: dict[str, Choice] = {}
        self._codes: dict[str, Code] = {}

    def order(self, client_id: str, choice: Choice) -> None:
        """What is answered from now on when this client asks."""
        self._ordered[client_id] = choice

    def authorise(
        self,
        clients: Mapping[str, Client],
        query: Mapping[str, str],
        tenants: Collection[str],
        now: float,
        at: int,
    ) -> Answer:
        """GET /identity/connect/authorize. ApiError: 400 where no redirect can be trusted."""
        client = clients.get(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if client is None or client.custom_connection or not _redirectable(client, redirect_uri):
            raise refuse("unauthorized_client" if client else "invalid_client")
        state = {"state": query["state"]} if "state" in query else {}
        choice = self._choice(client, query, tenants)
        error = _problem(client, query, choice)
        if error:
            return _redirect(redirect_uri, {"error": error, **state})
        grant = Grant(client, choice.user, query["scope"], guid())
        _connect(grant, choice.tenant_ids, at)
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(grant, redirect_uri, query.get("code_challenge", ""), now)
        return _redirect(redirect_uri, {"code": code, "scope": grant.scope, **state})

    def redeem(self, client: Client, form: Mapping[str, str], scale: float, now: float) -> Grant:
        """The grant of a code, once. ApiError: invalid_grant."""
        code = self._codes.pop(form.get("code", ""), None)
        if (
            code is None
            or code.grant.client is not client
            or code.redirect_uri != form.get("redirect_uri")
            or now - code.issued >= CODE_LIFE * scale
            or code.challenge != _challenge(form.get("code_verifier"))
        ):
            raise refuse("invalid_grant")
        return code.grant

    def _choice(self, client: Client, query: Mapping[str, str], tenants: Collection[str]) -> Choice:
        if "tenants" in query:
            chosen = tuple(one for one in query["tenants"].lower().split(",") if one in tenants)
            return Choice(chosen, query.get("user", USER))
        return self._ordered.get(client.client_id, Choice(tuple(tenants)))


def _redirectable(client: Client, uri: str) -> bool:
    """Registered if the client has any registered; https, or http on localhost (xero.md 1)."""
    parts = urlsplit(uri)
    allowed = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
    return allowed and (not client.redirect_uris or uri in client.redirect_uris)


def _problem(client: Client, query: Mapping[str, str], choice: Choice) -> str | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    proves = "code_challenge" in query and query.get("code_challenge_method") == "S256"
    if not proves and (not client.client_secret or "code_challenge" in query):
        return "invalid_request"
    scopes = query.get("scope", "").split()
    if not scopes or not KNOWN.issuperset(scopes):
        return "invalid_scope"
    return "access_denied" if choice.denied or not choice.tenant_ids else None


def _connect(grant: Grant, tenant_ids: Collection[str], at: int) -> None:
    """Consents of one user add up: what was connected before stays."""
    connected = {one.tenant_id for one in grant.connections.values()}
    for tenant_id in tenant_ids:
        if tenant_id not in connected:
            one = Connection(guid(), grant.event, tenant_id, at)
            grant.connections[one.connection_id] = one


def _challenge(verifier: str | None) -> str:
    """S256; a verifier that breaks RFC 7636's rules matches nothing."""
    if verifier is None:
        return ""
    if not 43 <= len(verifier) <= 128 or not verifier.isascii():
        return "malformed"
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _redirect(uri: str, answer: Mapping[str, str]) -> Answer:
    return Answer(302, b"", None, (("Location", f"{uri}?{urlencode(answer)}"),))
