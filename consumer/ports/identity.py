"""Xero's identity server: authorisations in, tokens and the tenants that they reach out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from consumer.domain.consent import Request


@dataclass(frozen=True, slots=True)
class Consent:
    """The token set of a consent when it was read, in clear: never log this. Times in seconds.

    ``generation`` grows with each set that is saved. Without tokens nobody has consented.
    """

    generation: int
    access_token: str = ""
    refresh_token: str = ""
    life: float = 0.0
    """Of the access token when it was new."""
    good_for: float = 0.0
    """What was left of it."""

    def __repr__(self) -> str:
        return f"Consent(generation={self.generation})"


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A token set that Xero has just given, in clear: never log this. Times in seconds."""

    access_token: str
    refresh_token: str
    life: float
    good_for: float

    def __repr__(self) -> str:
        return "TokenSet()"


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One OAuth2 client of ours at Xero. ``client_secret`` is in clear: never log this.

    ``stored`` is secret and tokens as they are kept: it tells whether they are others since. A custom
    connection has no ``consent``; a client that proves itself by PKCE alone has no secret.
    """

    id: int
    client_id: str
    client_secret: str
    stored: bytes = b""
    consent: Consent | None = None
    overpays: bool = False
    """Some connection of the client posts overpayments, which need a scope more."""

    def __repr__(self) -> str:
        return f"Authorisation(id={self.id})"


class Authorisations(Protocol):
    """The clients we act through, with their secrets and tokens; one transaction a method."""

    async def get(self, id: int) -> Authorisation:
        """Decrypted; read again when the connections change."""

    async def claim(self, id: int, generation: int, lease: float) -> bool:
        """The right to renew that generation for ``lease`` seconds, unless another has it."""

    async def unclaim(self, id: int, generation: int, *, done: bool) -> None:
        """Give it up; not ``done`` says that Xero may have answered what we never got."""

    async def save(self, id: int, generation: int, tokens: TokenSet) -> bool:
        """Replace that generation; False if another set was saved meanwhile, which then counts."""

    async def resting(self, idle: float, limit: int) -> Sequence[tuple[UUID, int]]:
        """(a tenant, authorisation) of consents that nobody renewed for ``idle`` seconds, or whose
        renewal somebody left unfinished."""


class Tokens(Protocol):
    """Access tokens, fetched early and by one task at a time."""

    async def token(self, authorisation: Authorisation) -> str:
        """A token good for at least another minute.

        Raises:
            Unauthorised: the identity server refuses the client; only a person can mend it.
            Throttled: it cannot be had now (network, 5xx, 429).
        """

    def forget(self, authorisation: Authorisation, token: str) -> None:
        """``token`` was refused with 401: the next call fetches another."""

    async def renew(self, authorisation: Authorisation) -> None:
        """Renew a consent's token set whatever it is worth; raises as ``token`` does."""


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A Xero organisation that an authorisation reaches; ``link`` is the connection's id there."""

    id: UUID
    name: str
    link: str = field(default="", compare=False)


class Tenants(Tokens, Protocol):
    """Tokens, and the organisations they reach."""

    async def tenants(self, authorisation: Authorisation) -> Sequence[TenantRef]:
        """All of them; raises as ``token`` does."""

    async def disconnect(self, authorisation: Authorisation, link: str) -> None:
        """End one connection at Xero, if it is there; raises as ``token`` does."""


class Consenting(Protocol):
    """How a person lets us in."""

    def consent_url(self, request: Request) -> str:
        """The page at which he consents."""

    async def redeem(self, request: Request, client_secret: str, code: str) -> TokenSet:
        """The token set that a consent's code gives, once; raises as ``token`` does."""

    async def reached(self, tokens: TokenSet) -> Sequence[TenantRef]:
        """The organisations it reaches; raises as ``token`` does."""
