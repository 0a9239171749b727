"""Tending: charts are read and old things pruned now and then, and a stop does not wait for either."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from consumer.deliver.tending import Tender
from consumer.domain.clocks import Clocks
from consumer.metrics import Metrics
from consumer.ports import Unavailable


class Idle:
    """A ledger and a caller without work."""

    def __getattr__(self, name: str) -> Any:
        async def nothing(*args: object) -> Any:
            return () if name == "expire" else 0

        return nothing


async def test_a_stop_does_not_wait_for_a_chart() -> None:
    reading, stop = asyncio.Event(), asyncio.Event()
    cut_off = False

    async def refresh() -> int:
        nonlocal cut_off
        reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off = True
            raise
        return 1

    idle: Any = Idle()
    tender = Tender(idle, idle, Metrics(), Clocks(), lambda: None, refresh, _never)
    running = asyncio.create_task(tender.run(stop))
    await reading.wait()
    stop.set()
    await asyncio.wait_for(running, 5)
    assert cut_off


async def test_charts_are_read_one_after_another_while_any_is_due() -> None:
    stop = asyncio.Event()
    due = [1, 1, 0]

    async def refresh() -> int:
        more = due.pop(0)
        if not due:
            stop.set()
        return more

    idle: Any = Idle()
    await asyncio.wait_for(
        Tender(idle, idle, Metrics(), Clocks(), lambda: None, refresh, _never).run(stop), 5
    )
    assert due == []


async def _never() -> int:
    return 0


def _tender(prune: Callable[[], Awaitable[bool]], look: float) -> Tender:
    idle: Any = Idle()
    clocks = replace(Clocks(), look_for_work=look)
    return Tender(idle, idle, Metrics(), clocks, lambda: None, _never, _never, prune)


@pytest.mark.parametrize("error", [Unavailable("away"), ValueError("a fault")])
async def test_pruning_goes_on_page_by_page_also_after_one_failed(error: Exception) -> None:
    stop = asyncio.Event()
    pages: list[bool | Exception] = [True, error, True, False, True]

    async def prune() -> bool:
        page = pages.pop(0)
        if not pages:
            stop.set()
        if isinstance(page, Exception):
            raise page
        return page

    await asyncio.wait_for(_tender(prune, 1e-7).run(stop), 5)
    assert pages == []


async def test_pruning_rests_between_pages_and_a_stop_does_not_wait_for_its_end() -> None:
    stop, pruned = asyncio.Event(), asyncio.Event()
    pages = 0

    async def prune() -> bool:
        nonlocal pages
        pages += 1
        pruned.set()
        return True

    running = asyncio.create_task(_tender(prune, 3600).run(stop))
    await pruned.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert pages == 1
