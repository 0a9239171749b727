"""The sender's end: what it froze before the stop is called and settled, what hangs is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from consumer.deliver.sending import Sender
from consumer.domain.answers import Reply
from consumer.domain.clocks import Clocks
from consumer.metrics import Metrics
from consumer.ports import Fate, Freezing, Frozen

TENANT = UUID(int=7)


class OneTenant:
    """A ledger whose only tenant always has one more request; freezing waits for ``let``."""

    def __init__(self) -> None:
        self.freezing = asyncio.Event()
        self.let = asyncio.Event()
        self.frozen = 0
        self.settled = 0

    async def due(self, limit: int) -> tuple[Sequence[tuple[UUID, int]], float]:
        return [(TENANT, 1)], 1.0

    async def freeze(self, tenant_id: UUID) -> Freezing:
        self.freezing.set()
        await self.let.wait()
        self.frozen += 1
        return Freezing(
            Frozen(uuid4(), TENANT, 1, "contact_create", "PUT", "Contacts", b"{}", count=1),
            more=True,
        )

    async def settle(self, *_: object) -> Sequence[Fate]:
        self.settled += 1
        return ()


class SlowXero:
    """Answers once ``answer`` is set, with what tells nothing."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()

    async def token(self, *_: object) -> str:
        return "token"

    async def call(self, *_: object) -> Any:
        await self.answer.wait()
        return Reply(500, b"")

    def accepted(self, *_: object) -> None:
        pass


def _sender(ledger: Any, caller: Any) -> Sender:
    return Sender(ledger, caller, Metrics(), Clocks(), on_accepted=lambda: None)


async def test_a_stop_waits_for_the_call_that_was_being_frozen() -> None:
    ledger, xero, stop = OneTenant(), SlowXero(), asyncio.Event()
    running = asyncio.create_task(_sender(ledger, xero).run(stop))
    await ledger.freezing.wait()
    stop.set()
    xero.answer.set()
    await asyncio.sleep(0)  # the run has seen the stop before the freeze is done
    ledger.let.set()
    await running
    assert (ledger.frozen, ledger.settled) == (1, 1)


async def test_a_stop_cuts_off_what_is_not_answered_in_time() -> None:
    ledger, xero, stop = OneTenant(), SlowXero(), asyncio.Event()
    sender = _sender(ledger, xero)
    running = asyncio.create_task(sender.run(stop, patience=0.05))
    ledger.let.set()
    while not ledger.frozen:
        await asyncio.sleep(0)
    stop.set()
    await running
    assert ledger.frozen >= 1
    assert ledger.settled == 0
