"""The demo's stage: nothing in; running services, two connections and the consumer's commands out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from rich.console import Console

from consumer.config import PREFIX
from consumer.sandbox.lago import Organization
from consumer.sandbox.receiver import Receiver, receiving
from consumer.sandbox.sample import SECRET, make_sample
from consumer.sandbox.services import kafka, postgres
from consumer.sandbox.services.processes import KeptProcess, free_port, text_of
from consumer.sandbox.up import TOPICS
from consumer.sandbox.xero import Simulator, serve

CONNECTIONS = "connections.yaml"
STOP = 40.0
"""Seconds that the consumer gets to stop; it gives calls under way 20."""


class Mismatch(Exception):
    """What came of the events is not what must."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo runs: the settings that reach its services, and a directory of its own."""

    directory: Path
    settings: Mapping[str, str]
    xero: Simulator
    receiver: Receiver

    @property
    def environment(self) -> dict[str, str]:
        """For the consumer: no setting but ours."""
        inherited = {k: v for k, v in os.environ.items() if not k.upper().startswith(PREFIX)}
        return {**inherited, **self.settings}

    @property
    def connections(self) -> Path:
        """The file that connects the sample company."""
        return self.directory / CONNECTIONS

    @property
    def log(self) -> Path:
        """What the consumer writes."""
        return self.directory / "consumer.log"

    def setting(self, name: str) -> str:
        """One of them, by its name without the prefix."""
        return self.settings[PREFIX + name]


async def start(stack: AsyncExitStack, console: Console, organization: Organization) -> Place:
    """The services, the topics, the database, two connections, and the settings that reach them."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lago-xero-demo-")))
    with console.status("starting Kafka, Postgres and the simulated Xero"):
        broker = await stack.enter_async_context(kafka())
        server = await stack.enter_async_context(postgres())
        xero = await stack.enter_async_context(serve())
        # A Kafka or Postgres that settings gave holds other people's topics and databases.
        suffix = f".demo-{secrets.token_hex(4)}" if broker.how == "settings" else ""
        topics = [f"{topic}{suffix}" for topic in TOPICS]
        for topic, partitions in zip(topics, TOPICS.values(), strict=True):
            await broker.create_topic(topic, partitions)
        url = await server.create_database()
        if server.how == "settings":
            stack.push_async_callback(server.drop_database, url)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    receiver = await stack.enter_async_context(receiving(secret))
    console.print(f"Kafka     {broker.bootstrap_servers} ({broker.how})")
    console.print(f"Postgres  {url.rpartition('@')[2]} ({server.how})")
    console.print(f"Xero      {xero.api_url} (simulated)")
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_TOPICS": topics[0],
        "KAFKA_GROUP_ID": f"lago-xero{suffix}",
        "DEAD_LETTER_TOPIC": topics[1],
        "DATABASE_URL": url,
        "XERO_API_URL": xero.api_url,
        "XERO_IDENTITY_URL": xero.identity_url,
        "SANDBOX_XERO_CONTROL_URL": xero.control_url,
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "WEBHOOK_URL": receiver.url,
        "WEBHOOK_SECRET": secret,
        "RESIDUAL_WAIT": "1",  # no payment's message comes: nothing to wait for
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(free_port()),
    }
    named = {PREFIX + name: value for name, value in settings.items()}
    sample = await make_sample(xero.control_url, organization)
    named[SECRET] = sample.secret
    sample.write(directory / CONNECTIONS)
    return Place(directory, named, xero, receiver)


def executable() -> str:
    """The installed command beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name("lago-xero")
    found = str(beside) if beside.exists() else shutil.which("lago-xero")
    if found is None:
        raise Mismatch("The command lago-xero is not installed; run make demo.")
    return found


async def command(console: Console, place: Place, *arguments: str) -> None:
    """Run one command of the service's to its end."""
    console.print(f"$ lago-xero {' '.join(arguments)}", style="bold", soft_wrap=True)
    process = await asyncio.create_subprocess_exec(
        executable(), *arguments, env=place.environment, start_new_session=True
    )
    try:
        code = await process.wait()
    finally:
        await _end(process, 5)
    if code:
        raise Mismatch(f"lago-xero {arguments[0]} failed with {code}; its message stands above.")


@asynccontextmanager
async def running_consumer(console: Console, place: Place) -> AsyncIterator[KeptProcess]:
    """``lago-xero run`` as a process of its own, ended by SIGTERM.

    It does not outlive us, and takes our directory with it if we are killed.
    """
    console.print("$ lago-xero run", style="bold")
    process = await KeptProcess.start(
        [executable(), "run"],
        log=place.log,
        environment=place.environment,
        stop_signal=signal.SIGTERM,
        grace=STOP,
        remove=place.directory,
    )
    try:
        yield process
        process.send(signal.SIGTERM)
        async with asyncio.timeout(STOP):
            code = await process.wait()
    except TimeoutError:
        raise Mismatch(
            f"The consumer did not stop within {STOP:.0f} s. {tail(place.log)}"
        ) from None
    finally:
        await process.close()
    if code:
        raise Mismatch(f"The consumer ended with {code}. {tail(place.log)}")


async def _end(process: asyncio.subprocess.Process, patience: float) -> int:
    """SIGTERM, after ``patience`` seconds SIGKILL; the exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return await process.wait()


def tail(log: Path) -> str:
    return f"Its log ends:\n{text_of(log)[-3000:]}"
