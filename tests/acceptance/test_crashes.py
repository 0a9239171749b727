"""Crashes while ingesting and while announcing, and a Xero that is away: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumer.adapters.http import HttpServer
from consumer.sandbox.lago import Organization
from consumer.sandbox.services.processes import free_port
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import Replica, World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API, Tenant


async def test_sigkill_while_ingesting_loses_and_doubles_nothing(acme: World) -> None:
    shop = Shop(seed=21)
    customer = shop.customer()
    first = shop.invoice(customer)
    records = [shop.told(customer), *map(shop.billed, [first, *shop.like(first, 1500)])]
    await acme.produce(records)
    [replica] = await acme.start(kafka_max_poll_records=25)

    async def partly() -> bool:
        known = await acme.value("select count(*) from event")
        return bool(len(records) * 0.1 < known)

    await acme.until(partly, "a part of the records is stored")
    await replica.kill()
    stored = await acme.value("select count(*) from event")
    assert stored < len(records) * 0.9, "the backlog was too short to be interrupted"
    assert not await acme.ingested()
    await acme.start(kafka_max_poll_records=500)
    await acme.settled(120)
    assert await acme.value("select count(*) from event") == len(records)
    await acme.assert_booked(shop.expected)
    await acme.assert_within_limits()


async def test_sigkill_while_announcing_announces_all_the_same(acme: World) -> None:
    shop = Shop(seed=22)
    customer = shop.customer()
    stuck = [shop.unmapped(customer) for _ in range(40)]
    acme.receiver.delay = 0.4
    [replica] = await acme.start()
    await acme.produce([shop.told(customer), *map(shop.billed, stuck)])

    async def posted() -> bool:
        return bool(acme.receiver.posts)

    await acme.until(posted, "the first post arrives")
    await replica.kill()
    open_rows = "select count(*) from outbox where done_at is null"
    assert await acme.value(open_rows) > 0, "the kill came too late"
    acme.receiver.delay = 0.0
    await acme.start()
    await acme.settled(90)
    told = Counter(f["document"]["number"] for f in acme.receiver.failures)
    assert told.keys() == {invoice["number"] for invoice in stuck}
    dead = Counter(record.value for record in await acme.dead_letter_records())
    assert len(dead) == len(stuck)
    ids = Counter(f["id"] for f in acme.receiver.failures)
    assert len(ids) == len(stuck), "a repetition is told by its id"


async def test_an_unreachable_xero_is_waited_for(make_world: MakeWorld) -> None:
    async with make_world() as world:
        shop = Shop(seed=23)
        port = free_port()
        there = urlsplit(world.simulator.api_url)
        url = f"http://127.0.0.1:{port}"
        [replica] = await world.start(
            xero_api_url=url + API, xero_identity_url=world.simulator.identity_url
        )
        await world.produce(shop.sold(customers=3, invoices=5))
        await world.until_ingested()

        async def tried() -> bool:
            asked = "select count(*) from request where outcome = 'not_executed'"
            return bool(await world.value(asked) > 2)

        await world.until(tried, "calls are tried and nothing of them leaves")
        assert await world.count("failed") == await world.count("failed", "contact") == 0
        assert await _health(replica) == 200
        async with _forwarding(port, there.hostname or "", there.port or 0):
            await world.settled(60)
        await world.assert_booked(shop.expected)
        await world.assert_within_limits()


async def test_a_forbidden_tenant_stands_still_alone(make_world: MakeWorld) -> None:
    closed = Tenant("acme-nz", serves={"billing_entities": ["acme-nz"]})
    healthy = Tenant("other", organization_id="2b901a90-1a90-4a90-9a90-1a901a901a90")
    async with make_world(tenants=[closed, healthy]) as world:
        shop = Shop(seed=24)
        elsewhere = Shop(seed=25, organization=Organization(healthy.organization_id))
        await world.order(
            "faults", {"kind": "403", "times": -1, "match": {"tenant_id": closed.tenant_id}}
        )
        await world.start(2)
        await world.produce([*shop.sold(2, 4), *elsewhere.sold(2, 4)])
        await world.until_ingested()

        async def done() -> bool:
            return await world.count("synced") == len(elsewhere.expected) and bool(
                world.receiver.failures
            )

        await world.until(done, "the healthy tenant is served, the forbidden one announced", 60)
        await world.assert_booked(elsewhere.expected, healthy)
        assert world.receiver.codes() == ["tenant_forbidden"]
        asked = len([one for one in await world.arrivals() if one["status"] == 403])
        assert 1 <= asked <= 8, "a forbidden tenant is not asked again and again"
        await world.control.delete(f"{world.simulator.control_url}/faults")
        assert "was parked" in await world.apply()
        await world.settled(60)
        await world.assert_booked(shop.expected, closed)
        assert world.receiver.codes() == ["tenant_forbidden"]


async def test_an_identity_server_that_fails_for_one_client_costs_the_others_nothing(
    make_world: MakeWorld,
) -> None:
    ailing = Tenant("acme-nz", serves={"billing_entities": ["acme-nz"]})
    healthy = Tenant("other", organization_id="2b901a90-1a90-4a90-9a90-1a901a901a90")
    async with (
        make_world(tenants=[ailing, healthy]) as world,
        _identity(world.simulator.identity_url, ailing.client_id) as identity,
    ):
        shop = Shop(seed=26)
        elsewhere = Shop(seed=27, organization=Organization(healthy.organization_id))
        await world.start(xero_identity_url=identity.url)
        await world.produce([*shop.sold(2, 4), *elsewhere.sold(2, 4)])

        async def done() -> bool:
            return await world.count("synced") == len(elsewhere.expected)

        await world.until(done, "the healthy tenant is served", 30)
        await world.assert_booked(elsewhere.expected, healthy)
        assert await world.count("ready", "contact") == 2
        assert world.receiver.failures == [], "it may be back at any moment: nobody must act"
        assert 1 <= identity.refused <= 40
        identity.ill = False
        await world.settled(60)
        await world.assert_booked(shop.expected, ailing)


@dataclass
class _Identity:
    """An identity server before the simulated one that answers one client with 503 while ``ill``."""

    url: str = ""
    ill: bool = True
    refused: int = 0


@asynccontextmanager
async def _identity(there: str, client_id: str) -> AsyncIterator[_Identity]:
    identity = _Identity()
    async with httpx.AsyncClient(base_url=there) as behind:

        async def forward(request: Request) -> Response:
            user = b64decode(request.headers.get("authorization", "").removeprefix("Basic "))
            body = await request.body()
            if identity.ill and client_id.encode() in user + body:
                identity.refused += 1
                return Response(status_code=503)
            passed = {
                name: value
                for name, value in request.headers.items()
                if name in ("authorization", "content-type")
            }
            answer = await behind.request(
                request.method, request.url.path, content=body, headers=passed
            )
            return Response(answer.content, answer.status_code, media_type="application/json")

        server = HttpServer(
            Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])]),
            "127.0.0.1",
            0,
        )
        await server.start()
        identity.url = f"http://127.0.0.1:{server.port}"
        try:
            yield identity
        finally:
            await server.stop()


async def _health(replica: Replica) -> int:
    [port] = [said["http_port"] for said in replica.said() if said["event"] == "started"]
    async with httpx.AsyncClient() as http:
        return (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code


@asynccontextmanager
async def _forwarding(port: int, host: str, to: int) -> AsyncIterator[None]:
    """Connections to ``port`` go on to the simulator."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, to)
        await asyncio.gather(
            pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True
        )

    server = await asyncio.start_server(connect, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
