"""Tending: charts are read now and then, and a stop does not wait for them."""

from __future__ import annotations

import asyncio
from typing import Any

from consumer.deliver.tending import Tender
from consumer.domain.clocks import Clocks
from consumer.metrics import Metrics


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
    tender = Tender(idle, idle, Metrics(), Clocks(), lambda: None, refresh)
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
        Tender(idle, idle, Metrics(), Clocks(), lambda: None, refresh).run(stop), 5
    )
    assert due == []
