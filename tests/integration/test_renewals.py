"""Renewing a consent's tokens: who does it, what a crash leaves, when it is over for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumer.adapters.postgres.authorisations import PostgresAuthorisations
from consumer.adapters.postgres.database import database
from consumer.adapters.xero_auth import ClientCredentials, Consented, IdentityServer, XeroTokens
from consumer.deliver.calling import RESTING_DAYS
from consumer.domain.errors import Throttled, Unauthorised
from consumer.ports import Authorisation, TokenSet, Unavailable
from consumer.sandbox.xero import Simulator
from tests.integration.office import Office, opened

DAY = 86_400.0


@pytest.fixture
async def office(database_url: str, xero_simulator: Simulator) -> AsyncIterator[Office]:
    """A connection ``acme`` through ``web``, which Ann has let in."""
    async with opened(database_url, xero_simulator) as office:
        await office.register_web()
        await office.apply(office.web())
        await office.connect()
        await office.http.delete(f"{xero_simulator.control_url}/arrivals")
        yield office


class Store(PostgresAuthorisations):
    """As the service has it, with something to happen at a point of a renewal."""

    def __init__(self, office: Office, database: Any = None) -> None:
        vault = office.vault
        super().__init__(database or office.db, vault.encrypt, vault.decrypt)
        self.when_claimed: Callable[[], Awaitable[Any]] | None = None
        self.when_answered: Callable[[], Awaitable[Any]] | None = None
        self.saved: list[bool] = []

    async def claim(self, id: int, generation: int, lease: float) -> bool:
        claimed = await super().claim(id, generation, lease)
        if claimed and self.when_claimed is not None:
            await self.when_claimed()
        return claimed

    async def save(self, id: int, generation: int, tokens: TokenSet) -> bool:
        if self.when_answered is not None:
            await self.when_answered()
        self.saved.append(await super().save(id, generation, tokens))
        return self.saved[-1]


def process(office: Office, store: PostgresAuthorisations, lease: float = 45.0) -> XeroTokens:
    """The tokens of a process of its own; it looks often at what others do."""
    identity = IdentityServer(office.http, office.simulator.identity_url, office.simulator.api_url)
    consented = Consented(identity, store, lease=lease, poll=0.02)
    return XeroTokens(identity, ClientCredentials(identity), consented)


async def web(office: Office) -> Authorisation:
    """The authorisation as it is stored."""
    return await office.store().get(1)


async def generation(office: Office) -> int:
    """Of its tokens."""
    consent = (await web(office)).consent
    assert consent is not None
    return consent.generation


async def expire(office: Office) -> None:
    """The access token's life is over."""
    await office.db.execute("update authorisation set good_until = now()")


async def accepted(office: Office, token: str) -> bool:
    """Whether Xero takes it."""
    bearer = {"Authorization": f"Bearer {token}"}
    url = office.simulator.api_url.replace("/api.xro/2.0", "/connections")
    return (await office.http.get(url, headers=bearer)).status_code == 200


# ── One at a time ─────────────────────────────────────────────────────────────────────────────────


async def test_a_stored_token_is_used_by_all_and_nobody_asks_xero(office: Office) -> None:
    tokens = [await process(office, office.store()).token(await web(office)) for _ in range(3)]
    assert len(set(tokens)) == 1
    assert await accepted(office, tokens[0])
    assert await office.asked() == 0


async def test_replicas_renew_once_between_them(office: Office, database_url: str) -> None:
    await expire(office)
    where = {"method": "POST", "path_prefix": "/connect/token"}
    await office.order("faults", {"kind": "slow", "seconds": 0.3, "match": where})
    stale = await web(office)
    async with database(database_url) as one, database(database_url) as other:
        replicas = [process(office, Store(office, db)) for db in (one, one, other, other)]
        asked = [replica.token(stale) for replica in replicas for _ in range(3)]
        tokens = await asyncio.gather(*asked)
    assert len(set(tokens)) == 1
    assert await accepted(office, tokens[0])
    assert await office.asked() == 1
    assert await generation(office) == 2


async def test_a_token_that_is_still_good_is_used_while_another_renews(office: Office) -> None:
    await office.db.execute("update authorisation set good_until = now() + interval '100 s'")
    store = office.store()
    assert await store.claim(1, 1, 45.0)
    before = await web(office)
    assert before.consent is not None
    assert await process(office, store).token(before) == before.consent.access_token
    assert await office.asked() == 0


async def test_a_waiter_that_is_cut_off_does_not_cut_off_the_renewal(office: Office) -> None:
    await expire(office)
    store, reached, go = Store(office), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await go.wait()

    store.when_answered = hold
    tokens = process(office, store)
    stale = await web(office)
    first = asyncio.create_task(tokens.token(stale))
    await reached.wait()
    second = asyncio.create_task(tokens.token(stale))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go.set()
    assert await accepted(office, await second)
    assert (await office.asked(), store.saved) == (1, [True])


async def test_a_refused_token_is_renewed_once(office: Office) -> None:
    tokens, store = process(office, office.store()), office.store()
    first = await web(office)
    old = await tokens.token(first)
    tokens.forget(first, old)
    new = await tokens.token(first)
    tokens.forget(first, old)  # another call in flight had it too
    assert await tokens.token(await store.get(1)) == new != old
    assert await office.asked() == 1


# ── Crashes and failures ──────────────────────────────────────────────────────────────────────────


async def test_a_process_killed_between_the_answer_and_its_saving(office: Office) -> None:
    """The refresh token that is stored is spent, and still good: Xero takes it for 30 minutes."""
    await expire(office)
    dying, answered, never = Store(office), asyncio.Event(), asyncio.Event()

    async def die() -> None:
        answered.set()
        await never.wait()

    dying.when_answered = die
    stale = await web(office)
    killed = asyncio.create_task(process(office, dying, lease=0.2).token(stale))
    await answered.wait()
    survivor = process(office, office.store())
    token = await survivor.token(stale)  # waits until the claim has run out
    assert await accepted(office, token)
    assert await office.asked() == 2
    await survivor.renew(await web(office))
    assert await generation(office) == 3, "the chain goes on"

    never.set()  # it was only paused: what it got is not the newest any more
    assert await accepted(office, await killed)
    assert dying.saved == [False]
    assert await generation(office) == 3


async def test_the_tender_ends_what_a_dead_process_left(office: Office) -> None:
    """Even if nothing is to be sent: 30 minutes later it would be too late."""
    caller = office.caller()
    assert await caller.renew_resting() == 0
    assert await office.store().claim(1, 1, 0.0)
    assert await caller.renew_resting() == 1
    assert (await office.asked(), await generation(office)) == (1, 2)
    assert await caller.renew_resting() == 0


async def test_an_answer_that_is_lost_is_asked_for_again(office: Office) -> None:
    await expire(office)
    where = {"method": "POST", "path_prefix": "/connect/token"}
    await office.order("faults", {"kind": "reply_lost", "match": where})
    tokens = process(office, office.store())
    with pytest.raises(Throttled):
        await tokens.token(await web(office))
    assert await office.store().resting(DAY, 9) == [(office.tenant_id, 1)]
    assert await accepted(office, await tokens.token(await web(office)))
    assert await office.store().resting(DAY, 9) == []


async def test_a_good_token_outlives_an_identity_server_that_is_away(office: Office) -> None:
    await office.db.execute("update authorisation set good_until = now() + interval '100 s'")
    where = {"method": "POST", "path_prefix": "/connect/token"}
    await office.order("faults", {"kind": "500_before", "match": where})
    before = await web(office)
    assert before.consent is not None
    tokens = process(office, office.store())
    assert await tokens.token(before) == before.consent.access_token
    assert await tokens.token(before) != before.consent.access_token


async def test_an_answer_is_saved_as_soon_as_the_database_is_back(office: Office) -> None:
    await expire(office)
    store, failures = Store(office), [Unavailable("away"), Unavailable("away")]

    async def away() -> None:
        if failures:
            raise failures.pop()

    store.when_answered = away
    assert await accepted(office, await process(office, store).token(await web(office)))
    assert (await office.asked(), await generation(office)) == (1, 2)


async def test_a_consent_that_nobody_uses_is_kept_alive(office: Office) -> None:
    caller = office.caller()
    await office.db.execute(
        "update authorisation set renewed_at = now() - $1 * interval '1 day' + interval '1 min'",
        RESTING_DAYS,
    )
    assert await caller.renew_resting() == 0
    await office.db.execute("update authorisation set renewed_at = renewed_at - interval '1 min'")
    assert await caller.renew_resting() == 1
    assert await caller.renew_resting() == 0
    assert await generation(office) == 2


# ── The end of a consent ──────────────────────────────────────────────────────────────────────────


async def announced(office: Office) -> list[str]:
    """The codes of what is to be announced."""
    return [row["code"] for row in await office.db.fetch("select code from outbox order by id")]


@pytest.mark.parametrize("by_tender", [False, True])
async def test_an_ended_consent_parks_once_and_another_releases(
    office: Office, by_tender: bool
) -> None:
    await expire(office)
    await office.end_consent()
    await office.db.execute("update authorisation set renewed_at = now() - interval '31 days'")
    issued = office.secrets()
    with capture_logs() as logs:
        for _ in range(3):
            if by_tender:
                await office.caller().renew_resting()
            else:
                assert await office.caller().token(office.tenant_id, 1) is None
    assert await announced(office) == ["consent_ended"]
    assert await office.value("select parked_why from authorisation") == "consent_ended"
    assert (await office.ledger().due(9))[0] == []
    parked = [one for one in logs if one["event"] == "parked"]
    assert len(parked) == 1
    assert not any(token in str(logs) for token in issued)
    assert await office.store().resting(DAY, 9) == [], "a parked one is left alone"

    applied = await office.apply(office.web())
    assert applied.lines == ("  acme: waits for a consent; run lago-xero connect acme",)
    await office.connect()
    assert (await office.ledger().due(9))[0] == [(office.tenant_id, 1)]
    token = await office.caller().token(office.tenant_id, 1)
    assert token is not None
    assert await accepted(office, token)


async def test_a_refusal_of_what_no_longer_counts_ends_nothing(office: Office) -> None:
    """While we ask with the old refresh token somebody consents again."""
    await expire(office)
    await office.end_consent()
    store, stale = Store(office), await web(office)

    async def consent_again() -> None:
        store.when_claimed = None
        await office.connect()

    store.when_claimed = consent_again
    tokens = process(office, store)
    token = await office.caller(tokens).token(office.tenant_id, 1)
    assert token is not None
    assert await accepted(office, token)
    assert await announced(office) == []
    parked = await office.ledger().park(office.tenant_id, Unauthorised("x", "No."), stale)
    assert not parked, "what was read before the new consent parks nothing"


async def test_a_wrong_secret_is_no_end_of_the_consent(office: Office) -> None:
    stale = await web(office)
    with pytest.raises(Unauthorised) as refused:
        await process(office, office.store()).renew(replace(stale, client_secret="wrong"))
    assert refused.value.code == "authorisation_refused"
    await process(office, office.store()).renew(stale)
    assert await generation(office) == 2
