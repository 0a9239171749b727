"""The service starters keep their promises: data survives an outage, nothing survives its owner."""

import asyncio
import itertools
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAlreadyExistsError

from consumer.sandbox.services import (
    KafkaService,
    PostgresService,
    ServiceUnavailable,
    kafka,
    kafka_local,
    postgres,
    postgres_local,
)
from consumer.sandbox.services.processes import KeptProcess, free_port

GONE_SECONDS = 30.0
SETTINGS = ("LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS", "LAGO_XERO_DATABASE_URL")
# A machine with Docker alone starts no local Kafka; in CI that is a failure.
needs_java = pytest.mark.skipif(
    shutil.which("java") is None and "CI" not in os.environ, reason="there is no Java here"
)


@pytest.fixture
def local_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """No settings and no Docker; yields the directory in which local services keep their data."""
    tmp_path_factory.getbasetemp()  # pytest's own stays where it is
    for setting in SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)  # root's Postgres runs as another user
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    shutil.rmtree(directory)


@asynccontextmanager
async def script(text: str, *arguments: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python script as a process of its own, killed if the test leaves it running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", text, *arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def consumed(bootstrap_servers: str, topic: str, group: str) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        session_timeout_ms=2000,
        heartbeat_interval_ms=500,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            value: bytes | None = (await consumer.getone()).value
            return value
    finally:
        await consumer.stop()


async def test_records_survive_a_killed_broker(kafka_service: KafkaService, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_service.bootstrap_servers)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"kept")
    finally:
        await producer.stop()
    if kafka_service.how == "settings":
        with pytest.raises(ServiceUnavailable):
            await kafka_service.stop_broker()
    else:
        await kafka_service.stop_broker()
        host, _, port = kafka_service.bootstrap_servers.rpartition(":")
        with pytest.raises(OSError):
            await asyncio.open_connection(host, int(port))
        await kafka_service.start_broker()
    assert await consumed(kafka_service.bootstrap_servers, topic, f"{topic}.group") == b"kept"


async def test_a_topic_that_exists_is_an_error(kafka_service: KafkaService, topic: str) -> None:
    with pytest.raises(TopicAlreadyExistsError):
        await kafka_service.create_topic(topic)


async def test_rows_survive_a_killed_postgres(postgres_service: PostgresService) -> None:
    url = await postgres_service.create_database()
    connection = await asyncpg.connect(url)
    await connection.execute("create table kept as select 1 as one")
    if postgres_service.how == "settings":
        with pytest.raises(ServiceUnavailable):
            await postgres_service.stop_server()
    else:
        await connection.execute("checkpoint")
        await postgres_service.stop_server()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("select 1")
        await postgres_service.start_server()
    await connection.close()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select one from kept") == 1
    await connection.close()
    await postgres_service.drop_database(url)


async def test_a_test_database_is_migrated_and_its_own(
    database_url: str, postgres_service: PostgresService, database_template: str
) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select to_regclass('document')") is not None
    await connection.execute("create table mine ()")
    await connection.close()
    other = await postgres_service.create_database(template=database_template)
    connection = await asyncpg.connect(other)
    assert await connection.fetchval("select to_regclass('mine')") is None
    await connection.close()
    await postgres_service.drop_database(other)


@pytest.mark.parametrize("service", ["postgres", pytest.param("kafka", marks=needs_java)])
async def test_a_port_taken_after_probing_is_replaced(
    service: str, local_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        ports = itertools.chain([taken], iter(free_port, None))
        module = {"postgres": postgres_local, "kafka": kafka_local}[service]
        monkeypatch.setattr(module, "free_port", lambda: next(ports))
        if service == "postgres":
            async with postgres() as database:
                assert f":{taken}/" not in database.url
        else:
            async with kafka() as broker:
                assert not broker.bootstrap_servers.endswith(f":{taken}")
    assert not list(local_only.iterdir())


async def test_without_java_one_sentence_says_what_to_install(
    local_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(local_only))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ServiceUnavailable, match=r"Java 17 or newer with Maven .* or .* Docker"):
        async with kafka():
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
async def test_a_command_dies_with_its_keeper(tmp_path: Path) -> None:
    process = await KeptProcess.start(["sleep", "600"], log=tmp_path / "log")
    command = psutil.Process(process.pid)
    command.parent().kill()
    await asyncio.to_thread(command.wait, GONE_SECONDS)
    await process.close()


STARTER = """
import asyncio
from consumer.sandbox.services import kafka, postgres

async def main():
    async with {service}() as service:
        print(service.how, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("service", "program"),
    [("postgres", "postgres"), pytest.param("kafka", "java", marks=needs_java)],
)
async def test_nothing_outlives_the_starter(
    service: str, program: str, how: signal.Signals, local_only: Path
) -> None:
    async with script(STARTER.format(service=service)) as starter:
        assert await first_line(starter) == b"local\n"
        family = psutil.Process(starter.pid).children(recursive=True)
        assert program in set(_names(family))
        starter.send_signal(how)
        await starter.wait()
    _, left = await asyncio.to_thread(psutil.wait_procs, family, GONE_SECONDS)
    assert not left
    assert not list(local_only.iterdir())


def _names(family: Iterable[psutil.Process]) -> Iterator[str]:
    """Of those that are still there: a server's helpers come and go."""
    for member in family:
        with suppress(psutil.NoSuchProcess):
            yield member.name()


UP = """
import asyncio, sys
from pathlib import Path
from consumer.sandbox.up import up
asyncio.run(up(env_file=Path(sys.argv[1]), ready=lambda settings: print("ready", flush=True)))
"""


@needs_java
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_up_writes_settings_and_leaves_nothing(
    how: signal.Signals, local_only: Path, tmp_path: Path
) -> None:
    env_file = tmp_path / "sandbox.env"
    async with script(UP, env_file) as sandbox:
        assert await first_line(sandbox) == b"ready\n"
        assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
        settings = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
        assert set(settings) == {
            "LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS",
            "LAGO_XERO_DATABASE_URL",
            "LAGO_XERO_XERO_API_URL",
            "LAGO_XERO_XERO_IDENTITY_URL",
            "LAGO_XERO_XERO_LOGIN_URL",
            "LAGO_XERO_ENCRYPTION_KEYS",
            "LAGO_XERO_SANDBOX_XERO_CONTROL_URL",
            "LAGO_XERO_HTTP_HOST",
            "LAGO_XERO_HTTP_PORT",
            "SANDBOX_XERO_SECRET",
        }
        assert "acme-nz" in (tmp_path / "sandbox.connections.yaml").read_text()
        connection = await asyncpg.connect(settings["LAGO_XERO_DATABASE_URL"])
        await connection.close()
        broker = KafkaService(settings["LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS"], "settings")
        await broker.create_topic("not.yet.there", partitions=2)
        for topic in ("lago.webhooks", "lago.xero.dlq"):
            with pytest.raises(TopicAlreadyExistsError):
                await broker.create_topic(topic)
        family = psutil.Process(sandbox.pid).children(recursive=True)
        sandbox.send_signal(how)
        assert await sandbox.wait() == 0
    assert not [member for member in family if member.is_running()]
    assert not list(tmp_path.glob("sandbox*"))
    assert not list(local_only.iterdir())


async def test_up_can_be_stopped_while_it_starts(local_only: Path, tmp_path: Path) -> None:
    async with script(UP, tmp_path / "sandbox.env") as sandbox:
        starter = psutil.Process(sandbox.pid)
        deadline = asyncio.get_running_loop().time() + GONE_SECONDS
        while not (family := starter.children(recursive=True)):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0)
        sandbox.send_signal(signal.SIGINT)
        assert await sandbox.wait() == 0
    _, left = await asyncio.to_thread(psutil.wait_procs, family, GONE_SECONDS)
    assert not left
    assert not list(local_only.iterdir())
