"""Settings and clocks in, the simulated Xero as one ASGI application out."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.routing import Route

from consumer.sandbox.xero import control
from consumer.sandbox.xero.gateway import Gateway
from consumer.sandbox.xero.settings import SimulatorSettings
from consumer.sandbox.xero.world import Clock, World


def create_app(
    settings: SimulatorSettings | None = None,
    *,
    clock: Clock = time.monotonic,
    wall: Clock = time.time,
) -> Starlette:
    """Identity server, Accounting API and control API. ``clock`` is monotonic, both in seconds."""
    world = World(settings or SimulatorSettings(), clock, wall)
    gateway = Gateway(world)
    app = Starlette(routes=[*control.routes(world), Route("/{path:path}", gateway)])
    app.state.world = world
    return app
