"""Probes, metrics and the callback, over a real socket."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from consumer.adapters.http import HttpServer, application, callback
from consumer.domain.errors import Halt
from consumer.sandbox.services.processes import free_port


class Service:
    """What the probes ask; ``forever`` makes readiness hang."""

    def __init__(self) -> None:
        self.dead: str | None = None
        self.checks: dict[str, str | None] = {"kafka": None, "postgres": None}
        self.forever = False
        self.registry = CollectorRegistry()
        app = application(self.live, self.ready, self.registry, ready_timeout=0.1)
        self.server = HttpServer(app, "127.0.0.1", 0)

    def live(self) -> str | None:
        return self.dead

    async def ready(self) -> dict[str, str | None]:
        if self.forever:
            await asyncio.Event().wait()
        return self.checks

    async def get(self, path: str, accept: str = "*/*") -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(
                f"http://127.0.0.1:{self.server.port}{path}", headers={"accept": accept}
            )


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.server.start()
    yield service
    await service.server.stop()


async def test_well(service: Service) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await service.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_not_live(service: Service) -> None:
    service.dead = "no poll for 130 seconds"
    answer = await service.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"process": "no poll for 130 seconds"}
    assert (await service.get("/readyz")).status_code == 200


async def test_not_ready(service: Service) -> None:
    service.checks["postgres"] = "cannot be reached"
    answer = await service.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"postgres": "cannot be reached"}
    assert (await service.get("/healthz")).status_code == 200


async def test_a_check_that_hangs(service: Service) -> None:
    service.forever = True
    answer = await service.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"checks": "no answer within 0.1 seconds"}


async def test_metrics_in_both_formats(service: Service) -> None:
    Counter("things", "Things.", registry=service.registry).inc()
    plain = await service.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "things_total 1.0" in plain.text
    open_metrics = await service.get("/metrics", "application/openmetrics-text; version=1.0.0")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


async def test_nothing_else_is_served(service: Service) -> None:
    assert (await service.get("/")).status_code == 404


async def test_a_taken_port_is_one_sentence(service: Service) -> None:
    other = HttpServer(application(service.live, service.ready, service.registry), "127.0.0.1", 0)
    other._port = service.server.port
    with pytest.raises(Halt, match="Address already in use"):
        await other.start()


async def test_signals_stay_with_the_service(service: Service) -> None:
    await service.get("/healthz")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_stopping_waits_for_nobody() -> None:
    service = Service()
    await service.server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\n")  # never finished
    await writer.drain()
    async with asyncio.timeout(6):
        await service.server.stop()
        await service.server.stop()
    writer.close()
    with pytest.raises(httpx.ConnectError):
        await service.get("/healthz")


# ── The callback ──────────────────────────────────────────────────────────────────────────────────


def taken(query: str) -> str | None:
    """``?mine=x`` is the answer x; ``?refused`` is one that is an error."""
    if query == "?refused":
        raise Halt("consent_denied", "No.", "Try again.")
    return query.removeprefix("?mine=") if query.startswith("?mine=") else None


async def get(port: int, path: str) -> httpx.Response:
    """As a browser would."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def test_the_callback_waits_for_its_own_answer() -> None:
    port = free_port()
    async with callback(port, taken) as answer:
        strange = await get(port, "/callback?code=other")
        assert (strange.status_code, answer.done()) == (400, False)
        assert (await get(port, "/elsewhere?mine=x")).status_code == 404
        mine = await get(port, "/callback?mine=x")
        assert (mine.status_code, mine.headers["Cache-Control"]) == (200, "no-store")
        await get(port, "/callback?mine=again")
        assert await answer == "x"
    with pytest.raises(httpx.ConnectError):
        await get(port, "/callback?mine=x")


async def test_a_refusal_ends_the_wait() -> None:
    port = free_port()
    async with callback(port, taken) as answer:
        assert "Try again." in (await get(port, "/callback?refused")).text
        with pytest.raises(Halt, match="No"):
            await answer


async def test_a_port_that_is_taken_is_told_with_a_way_out() -> None:
    port = free_port()
    async with callback(port, taken):
        with pytest.raises(Halt) as refused:
            async with callback(port, taken):
                pass
    assert "--paste" in refused.value.hint
