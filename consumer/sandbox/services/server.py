"""What a started service can be asked to do, and its local form: a command, its port and its data
go in; a server that can be cut off, paused and started again on the same port comes out."""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from .errors import ServiceUnavailable
from .processes import Account, KeptProcess, last_line, text_of

How = Literal["settings", "docker", "local"]
Ready = Callable[[], Awaitable[None]]

START_SECONDS = 60.0
POLL_SECONDS = 0.05
PORT_ATTEMPTS = 5
PORT_TAKEN = ("address already in use", "address in use", "bindexception")


class PortTaken(ServiceUnavailable):
    """Somebody bound the port between our probe and the server's own binding."""


class Server(Protocol):
    """One server process or container of ours."""

    async def start(self) -> None:
        """Starts the server and returns when it answers."""

    async def crash(self) -> None:
        """Ends the server at once, as a failure would; its data and port stay."""

    async def pause(self) -> None:
        """Freezes the server: connections stay open and nothing answers."""

    async def resume(self) -> None:
        """Lets a paused server go on."""

    async def close(self) -> None:
        """Ends the server and removes its data."""


async def until_ready(ready: Ready, alive: Callable[[], bool]) -> None:
    """Returns when `ready` no longer raises; TimeoutError after a minute, OSError if it died."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            answered = True
            try:
                await ready()
            except Exception:  # noqa: BLE001 - clients refuse in many ways while a server starts
                answered = False
            if not alive():  # somebody else may have answered on the port
                raise OSError("it ended while it was starting")
            if answered:
                return
            await asyncio.sleep(POLL_SECONDS)


@dataclass
class LocalServer:
    """A server as a local process; `directory` holds its data and log and goes with it."""

    name: str
    command: Sequence[str | Path]
    directory: Path
    ready: Ready
    stop_signal: signal.Signals
    account: Account | None = None
    _process: KeptProcess | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    async def start(self) -> None:
        """Raises PortTaken, or ServiceUnavailable with the last line of the server's log."""
        process = self._process = await KeptProcess.start(
            self.command,
            log=self.log,
            account=self.account,
            stop_signal=self.stop_signal,
            remove=self.directory,
        )
        try:
            await until_ready(self.ready, lambda: process.running)
        except OSError as problem:  # TimeoutError is one
            written = text_of(self.log).lower()
            if not process.running and any(words in written for words in PORT_TAKEN):
                raise PortTaken(f"The port of {self.name} was taken by somebody else.") from problem
            raise ServiceUnavailable(
                f"{self.name} did not start on this machine: {problem or 'no answer in a minute'}; "
                f"its last words: {last_line(self.log)}"
            ) from problem

    async def crash(self) -> None:
        if self._process is not None:
            self._process.send(self.stop_signal)
            await self._process.wait()

    async def pause(self) -> None:
        if self._process is not None:
            self._process.send(signal.SIGSTOP)

    async def resume(self) -> None:
        if self._process is not None:
            self._process.send(signal.SIGCONT)

    async def close(self) -> None:
        if self._process is not None:
            await self._process.close()
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)


def ours(server: Server | None, name: str) -> Server:
    """The server, unless the service was given by settings and is not ours to stop."""
    if server is None:
        raise ServiceUnavailable(f"This {name} was given by settings, so it is not ours to stop.")
    return server
