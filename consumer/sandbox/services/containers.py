"""The same services in Docker, by testcontainers: options go in, a running container comes out.

Ports of the host are chosen by us and fixed, so that Kafka can advertise its own and a stopped
container comes back where it was. testcontainers' own reaper removes what a killed starter leaves.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .errors import ServiceUnavailable
from .processes import free_port
from .server import Ready, until_ready

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

KAFKA_IMAGE = "apache/kafka:4.1.1"
POSTGRES_IMAGE = "postgres:18-alpine"
ENGINE_SECONDS = 5
STOP_SECONDS = 30.0
# A collation that is the same on every machine.
INITDB_LOCALE = (
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


@dataclass(frozen=True)
class DockerServer:
    """A server in a container."""

    container: "DockerContainer"
    ready: Ready

    async def start(self) -> None:
        await asyncio.to_thread(self.container.get_wrapped_container().start)
        await until_ready(self.ready, lambda: True)

    async def crash(self) -> None:
        await asyncio.to_thread(self.container.get_wrapped_container().kill)

    async def pause(self) -> None:
        await asyncio.to_thread(self.container.get_wrapped_container().pause)

    async def resume(self) -> None:
        await asyncio.to_thread(self.container.get_wrapped_container().unpause)

    async def close(self) -> None:
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.to_thread(self.container.stop)


async def docker_answers() -> bool:
    """Whether testcontainers is installed and a Docker engine answers."""
    try:
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from testcontainers.core.docker_client import DockerClient
    except ImportError:
        return False

    def ping() -> bool:
        try:  # testcontainers' own client, so that both look for the engine in the same places
            client = DockerClient(timeout=ENGINE_SECONDS).client
            try:
                return bool(client.ping())
            finally:
                client.close()
        except (DockerException, OSError):
            return False

    return await asyncio.to_thread(ping)


async def kafka_container(
    options: Mapping[str, str], answers: Callable[[str], Awaitable[None]]
) -> tuple[DockerServer, str]:
    """Apache Kafka's own image; testcontainers' KafkaContainer knows Confluent's only."""
    from testcontainers.core.container import DockerContainer

    from .kafka_local import SMALL_BROKER

    port = free_port()
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    host = await _host(container)
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:9093",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        **SMALL_BROKER,
        **options,
    }
    for key, value in properties.items():
        container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
    bootstrap_servers = f"{host}:{port}"
    server = DockerServer(container, partial(answers, bootstrap_servers))
    return await _started(server), bootstrap_servers


async def postgres_container(
    parameters: Mapping[str, str], answers: Callable[[str], Awaitable[None]]
) -> tuple[DockerServer, str]:
    """The official image with our locale and server parameters."""
    from testcontainers.community.postgres import PostgresContainer

    port = free_port()
    password = secrets.token_urlsafe(16)
    container = PostgresContainer(
        POSTGRES_IMAGE, username="postgres", password=password, dbname="postgres", driver=None
    )
    container.with_bind_ports(5432, port)
    container.with_env("POSTGRES_INITDB_ARGS", " ".join(INITDB_LOCALE))
    container.with_command([word for pair in parameters.items() for word in ("-c", "=".join(pair))])
    host = await _host(container)
    url = f"postgresql://postgres:{password}@{host}:{port}/postgres"
    return await _started(DockerServer(container, partial(answers, url))), url


async def _host(container: "DockerContainer") -> str:
    """The engine's own address: our ports are bound there.

    testcontainers' `get_container_host_ip` may want a started container, where we run in one ourselves.
    """
    return await asyncio.to_thread(container.get_docker_client().host)


async def _started(server: DockerServer) -> DockerServer:
    from docker.errors import DockerException
    from testcontainers.core.exceptions import ContainerConnectException, ContainerStartException

    try:
        await asyncio.to_thread(server.container.start)
        await until_ready(server.ready, lambda: True)
    except (  # TimeoutError is an OSError; the last two are testcontainers' reaper's
        DockerException,
        OSError,
        ContainerConnectException,
        ContainerStartException,
    ) as problem:
        with suppress(Exception):  # an engine that fails to start may fail to stop
            await server.close()
        raise ServiceUnavailable(
            f"Docker could not start {server.container.image}: {problem or 'it does not answer'}."
        ) from problem
    except BaseException:
        await server.close()
        raise
    return server
