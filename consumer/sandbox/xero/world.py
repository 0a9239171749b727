"""All state of one simulator: settings, clocks, books, identity, limits, keys, faults, log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from consumer.sandbox.xero.arrivals import Arrivals
from consumer.sandbox.xero.books import Books
from consumer.sandbox.xero.faults import Faults
from consumer.sandbox.xero.idempotency import Keys
from consumer.sandbox.xero.identity import Identity
from consumer.sandbox.xero.limits import Limits
from consumer.sandbox.xero.settings import SimulatorSettings

Clock = Callable[[], float]


@dataclass(slots=True)
class World:
    """``clock`` is monotonic, ``wall`` counts from 1970, both in seconds."""

    settings: SimulatorSettings
    clock: Clock
    wall: Clock
    books: dict[str, Books] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    limits: Limits = field(default_factory=Limits)
    keys: Keys = field(default_factory=Keys)
    faults: Faults = field(default_factory=Faults)
    arrivals: Arrivals = field(default_factory=Arrivals)

    def at(self) -> int:
        """Now in milliseconds since 1970."""
        return int(self.wall() * 1000)
