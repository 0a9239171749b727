"""Tokens: when one is fetched, kept, renewed and forgotten, and what a refusal means."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest

from consumer.adapters.xero_auth import (
    SCOPES,
    ClientCredentials,
    Consented,
    IdentityServer,
    XeroTokens,
)
from consumer.adapters.xero_auth.identity import EARLY
from consumer.domain.errors import ConsumerError, Throttled, Unauthorised
from consumer.ports import Authorisation, TenantRef
from tests.unit.simulator import CLIENT, TENANT, simulated

SECRET = "canary-secret"
ACME = Authorisation(1, "acme", SECRET)
OTHER = Authorisation(2, "other", SECRET)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Identity:
    """A scripted identity server; ``gate`` holds answers back until it is set."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Callable[[int], httpx.Response] = lambda n: issued(f"token-{n}")
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        number = len(self.requests)
        self.arrived.set()
        await self.gate.wait()
        return self.answer(number)


def issued(token: object, life: object = 1800) -> httpx.Response:
    return httpx.Response(200, json={"access_token": token, "expires_in": life})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
async def tokens(clock: Clock, identity: Identity) -> AsyncIterator[XeroTokens]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(identity)) as client:
        server = IdentityServer(client, "https://identity.test/", "https://api.test/api.xro/2.0")
        yield custom(server, clock)


def custom(server: IdentityServer, clock: Callable[[], float] = time.monotonic) -> XeroTokens:
    """Tokens of custom connections alone."""
    nothing_stored: Any = None
    credentials = ClientCredentials(server, clock=clock)
    return XeroTokens(server, credentials, Consented(server, nothing_stored))


async def test_the_request(tokens: XeroTokens, identity: Identity) -> None:
    await tokens.token(Authorisation(1, "an id", "a+b%"))
    (request,) = identity.requests
    assert (request.method, str(request.url)) == ("POST", "https://identity.test/connect/token")
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": [" ".join(SCOPES)],
    }
    basic = request.headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"an+id:a%2Bb%25"


async def test_bank_transactions_are_asked_for_only_where_overpayments_are_posted(
    tokens: XeroTokens, identity: Identity
) -> None:
    """A client that was not granted a scope gets no token at all; a token of before is of no use."""
    identity.answer = lambda n: issued(f"token-{n}", 1800)
    assert await tokens.token(ACME) == "token-1"
    more = replace(ACME, overpays=True)
    assert await tokens.token(more) == await tokens.token(more) == "token-2"
    asked = [parse_qs(one.content.decode())["scope"][0] for one in identity.requests]
    assert asked == [" ".join(SCOPES), " ".join([*SCOPES, "accounting.banktransactions"])]


@pytest.mark.parametrize(("life", "kept"), [(1800, 1680.0), (360, 240.0), (30, 20.0), (0.9, 0.6)])
async def test_a_token_is_kept_and_renewed_early(
    tokens: XeroTokens, identity: Identity, clock: Clock, life: float, kept: float
) -> None:
    """Two minutes before its end, but never more than a third of a life that is scaled down."""
    identity.answer = lambda n: issued(f"token-{n}", life)
    assert await tokens.token(ACME) == "token-1"
    clock.now += kept * 0.99
    assert await tokens.token(ACME) == "token-1"
    clock.now += kept * 0.02
    assert await tokens.token(ACME) == "token-2"


async def test_life_is_reckoned_from_the_asking(
    tokens: XeroTokens, identity: Identity, clock: Clock
) -> None:
    def after_a_while(number: int) -> httpx.Response:
        clock.now += 25
        return issued(f"token-{number}", 1800)

    asked = clock.now
    identity.answer = after_a_while
    await tokens.token(ACME)
    clock.now = asked + 1800 - EARLY
    assert await tokens.token(ACME) == "token-2"


async def test_one_fetch_for_all_who_wait(tokens: XeroTokens, identity: Identity) -> None:
    identity.gate.clear()
    waiting = [asyncio.create_task(tokens.token(ACME)) for _ in range(5)]
    await identity.arrived.wait()
    identity.gate.set()
    assert await asyncio.gather(*waiting) == ["token-1"] * 5
    assert len(identity.requests) == 1


async def test_authorisations_do_not_wait_for_each_other(
    tokens: XeroTokens, identity: Identity
) -> None:
    identity.gate.clear()
    first = asyncio.create_task(tokens.token(ACME))
    await identity.arrived.wait()
    identity.arrived.clear()
    second = asyncio.create_task(tokens.token(OTHER))
    async with asyncio.timeout(5):
        await identity.arrived.wait()
    identity.gate.set()
    assert await first != await second


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(
    tokens: XeroTokens, identity: Identity
) -> None:
    identity.gate.clear()
    first = asyncio.create_task(tokens.token(ACME))
    await identity.arrived.wait()
    second = asyncio.create_task(tokens.token(ACME))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    identity.gate.set()
    async with asyncio.timeout(5):
        assert await second == "token-2"


async def test_a_refused_token_is_forgotten_once(tokens: XeroTokens, identity: Identity) -> None:
    old = await tokens.token(ACME)
    tokens.forget(ACME, old)
    new = await tokens.token(ACME)
    assert new != old
    tokens.forget(ACME, old)  # another call in flight reports the same old one
    tokens.forget(OTHER, new)
    assert await tokens.token(ACME) == new


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": "invalid_client"}),
        httpx.Response(400, json={"error": "unauthorized_client"}),
        httpx.Response(400, json={"error": "invalid_scope"}),
        httpx.Response(401),
    ],
)
async def test_a_refusal_is_for_a_person(
    tokens: XeroTokens, identity: Identity, answer: httpx.Response
) -> None:
    identity.answer = lambda n: answer
    error = await failure(tokens)
    assert isinstance(error, Unauthorised)
    assert error.code == "authorisation_refused"
    assert error.hint


async def test_a_refusal_names_the_error_but_repeats_no_free_text(
    tokens: XeroTokens, identity: Identity
) -> None:
    identity.answer = lambda n: httpx.Response(400, json={"error": "invalid_scope"})
    assert "invalid_scope" in (await failure(tokens)).sentence
    identity.answer = lambda n: httpx.Response(400, json={"error": f"not {SECRET}"})
    assert "not " not in (await failure(tokens)).sentence


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(503),
        httpx.Response(429),
        httpx.Response(302, headers={"Location": "https://elsewhere.test"}),
        httpx.Response(400, text="<html>"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b"[" * 100_000),
        issued(None),
        issued(""),
        issued("two\nlines"),
        issued("tökén"),
        issued("token", 0),
        issued("token", None),
        issued("token", "soon"),
    ],
)
async def test_anything_else_passes(
    tokens: XeroTokens, identity: Identity, answer: httpx.Response
) -> None:
    identity.answer = lambda n: answer
    assert isinstance(await failure(tokens), Throttled)
    identity.answer = lambda n: issued("later")
    assert await tokens.token(ACME) == "later"


async def test_redirects_do_not_carry_the_secret_away(
    tokens: XeroTokens, identity: Identity
) -> None:
    identity.answer = lambda n: httpx.Response(307, headers={"Location": "https://elsewhere.test"})
    await failure(tokens)
    assert [request.url.host for request in identity.requests] == ["identity.test"]


async def test_a_network_failure_passes(tokens: XeroTokens, identity: Identity) -> None:
    def broken(number: int) -> httpx.Response:
        raise httpx.ConnectError(f"cannot connect with {SECRET}")

    identity.answer = broken
    assert isinstance(await failure(tokens), Throttled)


async def test_an_identity_server_that_does_not_answer(identity: Identity) -> None:
    identity.gate.clear()
    async with httpx.AsyncClient(transport=httpx.MockTransport(identity)) as client:
        tokens = custom(IdentityServer(client, "https://i.test", "https://a.test", timeout=0.05))
        assert isinstance(await failure(tokens), Throttled)


async def failure(tokens: XeroTokens) -> ConsumerError:
    """The error of fetching a token, which must not carry the secret in any way."""
    with pytest.raises(ConsumerError) as caught:
        await tokens.token(ACME)
    error = caught.value
    assert error.__context__ is None, "it could keep the request with its secret"
    assert error.__cause__ is None
    shown = "".join(f"{one}{one!r}" for one in (error, error.sentence, error.hint, ACME))
    assert SECRET not in shown
    return error


async def test_against_the_simulated_xero() -> None:
    async with simulated() as lab:
        known = Authorisation(1, *CLIENT)
        tokens = custom(IdentityServer(lab.http, "http://xero", "http://xero/api.xro/2.0"))
        assert await tokens.tenants(known) == [TenantRef(UUID(TENANT), "Acme")]
        with pytest.raises(Unauthorised):
            await tokens.token(Authorisation(2, CLIENT[0], "wrong"))


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (httpx.Response(401), Unauthorised),
        (httpx.Response(403), Unauthorised),
        (httpx.Response(500), Throttled),
        (httpx.Response(200, json={}), Throttled),
        (httpx.Response(200, json=[{"tenantType": "ORGANISATION"}]), Throttled),
        (httpx.Response(200, json=[1]), Throttled),
    ],
)
async def test_organisations_that_cannot_be_listed(
    tokens: XeroTokens, identity: Identity, answer: httpx.Response, wanted: type[Any]
) -> None:
    identity.answer = lambda n: issued("token") if n == 1 else answer
    with pytest.raises(wanted):
        await tokens.tenants(ACME)
    assert str(identity.requests[-1].url) == "https://api.test/connections"
    assert identity.requests[-1].headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_refused_for_the_list_is_forgotten(
    tokens: XeroTokens, identity: Identity, status: int
) -> None:
    identity.answer = lambda n: issued(f"token-{n}") if n != 2 else httpx.Response(status)
    with pytest.raises(Unauthorised):
        await tokens.tenants(ACME)
    assert await tokens.token(ACME) == "token-3"


async def test_only_organisations_are_listed(tokens: XeroTokens, identity: Identity) -> None:
    practice = {"tenantId": TENANT, "tenantType": "PRACTICE", "tenantName": "Advisers"}
    company = {"tenantId": TENANT, "tenantType": "ORGANISATION", "tenantName": None}
    identity.answer = lambda n: (
        issued("token") if n == 1 else httpx.Response(200, json=[practice, company])
    )
    assert await tokens.tenants(ACME) == [TenantRef(UUID(TENANT), "")]
