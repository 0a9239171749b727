"""The budget's arithmetic against servers that count in fixed and in rolling windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.pacing import Counts, Limits, Told, gap, wait

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
