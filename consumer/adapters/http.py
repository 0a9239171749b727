"""What this process serves over HTTP: probes, metrics, and the address Xero sends a browser back to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from consumer.domain.errors import Halt

log = structlog.get_logger(__name__)

Live = Callable[[], str | None]
"""What is wrong with this process so that only a restart helps; None if nothing."""
Ready = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Each thing that is needed, and what is wrong with it (None if nothing)."""


def application(
    live: Live, ready: Ready, registry: CollectorRegistry, ready_timeout: float = 5.0
) -> Starlette:
    """The ASGI application; 503 lists the problems by name. ``ready_timeout`` in seconds."""

    async def healthz(_: Request) -> Response:
        return _answer({"process": live()})

    async def readyz(_: Request) -> Response:
        try:
            async with asyncio.timeout(ready_timeout):
                checks = await ready()
        except TimeoutError:
            checks = {"checks": f"no answer within {ready_timeout:g} seconds"}
        return _answer(checks)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


def _answer(checks: Mapping[str, str | None]) -> Response:
    problems = {name: problem for name, problem in checks.items() if problem is not None}
    if problems:
        return JSONResponse({"status": "failing", "problems": problems}, status_code=503)
    return JSONResponse({"status": "ok"})


@asynccontextmanager
async def callback(
    port: int, accept: Callable[[str], str | None]
) -> AsyncIterator[asyncio.Future[str]]:
    """Serve ``/callback`` on this machine for one browser; its answer, once there is one.

    ``accept`` takes the query: its result is the answer, None: it was meant for somebody else, and
    an error of its own is the answer's.

    Raises:
        Halt: the port is taken.
    """
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = HttpServer(
        Starlette(routes=[Route("/callback", _callback(answer, accept))]),
        "127.0.0.1",
        port,
        what="The answer cannot be received",
        hint="Choose another port with --port and register it in the app at Xero, or use --paste.",
    )
    await server.start()
    try:
        yield answer
    finally:
        answer.cancel()
        await server.stop()


def _callback(
    answer: asyncio.Future[str], accept: Callable[[str], str | None]
) -> Callable[[Request], Awaitable[Response]]:
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

    async def endpoint(request: Request) -> Response:
        try:
            accepted = accept(f"?{request.url.query}")
        except Halt as error:
            if not answer.done():
                answer.set_exception(error)
            return PlainTextResponse(f"{error.sentence}\n{error.hint}", 400, headers)
        if accepted is None:
            return PlainTextResponse("This belongs to another request.", 400, headers)
        if not answer.done():
            answer.set_result(accepted)
        return PlainTextResponse("Thank you. You may close this window.", headers=headers)

    return endpoint


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an application on the running loop; port 0 takes a free one."""

    def __init__(
        self,
        app: Starlette,
        host: str,
        port: int,
        stop_timeout: float = 3.0,
        what: str = "Probes cannot be served",
        hint: str = "Set LAGO_XERO_HTTP_HOST and LAGO_XERO_HTTP_PORT to a free address.",
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._stop_timeout = stop_timeout
        self._what, self._hint = what, hint
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port in use."""
        return self._port

    async def start(self) -> None:
        """Listen; answers from when this returns.

        Raises:
            Halt: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(128)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise Halt(
                "http_address",
                f"{self._what} on {self._host}:{self._port}: {error.strerror}.",
                self._hint,
            ) from error
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(self._stop_timeout) - 1),
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        """Stop listening; bounded in time, never raises."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        _, hanging = await asyncio.wait({self._serving}, timeout=self._stop_timeout)
        if hanging:
            self._serving.cancel()
            await asyncio.wait({self._serving}, timeout=1.0)
        elif error := self._serving.exception():
            log.warning("http_stop_failed", error=type(error).__name__)
        self._server = self._serving = None
