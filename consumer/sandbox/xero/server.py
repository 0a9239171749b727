"""The simulated Xero on a loopback port of the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from consumer.sandbox.xero.app import create_app
from consumer.sandbox.xero.gateway import TRANSPORT
from consumer.sandbox.xero.settings import SimulatorSettings


@dataclass(frozen=True, slots=True)
class Simulator:
    """Where it listens. The token endpoint is ``{identity_url}/connect/token``."""

    api_url: str
    identity_url: str
    control_url: str
    app: Starlette


class _Protocol(H11Protocol):
    """Leaves its transport where a fault can cut the connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class _Server(uvicorn.Server):
    """Signals stay with whoever runs the event loop; stopping waits for nobody."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def stop(self) -> None:
        """Cut every connection and end every call."""
        self.should_exit = True
        self.force_exit = True
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()


def _listen(port: int) -> socket.socket:
    """asyncio turns off Nagle's algorithm only where the protocol is named: 40 ms an answer."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)  # whoever is told the address may connect at once
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def serve(
    settings: SimulatorSettings | None = None, *, port: int = 0
) -> AsyncIterator[Simulator]:
    """Run until the block ends. OSError: the port is taken."""
    app = create_app(settings)
    stopping = asyncio.Event()

    async def until_stopped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not stopping.is_set():
                raise

    config = uvicorn.Config(
        until_stopped,
        http=_Protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        ws="none",
    )
    server = _Server(config)
    listener = _listen(port)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield Simulator(f"{base}/api.xro/2.0", base, f"{base}/sandbox", app)
    finally:
        stopping.set()
        server.stop()
        await running
        listener.close()
