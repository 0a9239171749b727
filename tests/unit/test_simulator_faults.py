"""Faults on demand: what was saved, what was answered, and what the key remembers."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from consumer.sandbox.xero.gateway import ConnectionCut
from tests.unit.simulator import TENANT, Lab, simulated

KEY = {"Idempotency-Key": "k"}
BODY = {"Contacts": [{"Name": "A"}]}


async def order(lab: Lab, kind: str, **more: Any) -> None:
    await lab.control("POST", "faults", {"kind": kind, **more})


async def put(lab: Lab) -> httpx.Response:
    return await lab.call("PUT", "Contacts", BODY, headers=KEY)


async def saved(lab: Lab) -> bool:
    books = await lab.control("GET", f"books/{TENANT}")
    return len(books["contacts"]) == 2


async def test_reply_lost_after_saving_and_the_key_brings_it_back() -> None:
    async with simulated() as lab:
        await order(lab, "reply_lost")
        with pytest.raises(ConnectionCut):
            await put(lab)
        assert await saved(lab)
        again = await put(lab)
        log = await lab.arrivals()
    assert again.json()["Contacts"][0]["StatusAttributeString"] == "OK"
    assert [(one["status"], one["fault"], one["replay"]) for one in log] == [
        (200, "reply_lost", False),
        (200, None, True),
    ]


async def test_connection_closed_before_anything_was_done() -> None:
    async with simulated() as lab:
        await order(lab, "close_before")
        with pytest.raises(ConnectionCut):
            await put(lab)
        assert not await saved(lab)
        assert (await put(lab)).status_code == 200
        log = await lab.arrivals()
    assert [(one["status"], one["replay"]) for one in log] == [(None, False), (200, False)]


@pytest.mark.parametrize(("kind", "done"), [("500_before", False), ("500_after", True)])
async def test_a_500_says_nothing_and_is_cached(kind: str, done: bool) -> None:
    async with simulated() as lab:
        await order(lab, kind)
        first = await put(lab)
        assert await saved(lab) is done
        replay = await put(lab)
    assert (first.status_code, first.json()["Title"]) == (500, "An error occurred")
    assert (replay.status_code, replay.content) == (500, first.content)


async def test_whole_400_has_no_elements_and_saves_nothing() -> None:
    async with simulated() as lab:
        await order(lab, "whole_400")
        answer = await put(lab)
        assert not await saved(lab)
    assert answer.status_code == 400
    assert "Elements" not in answer.json()


@pytest.mark.parametrize(
    ("kind", "status"), [("401", 401), ("403", 403), ("412", 412), ("429", 429), ("503", 503)]
)
async def test_refusals_at_the_door_leave_the_key_free(kind: str, status: int) -> None:
    async with simulated() as lab:
        await order(lab, kind, seconds=7)
        refused = await put(lab)
        assert not await saved(lab)
        assert (await put(lab)).status_code == 200
    assert refused.status_code == status
    if kind == "429":
        assert (refused.content, refused.headers["retry-after"]) == (b"", "7")
        assert refused.headers["x-rate-limit-problem"] == "minute"
    if kind == "503":
        assert refused.text == "The Organisation is offline"


async def test_garbage_hides_what_was_saved() -> None:
    async with simulated() as lab:
        await order(lab, "garbage")
        answer = await put(lab)
        assert await saved(lab)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting value|decode"):
        answer.json()


@pytest.mark.parametrize("kind", ["slow", "slow_after", "drip"])
async def test_slow_answers_take_their_time(kind: str) -> None:
    async with simulated() as lab:
        await order(lab, kind, seconds=0.1)
        began = time.monotonic()
        answer = await put(lab)
        assert time.monotonic() - began >= 0.1
        assert await saved(lab)
    assert answer.json()["Contacts"][0]["StatusAttributeString"] == "OK"


async def test_faults_strike_what_they_match_and_are_used_up() -> None:
    async with simulated() as lab:
        match = {"tenant_id": TENANT, "method": "PUT", "path_prefix": "/api.xro/2.0/Contacts"}
        await order(lab, "503", times=2, match=match)
        assert (await lab.call("GET", "Contacts")).status_code == 200
        assert (await lab.call("PUT", "Invoices", lab.invoice())).status_code == 200
        assert [(await put(lab)).status_code for _ in range(3)] == [503, 503, 200]
        assert await lab.control("GET", "faults") == []


async def test_faults_of_another_tenant_do_not_strike() -> None:
    async with simulated() as lab:
        await order(lab, "503", match={"tenant_id": "another"})
        assert (await put(lab)).status_code == 200


async def test_faults_reach_the_token_endpoint() -> None:
    async with simulated() as lab:
        await order(lab, "500_before", match={"path_prefix": "/connect/token"})
        form = {"grant_type": "client_credentials"}
        assert (await lab.http.post("/connect/token", data=form)).status_code == 500
        assert (await put(lab)).status_code == 200


async def test_endless_faults_end_when_cleared() -> None:
    async with simulated() as lab:
        await order(lab, "503", times=-1)
        assert [(await put(lab)).status_code for _ in range(3)] == [503] * 3
        await lab.control("DELETE", "faults")
        assert (await put(lab)).status_code == 200


@pytest.mark.parametrize(
    "request_", [{"kind": "fire"}, {"kind": "503", "match": {"colour": "red"}}]
)
async def test_impossible_faults_are_refused(request_: dict[str, Any]) -> None:
    async with simulated() as lab:
        answer = await lab.http.post("/sandbox/faults", json=request_)
    assert answer.status_code == 400
    assert answer.json()["error"]
