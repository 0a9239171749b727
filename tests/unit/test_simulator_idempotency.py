"""Idempotency keys: replays, cached errors, their life and their misuse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.simulator import CLIENT, TENANT, Lab, simulated


async def put(lab: Lab, name: str, key: str = "k", **query: Any) -> tuple[int, dict[str, Any]]:
    body = {"Contacts": [{"Name": name}]}
    answer = await lab.call("PUT", "Contacts", body, headers={"Idempotency-Key": key}, **query)
    return answer.status_code, answer.json()


async def names(lab: Lab) -> list[str]:
    return [one["Name"] for one in (await lab.get("Contacts"))["Contacts"]]


async def test_replay_gives_the_same_answer_and_does_nothing() -> None:
    async with simulated() as lab:
        first, second = await put(lab, "A"), await put(lab, "A")
        assert await names(lab) == ["First", "A"]
        log = (await lab.arrivals())[:2]
    assert first == second
    assert [one["replay"] for one in log] == [False, True]
    assert [one["elements"] for one in log] == [1, 1]
    assert {one["idempotency_key"] for one in log} == {"k"}


async def test_errors_are_cached_too() -> None:
    async with simulated() as lab:
        first = await put(lab, "First", summarizeErrors="true")
        order = {"action": "archive", "contact_id": lab.contact_id}
        await lab.control("POST", f"books/{TENANT}/contacts", order)
        cached = await put(lab, "First", summarizeErrors="true")
        fresh = await put(lab, "First", key="other", summarizeErrors="true")
    assert first == cached
    assert (first[0], fresh[0]) == (400, 200)


@pytest.mark.parametrize(("seconds", "status"), [(359.9, "OK"), (360.0, "ERROR")])
async def test_a_key_lives_six_minutes_from_its_first_call(seconds: float, status: str) -> None:
    async with simulated() as lab:
        await put(lab, "A")
        lab.advance(seconds / 2)
        await put(lab, "A")
        lab.advance(seconds / 2)
        _, body = await put(lab, "A")
    (contact,) = body["Contacts"]
    assert contact["StatusAttributeString"] == status


async def test_keys_end_one_by_one() -> None:
    async with simulated() as lab:
        await put(lab, "A", key="one")
        lab.advance(200)
        await put(lab, "B", key="two")
        lab.advance(200)
        await put(lab, "A", key="one")
        await put(lab, "B", key="two")
        replays = [one["replay"] for one in await lab.arrivals()]
    assert replays == [False, False, False, True]


async def test_the_life_of_a_key_is_scaled() -> None:
    async with simulated(time_scale=0.01) as lab:
        first = await put(lab, "A")
        lab.advance(3.5)
        assert await put(lab, "A") == first
        lab.advance(0.2)
        assert await put(lab, "A") != first


@pytest.mark.parametrize("change", ["body", "query", "method"])
async def test_a_key_of_another_request(change: str) -> None:
    async with simulated() as lab:
        await put(lab, "A")
        headers = {"Idempotency-Key": "k"}
        body = {"Contacts": [{"Name": "B" if change == "body" else "A"}]}
        query = {"x": "1"} if change == "query" else {}
        method = "POST" if change == "method" else "PUT"
        answer = await lab.call(method, "Contacts", body, headers=headers, **query)
        assert await names(lab) == ["First", "A"]
    assert answer.status_code == 400
    assert answer.json()["Message"] == "Idempotency Key: k is used with a different request."


async def test_a_key_belongs_to_the_app_not_to_the_tenant() -> None:
    async with simulated() as lab:
        other = (await lab.control("POST", "tenants", {"name": "Other"}))["tenant_id"]
        both = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "tenant_ids": [TENANT, other]}
        await lab.control("POST", "clients", both)
        first = await put(lab, "A")
        lab.headers["xero-tenant-id"] = other
        assert await put(lab, "A") == first
        assert await names(lab) == []


async def test_limits_come_first_and_replays_count() -> None:
    async with simulated(minute_limit=2) as lab:
        await put(lab, "A")
        await put(lab, "A")
        answer = await lab.call(
            "PUT", "Contacts", {"Contacts": [{"Name": "A"}]}, headers={"Idempotency-Key": "k"}
        )
    assert answer.status_code == 429


async def test_a_429_is_not_cached() -> None:
    async with simulated(minute_limit=0) as lab:
        headers = {"Idempotency-Key": "k"}
        body = {"Contacts": [{"Name": "A"}]}
        assert (await lab.call("PUT", "Contacts", body, headers=headers)).status_code == 429
        await lab.control("POST", "settings", {"minute_limit": 9})
        assert (await lab.call("PUT", "Contacts", body, headers=headers)).status_code == 200


async def test_key_of_more_than_128_characters() -> None:
    async with simulated() as lab:
        assert (await put(lab, "A", key="k" * 129))[0] == 400
        assert (await put(lab, "A", key="k" * 128))[0] == 200


async def test_keys_mean_nothing_to_a_get() -> None:
    async with simulated() as lab:
        headers = {"Idempotency-Key": "k"}
        before = (await lab.call("GET", "Contacts", headers=headers)).json()["Contacts"]
        await put(lab, "A", key="other")
        after = (await lab.call("GET", "Contacts", headers=headers)).json()["Contacts"]
    assert (len(before), len(after)) == (1, 2)


@pytest.mark.parametrize(
    ("choice", "statuses", "words"),
    [
        ("conflict", [200, 409], ["OK"]),
        ("wait", [200, 200], ["OK", "OK"]),
        ("execute", [200, 200], ["ERROR", "OK"]),
    ],
)
async def test_two_calls_in_flight_with_one_key(
    choice: str, statuses: list[int], words: list[str]
) -> None:
    async with simulated(concurrent_same_key=choice, latency=0.02) as lab:
        answers = await asyncio.gather(put(lab, "A"), put(lab, "A"))
        await lab.control("POST", "settings", {"latency": 0})
        assert await names(lab) == ["First", "A"]
    assert sorted(status for status, _ in answers) == statuses
    shown = [body["Contacts"][0] for _, body in answers if "Contacts" in body]
    assert sorted(one["StatusAttributeString"] for one in shown) == words
