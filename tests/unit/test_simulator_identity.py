"""Tokens, tenants and the errors of both."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.simulator import CLIENT, TENANT, Lab, simulated

APP = {"client_id": "web", "client_secret": "hush", "tenant_ids": [TENANT]}


async def grant(lab: Lab, **form: str) -> httpx.Response:
    return await lab.http.post("/connect/token", data=form)


async def refresh(lab: Lab, token: str) -> httpx.Response:
    return await grant(
        lab,
        grant_type="refresh_token",
        refresh_token=token,
        client_id="web",
        client_secret="hush",
    )


async def consent(lab: Lab) -> str:
    shown = await lab.control("POST", "clients", {**APP, "custom_connection": False})
    token: str = shown["refresh_token"]
    return token


@pytest.mark.parametrize("basic", [True, False])
async def test_client_credentials_by_header_or_body(basic: bool) -> None:
    form = {"grant_type": "client_credentials", "scope": "accounting.contacts"}
    body = form if basic else {**form, "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    async with simulated() as lab:
        auth = httpx.BasicAuth(*CLIENT) if basic else httpx.USE_CLIENT_DEFAULT
        answer = await lab.http.post("/connect/token", data=body, auth=auth)
    issued = answer.json()
    assert (issued["expires_in"], issued["token_type"]) == (1800, "Bearer")
    assert issued["scope"] == "accounting.contacts"
    assert issued["access_token"].count(".") == 2
    assert "refresh_token" not in issued


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
async def test_token_errors(form: dict[str, str], error: str) -> None:
    right = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    async with simulated() as lab:
        answer = await grant(lab, **{"grant_type": "client_credentials", **right, **form})
    assert (answer.status_code, answer.json()) == (400, {"error": error})


async def test_access_tokens_expire() -> None:
    async with simulated() as lab:
        lab.advance(1799.9)
        assert (await lab.call("GET", "Currencies")).status_code == 200
        lab.advance(0.1)
        answer = await lab.call("GET", "Currencies")
    problem = answer.json()
    assert (answer.status_code, problem["Title"], problem["Type"]) == (401, "Unauthorized", None)
    assert problem["Detail"].startswith("TokenExpired: token expired at 09/21/2026 14:43:20")


async def test_token_life_is_scaled() -> None:
    async with simulated(time_scale=0.01) as lab:
        answer = await lab.http.post(
            "/connect/token", data={"grant_type": "client_credentials"}, auth=CLIENT
        )
        assert answer.json()["expires_in"] == 18
        lab.advance(18)
        assert (await lab.call("GET", "Currencies")).status_code == 401


async def test_unknown_token_and_wrong_tenant() -> None:
    async with simulated() as lab:
        stranger = await lab.call("GET", "Currencies", headers={"Authorization": "Bearer x"})
        wrong = await lab.call("GET", "Currencies", headers={"xero-tenant-id": "0" * 8})
    assert (stranger.status_code, stranger.json()["Detail"]) == (
        401,
        "AuthenticationUnsuccessful",
    )
    assert (wrong.status_code, wrong.json()["Title"], wrong.json()["Detail"]) == (
        403,
        "Forbidden",
        "AuthenticationUnsuccessful",
    )


async def test_only_a_custom_connection_may_leave_the_tenant_out() -> None:
    async with simulated() as lab:
        del lab.headers["xero-tenant-id"]
        assert (await lab.call("GET", "Currencies")).status_code == 200
        token = (await refresh(lab, await consent(lab))).json()["access_token"]
        answer = await lab.call("GET", "Currencies", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


async def test_refresh_tokens_rotate_with_thirty_minutes_of_grace() -> None:
    async with simulated() as lab:
        first = await consent(lab)
        second = (await refresh(lab, first)).json()["refresh_token"]
        assert second != first
        lab.advance(1799)
        assert (await refresh(lab, first)).status_code == 200
        lab.advance(1)
        late = await refresh(lab, first)
        assert (late.status_code, late.json()) == (400, {"error": "invalid_grant"})
        assert (await refresh(lab, second)).status_code == 200


async def test_refresh_tokens_die_unused_after_sixty_days() -> None:
    async with simulated() as lab:
        token = await consent(lab)
        lab.advance(60 * 86_400)
        assert (await refresh(lab, token)).json() == {"error": "invalid_grant"}


async def test_a_web_app_has_no_client_credentials() -> None:
    async with simulated() as lab:
        await consent(lab)
        answer = await grant(
            lab, grant_type="client_credentials", client_id="web", client_secret="hush"
        )
    assert answer.json() == {"error": "unauthorized_client"}


async def test_connections_are_listed_and_end_by_their_own_id() -> None:
    async with simulated() as lab:
        listed = (await lab.http.get("/connections", headers=lab.headers)).json()
        (one,) = listed
        event: dict[str, Any] = {"authEventId": "0"}
        none = await lab.http.get("/connections", headers=lab.headers, params=event)
        wrong = await lab.http.delete(f"/connections/{TENANT}", headers=lab.headers)
        ended = await lab.http.delete(f"/connections/{one['id']}", headers=lab.headers)
        after = await lab.call("GET", "Currencies")
    assert (one["tenantId"], one["tenantName"]) == (TENANT, "Acme")
    assert one["tenantType"] == "ORGANISATION"
    assert one["createdDateUtc"] == "2026-09-21T14:13:20.0000000"
    assert none.json() == []
    assert (wrong.status_code, ended.status_code, after.status_code) == (404, 204, 403)
