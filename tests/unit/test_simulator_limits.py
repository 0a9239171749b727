"""The four limits, counted at arrival."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from consumer.sandbox.xero.limits import Meter
from tests.unit.simulator import CLIENT, TENANT, Lab, simulated


async def burst(lab: Lab, count: int) -> list[int]:
    return [(await lab.call("GET", "Currencies")).status_code for _ in range(count)]


def test_fixed_window_forgets_all_at_once_at_an_offset_of_its_own() -> None:
    one, two = Meter("one"), Meter("two")
    for meter in (one, two):
        meter.add(600.0)
    ends = [meter.opens_in(600.0, 60.0, rolling=False) for meter in (one, two)]
    assert ends[0] != ends[1]
    assert all(0 < end <= 60 for end in ends)
    assert one.used(600.0 + ends[0] - 0.01, 60.0, rolling=False) == 1
    assert one.used(600.0 + ends[0], 60.0, rolling=False) == 0


def test_rolling_window_forgets_one_by_one() -> None:
    meter = Meter("one")
    for now in (0.0, 10.0):
        meter.add(now)
    assert meter.used(59.9, 60.0, rolling=True) == 2
    assert meter.opens_in(59.9, 60.0, rolling=True) == pytest.approx(0.1)
    assert meter.used(60.0, 60.0, rolling=True) == 1


@pytest.mark.parametrize("window", ["fixed", "rolling"])
@pytest.mark.parametrize(
    ("limit", "problem", "header"),
    [
        ("minute_limit", "minute", "x-minlimit-remaining"),
        ("day_limit", "day", "x-daylimit-remaining"),
        ("app_minute_limit", "appminute", "x-appminlimit-remaining"),
    ],
)
async def test_a_spent_window(window: str, limit: str, problem: str, header: str) -> None:
    async with simulated(window=window, **{limit: 3}) as lab:
        left = [(await lab.call("GET", "Currencies")).headers[header] for _ in range(3)]
        refused = await lab.call("GET", "Currencies")
        wait = int(refused.headers["retry-after"])
        lab.advance(wait)
        if problem == "day":
            await lab.token()
        again = await lab.call("GET", "Currencies")
        log = await lab.arrivals()
    assert left == ["2", "1", "0"]
    assert (refused.status_code, refused.content) == (429, b"")
    assert refused.headers["x-rate-limit-problem"] == problem
    assert refused.headers[header] == "0"
    assert "content-type" not in refused.headers
    assert 1 <= wait <= (86_400 if problem == "day" else 60)
    assert again.status_code == 200
    assert [one["status"] for one in log] == [200, 200, 200, 429, 200]
    assert [one["problem"] for one in log] == [None, None, None, problem, None]


async def test_windows_are_scaled() -> None:
    async with simulated(minute_limit=1, time_scale=0.1, window="rolling") as lab:
        assert await burst(lab, 2) == [200, 429]
        lab.advance(5.9)
        refused = await lab.call("GET", "Currencies")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        lab.advance(0.1)
        assert await burst(lab, 1) == [200]


@pytest.mark.parametrize(("counted", "after"), [(False, 200), (True, 429)])
async def test_whether_refused_calls_count_is_a_switch(counted: bool, after: int) -> None:
    settings = {"minute_limit": 2, "window": "rolling", "refused_calls_count": counted}
    async with simulated(**settings) as lab:
        assert await burst(lab, 2) == [200, 200]
        lab.advance(30)
        assert await burst(lab, 2) == [429, 429]
        lab.advance(30)
        assert await burst(lab, 1) == [after]


async def test_limits_are_per_tenant_and_app_but_for_the_app_minute() -> None:
    async with simulated(minute_limit=2, app_minute_limit=3) as lab:
        other = (await lab.control("POST", "tenants", {"name": "Other"}))["tenant_id"]
        both = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "tenant_ids": [TENANT, other]}
        await lab.control("POST", "clients", both)
        assert await burst(lab, 3) == [200, 200, 429]
        lab.headers["xero-tenant-id"] = other
        assert await burst(lab, 1) == [200]
        refused = await lab.call("GET", "Currencies")
    assert refused.headers["x-rate-limit-problem"] == "appminute"


async def test_no_more_than_so_many_in_flight() -> None:
    async with simulated(concurrency=2, latency=0.05) as lab:
        answers: list[httpx.Response] = await asyncio.gather(
            *[lab.call("GET", "Currencies") for _ in range(3)]
        )
        refused = [one for one in answers if one.status_code == 429]
        assert await burst(lab, 1) == [200]
        log = await lab.arrivals()
    assert len(refused) == 1
    assert refused[0].headers["x-rate-limit-problem"] == "concurrent"
    assert "retry-after" not in refused[0].headers
    assert [one["in_flight"] for one in log] == [1, 2, 2, 1]


async def test_an_unauthorised_call_counts_for_nothing() -> None:
    async with simulated(minute_limit=1) as lab:
        answer = await lab.call("GET", "Currencies", headers={"Authorization": "Bearer x"})
        assert answer.status_code == 401
        assert await burst(lab, 1) == [200]


@pytest.mark.parametrize(
    "change", [{"minute_limit": 1}, {"day_limit": 1}, {"latency": 0.001, "minute_limit": 1}]
)
async def test_settings_change_at_run_time(change: dict[str, Any]) -> None:
    async with simulated() as lab:
        assert await burst(lab, 2) == [200, 200]
        shown = await lab.control("POST", "settings", change)
        assert {name: shown[name] for name in change} == change
        assert await burst(lab, 1) == [429]
