"""Local processes that never outlive their starter: a command goes in, a running, signalable
process with a log file comes out."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

KEEPER = Path(__file__).with_name("keeper.py")
GRACE_SECONDS = 5.0
# Below the ports that systems hand out to outgoing connections, so that a stopped server finds its
# port free when it is started again.
PORTS = range(18_000, 32_000)


def free_port() -> int:
    """A loopback TCP port that nobody listens on now; binding it later may still fail."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Account:
    """The user and group ids that a process runs as."""

    user: int
    group: int


@dataclass(frozen=True)
class KeptProcess:
    """A process under its keeper (`keeper.py`): `pid` is the command's own process id."""

    pid: int
    _keeper: asyncio.subprocess.Process
    _grace: float

    @classmethod
    async def start(
        cls,
        command: Sequence[str | Path],
        *,
        log: Path,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGKILL,
        grace: float = GRACE_SECONDS,
        remove: Path | None = None,
    ) -> Self:
        """Starts the command; its output is appended to `log`.

        `environment` replaces ours; `grace` is the time in seconds between the stop signal and
        SIGKILL.

        `remove` names a directory that is removed when the process is closed or its starter dies,
        but not when the process ends by itself or by `send`.
        """
        keeper: list[str | Path] = [sys.executable, "-I", "-S", KEEPER]
        keeper += ["--stop-signal", str(int(stop_signal)), "--grace", str(grace)]
        if account is not None:
            keeper += ["--user", str(account.user), "--group", str(account.group)]
        if remove is not None:
            keeper += ["--remove", remove]
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *keeper,
                "--",
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                cwd="/",
                env=environment,
                start_new_session=True,  # a Ctrl-C of the terminal is the starter's business
            )
        assert process.stdout is not None
        try:
            first = await process.stdout.readline()
        except asyncio.CancelledError:
            await _close(process, grace)
            raise
        if not first:
            await process.wait()
            raise OSError(f"{command[0]} could not be started: {last_line(log)}")
        return cls(int(first), process, grace)

    @property
    def running(self) -> bool:
        return self._keeper.returncode is None

    def send(self, signal_number: signal.Signals) -> None:
        """Signals the process itself, not its children; does nothing when it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    async def wait(self) -> int:
        """Waits for the process to end by itself; returns its exit code (128 + n for signal n)."""
        return await self._keeper.wait()

    async def close(self) -> None:
        """Stops the process and removes its data; returns in bounded time."""
        await _close(self._keeper, self._grace)


async def _close(keeper: asyncio.subprocess.Process, grace: float) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    try:
        # The keeper waits so long after each of its two signals, and then removes.
        async with asyncio.timeout(2 * grace + GRACE_SECONDS):
            await keeper.wait()
    except TimeoutError:
        keeper.kill()
        await keeper.wait()


async def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    timeout: float,
    account: Account | None = None,
) -> int:
    """Runs a command to its end and returns its exit code; a late one is killed (TimeoutError)."""
    process = await KeptProcess.start(command, log=log, account=account)
    try:
        async with asyncio.timeout(timeout):
            return await process.wait()
    finally:
        await process.close()


def text_of(log: Path) -> str:
    """What a process has written so far."""
    return log.read_text(errors="replace") if log.exists() else ""


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, for a one-sentence error."""
    lines = reversed(text_of(log).split("\n"))
    return next((line.strip() for line in lines if line.strip()), "it wrote nothing")
