"""Apache Kafka on this machine's Java: broker options go in, a running one-node KRaft broker comes
out. Its jars come from Maven once and stay in a cache of the user."""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from .errors import ServiceUnavailable
from .processes import free_port, last_line, run, text_of
from .server import PORT_ATTEMPTS, LocalServer, PortTaken

KAFKA_VERSION = "4.1.1"  # pom.xml names the same
OLDEST_JAVA = 17
POM = Path(__file__).with_name("pom.xml")
DOWNLOAD_SECONDS = 600.0
FORMAT_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.2
MISSING = (
    "Kafka needs Java 17 or newer with Maven (`java` and `mvn` on the PATH) or a running Docker: "
    "install one of them, or set LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS to a Kafka of your own."
)
# One broker for one developer: it should start fast and stay small.
JAVA_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
SMALL_BROKER: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A killed broker's registration must expire before it may come back.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "num.network.threads": "2",
    "num.io.threads": "4",
}
LOG_CONFIGURATION = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
"""


async def local_kafka(
    options: Mapping[str, str], answers: Callable[[str], Awaitable[None]]
) -> tuple[LocalServer, str]:
    """Starts a broker on free loopback ports; returns it with its bootstrap servers.

    `answers(bootstrap_servers)` must raise until the broker serves. Raises ServiceUnavailable.
    """
    java = await find_java()
    jars = await kafka_jars()
    for _ in range(PORT_ATTEMPTS):
        port, controller_port = free_port(), free_port()
        directory = Path(tempfile.mkdtemp(prefix="lago-xero-kafka-"))
        log_option = f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}"
        command = [java, *JAVA_OPTIONS, log_option, "-cp", f"{jars}/*"]
        properties = directory / "server.properties"
        bootstrap_servers = f"127.0.0.1:{port}"
        server = LocalServer(
            name="Kafka",
            command=[*command, "kafka.Kafka", properties],
            directory=directory,
            ready=partial(answers, bootstrap_servers),
            stop_signal=signal.SIGKILL,
        )
        try:
            (directory / "log4j2.properties").write_text(LOG_CONFIGURATION)
            properties.write_text(_properties(directory, port, controller_port, options))
            await _format(command, directory, properties)
            await server.start()
        except PortTaken:
            await server.close()
        except BaseException:
            await server.close()
            raise
        else:
            return server, bootstrap_servers
    raise ServiceUnavailable(f"Kafka found no free port in {PORT_ATTEMPTS} attempts.")


async def find_java() -> str:
    """The path of a Java 17 or newer: JAVA_HOME's, else the first on the PATH."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise ServiceUnavailable(MISSING)
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "version")
        await run([java, "-version"], log=log, timeout=FORMAT_SECONDS)
        version = re.search(r'version "(\d+)', text_of(log))
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise ServiceUnavailable(MISSING)
    return java


async def kafka_jars() -> Path:
    """The directory of Kafka's jars, filled by Maven when it does not exist yet.

    It appears complete or not at all, and processes that want it at the same time take turns.
    """
    cache = cache_directory()
    jars = cache / f"kafka-{KAFKA_VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    async with _locked(cache / f"{jars.name}.lock"):
        if jars.is_dir():
            return jars
        maven = shutil.which("mvn")
        if maven is None:
            raise ServiceUnavailable(MISSING)
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".{jars.name}-") as directory:
            partial_jars, log = Path(directory, "jars"), Path(directory, "maven.log")
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
            command: list[str | Path] = [
                maven,
                "-q",
                "-B",
                "-f",
                POM,
                *goal,
                f"-DoutputDirectory={partial_jars}",
            ]
            code = await run(command, log=log, timeout=DOWNLOAD_SECONDS)
            if code:
                reason = re.search(r"^\[ERROR\] +(\S.*)", text_of(log), re.M)
                raise ServiceUnavailable(
                    "Maven could not fetch Apache Kafka: "
                    + (reason[1] if reason else last_line(log))
                )
            os.rename(partial_jars, jars)
    return jars


def cache_directory() -> Path:
    """LAGO_XERO_SANDBOX_CACHE, else `lago-xero` in the user's cache directory."""
    if chosen := os.environ.get("LAGO_XERO_SANDBOX_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lago-xero"


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    with path.open("w") as file:
        while True:  # polled, since a thread that waits in flock could not be cancelled
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL_SECONDS)
        yield


def _properties(
    directory: Path, port: int, controller_port: int, options: Mapping[str, str]
) -> str:
    """The settings of one node that is broker and controller."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "log.dirs": str(directory / "data"),
        **SMALL_BROKER,
        **options,
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


async def _format(command: list[str], directory: Path, properties: Path) -> None:
    """Gives the data directory its cluster id, as KRaft wants it."""
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    log = directory / "format.log"
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config"]
    if await run([*command, *tool, properties], log=log, timeout=FORMAT_SECONDS):
        raise ServiceUnavailable(f"Kafka could not format its data directory: {last_line(log)}")
