"""The budget's arithmetic against servers that count in fixed and in rolling windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.pacing import Counts, Limits, Told, gap, share_of_day, spare, wait

LIMITS = Limits(minute=60, day=1000, concurrency=5)


def _wait(counts: Counts, told: Told | None = None, *, lookup: bool = False) -> float:
    return wait(counts, told or Told(), LIMITS, lookup=lookup, probe_after=900)


def test_one_slot_is_for_look_ups() -> None:
    assert _wait(Counts(in_flight=4, slot_wait=7)) == 7
    assert _wait(Counts(in_flight=4, slot_wait=7), lookup=True) == 0
    assert _wait(Counts(in_flight=5, slot_wait=7), lookup=True) == 7


def test_foreign_calls_lower_what_is_left_and_a_spent_day_is_probed() -> None:
    assert _wait(Counts(minute=50, minute_wait=30), Told(foreign=9, foreign_wait=20)) == 0
    assert _wait(Counts(minute=50, minute_wait=30), Told(foreign=10, foreign_wait=20)) == 20
    assert _wait(Counts(), Told(day_left=3, day_since=3, day_age=100)) == 800
    assert _wait(Counts(), Told(day_left=3, day_since=2, day_age=100)) == 0
    assert _wait(Counts(day=1000, day_wait=5000)) == 5000


def test_only_small_requests_are_spread() -> None:
    busy = Counts(minute=30, newest_age=0.25)
    assert gap(busy, LIMITS, minute=60, full=False) == 0.75
    assert gap(busy, LIMITS, minute=60, full=True) == 0
    assert gap(Counts(minute=20, newest_age=0.25), LIMITS, minute=60, full=False) == 0


def test_jobs_leave_half_of_the_minute_a_tenth_of_the_day_and_two_slots() -> None:
    assert spare(LIMITS) == Limits(minute=30, day=900, concurrency=3)
    assert share_of_day(LIMITS) == 100
    smallest = spare(Limits(minute=1, day=1, concurrency=1))
    assert (smallest.minute, smallest.day, smallest.concurrency) == (1, 1, 1)


@given(
    st.lists(st.floats(0.01, 1.0), min_size=50, max_size=50),
    st.floats(0, 60),
    st.integers(5, 60),
)
def test_a_backlog_uses_the_quota_and_never_more(
    latencies: list[float], offset: float, limit: int
) -> None:
    limits = Limits(minute=limit, day=10**6, concurrency=5)
    now = 0.0
    calls: list[tuple[float, float, float]] = []  # started, arrived, answered
    while now < 300:
        counted = [c for c in calls if c[2] > now - 60]
        flying = [c for c in calls if c[2] > now]
        counts = Counts(
            in_flight=len(flying),
            minute=len(counted),
            day=len(calls),
            minute_wait=min((c[2] for c in counted), default=now) + 60 - now,
            slot_wait=min((c[2] for c in flying), default=now) - now,
        )
        seconds = wait(counts, Told(), limits, lookup=False, probe_after=900)
        if seconds > 0:
            now += seconds
            continue
        latency = latencies[len(calls) % len(latencies)]
        calls.append((now, now + latency / 2, now + latency))
    arrivals = [c[1] for c in calls]
    for start in [*arrivals, *(offset + 60 * n for n in range(-1, 6))]:
        assert sum(start <= at < start + 60 for at in arrivals) <= limit
    assert len(calls) >= 0.98 * limit * 300 / 61


def test_a_spent_day_is_probed_by_one_call_at_a_time() -> None:
    """Until its answer, the probe itself is what the next one waits for."""
    spent = Told(day_left=0, day_since=0, day_age=1000)
    assert _wait(Counts(newest_age=1000), spent) == 0
    probing = Told(day_left=0, day_since=1, day_age=1010)
    assert _wait(Counts(in_flight=1, newest_age=10), probing) == 890


def test_the_minute_waits_for_whichever_leaves_the_window_first() -> None:
    full = Counts(minute=30, minute_wait=12)
    assert _wait(full, Told(foreign=30, foreign_wait=40)) == 12
    assert _wait(Counts(), Told(foreign=60, foreign_wait=40)) == 40
    assert _wait(Counts(minute=60, minute_wait=12), Told(foreign=30, foreign_wait=4)) == 12


def test_a_wait_is_never_nothing_while_something_is_exhausted() -> None:
    assert _wait(Counts(in_flight=4)) > 0
    assert _wait(Counts(minute=60)) > 0
    assert _wait(Counts(day=1000)) > 0


DEADLINE = 95.0
"""Freeze to first byte and the whole call: a call without an answer counts until then."""


class Tenant:
    """Our request table and Xero's arrival log on one clock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.now = 0.0
        self.starts: list[float] = []
        self.arrivals: list[float] = []
        self.ends: list[float] = []  # answers, or deadlines where none came

    def counts(self) -> Counts:
        now, day = self.now, [at for at in self.starts if at > self.now - 86_400]
        counted = [end for end in self.ends if end > now - 60]
        flying = [end for end in self.ends if end > now]
        return Counts(
            in_flight=len(flying),
            minute=len(counted),
            day=len(day),
            minute_wait=min(counted, default=now) + 60 - now,
            slot_wait=min(flying, default=now) - now,
            day_wait=min(day, default=now) + 86_400 - now,
            newest_age=now - max(self.starts) if self.starts else None,
        )

    def take(self, *, lookup: bool, leaves: float, takes: float, answered: bool) -> float:
        """One attempt; ``leaves`` and ``takes`` are fractions of its time on the wire."""
        wanted = wait(self.counts(), Told(), self.limits, lookup=lookup, probe_after=900)
        if wanted == 0:
            duration = takes if answered else DEADLINE
            self.starts.append(self.now)
            self.arrivals.append(self.now + leaves * duration)
            self.ends.append(self.now + duration)
        return wanted

    def violations(self, offset: float) -> list[str]:
        """What a server would refuse that counts in rolling windows, or in fixed ones."""
        last = max(self.arrivals, default=0.0)
        fixed = [offset + 60 * n for n in range(-1, int(last // 60) + 2)]
        found = [
            f"minute from {start}"
            for start in [*self.arrivals, *fixed]
            if sum(start <= at < start + 60 for at in self.arrivals) > self.limits.minute
        ]
        for start in self.starts:
            if sum(start <= at < start + 86_400 for at in self.starts) > self.limits.day:
                found.append(f"day from {start}")
            flights = zip(self.arrivals, self.ends, strict=True)
            if sum(a <= start < e for a, e in flights) > self.limits.concurrency:
                found.append(f"in flight at {start}")
        return found


ATTEMPT = st.tuples(
    st.sampled_from([0.0, 0.0, 0.0, 0.3, 2.0, 40.0]),  # what passes before it
    st.booleans(),
    st.floats(0, 1),
    st.floats(0.05, 90),
    st.sampled_from([True, True, True, True, False]),
)


@given(
    st.lists(ATTEMPT, min_size=30, max_size=120),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(5, 80),
    st.floats(0, 60),
)
def test_no_sequence_of_calls_breaks_a_limit(
    attempts: list[tuple[float, bool, float, float, bool]],
    minute: int,
    concurrency: int,
    day: int,
    offset: float,
) -> None:
    """Slow, fast, unanswered, look-ups: fixed and rolling windows, wherever they begin."""
    tenant = Tenant(Limits(minute=minute, day=day, concurrency=concurrency))
    for pause, lookup, leaves, takes, answered in attempts:
        tenant.now += pause
        patience = 3
        while patience:
            wanted = tenant.take(lookup=lookup, leaves=leaves, takes=takes, answered=answered)
            if wanted == 0:
                break
            tenant.now += wanted
            patience -= 1
    assert tenant.starts
    assert not tenant.violations(offset)


def test_a_wait_that_is_kept_is_enough() -> None:
    """Who waits as told may call: no spinning."""
    tenant = Tenant(Limits(minute=3, day=100, concurrency=5))
    for _ in range(3):
        assert tenant.take(lookup=False, leaves=0, takes=0.5, answered=True) == 0
    wanted = tenant.take(lookup=False, leaves=0, takes=0.5, answered=True)
    assert wanted == 60.5
    tenant.now += wanted
    assert tenant.take(lookup=False, leaves=0, takes=0.5, answered=True) == 0


def test_the_backfill_leaves_a_quarter_of_the_minute_and_a_fifth_of_the_day() -> None:
    backfill = LIMITS.of_backfill
    assert (backfill.minute, backfill.day, LIMITS.day_reserve) == (45, 800, 200)
    assert Limits(minute=1, day=1).of_backfill == Limits(minute=1, day=1)
