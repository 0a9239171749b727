"""Stopping: signals and work under way in; the wish to stop, and work awaited or cut off, out."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def on_signals() -> asyncio.Event:
    """Set by SIGINT and SIGTERM, which from now on do nothing else to the running loop's process."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def drain(under_way: Callable[[], Iterable[asyncio.Task[None]]], seconds: float) -> None:
    """Wait until nothing is under way, at most ``seconds``; who is may begin more meanwhile."""
    until = time.monotonic() + seconds
    while tasks := set(under_way()):
        left = until - time.monotonic()
        if left > 0:
            await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            continue
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return


async def either(one: asyncio.Event, other: asyncio.Event, timeout: float) -> None:
    """Until one of the events is set, at most ``timeout`` seconds."""
    tasks = [asyncio.create_task(one.wait()), asyncio.create_task(other.wait())]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def unless(stop: asyncio.Event, work: Awaitable[T], otherwise: T) -> T:
    """What ``work`` gives, or ``otherwise`` if ``stop`` comes first: then it is cut off."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else otherwise
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
