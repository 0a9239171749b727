"""The newcomer's walk: ``sandbox up``, then the commands that it prints, and documents in Xero."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumer.sandbox.lago import demo_events
from tests.acceptance.shell import COMMAND, Shell

TRYING = Path(__file__).parents[2] / "deploy" / "trying.md"
OTHERS = ((7, 200), (2026, 150))
"""Seed and count of further stories, told to the same organisations."""


@pytest.fixture
async def said(tmp_path: Path) -> AsyncIterator[str]:
    """What ``sandbox up`` says when everything is ready, in an empty directory."""
    directory = tmp_path / "new [comer's] place"
    directory.mkdir()
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *("sandbox", "up"),
        cwd=directory,
        env=Shell().environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        heard = ""
        async with asyncio.timeout(120):
            while "ready;" not in heard:
                line = await process.stderr.readline()
                assert line, heard
                heard += line.decode()
        yield heard
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await process.communicate()
        assert process.returncode == 0
        assert not list(directory.iterdir())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _environment(sourcing: str) -> dict[str, str]:
    """What a shell has after the line that sources the env file."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f"{sourcing}; env -0"),
        env=Shell().environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return dict(one.split("=", 1) for one in out.decode().split("\0") if one)


async def _states(shell: Shell) -> Counter[str]:
    """Of contacts and invoices: money without a payment's message has ten minutes."""
    documents = await shell("documents", "--json", "--limit", "10000")
    shown = json.loads(documents.out)
    return Counter(one["state"] for one in shown if one["kind"] in ("contact", "invoice"))


async def _moving(shell: Shell) -> bool:
    """Whether something is on its way to Xero, payments too."""
    states = (await shell("status", "--json")).json["states"]
    return any(one["state"] in ("ready", "sending") for one in states)


async def _an_accountant_is_found_out(shell: Shell) -> None:
    """What ``deploy/trying.md`` orders in Xero is told by reconciling, as its table says."""
    page = TRYING.read_text(encoding="utf-8")
    [orders] = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    told = re.findall(r"^\|[^|]+\| `(\w+)` \|$", page, re.MULTILINE)
    path = f"{Path(COMMAND).parent}:{shell.environment['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euc", orders), env={**shell.environment, "PATH": path}
    )
    assert await process.wait() == 0
    [command] = re.findall(r"`lago-xero (reconcile --connection [^`]+)`", page)
    found = (await shell(*command.split(), "--format", "json")).json
    classes = Counter(one["class"] for one in found["exceptions"])
    due = Counter(told) + Counter(status=1)  # its first row is of two invoices
    assert {name: classes[name] for name in due} == due
    assert set(classes) <= {*due, "missing_in_xero", "fallback", "in_flight"}


async def test_the_printed_commands_lead_to_documents_in_xero(said: str) -> None:
    sourcing, *printed = re.findall(r"^  (.+)$", said, re.MULTILINE)
    shell = Shell()
    shell.environment = await _environment(sourcing)
    commands = [shlex.split(line) for line in printed]
    assert {command[0] for command in commands} == {"lago-xero"}
    *preparing, run, last = [command[1:] for command in commands]
    assert [command[0] for command in preparing] == ["migrate", "apply", "sandbox"]
    assert (run, last) == (["run"], ["documents"])
    for arguments in preparing:
        ended = await shell(*arguments)
        assert ended.code == 0, ended.err
    stories = [demo_events()]
    for seed, count in OTHERS:
        await shell("sandbox", "produce", "--seed", str(seed), "--count", str(count))
        stories.append(demo_events(seed, count=count))
    expected = [story for _, story in stories]
    due = Counter[str]()
    for story in expected:
        due["synced"] += story.contacts + len(story.invoices)
        due["failed"] += sum(story.failed.values())
        due["skipped"] += sum(story.skipped.values())

    running = await shell.start(*run)
    try:
        async with asyncio.timeout(90):
            while (states := await _states(shell)) != due:
                assert running.returncode is None
                assert states["failed"] <= due["failed"], "a number is claimed twice"
                await asyncio.sleep(0.5)
        shown = await shell(*last)
        assert (shown.code, "Xero has it as Lago says." in shown.out) == (0, True)
        async with asyncio.timeout(60):
            while await _moving(shell):
                await asyncio.sleep(0.5)
        await _an_accountant_is_found_out(shell)
    finally:
        running.terminate()
        async with asyncio.timeout(60):
            await running.communicate()
    assert running.returncode == 0
