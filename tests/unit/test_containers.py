"""What we ask of a Docker engine: a pretended one in; the calls of testcontainers to it out.

It proves names, ports and environment, not that the images start.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from testcontainers.core import config, exceptions, utils
from testcontainers.core import container as core

from consumer.sandbox.services import ServiceUnavailable, containers
from consumer.sandbox.services.containers import (
    docker_answers,
    kafka_container,
    postgres_container,
)

ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /version": (200, {"ApiVersion": "1.47"}),
    "GET /_ping": (200, "OK"),
    "GET /images/": (200, {"Id": "sha256:1", "Config": {}}),
    "GET /networks": (200, []),
    "GET /containers/c1/json": (200, {"Id": "c1", "State": {"Status": "running"}}),
    "GET /exec/e1/json": (200, {"ExitCode": 0}),
    "POST /containers/create": (201, {"Id": "c1"}),
    "POST /containers/c1/exec": (201, {"Id": "e1"}),
    "POST /exec/e1/start": (200, "PostgreSQL 18"),
}
"""By how a call begins; all others: done, nothing to say."""


@dataclass
class Engine:
    """What it was asked, and what it answers otherwise than usual."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    instead: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def answer(self, call: str, body: bytes) -> tuple[int, Any]:
        """Note the call; status and body."""
        self.calls.append((call, json.loads(body) if body[:1] == b"{" else None))
        for begins, answer in {**ANSWERS, **self.instead}.items():
            if call.startswith(begins):
                return answer
        return 204, ""

    @property
    def created(self) -> dict[str, Any]:
        """What the container was created with."""
        [body] = [body for call, body in self.calls if call == "POST /containers/create"]
        return dict(body)

    def asked(self, call: str) -> bool:
        """Whether a call began so."""
        return any(one.startswith(call) for one, _ in self.calls)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """At the address of this machine, and we in a container: as in CI with Docker in Docker."""
    pretended = Engine()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = re.sub(r"^/v1\.\d+", "", self.path).partition("?")[0]
            status, said = pretended.answer(f"{self.command} {path}", body)
            text = said if isinstance(said, str) else json.dumps(said)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names of the library

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(config.testcontainers_config, "ryuk_disabled", True)
    monkeypatch.setattr(utils, "inside_container", lambda: True)
    yield pretended
    server.shutdown()
    server.server_close()


async def _ready(_: str) -> None:
    pass


async def test_it_is_asked_whether_it_is_there(engine: Engine) -> None:
    assert await docker_answers()
    engine.instead["GET /_ping"] = (500, {"message": "not today"})
    assert not await docker_answers()


async def test_kafka_advertises_the_port_that_is_bound(engine: Engine) -> None:
    server, where = await kafka_container({"message.max.bytes": "2097152"}, _ready)
    host, _, port = where.rpartition(":")
    assert host == "127.0.0.1"
    created = engine.created
    assert created["Image"] == containers.KAFKA_IMAGE
    assert created["HostConfig"]["PortBindings"] == {
        f"{port}/tcp": [{"HostIp": "", "HostPort": port}]
    }
    environment = dict(one.split("=", 1) for one in created["Env"])
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://127.0.0.1:{port}"
    assert environment["KAFKA_MESSAGE_MAX_BYTES"] == "2097152"
    # The image takes one _ for a dot, two for a _ and three for a -.
    assert not any("__" in name for name in environment)
    await server.crash()
    await server.start()
    await server.pause()
    await server.resume()
    await server.close()
    for act in ("kill", "start", "pause", "unpause"):
        assert engine.asked(f"POST /containers/c1/{act}"), act
    assert engine.asked("DELETE /containers/c1")


async def test_postgres_gets_its_port_locale_and_parameters(engine: Engine) -> None:
    server, url = await postgres_container({"max_connections": "50", "fsync": "off"}, _ready)
    password, port = re.fullmatch(  # type: ignore[union-attr]
        r"postgresql://postgres:(.+)@127\.0\.0\.1:(\d+)/postgres", url
    ).groups()
    created = engine.created
    assert created["Image"] == containers.POSTGRES_IMAGE
    assert created["HostConfig"]["PortBindings"] == {"5432/tcp": [{"HostIp": "", "HostPort": port}]}
    assert created["Cmd"] == ["-c", "max_connections=50", "-c", "fsync=off"]
    environment = dict(one.split("=", 1) for one in created["Env"])
    assert environment["POSTGRES_PASSWORD"] == password
    assert environment["POSTGRES_INITDB_ARGS"] == " ".join(containers.INITDB_LOCALE)
    await server.close()


@pytest.mark.parametrize("start", [kafka_container, postgres_container])
async def test_what_keeps_it_from_starting_is_one_sentence(
    engine: Engine, start: Callable[..., Awaitable[Any]]
) -> None:
    engine.instead["POST /containers/c1/start"] = (500, {"message": "port is already allocated"})
    engine.instead["DELETE /containers/c1"] = (500, {"message": "it is stuck"})
    with pytest.raises(ServiceUnavailable, match=r"Docker could not start .*already allocated"):
        await start({}, _ready)


async def test_a_reaper_that_does_not_answer_is_one_sentence(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise exceptions.ContainerConnectException("the reaper does not answer")

    monkeypatch.setattr(config.testcontainers_config, "ryuk_disabled", False)
    monkeypatch.setattr(core.Reaper, "get_instance", refused)
    with pytest.raises(ServiceUnavailable, match="the reaper does not answer"):
        await kafka_container({}, _ready)
    assert not engine.asked("POST /containers/create")
