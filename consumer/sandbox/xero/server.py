"""The simulated Xero on a port of the running event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from consumer.sandbox.serving import LOOPBACK, serving
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


@contextlib.asynccontextmanager
async def serve(
    settings: SimulatorSettings | None = None, *, host: str = LOOPBACK, port: int = 0
) -> AsyncIterator[Simulator]:
    """Run until the block ends. OSError: the port is taken or the address not ours."""
    app = create_app(settings)
    async with serving(app, host=host, port=port, protocol=_Protocol) as base:
        yield Simulator(f"{base}/api.xro/2.0", base, f"{base}/sandbox", app)
