"""Calls in, permission or a refusal out: Xero's four limits, counted when a call arrives."""

from __future__ import annotations

import math
import zlib
from collections import deque
from dataclasses import dataclass, field

from consumer.sandbox.xero.answers import Answer, throttled
from consumer.sandbox.xero.settings import DAY, MINUTE, SimulatorSettings


class Meter:
    """The calls of one window. Times are seconds of a monotonic clock."""

    def __init__(self, key: str) -> None:
        self._calls: deque[float] = deque()
        self._offset = zlib.crc32(key.encode()) / 2**32

    def used(self, now: float, length: float, *, rolling: bool) -> int:
        """How many calls the current window holds."""
        start = self._start(now, length, rolling=rolling)
        while self._calls and (self._calls[0] <= start if rolling else self._calls[0] < start):
            self._calls.popleft()
        return len(self._calls)

    def add(self, now: float) -> None:
        """Count a call."""
        self._calls.append(now)

    def opens_in(self, now: float, length: float, *, rolling: bool) -> float:
        """Seconds until there is room again in a full window."""
        if rolling:
            return self._calls[0] + length - now if self._calls else 0.0
        return self._start(now, length, rolling=False) + length - now

    def _start(self, now: float, length: float, *, rolling: bool) -> float:
        if rolling:
            return now - length
        offset = self._offset * length
        return math.floor((now - offset) / length) * length + offset


@dataclass(slots=True)
class Flow:
    """The calls of one app to one tenant."""

    minute: Meter
    day: Meter
    in_flight: int = 0


@dataclass(slots=True)
class Admission:
    """A call that was let in or refused. ``in_flight`` includes this call if it was let in."""

    in_flight: int
    headers: tuple[tuple[str, str], ...]
    refusal: Answer | None = None
    problem: str | None = None
    _flow: Flow | None = field(default=None, repr=False)

    def leave(self) -> None:
        """The call is over; leaving twice is leaving once."""
        if self._flow is not None:
            self._flow.in_flight -= 1
            self._flow = None


class Limits:
    """Per tenant and app: concurrency, minute, day; per app: minute."""

    def __init__(self) -> None:
        self._flows: dict[tuple[str, str], Flow] = {}
        self._apps: dict[str, Meter] = {}

    def enter(
        self, settings: SimulatorSettings, now: float, client_id: str, tenant_id: str
    ) -> Admission:
        """Count one call at its arrival."""
        key = f"{client_id}:{tenant_id}"
        flow = self._flows.get((client_id, tenant_id))
        if flow is None:
            flow = self._flows[client_id, tenant_id] = Flow(Meter(key), Meter(f"day:{key}"))
        app = self._apps.setdefault(client_id, Meter(client_id))
        rolling = settings.window == "rolling"
        minute, day = MINUTE * settings.time_scale, DAY * settings.time_scale
        left = {
            "day": settings.day_limit - flow.day.used(now, day, rolling=rolling),
            "minute": settings.minute_limit - flow.minute.used(now, minute, rolling=rolling),
            "appminute": settings.app_minute_limit - app.used(now, minute, rolling=rolling),
        }
        problem: str | None = next((name for name, rest in left.items() if rest <= 0), None)
        retry_after: int | None = None
        if problem is not None:
            meter, length = {
                "day": (flow.day, day),
                "minute": (flow.minute, minute),
                "appminute": (app, minute),
            }[problem]
            retry_after = max(1, math.ceil(meter.opens_in(now, length, rolling=rolling)))
        elif flow.in_flight >= settings.concurrency:
            problem = "concurrent"
        if problem is None or settings.refused_calls_count:
            for meter in (flow.day, flow.minute, app):
                meter.add(now)
            left = {name: rest - 1 for name, rest in left.items()}
        headers = _headers(left)
        if problem is not None:
            refusal = throttled(problem, retry_after)
            return Admission(flow.in_flight, headers, refusal, problem)
        flow.in_flight += 1
        return Admission(flow.in_flight, headers, _flow=flow)


def _headers(left: dict[str, int]) -> tuple[tuple[str, str], ...]:
    return (
        ("X-DayLimit-Remaining", str(max(0, left["day"]))),
        ("X-MinLimit-Remaining", str(max(0, left["minute"]))),
        ("X-AppMinLimit-Remaining", str(max(0, left["appminute"]))),
    )
