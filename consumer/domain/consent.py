"""Consents by OAuth2: the page to open and the code that comes back (RFC 6749, RFC 7636; pure)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import UUID, uuid5

from consumer.domain.errors import Halt

_STAND_INS = UUID("5d0b4cf0-2f0f-4b53-9a53-1a601a601a60")


def stand_in(code: str) -> UUID:
    """The tenant of a connection for which nobody has chosen one yet; no such tenant exists."""
    return uuid5(_STAND_INS, code)


@dataclass(frozen=True, slots=True)
class Request:
    """One request for consent. ``state`` and ``verifier`` are secret until the code is redeemed."""

    client_id: str
    redirect_uri: str
    state: str
    verifier: str
    overpays: bool = False
    """Whether overpayments are to be posted too."""

    def __repr__(self) -> str:
        return f"Request({self.client_id})"

    def url(self, login_url: str, scopes: Sequence[str]) -> str:
        """The page at which a person consents."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(scopes),
            "state": self.state,
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
        }
        base = login_url.rstrip("/")
        return f"{base}/identity/connect/authorize?{urlencode(query, quote_via=quote)}"

    def code(self, answer: str) -> str:
        """The code in the address that Xero sends the browser to, or a bare code somebody typed.

        Raises:
            Halt: consent_foreign: the answer to another request; consent_denied: there is no code.
        """
        query = _query(answer.strip())
        if query is None:
            if answer.strip():
                return answer.strip()
            raise _denied("nothing came back")
        # The state first: an error that somebody else sent must not end this request either.
        if query.get("state") != self.state:
            raise Halt(
                "consent_foreign",
                "The answer does not belong to this request: its state is another.",
                "Open the address that this command printed, and no older one.",
            )
        code = query.get("code")
        if not code:
            raise _denied(word(query.get("error")) or "no code came back")
        return code


def challenge(verifier: str) -> str:
    """S256: the verifier's SHA-256 in URL-safe Base64 without padding."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def word(error: object) -> str:
    """OAuth's word for an error, if it looks like one: an answer's free text goes to no log."""
    said = error if isinstance(error, str) else ""
    return said if said.replace("_", "").isalpha() and len(said) < 50 else ""


def _query(answer: str) -> dict[str, str] | None:
    """The parameters of an address or of a bare query; None if it is neither."""
    if "?" in answer or "://" in answer:
        text = urlsplit(answer).query
    elif "=" in answer:
        text = answer
    else:
        return None
    found = parse_qs(text, keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}


def _denied(why: str) -> Halt:
    return Halt(
        "consent_denied",
        f"Xero gave no consent ({why}).",
        "Run connect again, allow access and choose the organisation.",
    )
