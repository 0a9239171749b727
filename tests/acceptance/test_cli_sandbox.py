"""The installed command: the service asked how it is, and the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.sandbox.services import KafkaService
from tests.acceptance.shell import OK, REFUSED, UNREACHABLE, Shell


@contextlib.asynccontextmanager
async def answering(statuses: dict[str, int]) -> AsyncIterator[int]:
    """A service that answers its probes with these statuses; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        status = statuses[line.split()[1].decode()]
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nwhy".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("healthz", "readyz", "code"),
    [(200, 200, OK), (503, 200, UNREACHABLE), (200, 503, UNREACHABLE)],
)
async def test_healthcheck(healthz: int, readyz: int, code: int) -> None:
    async with answering({"/healthz": healthz, "/readyz": readyz}) as port:
        ended = await Shell(HTTP_PORT=str(port))("healthcheck")
    assert ended.code == code
    assert ("why" in ended.err) == (code != OK)


async def test_healthcheck_where_nothing_listens() -> None:
    assert (await Shell()("healthcheck", "--port", "1")).code == UNREACHABLE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_sandbox_runs_until_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    env = tmp_path / "sandbox.env"
    process = await Shell().start("sandbox", "up", "--only", "xero", "--env-file", str(env))
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            said = ""
            while "ready" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
            settings = dict(line.split("=", 1) for line in env.read_text().split())
            assert settings["LAGO_XERO_XERO_API_URL"] in said
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"{settings['LAGO_XERO_XERO_API_URL']}/Organisation")
            assert answer.status_code == 401
            second = await Shell()("sandbox", "up", "--only", "xero", "--env-file", str(env))
            assert (second.code, str(env) in second.err) == (REFUSED, True)
            assert settings["LAGO_XERO_XERO_API_URL"] in env.read_text()
            process.send_signal(number)
            await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == OK
    assert not list(tmp_path.iterdir())


async def test_sandbox_produces_generated_events(
    shell: Shell, kafka_service: KafkaService, topic: str
) -> None:
    there = shell.having(
        KAFKA_BOOTSTRAP_SERVERS=kafka_service.bootstrap_servers, KAFKA_TOPICS=topic
    )
    ended = await there("sandbox", "produce", "--count", "150")
    assert ended.code == OK
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_service.bootstrap_servers)
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        assert f"produced {(await consumer.end_offsets([part]))[part]} events" in ended.err
        assert (await consumer.end_offsets([part]))[part] >= 150
    finally:
        await consumer.stop()


async def test_producing_to_a_kafka_that_is_not_there(shell: Shell) -> None:
    ended = await shell("sandbox", "produce", "--count", "150")
    assert ended.code == UNREACHABLE
    sentence, hint = ended.err.splitlines()
    assert sentence.startswith("Kafka at ")
    assert hint.startswith("hint: ")
