"""The sandbox in the foreground: the names of services go in; they run until SIGINT or SIGTERM,
and the settings that reach them come out as an env file, with a connections file beside it."""

import asyncio
import contextlib
import os
import shlex
import signal
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from aiokafka.errors import TopicAlreadyExistsError
from cryptography.fernet import Fernet
from rich.console import Console

from consumer.sandbox.lago import Organization
from consumer.sandbox.sample import SECRET, TENANTS, Sample, make_sample
from consumer.sandbox.services import KafkaService, kafka, postgres
from consumer.sandbox.services.processes import free_port
from consumer.stopping import on_signals

EVERYTHING = frozenset({"kafka", "postgres", "xero"})
TOPICS: Mapping[str, int] = {"lago.webhooks": 6, "lago.xero.dlq": 3}
DATABASE = "lago_xero"
KEYS = "LAGO_XERO_ENCRYPTION_KEYS"

Settings = dict[str, str]


async def up(
    only: Collection[str] = EVERYTHING,
    env_file: Path | None = None,
    ready: Callable[[Settings], object] | None = None,
) -> None:
    """Runs the chosen services until SIGINT or SIGTERM, then stops them and returns.

    `env_file` appears, complete and readable by its owner alone, when everything answers, and goes
    with the services, as does the connections file beside it (`connections_beside`), which connects
    the simulated Xero's two organisations to the events of `sandbox produce`. `ready` is called then
    with the same settings. Raises ServiceUnavailable, ValueError for a name that is no service, and
    FileExistsError, since what is there may be somebody's own or another sandbox's.
    """
    if unknown := set(only) - EVERYTHING:
        raise ValueError(
            f"unknown service {', '.join(sorted(unknown))}; there are "
            f"{', '.join(sorted(EVERYTHING))}"
        )
    if env_file is not None:
        env_file = _untaken(env_file)
    loop = asyncio.get_running_loop()
    stop = on_signals()
    console = Console(stderr=True, highlight=False, markup=False)
    services = asyncio.create_task(_run(frozenset(only), env_file, ready, console))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({services, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not services.done():
            console.print("stopping")
    finally:
        stopping.cancel()
        services.cancel()  # also in the middle of starting
        with contextlib.suppress(asyncio.CancelledError):
            await services
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _run(
    only: Collection[str],
    env_file: Path | None,
    ready: Callable[[Settings], object] | None,
    console: Console,
) -> None:
    async with AsyncExitStack() as stack:
        settings, sample = await _start(only, stack, console)
        if env_file is not None:
            connections = connections_beside(env_file)
            if sample is not None:
                sample.write(connections)
                stack.callback(connections.unlink, missing_ok=True)
            write_env_file(env_file, settings)
            stack.callback(env_file.unlink, missing_ok=True)
            console.print(f"written   {env_file} (settings)", soft_wrap=True)
            if sample is not None:
                console.print(f"written   {connections} (connections, mappings)", soft_wrap=True)
            if frozenset(only) == EVERYTHING:
                console.print(_next_steps(env_file), soft_wrap=True)
        console.print("ready; Ctrl-C stops everything")
        if ready is not None:
            ready(settings)
        await asyncio.Event().wait()


def _untaken(env_file: Path) -> Path:
    """Its absolute path; FileExistsError if it or the connections file beside it is there."""
    for file in (env_file, connections_beside(env_file)):
        if file.exists():
            raise FileExistsError(f"{file} exists already")
    return env_file.absolute()


def connections_beside(env_file: Path) -> Path:
    """Where the connections file goes: `sandbox.env` has `sandbox.connections.yaml`."""
    return env_file.with_name(f"{env_file.stem or env_file.name}.connections.yaml")


def _next_steps(env_file: Path) -> str:
    return (
        "In another shell:\n"
        f"  set -a; . {shlex.quote(str(env_file))}; set +a\n"
        "  lago-xero migrate\n"
        f"  lago-xero apply -f {shlex.quote(str(connections_beside(env_file)))}\n"
        "  lago-xero sandbox produce\n"
        "  lago-xero run\n"
        "and, while it runs, in a third one after the same first line:\n"
        "  lago-xero documents\n"
        "deploy/trying.md edits Xero's books as an accountant would, and has Lago's API."
    )


async def _start(
    only: Collection[str], stack: AsyncExitStack, console: Console
) -> tuple[Settings, Sample | None]:
    settings: Settings = {}
    sample = None
    if "kafka" in only:
        with console.status("starting Kafka"):
            broker = await stack.enter_async_context(kafka())
            await _create_topics(broker)
        settings["LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        console.print(f"Kafka     {broker.bootstrap_servers} ({broker.how})")
    if "postgres" in only:
        with console.status("starting Postgres"):
            server = await stack.enter_async_context(postgres())
            given = server.how == "settings"
            url = server.url if given else await server.create_database(DATABASE)
        settings["LAGO_XERO_DATABASE_URL"] = url
        settings[KEYS] = os.environ.get(KEYS) or Fernet.generate_key().decode()
        console.print(f"Postgres  {url.rpartition('@')[2]} ({server.how})")
    if "xero" in only:
        from consumer.sandbox.xero import serve

        xero = await stack.enter_async_context(serve())
        settings["LAGO_XERO_XERO_API_URL"] = xero.api_url
        settings["LAGO_XERO_XERO_IDENTITY_URL"] = xero.identity_url
        settings["LAGO_XERO_XERO_LOGIN_URL"] = xero.identity_url
        settings["LAGO_XERO_SANDBOX_XERO_CONTROL_URL"] = xero.control_url
        sample = await make_sample(xero.control_url, Organization())
        settings[SECRET] = sample.secret
        made = " and ".join(f"{code} ({currency})" for code, _, currency in TENANTS)
        console.print(f"Xero      {xero.api_url} (simulated; organisations {made})", soft_wrap=True)
    if frozenset(only) == EVERYTHING:  # for `run` on this machine, where 8080 may be taken
        settings |= {"LAGO_XERO_HTTP_HOST": "127.0.0.1", "LAGO_XERO_HTTP_PORT": str(free_port())}
    return settings, sample


async def _create_topics(broker: KafkaService) -> None:
    for topic, partitions in TOPICS.items():
        with contextlib.suppress(TopicAlreadyExistsError):  # a Kafka that settings gave
            await broker.create_topic(topic, partitions)


def write_env_file(path: Path, settings: Mapping[str, str]) -> None:
    """Writes `KEY=value` lines for a shell, mode 0600; the file appears complete or not at all."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{key}={shlex.quote(value)}\n" for key, value in settings.items())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
