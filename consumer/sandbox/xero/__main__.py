"""Runs the simulated Xero in the foreground until SIGINT or SIGTERM.

One line of JSON on stdout says where it listens: api_url, identity_url, control_url. Every field of
SimulatorSettings is an option.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
import typing

from consumer.sandbox.serving import LOOPBACK
from consumer.sandbox.xero.server import serve
from consumer.sandbox.xero.settings import SimulatorSettings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m consumer.sandbox.xero", description=__doc__)
    parser.add_argument(
        "--host", default=LOOPBACK, help="the address to listen on; 0.0.0.0 in a container"
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    hints = typing.get_type_hints(SimulatorSettings)
    for field in dataclasses.fields(SimulatorSettings):
        option = "--" + field.name.replace("_", "-")
        hint = hints[field.name]
        if hint is bool:
            parser.add_argument(
                option, action=argparse.BooleanOptionalAction, default=field.default
            )
        elif typing.get_origin(hint) is typing.Literal:
            parser.add_argument(option, choices=typing.get_args(hint), default=field.default)
        else:
            kind = int if hint is int else float
            parser.add_argument(option, type=kind, default=field.default)
    return parser


async def _run(settings: SimulatorSettings, host: str, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with serve(settings, host=host, port=port) as simulator:
        where = {
            "api_url": simulator.api_url,
            "identity_url": simulator.identity_url,
            "control_url": simulator.control_url,
        }
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Parse the options and run."""
    options = vars(_parser().parse_args())
    host, port = options.pop("host"), options.pop("port")
    try:
        settings = SimulatorSettings(**options)
        asyncio.run(_run(settings, host, port))
    except (ValueError, OSError) as error:
        sys.exit(f"the simulated Xero cannot start: {error}")


if __name__ == "__main__":
    main()
