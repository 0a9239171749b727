"""Pacing: a tenant's counted calls and what Xero told in, how long to wait before the next call out.

Counting is ours and safe under fixed and rolling windows alike; headers only ever lower it, since
other applications' users may share a window that we cannot see (xero.md 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LIVE, BACKFILL = 0, 3
"""Lanes of documents: the lowest goes first. What a replay takes in is of the backfill."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per tenant: calls in a minute, in a day, in flight; and in a minute over a client's tenants."""

    minute: int = 60
    day: int = 5000
    concurrency: int = 5
    app_minute: int = 10_000

    @property
    def of_backfill(self) -> Limits:
        """A quarter of the minute and a fifth of the day are left for what is told now, and look-ups."""
        minute, day = self.minute - -(-self.minute // 4), self.day - self.day_reserve
        return replace(self, minute=max(1, minute), day=max(1, day))

    @property
    def day_reserve(self) -> int:
        """Calls of the day that no backfill takes."""
        return -(-self.day // 5)

    @property
    def app_reserve(self) -> int:
        """Calls of a client's minute that are left for look-ups and for what was not counted yet."""
        return -(-self.app_minute // 50)


def spare(limits: Limits) -> Limits:
    """What jobs may use that no document waits for: half of the minute, nine tenths of the day, and two
    slots fewer."""
    return replace(
        limits,
        minute=max(1, limits.minute // 2),
        day=max(1, limits.day - limits.day // 10),
        concurrency=max(1, limits.concurrency - 2),
    )


def share_of_day(limits: Limits) -> int:
    """Calls a day that one such job may make: a tenth."""
    return max(1, limits.day // 10)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the request table says; waits in seconds until the oldest counted call expires."""

    in_flight: int = 0
    minute: int = 0
    day: int = 0
    minute_wait: float = 0.0
    slot_wait: float = 0.0
    day_wait: float = 0.0
    newest_age: float | None = None
    """Seconds since the last call was started; None if there was none today."""


@dataclass(frozen=True, slots=True)
class Told:
    """What answers said: ``foreign`` calls seen in this minute, and what was left of the day.

    ``day_left`` is as of ``day_age`` seconds ago; ``day_since`` of our calls started since then.
    """

    foreign: int = 0
    foreign_wait: float = 0.0
    day_left: int | None = None
    day_since: int = 0
    day_age: float = 0.0


def wait(counts: Counts, told: Told, limits: Limits, *, lookup: bool, probe_after: float) -> float:
    """Seconds until the next call may be counted; 0 if now.

    One slot is for look-ups, so that doubt can always be resolved. A spent day is probed with one
    call every ``probe_after`` seconds, as Xero does not say when its day begins.
    """
    slots = limits.concurrency if lookup else max(1, limits.concurrency - 1)
    waits = [0.0]
    if counts.in_flight >= slots:
        waits.append(max(counts.slot_wait, 0.001))
    if counts.minute >= limits.minute:
        waits.append(max(counts.minute_wait, 0.001))
    elif counts.minute + told.foreign >= limits.minute:
        minute_wait = counts.minute_wait if counts.minute else told.foreign_wait
        waits.append(max(min(told.foreign_wait, minute_wait), 0.001))
    if counts.day >= limits.day:
        waits.append(max(counts.day_wait, 0.001))
    if told.day_left is not None and told.day_left - told.day_since <= 0:
        newest = told.day_age if counts.newest_age is None else counts.newest_age
        waits.append(probe_after - min(told.day_age, newest))
    return max(waits)


def gap(counts: Counts, limits: Limits, *, minute: float, full: bool) -> float:
    """Seconds by which a request that is not ``full`` waits for more documents; 0 if it goes now.

    While two thirds of the minute are left every document goes at once. Then calls are spread
    evenly: better a second for each than nothing for the rest of the minute.
    """
    if full or counts.newest_age is None or counts.minute * 3 <= limits.minute:
        return 0.0
    return max(0.0, minute / limits.minute - counts.newest_age)
