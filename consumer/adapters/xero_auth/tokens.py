"""Tokens of either kind of authorisation, and the organisations they reach."""

from __future__ import annotations

from collections.abc import Sequence

from consumer.adapters.xero_auth.consented import Consented
from consumer.adapters.xero_auth.credentials import ClientCredentials
from consumer.adapters.xero_auth.identity import IdentityServer, scopes
from consumer.domain.consent import Request
from consumer.domain.errors import Unauthorised
from consumer.ports import Authorisation, Authorisations, TenantRef, TokenSet

OFFLINE = "offline_access"
"""With it there is a refresh token; the other scopes are granular (xero.md 1)."""


class XeroTokens:
    """Implements ``Tenants`` and ``Consenting``."""

    def __init__(
        self,
        identity: IdentityServer,
        credentials: ClientCredentials,
        consented: Consented,
        login_url: str = "",
    ) -> None:
        self._identity = identity
        self._credentials = credentials
        self._consented = consented
        self._login_url = login_url

    @classmethod
    def over(
        cls, identity: IdentityServer, store: Authorisations, login_url: str = ""
    ) -> XeroTokens:
        """With the usual clocks."""
        return cls(identity, ClientCredentials(identity), Consented(identity, store), login_url)

    async def token(self, authorisation: Authorisation) -> str:
        """A token good for a while; raises as ``Tokens`` says."""
        return await self._of(authorisation).token(authorisation)

    def forget(self, authorisation: Authorisation, token: str) -> None:
        """``token`` was refused with 401: the next call gets another."""
        self._of(authorisation).forget(authorisation, token)

    async def renew(self, authorisation: Authorisation) -> None:
        """Renew the token set of a consent."""
        await self._consented.renew(authorisation)

    async def tenants(self, authorisation: Authorisation) -> list[TenantRef]:
        """The organisations it reaches; raises as ``token`` does."""
        token = await self.token(authorisation)
        try:
            return await self._identity.tenants(token)
        except Unauthorised:
            self.forget(authorisation, token)
            raise

    async def disconnect(self, authorisation: Authorisation, link: str) -> None:
        """End one connection at Xero; raises as ``token`` does."""
        token = await self.token(authorisation)
        try:
            await self._identity.disconnect(token, link)
        except Unauthorised:
            self.forget(authorisation, token)
            raise

    def consent_url(self, request: Request) -> str:
        """The page at which a person consents."""
        return request.url(self._login_url, (OFFLINE, *scopes(overpays=request.overpays)))

    async def redeem(self, request: Request, client_secret: str, code: str) -> TokenSet:
        """The token set that a consent's code gives, once; raises as ``token`` does."""
        granted = await self._identity.grant(
            request.client_id,
            client_secret,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": request.redirect_uri,
                "code_verifier": request.verifier,
            },
        )
        life = granted.life
        return TokenSet(granted.access_token, granted.refresh_token, life, life)

    async def reached(self, tokens: TokenSet) -> Sequence[TenantRef]:
        """The organisations that a token set which is not stored yet reaches."""
        return await self._identity.tenants(tokens.access_token)

    def _of(self, authorisation: Authorisation) -> ClientCredentials | Consented:
        return self._credentials if authorisation.consent is None else self._consented
