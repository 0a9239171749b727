"""Messages in; in which order, how often and in which poll batches they reach us out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.ports import Record
from consumer.sandbox.lago import Choices
from tests.lives.lago import Message

FAULTS = ("reply_lost", "500_after", "500_before", "429", "503", "close_before")
WAITS = (0.0, 0.0, 700.0, 90_000.0)
"""Seconds that pass after a batch: none, more than the patience with residuals, more than that with
what is missing."""


@dataclass(frozen=True)
class Batch:
    """One poll; ``sends`` whether the service gets to send before the next one comes."""

    records: tuple[Record, ...]
    sends: bool
    seconds: float


@dataclass(frozen=True)
class Delivery:
    """All batches, the faults that calls to Xero suffer (by their number), and both for people."""

    batches: tuple[Batch, ...]
    faults: dict[int, str]
    story: tuple[str, ...]


def draw_delivery(choices: Choices, messages: Sequence[Message]) -> Delivery:
    """Any order; a record may come again later, as it is or under another offset."""
    order = list(range(len(messages)))
    if choices.chance(70):
        order = choices.shuffle(order)
    for _ in range(choices.choose((0, 0, 1, 3))):
        order.append(choices.choose(order))
    batches: list[Batch] = []
    story: list[str] = []
    records: list[Record] = []
    for offset, i in enumerate(order):
        records.append(as_record(messages[i], offset))
        story.append(messages[i].text)
        last = offset == len(order) - 1
        if last or choices.chance(30):
            sends = choices.chance(60)
            seconds = choices.choose(WAITS) if sends else 0.0
            batches.append(Batch(tuple(records), sends, seconds))
            story.append(f"— sends, {seconds:.0f} s pass" if sends else "— next batch")
            records = []
    faults = {}
    for _ in range(choices.choose((0, 0, 1, 3))):
        faults[choices.integer(0, 12)] = choices.choose(FAULTS)
    return Delivery(tuple(batches), faults, tuple(story))


def as_record(message: Message, offset: int) -> Record:
    """Kafka keeps when the record was appended, whatever the order in which partitions are read."""
    told = message.record
    return Record("lago", 0, offset, message.at, told.key, told.value, told.headers)
