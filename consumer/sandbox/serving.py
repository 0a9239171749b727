"""Serving: an ASGI application in; it listening on a port of the running event loop out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOPBACK = "127.0.0.1"


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


def _listen(host: str, port: int) -> socket.socket:
    """asyncio turns off Nagle's algorithm only where the protocol is named: 40 ms an answer."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)  # whoever is told the address may connect at once
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def serving(
    app: Starlette,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    protocol: type[H11Protocol] = H11Protocol,
) -> AsyncIterator[str]:
    """Its base address, until the block ends; port 0 chooses a free one.

    ``host`` is an IPv4 address of this machine. OSError: the port is taken or the address not ours.
    """
    stopping = asyncio.Event()

    async def until_stopped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not stopping.is_set():
                raise

    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(
        until_stopped,
        http=protocol,
        lifespan="off",
        timeout_keep_alive=75,
        ws="none",
        **options,
    )
    server = _Server(config)
    listener = _listen(host, port)
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        server.stop()
        await running
        listener.close()
