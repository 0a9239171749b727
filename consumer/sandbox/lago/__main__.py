"""Runs Lago's API over what the demo's messages tell of, in the foreground until SIGINT or SIGTERM.

Two lines on stdout are the settings that reach it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from consumer.sandbox.lago.api import LagoApi, serve_api
from consumer.sandbox.lago.catalogue import Organization
from consumer.sandbox.lago.messages import Record
from consumer.sandbox.lago.story import demo_events


def told(records: list[Record]) -> LagoApi:
    """The objects of these webhooks; what is no webhook is left out."""
    api = LagoApi(Organization().organization_id)
    messages = []
    for one in records:
        try:
            message = json.loads(one.value)
            found = message[message["object_type"]]
            if found["lago_id"] and not one.note.startswith("malformed"):
                messages.append(message)
        except (ValueError, KeyError, TypeError):
            continue
    api.add_told(messages)
    return api


async def _run(api: LagoApi, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with serve_api(api, port=port) as url:
        sys.stdout.write(f"LAGO_XERO_LAGO_API_URL={url}\nLAGO_XERO_LAGO_API_KEY={api.key}\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(prog="python -m consumer.sandbox.lago", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    records, _ = demo_events(options.seed, count=options.count)
    try:
        asyncio.run(_run(told(records), options.port))
    except OSError as error:
        sys.exit(f"the simulated Lago cannot start: {error}")


if __name__ == "__main__":
    main()
