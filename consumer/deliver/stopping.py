"""Stopping: tasks under way in; awaited, and cut off when their time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable


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
