"""Ingest, on fakes: what is decoded, what is stored, and when offsets are committed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import InvalidOperation
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from consumer import ingest as module
from consumer.domain.errors import TooManyRejects, Undecodable
from consumer.domain.events import decode
from consumer.ingest import Ingest
from consumer.metrics import Metrics
from consumer.ports import Incoming, Record
from consumer.sandbox.lago import RandomChoices, customer_event, encode, generate_customer, updated
from schemas import lago
from tests.fakes.inbox import FakeInbox, unstorable
from tests.fakes.source import FakeSource, Log

ORGANIZATION = "1a901a90-1a90-4a90-9a90-1a901a901a90"
CHOICES = RandomChoices(Random(7))
PARTITION = ("lago.webhooks", 0)


def customer(**facts: Any) -> bytes:
    payload = generate_customer(CHOICES, linked=False)
    return encode(customer_event({**payload, **facts}, ORGANIZATION))


def records(*values: bytes | None) -> list[Record]:
    log = Log()
    return [log.append(value, timestamp=1000 + n) for n, value in enumerate(values)]


class Bench:
    """Ingest between a topic and an inbox; ``run`` until the topic is read, or a bound passes."""

    def __init__(self, inbox: FakeInbox, *, max_poll_records: int = 500) -> None:
        self.log, self.inbox = Log(), inbox
        self.source = FakeSource(self.log, max_poll_records=max_poll_records)
        self.metrics = Metrics(CollectorRegistry())
        self.stop = asyncio.Event()
        self.woken = 0
        self.on_work: Callable[[], None] = lambda: None
        self.ingest = Ingest(self.source, inbox, self.metrics, self._woken)

    def _woken(self) -> None:
        self.woken += 1
        self.on_work()

    def committed(self) -> int:
        return self.log.committed.get(PARTITION, 0)

    def outcomes(self) -> dict[str, float]:
        [events] = self.metrics.events.collect()
        return {
            sample.labels["outcome"]: sample.value
            for sample in events.samples
            if sample.name.endswith("_total") and sample.value
        }

    async def run(self) -> None:
        await self.source.start()
        async with asyncio.timeout(10):
            await self.ingest.run(self.stop)


async def test_a_batch_is_merged_and_the_sender_woken() -> None:
    bench = Bench(FakeInbox())
    value = customer()
    ignored = encode(
        {
            "webhook_type": "wallet.updated",
            "object_type": "wallet",
            "organization_id": ORGANIZATION,
            "wallet": {},
        }
    )
    ingested = await bench.ingest.store(records(value, b"{", ignored, value))
    assert (ingested.merged, ingested.dead) == (1, 1)
    assert bench.outcomes() == {"merged": 1, "dead": 1, "ignored": 1, "known": 1}
    assert bench.inbox.batches == [2]
    assert bench.woken == 1
    [dead] = [i for i in bench.inbox.stored.values() if i.error]
    assert dead.error is not None
    failures = bench.metrics.registry.get_sample_value
    assert failures("lago_xero_failures_total", {"code": dead.error.code}) == 1
    assert dead.record.value == b"{", "kept as received"
    assert dead.event is None


async def test_known_events_are_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(FakeInbox())
    value = customer()
    await bench.ingest.store(records(value))

    def explode(*args: object, **named: object) -> None:
        raise AssertionError("a known event was decoded")

    monkeypatch.setattr(module, "decode", explode)
    await bench.ingest.store(records(value, value))
    assert bench.outcomes() == {"merged": 1, "known": 2}
    assert bench.inbox.batches == [1], "nothing to store, no transaction"


async def test_a_dead_event_is_decoded_again() -> None:
    value = customer()
    inbox = FakeInbox(poison=unstorable(value))
    bench = Bench(inbox)
    await bench.ingest.store(records(value))
    assert bench.outcomes() == {"dead": 1}
    mended = Bench(FakeInbox())
    mended.inbox.stored = inbox.stored
    await mended.ingest.store(records(value))
    assert mended.outcomes() == {"merged": 1}


async def test_records_without_a_value_are_each_their_own() -> None:
    bench = Bench(FakeInbox())
    await bench.ingest.store(records(None, None, b""))
    assert bench.outcomes() == {"dead": 3}


async def test_what_a_batch_repeats_counts_from_its_first_copy() -> None:
    """Otherwise a repeat would outrank what came between, by batch boundaries only."""
    payload = generate_customer(CHOICES, linked=False)
    old = encode(customer_event({**payload, "phone": "1"}, ORGANIZATION))
    new = encode(customer_event(updated(CHOICES, payload, seconds=0, phone="2"), ORGANIZATION))
    for sizes in ((3,), (1, 2), (2, 1), (1, 1, 1)):
        bench, told = Bench(FakeInbox()), records(old, new, old)
        for size in sizes:
            await bench.ingest.store(told[:size])
            told = told[size:]
        [known] = bench.inbox.objects.values()
        content = known.value("content")
        assert content is not None
        assert content["phone"] == "2", sizes


@pytest.mark.parametrize("bad", [(0,), (6,), (2, 3), (0, 1, 5)])
async def test_halving_finds_what_the_database_refuses(bad: tuple[int, ...]) -> None:
    values = [customer() for _ in range(7)]
    poisoned = [values[n] for n in bad]
    bench = Bench(FakeInbox(poison=unstorable(*poisoned)))
    ingested = await bench.ingest.store(records(*values))
    assert (ingested.merged, ingested.dead) == (7 - len(bad), len(bad))
    stored = {i.record.value: i.error for i in bench.inbox.stored.values()}
    assert {value for value, error in stored.items() if error} == set(poisoned)
    assert set(stored) == set(values), "nothing is lost"
    assert all(e.code == "unstorable" for e in stored.values() if isinstance(e, Undecodable))


async def test_a_fault_while_planning_one_event_is_dead_and_quotes_nothing() -> None:
    good, bad = customer(), customer(name="Anna Secret")

    def fault(incoming: Incoming) -> Exception | None:
        return KeyError("Anna Secret") if incoming.record.value == bad else None

    bench = Bench(FakeInbox(poison=fault))
    await bench.ingest.store(records(good, bad))
    assert bench.outcomes() == {"merged": 1, "dead": 1}
    [error] = [i.error for i in bench.inbox.stored.values() if i.error]
    assert "KeyError" in error.sentence
    assert "Anna" not in error.sentence


async def test_a_fault_of_the_decoder_is_dead_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*args: object, **named: object) -> None:
        raise RuntimeError("Anna Secret")

    monkeypatch.setattr(module, "decode", fault)
    bench = Bench(FakeInbox())
    await bench.ingest.store(records(customer()))
    [incoming] = bench.inbox.stored.values()
    assert incoming.error is not None
    assert incoming.error.code == "decoder_fault"
    assert "Anna" not in incoming.error.sentence


async def test_offsets_are_committed_after_the_store_and_never_before() -> None:
    bench = Bench(FakeInbox(), max_poll_records=2)
    for _ in range(5):
        bench.log.append(customer())
    seen: list[tuple[int, int]] = []
    bench.inbox.before_ingest = lambda: seen.append((bench.committed(), len(bench.inbox.stored)))
    bench.on_work = lambda: bench.stop.set() if bench.woken == 3 else None
    await bench.run()
    assert seen == [(0, 0), (2, 2), (4, 4)]
    assert bench.committed() == 5


async def test_while_the_database_is_away_the_group_is_held_and_nothing_read_on() -> None:
    bench = Bench(FakeInbox(), max_poll_records=1)
    for _ in range(2):
        bench.log.append(customer())
    bench.inbox.away = 3
    bench.on_work = lambda: bench.stop.set() if bench.woken == 2 else None
    await bench.run()
    assert bench.source.held == 3
    assert bench.inbox.batches == [1, 1]
    assert bench.committed() == 2


async def test_stopping_while_the_database_is_away_commits_nothing() -> None:
    bench = Bench(FakeInbox())
    bench.log.append(customer())
    bench.inbox.away = 10**9
    task = asyncio.create_task(bench.run())
    while bench.source.held < 2:
        await asyncio.sleep(0)
    bench.stop.set()
    await task
    assert bench.committed() == 0
    assert not bench.inbox.stored


async def test_an_outage_between_the_halves_loses_and_repeats_nothing() -> None:
    values = [customer() for _ in range(4)]
    bench = Bench(FakeInbox(poison=unstorable(values[3])))
    for value in values:
        bench.log.append(value)

    def third() -> None:
        if len(bench.inbox.batches) == 2:
            bench.inbox.away, bench.inbox.before_ingest = 1, lambda: None

    bench.inbox.before_ingest = third
    bench.on_work = bench.stop.set
    await bench.run()
    assert bench.source.held == 1
    assert len(bench.inbox.stored) == 4
    assert bench.outcomes() == {"known": 2, "merged": 1, "dead": 1}
    assert bench.committed() == 4


async def test_a_lost_commit_only_repeats_known_events() -> None:
    bench = Bench(FakeInbox())
    bench.log.append(customer())
    bench.source.fail_commits = 1
    bench.on_work = bench.stop.set
    await bench.run()
    assert bench.committed() == 0
    bench.stop.clear()
    await bench.run()
    assert bench.outcomes() == {"merged": 1, "known": 1}
    assert bench.committed() == 1


async def test_a_batch_of_ignored_types_moves_on() -> None:
    bench = Bench(FakeInbox())
    unknown = {"webhook_type": "x.y", "object_type": "x", "organization_id": ORGANIZATION, "x": {}}
    bench.log.append(json.dumps(unknown).encode())
    bench.on_work = bench.stop.set
    await bench.run()
    assert bench.outcomes() == {"ignored": 1}
    assert bench.committed() == 1


async def test_a_flood_of_our_own_faults_stops_the_service() -> None:
    """A release that can plan nothing must not turn the whole topic into dead letters."""
    values = [customer() for _ in range(3 * module.FAULTS_IN_A_ROW)]
    bench = Bench(FakeInbox(poison=lambda incoming: KeyError("a fault of ours")))
    for n, value in enumerate(values):
        bench.log.append(value, timestamp=1000 + n)
    with pytest.raises(TooManyRejects, match="KeyError"):
        await bench.run()
    assert bench.committed() == 0
    assert len(bench.inbox.stored) < module.FAULTS_IN_A_ROW


async def test_bad_values_never_stop_the_service() -> None:
    values = [customer() for _ in range(2 * module.FAULTS_IN_A_ROW)]
    bench = Bench(FakeInbox(poison=unstorable(*values)))
    result = await bench.ingest.store(records(*values))
    assert result.dead == len(values)


def refused_again() -> Exception:
    """What was read once is refused when it is read from the ledger: no sender can bring it about."""
    try:
        lago.Customer.model_validate({})
    except ValidationError as error:
        return error
    raise AssertionError


SENDERS = [OverflowError("year 0"), ValueError("year 10000"), RecursionError(), InvalidOperation()]
OURS = [KeyError("ours"), AttributeError("ours"), AssertionError(), refused_again()]


@pytest.mark.parametrize("error", SENDERS, ids=repr)
async def test_no_number_of_absurd_values_stops_the_service(error: Exception) -> None:
    """Each is dead, and the good one behind them is merged."""
    values = [customer() for _ in range(2 * module.FAULTS_IN_A_ROW)]
    good = customer()
    bench = Bench(FakeInbox(poison=lambda i: error if i.record.value != good else None))
    result = await bench.ingest.store(records(*values, good))
    assert (result.dead, result.merged) == (len(values), 1)


@pytest.mark.parametrize("error", SENDERS, ids=repr)
async def test_nor_do_values_that_the_decoder_stumbles_over(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*args: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(module, "decode", stumble)
    values = [customer() for _ in range(2 * module.FAULTS_IN_A_ROW)]
    result = await Bench(FakeInbox()).ingest.store(records(*values))
    assert result.dead == len(values)


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["decode", "inbox"])
async def test_a_row_of_our_own_faults_does(
    error: Exception, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **named: object) -> None:
        raise error

    inbox = FakeInbox(poison=lambda incoming: error if where == "inbox" else None)
    if where == "decode":
        monkeypatch.setattr(module, "decode", fail)
    values = [customer() for _ in range(module.FAULTS_IN_A_ROW)]
    with pytest.raises(TooManyRejects, match=type(error).__name__):
        await Bench(inbox).ingest.store(records(*values))


async def test_absurd_values_between_our_faults_do_not_hide_them() -> None:
    values = [customer() for _ in range(2 * module.FAULTS_IN_A_ROW)]
    absurd = set(values[::2])

    def poison(incoming: Incoming) -> Exception:
        return ValueError("absurd") if incoming.record.value in absurd else KeyError("ours")

    with pytest.raises(TooManyRejects):
        await Bench(FakeInbox(poison=poison)).ingest.store(records(*values))


async def test_faults_between_good_events_do_not_add_up() -> None:
    values = [customer() for _ in range(3 * module.FAULTS_IN_A_ROW)]
    bad = set(values[::2])
    bench = Bench(FakeInbox(poison=lambda i: KeyError("ours") if i.record.value in bad else None))
    result = await bench.ingest.store(records(*values))
    assert result.dead == len(bad)


async def test_faults_of_the_decoder_between_good_events_do_not_add_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = [customer() for _ in range(4 * module.FAULTS_IN_A_ROW)]
    bad = set(values[::2])

    def fail(value: bytes, **named: Any) -> object:
        if value in bad:
            raise KeyError("ours")
        return decode(value, **named)

    monkeypatch.setattr(module, "decode", fail)
    result = await Bench(FakeInbox()).ingest.store(records(*values))
    assert (result.dead, result.merged) == (len(bad), len(bad))
