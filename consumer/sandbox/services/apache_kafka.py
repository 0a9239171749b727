"""Kafka for tests and the sandbox: settings go in; a broker given, in Docker or local comes out."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from .containers import docker_answers, kafka_container
from .kafka_local import local_kafka
from .server import POLL_SECONDS, START_SECONDS, How, Server, ours

SETTING = "LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS"


@dataclass(frozen=True)
class KafkaService:
    """A Kafka that answers at `bootstrap_servers`; `how` tells whose it is."""

    bootstrap_servers: str
    how: How
    _server: Server | None = field(default=None, repr=False)

    async def stop_broker(self) -> None:
        """Ends the broker at once (SIGKILL); data and port stay. ServiceUnavailable if not ours."""
        await ours(self._server, "Kafka").crash()

    async def start_broker(self) -> None:
        """Starts the stopped broker again at the same address; returns when it answers."""
        await ours(self._server, "Kafka").start()

    async def pause_broker(self) -> None:
        """Freezes the broker (SIGSTOP): connections stay open and nothing answers."""
        await ours(self._server, "Kafka").pause()

    async def resume_broker(self) -> None:
        await ours(self._server, "Kafka").resume()

    async def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Creates a topic; raises aiokafka's error of the topic.

        It has one replica, or the cluster's default where the Kafka was given by settings.
        """
        given = self.how == "settings"
        topic = NewTopic(
            name,
            partitions,
            replication_factor=-1 if given else 1,
            replica_assignments={} if given else None,  # aiokafka wants it next to a -1
            topic_configs=dict(config or {}),
        )
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            await admin.start()
            answer = await _created(admin, topic)
        finally:
            await admin.close()
        # aiokafka leaves the errors of single topics in the answer.
        for _, code, *message in answer.topic_errors:
            if code:
                raise for_code(code)(f"topic {name}: {message[0] if message else ''}")


async def _created(admin: AIOKafkaAdminClient, topic: NewTopic) -> Any:
    """The answer, once there is a controller: a broker that was just cut off or frozen has none."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                return await admin.create_topics([topic])
            except AttributeError:  # aiokafka's word for it
                await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def kafka(options: Mapping[str, str] | None = None) -> AsyncIterator[KafkaService]:
    """Kafka while the context is open: settings, else Docker, else a local broker.

    `options` are broker settings on top of ours, ignored where the broker is given by settings,
    for instance `{"message.max.bytes": "2097152"}`. Raises ServiceUnavailable.
    """
    if given := os.environ.get(SETTING):
        yield KafkaService(given, "settings")
        return
    server: Server
    how: How
    if await docker_answers():
        how = "docker"
        server, bootstrap_servers = await kafka_container(options or {}, _answers)
    else:
        how = "local"
        server, bootstrap_servers = await local_kafka(options or {}, _answers)
    try:
        yield KafkaService(bootstrap_servers, how, server)
    finally:
        await server.close()


async def _answers(bootstrap_servers: str) -> None:
    """Raises unless a broker lists itself in the metadata it serves."""
    # aiokafka logs every refused connection; a plain one is tried first.
    host, _, port = bootstrap_servers.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    finally:
        await admin.close()
    if not cluster["brokers"]:
        raise ConnectionError("no broker has registered yet")
