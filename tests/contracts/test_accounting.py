"""What every ``Accounting`` promises, shown on the fake and over HTTP on the simulated Xero."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import httpx
import pytest

from consumer.adapters.xero import XeroAccounting, open_client
from consumer.domain.answers import Limits, Reply
from consumer.domain.errors import ConsumerError, Doubt, NotExecuted
from consumer.ports import Accounting, Call
from consumer.sandbox.xero import Simulator, SimulatorSettings, serve
from tests.fakes.accounting import FakeAccounting, no_answer, not_sent

JSON = dict[str, Any]
TENANT = UUID("7f6a0000-0000-4000-8000-000000000001")
BODY = json.dumps({"Contacts": [{"Name": "Kauri"}]}).encode()
WRITE = "Contacts?summarizeErrors=false"


class World(Protocol):
    """A Xero that does what is ordered, and tells which calls reached it."""

    accounting: Accounting
    token: str

    async def order(self, fault: str) -> None:
        """The next call suffers this fault."""

    async def reached(self) -> int:
        """How many calls reached Xero."""

    async def unreachable(self) -> Accounting:
        """An ``Accounting`` whose Xero nobody can connect to."""


class FakeWorld:
    """The fake with the outcomes that faults have."""

    token = "secret-token"

    def __init__(self) -> None:
        self.fake = FakeAccounting()
        self.accounting: Accounting = self.fake

    async def order(self, fault: str) -> None:
        outcomes: dict[str, Reply | Doubt | NotExecuted] = {
            "429": Reply(429, b"", Limits(problem="minute", retry_after=7.0)),
            "503": Reply(503, b"The Organisation is offline"),
            "500_before": Reply(500, b"{}"),
            "500_after": Reply(500, b"{}"),
            "garbage": Reply(200, b"<html>"),
            "slow": no_answer("TimeoutError"),
            "drip": no_answer("TimeoutError"),
            "reply_lost": no_answer(),
            "close_before": no_answer(),
        }
        self.fake.script(outcomes[fault])

    async def reached(self) -> int:
        return len(self.fake.calls)

    async def unreachable(self) -> Accounting:
        return FakeAccounting(not_sent())


class HttpWorld:
    """The adapter on the simulator. Faults that take their time take longer than a test waits."""

    def __init__(self, simulator: Simulator, client: httpx.AsyncClient) -> None:
        self.simulator = simulator
        self.client = client
        self.accounting: Accounting = XeroAccounting(client, simulator.api_url)
        self.token = ""

    async def begin(self) -> None:
        organisation = {"tenant_id": str(TENANT), "name": "Acme", "country_code": "NZ"}
        await self._control("tenants", {**organisation, "base_currency": "NZD"})
        app = {"client_id": "app", "client_secret": "secret", "tenant_ids": [str(TENANT)]}
        await self._control("clients", app)
        answer = await self.client.post(
            f"{self.simulator.identity_url}/connect/token",
            data={"grant_type": "client_credentials"},
            auth=("app", "secret"),
        )
        self.token = answer.json()["access_token"]

    async def _control(self, path: str, body: JSON) -> None:
        answer = await self.client.post(f"{self.simulator.control_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text

    async def order(self, fault: str) -> None:
        seconds = 7 if fault == "429" else 60
        await self._control("faults", {"kind": fault, "seconds": seconds})

    async def arrivals(self) -> list[JSON]:
        answer = await self.client.get(
            f"{self.simulator.control_url}/arrivals", params={"path_prefix": "/api.xro"}
        )
        found: list[JSON] = answer.json()
        return found

    async def reached(self) -> int:
        return len(await self.arrivals())

    async def unreachable(self) -> Accounting:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        return XeroAccounting(self.client, f"http://127.0.0.1:{port}/api.xro/2.0")


@contextlib.asynccontextmanager
async def over_http() -> AsyncIterator[HttpWorld]:
    async with serve(SimulatorSettings()) as simulator, open_client() as client:
        world = HttpWorld(simulator, client)
        await world.begin()
        yield world


@pytest.fixture
async def http_world() -> AsyncIterator[HttpWorld]:
    async with over_http() as world:
        yield world


@pytest.fixture(params=["fake", "http"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    async with over_http() as world:
        yield world


def write(world: World, **said: Any) -> Call:
    call = Call(TENANT, world.token, "PUT", WRITE, BODY, idempotency_key="k", timeout=30.0)
    return replace(call, **said)


def read(world: World, **said: Any) -> Call:
    return replace(Call(TENANT, world.token, "GET", "Contacts", timeout=30.0), **said)


def all_texts(error: BaseException) -> str:
    """Everything that a log or a traceback could show of an error and what it drags along."""
    texts: list[str] = []
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None:
            continue
        texts += [str(one), repr(one), repr(one.args), repr(vars(one))]
        pending += [one.__cause__, one.__context__]
    return "\n".join(texts)


async def failure(world: World, accounting: Accounting, call: Call) -> ConsumerError:
    with pytest.raises(ConsumerError) as caught:
        await accounting.call(call)
    assert world.token not in all_texts(caught.value)
    assert "Bearer" not in all_texts(caught.value)
    assert caught.value.__context__ is None, "it could keep the request with its token"
    return caught.value


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


async def test_answer_is_handed_over_whole(world: World) -> None:
    reply = await world.accounting.call(read(world))
    assert reply.status == 200
    assert json.loads(reply.body)["Contacts"] == []
    assert await world.reached() == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [("429", 429), ("503", 503), ("500_before", 500), ("500_after", 500), ("garbage", 200)],
)
async def test_any_status_is_an_answer(world: World, fault: str, status: int) -> None:
    await world.order(fault)
    reply = await world.accounting.call(write(world))
    assert reply.status == status
    if fault == "garbage":
        assert reply.body.startswith(b"<html>")


async def test_throttling_tells_limit_and_wait(world: World) -> None:
    await world.order("429")
    reply = await world.accounting.call(write(world))
    assert (reply.limits.problem, reply.limits.retry_after) == ("minute", 7.0)


# ── Not executed ──────────────────────────────────────────────────────────────────────────────────


async def test_no_connection_is_certainly_not_executed(world: World) -> None:
    error = await failure(world, await world.unreachable(), write(world))
    assert type(error) is NotExecuted
    assert error.code == "not_sent"
    assert await world.reached() == 0


async def test_call_that_comes_too_late_does_not_leave(world: World) -> None:
    late = write(world, first_byte_by=time.monotonic() - 0.001)
    error = await failure(world, world.accounting, late)
    assert type(error) is NotExecuted
    assert await world.reached() == 0
    # What was in time leaves.
    await world.accounting.call(read(world, first_byte_by=time.monotonic() + 30))
    assert await world.reached() == 1


# ── In doubt ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["reply_lost", "close_before"])
async def test_broken_connection_is_a_doubt(world: World, fault: str) -> None:
    await world.order(fault)
    error = await failure(world, world.accounting, write(world))
    assert type(error) is Doubt
    assert error.code == "no_answer"
    assert await world.reached() == 1


@pytest.mark.parametrize("fault", ["slow", "drip"])
async def test_answer_that_is_not_complete_in_time_is_a_doubt(world: World, fault: str) -> None:
    """Also one that drips: each byte comes soon after the last, so no read ever times out."""
    await world.order(fault)
    began = time.monotonic()
    error = await failure(world, world.accounting, write(world, timeout=0.3))
    assert type(error) is Doubt
    assert time.monotonic() - began < 10
    assert await world.reached() == 1


async def test_a_failed_call_does_not_spoil_the_next(world: World) -> None:
    await world.order("reply_lost")
    await failure(world, world.accounting, write(world))
    assert (await world.accounting.call(read(world))).status == 200


def test_a_call_shows_neither_token_nor_query() -> None:
    call = Call(TENANT, "secret-token", "GET", "Contacts?where=Name")
    assert repr(call) == str(call) == "Call(GET Contacts)"


# ── Only over HTTP ────────────────────────────────────────────────────────────────────────────────


async def test_headers_of_a_write(http_world: HttpWorld) -> None:
    await http_world.accounting.call(write(http_world))
    reply = await http_world.accounting.call(write(http_world))
    first, again = await http_world.arrivals()
    assert (first["tenant_id"], first["idempotency_key"]) == (str(TENANT), "k")
    assert (first["replay"], again["replay"]) == (False, True)
    assert first["query"] == "summarizeErrors=false"
    assert reply.correlation
    assert reply.limits.minute_left is not None
    assert reply.limits.day_left is not None
    assert reply.limits.app_minute_left is not None


async def test_only_what_changed_since(http_world: HttpWorld) -> None:
    await http_world.accounting.call(write(http_world))
    long_ago, ahead = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    changed = await http_world.accounting.call(read(http_world, if_modified_since=long_ago))
    nothing = await http_world.accounting.call(read(http_world, if_modified_since=ahead))
    assert len(json.loads(changed.body)["Contacts"]) == 1
    assert nothing.status == 304 or json.loads(nothing.body)["Contacts"] == []


async def test_answer_beyond_the_largest_is_given_up(http_world: HttpWorld) -> None:
    small = XeroAccounting(http_world.client, http_world.simulator.api_url, max_answer=10)
    error = await failure(http_world, small, read(http_world))
    assert type(error) is Doubt


async def test_process_that_slept_while_connecting_sends_nothing(http_world: HttpWorld) -> None:
    """The clock jumps between the first check and the moment before the first byte."""
    readings = iter([0.0])
    async with open_client() as fresh:
        accounting = XeroAccounting(
            fresh, http_world.simulator.api_url, clock=lambda: next(readings, 100.0)
        )
        error = await failure(http_world, accounting, write(http_world, first_byte_by=5.0))
    assert type(error) is NotExecuted
    assert await http_world.reached() == 0


async def test_no_answer_while_connecting_is_not_executed() -> None:
    """A host that accepts no connection: the backlog is full, the handshake never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        listener.setblocking(False)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            async with open_client() as client:
                accounting = XeroAccounting(client, f"http://127.0.0.1:{address[1]}")
                call = Call(TENANT, "secret-token", "PUT", "Contacts", BODY, timeout=0.3)
                with pytest.raises(NotExecuted):
                    await accounting.call(call)
        finally:
            for filler in fillers:
                filler.close()


async def test_cancelling_a_call_stays_a_cancellation(http_world: HttpWorld) -> None:
    await http_world.order("slow")
    task = asyncio.create_task(http_world.accounting.call(write(http_world)))
    async with asyncio.timeout(10):
        while not await http_world.reached():
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
