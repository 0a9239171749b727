"""The installed command's way into Xero: connect, disconnect, rekey."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from cryptography.fernet import Fernet

from consumer.sandbox.services.processes import free_port
from consumer.sandbox.xero import Simulator
from tests.acceptance.shell import NOT_FOUND, OK, REFUSED, Shell
from tests.acceptance.xero import MAPPINGS

TENANTS = {"Acme": str(uuid4()), "Other": str(uuid4())}


@pytest.fixture
async def file(xero_simulator: Simulator, tmp_path: Path) -> Path:
    """A connection of a public client that nobody has let into one of two organisations."""
    client = {"client_id": "web", "client_secret": "", "tenant_ids": [], "custom_connection": False}
    async with httpx.AsyncClient(base_url=xero_simulator.control_url) as control:
        for name, tenant_id in TENANTS.items():
            tenant = {"tenant_id": tenant_id, "name": name}
            (await control.post("/tenants", json=tenant)).raise_for_status()
        (await control.post("/clients", json=client)).raise_for_status()
    acme = {
        "code": "acme",
        "organization_id": "1a901a90-1a90-1a90-1a90-1a901a901a90",
        "xero": {"client_id": "web", "consent": True},
        "mappings": MAPPINGS,
    }
    path = tmp_path / "connections.yaml"
    path.write_text(yaml.safe_dump({"connections": [acme]}))
    return path


async def page(process: asyncio.subprocess.Process, waits_for: bytes) -> str:
    """The address to consent at, once the command waits."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(30):
        while waits_for not in said:
            part = await process.stderr.read(1000)
            assert part, said.decode()
            said += part
    [url] = re.findall(r"https?://\S+/identity/connect/authorize\S+", said.decode())
    return str(url)


async def connect(shell: Shell, *arguments: str, **query: str) -> tuple[int, str, str]:
    """Run it, and let a browser follow where Xero sends it."""
    process = await shell.start(
        "connect", "acme", "--no-browser", "--port", str(free_port()), *arguments
    )
    url = await page(process, b"Ctrl-C gives up")
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as browser:
        answer = await browser.get(httpx.URL(url).copy_merge_params(query))
    assert answer.status_code in (200, 400)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def tokens_of(simulator: Simulator) -> list[str]:
    """Every token that Xero has issued."""
    issued: list[str] = simulator.app.state.world.identity.issued()
    return issued


async def parked(shell: Shell) -> Any:
    """Why the client is parked."""
    return (await shell("connections", "--json")).json[0]["parked_why"]


async def test_a_client_is_let_in_and_turned_out_again(
    shell: Shell, file: Path, xero_simulator: Simulator
) -> None:
    applied = await shell("apply", "-f", str(file))
    assert (applied.code, "run lago-xero connect acme" in applied.out) == (OK, True)
    assert await parked(shell) == "unauthorised"

    code, out, err = await connect(shell, "--tenant", TENANTS["Other"])
    assert (code, out) == (OK, f"~ acme: connected to Other ({TENANTS['Other']})\n")
    assert await parked(shell) is None
    assert (await shell("apply", "-f", str(file))).err == "nothing to change\n"
    issued = tokens_of(xero_simulator)
    assert len(issued) >= 2
    assert not any(token in out + err for token in issued)

    ended = await shell("disconnect", "acme")
    assert ended.out.splitlines() == [
        "~ acme: nothing more is sent",
        "~ Other: disconnected at Xero",
        "~ its tokens are forgotten; no other tenant uses them",
    ]
    assert await parked(shell) == "disconnected"


async def test_a_script_is_not_asked_which_of_several(shell: Shell, file: Path) -> None:
    await shell("apply", "-f", str(file))
    code, out, err = await connect(shell)
    assert (code, out) == (REFUSED, "")
    assert TENANTS["Acme"] in err
    assert "--tenant" in err
    assert await parked(shell) == "unauthorised"


async def test_somebody_says_no(shell: Shell, file: Path) -> None:
    await shell("apply", "-f", str(file))
    code, _, err = await connect(shell, tenants="")
    assert code == REFUSED
    assert "access_denied" in err


@pytest.mark.parametrize("whole", [True, False])
async def test_the_address_or_the_code_can_be_pasted(shell: Shell, file: Path, whole: bool) -> None:
    await shell("apply", "-f", str(file))
    process = await shell.start("connect", "acme", "--paste", "--no-browser")
    url = await page(process, b"or the code")
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(httpx.URL(url).copy_merge_params({"tenants": TENANTS["Acme"]}))
    location = httpx.URL(answer.headers["Location"])
    pasted = str(location) if whole else location.params["code"]
    async with asyncio.timeout(60):
        out, err = await process.communicate(f"{pasted}\n".encode())
    assert process.returncode == OK, err.decode()
    assert out.decode() == f"~ acme: connected to Acme ({TENANTS['Acme']})\n"


async def test_rekey_tells_how_many(shell: Shell, file: Path) -> None:
    await shell("apply", "-f", str(file))
    assert (await connect(shell, "--tenant", TENANTS["Acme"]))[0] == OK
    old, new = shell.environment["LAGO_XERO_ENCRYPTION_KEYS"], Fernet.generate_key().decode()
    lost = await shell.having(ENCRYPTION_KEYS=new)("rekey")
    assert lost.code == REFUSED
    assert "2 of 2 secrets cannot be decrypted" in lost.err
    both = shell.having(ENCRYPTION_KEYS=f"{new},{old}")
    assert (await both("rekey")).out.startswith("2 of 2 secrets were encrypted anew")
    assert (await both("rekey")).out.startswith("0 of 2 secrets were encrypted anew")
    alone = shell.having(ENCRYPTION_KEYS=new)
    assert (await alone("apply", "-f", str(file))).err == "nothing to change\n"
    assert (await alone("rekey")).code == OK


@pytest.mark.parametrize("command", ["connect", "disconnect"])
async def test_a_connection_that_is_not_there(shell: Shell, command: str) -> None:
    ended = await shell(command, "nobody")
    assert ended.code == NOT_FOUND
    assert "lago-xero connections" in ended.err
