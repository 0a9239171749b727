"""Access tokens of Xero's identity server: an authorisation in, a token good for a while out."""

from consumer.adapters.xero_auth.consented import Consented
from consumer.adapters.xero_auth.credentials import ClientCredentials
from consumer.adapters.xero_auth.identity import SCOPES, IdentityServer
from consumer.adapters.xero_auth.tokens import XeroTokens

__all__ = ["SCOPES", "ClientCredentials", "Consented", "IdentityServer", "XeroTokens"]
