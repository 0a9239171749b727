"""The simulator over HTTP on the loopback interface, and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

import httpx
import pytest
import yaml

from consumer.sandbox.xero import Simulator, SimulatorSettings, serve


async def signed_in(http: httpx.AsyncClient, simulator: Simulator) -> dict[str, str]:
    """A tenant, an app, a token: the headers of a call."""
    control = simulator.control_url
    tenant = (await http.post(f"{control}/tenants", json={"name": "Acme"})).json()["tenant_id"]
    app = {"client_id": "c", "client_secret": "s", "tenant_ids": [tenant]}
    await http.post(f"{control}/clients", json=app)
    token = await http.post(
        f"{simulator.identity_url}/connect/token",
        data={"grant_type": "client_credentials"},
        auth=("c", "s"),
    )
    return {
        "Authorization": f"Bearer {token.json()['access_token']}",
        "xero-tenant-id": tenant,
        "Accept": "application/json",
    }


@pytest.mark.parametrize("kind", ["reply_lost", "close_before"])
async def test_the_connection_is_cut_without_a_byte(kind: str) -> None:
    async with serve() as simulator, httpx.AsyncClient() as http:
        headers = await signed_in(http, simulator)
        await http.post(f"{simulator.control_url}/faults", json={"kind": kind})
        body = {"Contacts": [{"Name": "A"}]}
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await http.put(f"{simulator.api_url}/Contacts", headers=headers, json=body)
        found = await http.get(f"{simulator.api_url}/Contacts", headers=headers)
    assert len(found.json()["Contacts"]) == (1 if kind == "reply_lost" else 0)


async def test_a_dripping_answer_arrives_in_pieces() -> None:
    async with serve() as simulator, httpx.AsyncClient() as http:
        headers = await signed_in(http, simulator)
        fault = {"kind": "drip", "seconds": 0.1}
        await http.post(f"{simulator.control_url}/faults", json=fault)
        url = f"{simulator.api_url}/Currencies"
        async with http.stream("GET", url, headers=headers) as answer:
            pieces = [piece async for piece in answer.aiter_raw()]
    assert json.loads(b"".join(pieces))["Currencies"][0]["Code"] == "NZD"
    assert len(pieces) > 2


async def test_a_call_goes_on_when_its_caller_has_left() -> None:
    async with serve() as simulator, httpx.AsyncClient() as http:
        headers = await signed_in(http, simulator)
        fault = {"kind": "slow", "seconds": 0.2}
        await http.post(f"{simulator.control_url}/faults", json=fault)
        body = {"Contacts": [{"Name": "A"}]}
        with pytest.raises(httpx.ReadTimeout):
            await http.put(
                f"{simulator.api_url}/Contacts", headers=headers, json=body, timeout=0.05
            )
        log: list[dict[str, Any]] = []
        async with asyncio.timeout(5):
            while not log or log[-1]["answered"] is None:
                log = (await http.get(f"{simulator.control_url}/arrivals")).json()
        found = await http.get(f"{simulator.api_url}/Contacts", headers=headers)
    assert len(found.json()["Contacts"]) == 1


async def test_stopping_waits_for_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with httpx.AsyncClient() as http:
        async with serve() as simulator:
            headers = await signed_in(http, simulator)
            fault = {"kind": "slow", "seconds": 60}
            await http.post(f"{simulator.control_url}/faults", json=fault)
            url = f"{simulator.api_url}/Currencies"
            call = asyncio.create_task(http.get(url, headers=headers))
            async with asyncio.timeout(5):
                log: list[dict[str, Any]] = []
                while not log:
                    query = {"path_prefix": "/api.xro"}
                    answer = await http.get(f"{simulator.control_url}/arrivals", params=query)
                    log = answer.json()
            began = time.monotonic()
        assert time.monotonic() - began < 2
        with pytest.raises(httpx.TransportError):
            await call
    assert "Exception in ASGI application" not in caplog.text


async def test_answers_do_not_wait_for_acknowledgements() -> None:
    settings = SimulatorSettings(minute_limit=1000)
    async with serve(settings) as simulator, httpx.AsyncClient() as http:
        headers = await signed_in(http, simulator)
        took = []
        for _ in range(12):
            began = time.perf_counter()
            await http.get(f"{simulator.api_url}/Currencies", headers=headers)
            took.append(time.perf_counter() - began)
    assert sorted(took)[3] < 0.03


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_own_process(number: int) -> None:
    options = ["--minute-limit", "7", "--window", "rolling", "--no-email-validated"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer.sandbox.xero", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as http:
            assert process.stdout is not None
            where = json.loads(await process.stdout.readline())
            settings = (await http.get(f"{where['control_url']}/settings")).json()
            process.send_signal(number)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (settings["minute_limit"], settings["window"]) == (7, "rolling")
    assert settings["email_validated"] is False
    assert set(where) == {"api_url", "identity_url", "control_url"}
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_a_taken_port_is_one_sentence() -> None:
    async with serve() as simulator:
        port = simulator.identity_url.rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consumer.sandbox.xero", "--port", port),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith("the simulated Xero cannot start:")
    assert err.count(b"\n") == 1


async def test_it_listens_where_it_is_told() -> None:
    async with serve(host="127.0.0.2") as simulator, httpx.AsyncClient() as http:
        assert simulator.control_url.startswith("http://127.0.0.2:")
        assert (await http.get(f"{simulator.control_url}/tenants")).json() == []


async def test_the_sample_company_is_made_once() -> None:
    async with serve() as simulator, httpx.AsyncClient() as http:
        printed = [await _sample(simulator.control_url) for _ in range(2)]
        tenants = (await http.get(f"{simulator.control_url}/tenants")).json()
        assert printed[0] == printed[1]
        found = [one["xero"] for one in yaml.safe_load(printed[0])["connections"]]
        assert [one["tenant_id"] for one in found] == [one["OrganisationID"] for one in tenants]
        for one in found:
            token = await http.post(
                f"{simulator.identity_url}/connect/token",
                data={"grant_type": "client_credentials"},
                auth=(one["client_id"], "shared"),
            )
            assert token.status_code == 200


async def _sample(control_url: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer.sandbox.sample", control_url),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SANDBOX_XERO_SECRET": "shared"},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()
