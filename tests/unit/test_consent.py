"""Asking for consent: the page's address, PKCE, and what comes back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from consumer.domain.consent import Request, challenge, stand_in
from consumer.domain.errors import Halt

REQUEST = Request("an id", "http://localhost:8910/callback", "st&te", "canary-verifier")


def test_the_challenge_is_that_of_rfc_7636() -> None:
    """Its appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_page_at_which_a_person_consents() -> None:
    url = REQUEST.url("https://login.xero.com/", ("offline_access", "accounting.contacts"))
    parts = urlsplit(url)
    assert parts._replace(query="").geturl() == "https://login.xero.com/identity/connect/authorize"
    assert parse_qs(parts.query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": ["an id"],
        "redirect_uri": ["http://localhost:8910/callback"],
        "scope": ["offline_access accounting.contacts"],
        "state": ["st&te"],
        "code_challenge": [challenge("canary-verifier")],
        "code_challenge_method": ["S256"],
    }
    assert "+" not in parts.query, "a space is %20: not every server reads plus as one"
    assert "canary" not in url + repr(REQUEST)


@pytest.mark.parametrize(
    "answer",
    [
        "http://localhost:8910/callback?code=c%2Fd&state=st%26te",
        "?state=st%26te&code=c%2Fd",
        "state=st%26te&code=c%2Fd",
        "  c/d \n",
    ],
)
def test_the_code_that_comes_back(answer: str) -> None:
    assert REQUEST.code(answer) == "c/d"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("?code=c&state=other", "consent_foreign"),
        ("?code=c", "consent_foreign"),
        ("?error=access_denied&state=other", "consent_foreign"),
        ("?error=access_denied&state=st%26te", "consent_denied"),
        ("?state=st%26te", "consent_denied"),
        ("?state=st%26te&code=", "consent_denied"),
        ("http://localhost:8910/callback", "consent_foreign"),
        ("http://localhost:8910/callback?", "consent_foreign"),
        ("", "consent_denied"),
        (" \n", "consent_denied"),
    ],
)
def test_what_is_no_consent(answer: str, code: str) -> None:
    with pytest.raises(Halt) as refused:
        REQUEST.code(answer)
    assert refused.value.code == code


def test_an_error_is_named_and_free_text_is_not_repeated() -> None:
    with pytest.raises(Halt, match="access_denied"):
        REQUEST.code("?error=access_denied&state=st%26te")
    with pytest.raises(Halt) as refused:
        REQUEST.code("?error=canary+words&state=st%26te")
    assert "canary" not in f"{refused.value} {refused.value.hint}"


def test_stand_ins_are_each_connections_own() -> None:
    assert stand_in("acme") == stand_in("acme") != stand_in("other")
