"""Clients and tokens: a form or a bearer header in; tokens, a session or OAuth2's errors out."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from consumer.sandbox.xero.answers import Answer, ApiError, guid, json_answer, not_found
from consumer.sandbox.xero.answers import forbidden as forbidden_answer
from consumer.sandbox.xero.answers import unauthorized as unauthorized_answer
from consumer.sandbox.xero.consents import Consents, refuse
from consumer.sandbox.xero.grants import USER, Client, Connection, Grant
from consumer.sandbox.xero.settings import (
    ACCESS_TOKEN_LIFE,
    REFRESH_GRACE,
    REFRESH_TOKEN_LIFE,
    SimulatorSettings,
)

DEFAULT_SCOPE = (
    "accounting.invoices accounting.payments accounting.contacts accounting.settings.read"
)


@dataclass(slots=True)
class AccessToken:
    """``expires`` on the monotonic clock, ``expires_at`` in seconds since 1970."""

    grant: Grant
    expires: float
    expires_at: float


@dataclass(slots=True)
class RefreshToken:
    """``used`` is when it was first exchanged; it still works for the grace period."""

    grant: Grant
    issued: float
    used: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """An authorised call."""

    client_id: str
    tenant_id: str


def _part(value: Mapping[str, object]) -> str:
    raw = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Identity:
    """Everything the identity server knows."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.consents = Consents()
        self._access: OrderedDict[str, AccessToken] = OrderedDict()
        self._refresh: dict[str, RefreshToken] = {}

    def register(
        self,
        client_id: str,
        secret: str,
        tenant_ids: list[str],
        at: int,
        *,
        custom: bool,
        redirect_uris: tuple[str, ...] = (),
    ) -> Client:
        """Add a client, or replace its secret and tenants."""
        event = guid()
        client = self.clients.setdefault(client_id, Client(client_id, secret, custom))
        client.client_secret, client.custom_connection = secret, custom
        client.redirect_uris = redirect_uris
        client.connections = {
            USER: {
                one.connection_id: one
                for one in (Connection(guid(), event, tenant_id, at) for tenant_id in tenant_ids)
            }
        }
        return client

    def consent(self, client: Client, now: float) -> str:
        """The first refresh token of an authorisation."""
        return self._new_refresh(Grant(client, USER, DEFAULT_SCOPE, guid()), now)

    def revoke(self, client_id: str) -> int:
        """A user ends it: no refresh token of the client works any more; tells how many did."""
        ended = [
            key for key, one in self._refresh.items() if one.grant.client.client_id == client_id
        ]
        for key in ended:
            del self._refresh[key]
        return len(ended)

    def issued(self) -> list[str]:
        """All tokens that were ever issued and not swept, for tests that look for leaks."""
        return [*self._access, *self._refresh]

    def _new_refresh(self, grant: Grant, now: float) -> str:
        token = secrets.token_urlsafe(32)
        self._refresh[token] = RefreshToken(grant, now)
        return token

    def token(
        self,
        settings: SimulatorSettings,
        body: bytes,
        authorization: str | None,
        now: float,
        wall: float,
    ) -> Answer:
        """POST /connect/token. ApiError: 400 with OAuth2's error code."""
        try:
            form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        except ValueError:
            raise refuse("invalid_request") from None
        client = self._client(form, authorization)
        grant, refresh = self._granted(client, form, settings.time_scale, now)
        life = ACCESS_TOKEN_LIFE * settings.time_scale
        issued: dict[str, object] = {
            "access_token": self._mint(grant, life, now, wall),
            "expires_in": max(1, int(life)),
            "token_type": "Bearer",
            "scope": grant.scope,
        }
        if refresh is not None:
            issued["refresh_token"] = refresh
        return json_answer(200, issued)

    def _granted(
        self, client: Client, form: Mapping[str, str], scale: float, now: float
    ) -> tuple[Grant, str | None]:
        """What the form asks for, with the next refresh token if there is one."""
        match form.get("grant_type"):
            case "client_credentials":
                if not client.custom_connection:
                    raise refuse("unauthorized_client")
                return Grant(client, USER, form.get("scope", DEFAULT_SCOPE), guid()), None
            case "authorization_code":
                grant = self.consents.redeem(client, form, scale, now)
                offline = "offline_access" in grant.scope.split()
                return grant, self._new_refresh(grant, now) if offline else None
            case "refresh_token":
                return self._rotate(client, form.get("refresh_token", ""), scale, now)
        raise refuse("unsupported_grant_type")

    def _client(self, form: Mapping[str, str], authorization: str | None) -> Client:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization and authorization.lower().startswith("basic "):
            try:
                pair = base64.b64decode(authorization[6:], validate=True).decode()
            except (binascii.Error, ValueError):
                raise refuse("invalid_client") from None
            client_id, _, secret = pair.partition(":")
            client_id, secret = unquote_plus(client_id), unquote_plus(secret)
        client = self.clients.get(client_id)
        if client is None or not secrets.compare_digest(
            client.client_secret.encode(), secret.encode()
        ):
            raise refuse("invalid_client")
        return client

    def _rotate(self, client: Client, token: str, scale: float, now: float) -> tuple[Grant, str]:
        known = self._refresh.get(token)
        if known is None or known.grant.client is not client:
            raise refuse("invalid_grant")
        spent = known.used is not None and now - known.used >= REFRESH_GRACE * scale
        if spent or now - known.issued >= REFRESH_TOKEN_LIFE * scale:
            raise refuse("invalid_grant")
        known.used = now if known.used is None else known.used
        return known.grant, self._new_refresh(known.grant, now)

    def _mint(self, grant: Grant, life: float, now: float, wall: float) -> str:
        while self._access and next(iter(self._access.values())).expires < now - life:
            self._access.popitem(last=False)
        claims = {
            "nbf": int(wall),
            "exp": int(wall + life),
            "iss": "https://identity.xero.com",
            "client_id": grant.client.client_id,
            "authentication_event_id": grant.event,
            "scope": grant.scope.split(),
            "jti": secrets.token_hex(8),
        }
        token = ".".join((_part({"alg": "RS256", "typ": "JWT"}), _part(claims), "sandbox"))
        self._access[token] = AccessToken(grant, now + life, wall + life)
        return token

    def bearer(self, authorization: str | None, now: float) -> Grant:
        """What an access token stands for. ApiError: 401."""
        scheme, _, token = (authorization or "").partition(" ")
        known = self._access.get(token.strip()) if scheme.lower() == "bearer" else None
        if known is None:
            raise ApiError(unauthorized_answer("AuthenticationUnsuccessful"))
        if known.expires <= now:
            at = datetime.datetime.fromtimestamp(known.expires_at, datetime.UTC)
            detail = f"TokenExpired: token expired at {at:%m/%d/%Y %H:%M:%S}"
            raise ApiError(unauthorized_answer(detail))
        return known.grant

    def session(self, grant: Grant, tenant: str | None) -> Session:
        """The tenant a call is for; a custom connection may leave it out. ApiError: 403."""
        client = grant.client
        reachable = {one.tenant_id for one in grant.connections.values()}
        if not tenant and client.custom_connection and len(reachable) == 1:
            return Session(client.client_id, *reachable)
        if not tenant or tenant.lower() not in reachable:
            raise ApiError(forbidden_answer())
        return Session(client.client_id, tenant.lower())

    def connections(
        self, grant: Grant, names: Mapping[str, str], event: str | None
    ) -> list[dict[str, object]]:
        """GET /connections; ``names`` gives each tenant's name."""
        return [
            {
                "id": one.connection_id,
                "authEventId": one.auth_event_id,
                "tenantId": one.tenant_id,
                "tenantType": "ORGANISATION",
                "tenantName": names.get(one.tenant_id),
                "createdDateUtc": _seven_digits(one.created),
                "updatedDateUtc": _seven_digits(one.created),
            }
            for one in grant.connections.values()
            if event is None or one.auth_event_id == event
        ]

    def disconnect(self, grant: Grant, connection_id: str) -> Answer:
        """DELETE /connections/{id}: the connection's id, not the tenant's."""
        if grant.connections.pop(connection_id, None) is None:
            raise ApiError(not_found())
        return Answer(204, b"", None)


def _seven_digits(at: int) -> str:
    moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0"
