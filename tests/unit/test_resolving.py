"""The resolver: what tells nothing is asked for ever more rarely, and no tenant holds up another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, cast
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest

from consumer.deliver.looking import LookUps
from consumer.deliver.resolving import A_TENANT, Resolver
from consumer.domain.answers import NotDone, Reply
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Doubt, NotExecuted
from consumer.domain.lookup import LOOK_FIRST
from consumer.metrics import Metrics
from consumer.ports import Absent, ByHand, Call, Doubtful, Fate, Frozen, Sent, Sighting

SLOW, OTHER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
TARGET = str(UUID(int=9))
PAYMENT = {"Invoice": {"InvoiceID": TARGET}, "Amount": 5, "Reference": "Lago 1"}
NOTHING = Reply(200, json.dumps({"Payments": [], "Invoices": []}).encode())


def doubtful(purpose: str = "payment_create", tenant: UUID = OTHER, **facts: Any) -> Doubtful:
    """A request with one document."""
    element: dict[str, Any] = PAYMENT if "payment" in purpose else {"InvoiceNumber": "A-1"}
    body = json.dumps({"Any": [element]}).encode()
    frozen = Frozen(uuid4(), tenant, 1, purpose, "PUT", "Any", body, 1)
    member = Sent(0, uuid4(), element.get("InvoiceNumber"), json.dumps(element).encode())
    facts.setdefault("resend", False)
    return Doubtful(frozen, NOW, members=(member,), **facts)


class Doubts:
    """A ledger of requests in doubt that are due until somebody takes them."""

    def __init__(self, *requests: Doubtful) -> None:
        self.due = {one.frozen.request_id: one for one in requests}
        self.failed: list[tuple[str, float]] = []
        self.postponed: list[float] = []
        self.resolved: list[Mapping[int, Sighting]] = []
        self.over = asyncio.Event()

    async def doubtful(
        self, limit: int, each: int, without: Sequence[UUID]
    ) -> Sequence[tuple[UUID, UUID]]:
        free = [one.frozen for one in self.due.values() if one.frozen.tenant_id not in without]
        return [(one.request_id, one.tenant_id) for one in free][:limit]

    async def take_doubt(self, request_id: UUID) -> Doubtful | None:
        return self.due.pop(request_id, None)

    async def look_failed(self, request_id: UUID, why: str, wait: float) -> int:
        self.failed.append((why, wait))
        self.over.set()
        return 0

    async def postpone(self, request_id: UUID, seconds: float) -> None:
        self.postponed.append(seconds)
        self.over.set()

    async def resolve(self, request_id: UUID, sightings: Mapping[int, Sighting]) -> Sequence[Fate]:
        self.resolved.append(sightings)
        self.over.set()
        return ()


class Xero:
    """Answers each call by its tenant and path."""

    def __init__(self, answer: Callable[[Call], Reply], token: str | None = "token") -> None:
        self.answer = answer
        self.given = token
        self.calls: list[Call] = []
        self.hang = asyncio.Event()
        self.hanging = 0

    async def token(self, *_: object) -> str | None:
        return self.given

    async def call(self, call: Call, purpose: str) -> Reply:
        self.calls.append(call)
        if call.tenant_id == SLOW:
            self.hanging += 1
            await self.hang.wait()
        return self.answer(call)

    async def refused(self, tenant_id: UUID, id: int, token: str, verdict: NotDone) -> None:
        pass


class Purse:
    """A budget with or without calls left."""

    def __init__(self, wait: float | None = None) -> None:
        self.wait = wait

    async def take(self, *_: object) -> UUID | float:
        return uuid4() if self.wait is None else self.wait

    async def answered(self, *_: object) -> None:
        pass


def resolver(
    ledger: Doubts, xero: Xero, purse: Purse | None = None, clocks: Clocks | None = None
) -> Resolver:
    made, looks, clocks = cast(Any, Resolver), cast(Any, LookUps), clocks or Clocks()
    lookups = looks(xero, purse or Purse(), clocks)
    found: Resolver = made(ledger, lookups, Metrics(), clocks, on_work=lambda: None)
    return found


async def _once(ledger: Doubts, xero: Xero, purse: Purse | None = None) -> None:
    """Until the one request in doubt has been looked at."""
    stop = asyncio.Event()
    running = asyncio.create_task(resolver(ledger, xero, purse).run(stop))
    async with asyncio.timeout(5):
        await ledger.over.wait()
    stop.set()
    await running


def _raise(error: Exception) -> Reply:
    raise error


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: Reply(400, b"{}"), "status_400"),
        (lambda _: Reply(503, b""), "status_503"),
        (lambda _: Reply(200, b"<html>"), "unreadable"),
        (lambda _: _raise(Doubt("no_answer", "Nothing came.")), "no_answer"),
        (lambda _: _raise(NotExecuted("unreachable", "No connection.")), "unreachable"),
        (lambda _: _raise(RuntimeError("ours")), "RuntimeError"),
    ],
)
@pytest.mark.parametrize(("looks", "wait"), [(0, 5.0), (3, 40.0), (50, 900.0)])
async def test_what_tells_nothing_is_asked_for_ever_more_rarely(
    answer: Callable[[Call], Reply], why: str, looks: int, wait: float
) -> None:
    ledger = Doubts(doubtful("invoice_create", looks=looks))
    await _once(ledger, Xero(answer))
    assert ledger.failed == [(why, wait)]
    assert not ledger.postponed


async def test_a_payment_that_may_still_arrive_is_no_failing_look() -> None:
    ledger = Doubts(doubtful(final_in=300.0))
    await _once(ledger, Xero(lambda _: NOTHING))
    assert ledger.resolved == [{}]
    assert (ledger.postponed, ledger.failed) == ([60.0], [])


async def test_the_last_look_for_a_payment_comes_as_soon_as_nothing_can_arrive() -> None:
    ledger = Doubts(doubtful(final_in=7.0))
    await _once(ledger, Xero(lambda _: NOTHING))
    assert ledger.postponed == [7.0]
    last = Doubts(doubtful(final_in=0.0))
    await _once(last, Xero(lambda _: NOTHING))
    assert last.resolved == [{0: Absent()}]


@pytest.mark.parametrize(
    ("xero", "purse"),
    [
        (Xero(lambda _: NOTHING, token=None), Purse()),
        (Xero(lambda _: Reply(401, b"")), Purse()),
        (Xero(lambda _: Reply(429, b"")), Purse()),
        (Xero(lambda _: NOTHING), Purse(wait=3600.0)),
    ],
    ids=["no token", "token refused", "throttled", "day spent"],
)
async def test_a_tenant_that_may_not_be_asked_is_no_failing_look(xero: Xero, purse: Purse) -> None:
    ledger = Doubts(doubtful(looks=9))
    await _once(ledger, xero, purse)
    assert len(ledger.postponed) == 1
    assert not ledger.failed


async def test_a_sending_again_without_an_answer_is_not_repeated_while_it_may_be_under_way() -> (
    None
):
    ledger = Doubts(doubtful(resend=True))
    await _once(ledger, Xero(lambda _: _raise(Doubt("no_answer", "Nothing came."))))
    assert ledger.postponed == [95.0]
    assert not ledger.failed


@pytest.mark.parametrize("refused", [False, True])
async def test_an_overpayment_is_looked_for_by_its_days_before_it_is_sent(refused: bool) -> None:
    """Where we may not look we may not create it either: that tells people."""
    element = {"Contact": {"ContactID": TARGET}, "CurrencyCode": "EUR", "Date": "2026-05-04"}
    sent = Sent(0, uuid4(), None, json.dumps(element).encode(), own_day=date(2026, 4, 20))
    one = replace(doubtful("overpayment_create", why=LOOK_FIRST), members=(sent,))
    none = Reply(200, b'{"BankTransactions": []}')
    lacks = Reply(401, b'{"Title":"Unauthorized","Detail":"AuthorizationUnsuccessful"}')
    ledger, xero = Doubts(one), Xero(lambda _: lacks if refused else none)
    await _once(ledger, xero)
    assert ledger.resolved == [{0: ByHand(())}]
    [call] = xero.calls
    assert unquote(call.path).startswith(
        'BankTransactions?where=Type=="RECEIVE-OVERPAYMENT" AND Date>=DateTime(2026,4,13) AND '
        "Date<=DateTime(2026,5,11)&"
    )


# ── Side by side ──────────────────────────────────────────────────────────────────────────────────


async def test_a_slow_tenant_does_not_hold_up_another() -> None:
    slow = [doubtful("invoice_create", SLOW) for _ in range(50)]
    ledger, xero = Doubts(*slow, doubtful("invoice_create")), Xero(lambda _: NOTHING)
    stop = asyncio.Event()
    clocks = Clocks(look_for_work=0.01)
    running = asyncio.create_task(resolver(ledger, xero, clocks=clocks).run(stop))
    async with asyncio.timeout(5):
        await ledger.over.wait()
    assert ledger.resolved == [{0: Absent()}]
    assert xero.hanging == A_TENANT, "the others of the slow tenant wait their turn"
    stop.set()
    xero.hang.set()
    await running
    assert len(ledger.resolved) == 1 + A_TENANT, "a stop waits for the looks under way"


async def test_a_stop_cuts_off_a_look_that_does_not_end() -> None:
    ledger, xero = Doubts(doubtful(tenant=SLOW)), Xero(lambda _: NOTHING)
    stop = asyncio.Event()
    running = asyncio.create_task(resolver(ledger, xero).run(stop, patience=0.02))
    while not xero.hanging:
        await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(5):
        await running
    assert not ledger.over.is_set()
