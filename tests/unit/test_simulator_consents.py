"""Consents in the simulated Xero: what may be asked, what a code is worth, and to whom."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.unit.simulator import TENANT, Lab, simulated

OTHER = "7f6a0000-0000-4000-8000-000000000002"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
BACK = "http://localhost:9/callback"
SCOPE = "offline_access accounting.contacts accounting.settings.read"
ASKED = {
    "response_type": "code",
    "client_id": "web",
    "redirect_uri": BACK,
    "scope": SCOPE,
    "state": "s t",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
Json = dict[str, Any]


async def register(lab: Lab, **more: Any) -> None:
    """The client ``web``, public, with nothing connected; and a second organisation."""
    client = {"client_id": "web", "client_secret": "", "tenant_ids": [], "custom_connection": False}
    await lab.control("POST", "clients", {**client, **more})
    await lab.control("POST", "tenants", {"tenant_id": OTHER, "name": "Other"})


async def ask(lab: Lab, **changed: str | None) -> httpx.Response:
    """Ask for consent; a parameter given as None is left out."""
    query = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    return await lab.http.get("/identity/connect/authorize", params=query)


async def came_back(lab: Lab, **changed: str | None) -> dict[str, str]:
    """The query of the redirect."""
    answer = await ask(lab, **changed)
    assert answer.status_code == 302, answer.text
    location = urlsplit(answer.headers["Location"])
    assert location._replace(query="").geturl() == BACK
    return {name: value for name, [value] in parse_qs(location.query).items()}


async def redeem(lab: Lab, code: str, **changed: str | None) -> httpx.Response:
    """Exchange a code."""
    form = {
        "grant_type": "authorization_code",
        "client_id": "web",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    sent = {name: value for name, value in form.items() if value is not None}
    return await lab.http.post("/connect/token", data=sent)


async def reached(lab: Lab, token: str) -> list[str]:
    """The tenants that a token reaches."""
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await lab.http.get("/connections", headers=bearer)
    return sorted(one["tenantId"] for one in answer.json())


async def test_a_code_gives_both_tokens_and_every_organisation() -> None:
    async with simulated() as lab:
        await register(lab)
        back = await came_back(lab)
        assert back["state"] == "s t"
        issued = (await redeem(lab, back["code"])).json()
        assert issued["scope"] == SCOPE
        assert issued["refresh_token"]
        assert await reached(lab, issued["access_token"]) == [TENANT, OTHER]


async def test_without_offline_access_there_is_no_refresh_token() -> None:
    async with simulated() as lab:
        await register(lab)
        back = await came_back(lab, scope="accounting.contacts")
        assert "refresh_token" not in (await redeem(lab, back["code"])).json()


@pytest.mark.parametrize("by_query", [True, False])
async def test_what_is_consented_to_can_be_chosen_and_adds_up(by_query: bool) -> None:
    async with simulated() as lab:
        await register(lab)

        async def consent(tenant: str) -> list[str]:
            if by_query:
                back = await came_back(lab, tenants=tenant)
            else:
                await lab.control("POST", "consents/web", {"tenant_ids": [tenant]})
                back = await came_back(lab)
            issued = (await redeem(lab, back["code"])).json()
            return await reached(lab, issued["access_token"])

        assert await consent(OTHER) == [OTHER]
        assert await consent(TENANT) == [TENANT, OTHER]


async def test_another_user_has_connections_of_his_own() -> None:
    async with simulated() as lab:
        await register(lab)
        tokens = []
        for user, tenant in (("ann", TENANT), ("bob", OTHER)):
            back = await came_back(lab, user=user, tenants=tenant)
            tokens.append((await redeem(lab, back["code"])).json()["access_token"])
        assert [await reached(lab, token) for token in tokens] == [[TENANT], [OTHER]]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "accounting.transactions"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"tenants": ""}, "access_denied"),
    ],
)
async def test_what_is_sent_back_without_a_code(changed: dict[str, str | None], error: str) -> None:
    async with simulated() as lab:
        await register(lab)
        assert await came_back(lab, **changed) == {"error": error, "state": "s t"}


async def test_a_person_may_say_no() -> None:
    async with simulated() as lab:
        await register(lab)
        await lab.control("POST", "consents/web", {"denied": True})
        assert (await came_back(lab))["error"] == "access_denied"


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"client_id": "app"},  # a custom connection
        {"redirect_uri": "http://example.com/callback"},
        {"redirect_uri": "http://localhost:10/callback"},  # not registered
        {"redirect_uri": None},
    ],
)
async def test_nobody_is_sent_where_no_client_is_known(changed: dict[str, str | None]) -> None:
    async with simulated() as lab:
        await register(lab, redirect_uris=[BACK])
        assert (await ask(lab, **changed)).status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "v" * 42},
        {"code_verifier": None},
        {"redirect_uri": "http://localhost:10/callback"},
        {"code": "another"},
    ],
)
async def test_a_code_is_worth_nothing_with_anything_else(changed: dict[str, str | None]) -> None:
    async with simulated() as lab:
        await register(lab)
        code = (await came_back(lab))["code"]
        refused = await redeem(lab, **{"code": code, **changed})  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})


async def test_a_code_works_once_and_for_five_minutes() -> None:
    async with simulated() as lab:
        await register(lab)
        code = (await came_back(lab))["code"]
        lab.advance(299)
        assert (await redeem(lab, code)).status_code == 200
        assert (await redeem(lab, code)).json() == {"error": "invalid_grant"}
        late = (await came_back(lab))["code"]
        lab.advance(300)
        assert (await redeem(lab, late)).json() == {"error": "invalid_grant"}


async def test_a_client_with_a_secret_needs_it_beside_the_code() -> None:
    async with simulated() as lab:
        await register(lab, client_secret="hush")
        code = (await came_back(lab))["code"]
        assert (await redeem(lab, code)).json() == {"error": "invalid_client"}
        assert (await redeem(lab, code, client_secret="hush")).status_code == 200


async def test_a_public_client_refreshes_by_its_id_alone_until_the_consent_ends() -> None:
    async with simulated() as lab:
        await register(lab)
        issued = (await redeem(lab, (await came_back(lab))["code"])).json()

        async def refresh(token: str) -> Json:
            form = {"grant_type": "refresh_token", "client_id": "web", "refresh_token": token}
            answer: Json = (await lab.http.post("/connect/token", data=form)).json()
            return answer

        again = await refresh(issued["refresh_token"])
        assert again["scope"] == SCOPE
        assert await reached(lab, again["access_token"]) == [TENANT, OTHER]
        await lab.control("DELETE", "consents/web")
        assert await refresh(again["refresh_token"]) == {"error": "invalid_grant"}


async def test_a_call_needs_its_scope() -> None:
    async with simulated() as lab:
        await register(lab)
        issued = (await redeem(lab, (await came_back(lab))["code"])).json()
        bearer = {"Authorization": f"Bearer {issued['access_token']}"}

        async def status(method: str, path: str) -> int:
            return (await lab.call(method, path, headers=bearer)).status_code

        assert [await status("GET", p) for p in ("Contacts", "Accounts", "Items")] == [200] * 3
        refused = await lab.call("GET", "Invoices", headers=bearer)
        assert (refused.status_code, refused.json()["Detail"]) == (401, "AuthorizationUnsuccessful")
        assert "insufficent_scope" in refused.headers["WWW-Authenticate"]
        assert await status("POST", "Accounts") == 401  # granted for reading only
