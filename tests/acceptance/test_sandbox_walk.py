"""The newcomer's walk: ``sandbox up``, then the commands that it prints, and documents in Xero."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.test_cli import Ended, Shell


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """What ``sandbox up`` says when everything is ready, and its env file."""
    env = tmp_path / "sandbox.env"
    process = await Shell().start("sandbox", "up", "--env-file", str(env))
    assert process.stderr is not None
    try:
        said = ""
        async with asyncio.timeout(120):
            while "ready;" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
        yield said, env
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await process.communicate()
        assert process.returncode == 0
        assert not list(tmp_path.glob("sandbox*"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _states(shell: Shell) -> Counter[str]:
    documents: Ended = await shell("documents", "--json", "--limit", "1000")
    return Counter(document["state"] for document in json.loads(documents.out))


async def test_the_printed_commands_lead_to_documents_in_xero(sandbox: tuple[str, Path]) -> None:
    said, env = sandbox
    shell = Shell()
    shell.environment |= dict(line.split("=", 1) for line in env.read_text().splitlines())
    printed = re.findall(r"^  lago-xero (.+)$", said, re.MULTILINE)
    assert [line.split()[0] for line in printed] == ["migrate", "apply", "sandbox", "run"]
    for line in printed[:-1]:
        ended = await shell(*line.split())
        assert ended.code == 0, ended.err
    more = await shell("sandbox", "produce", "--seed", "7")
    assert more.code == 0
    run = await shell.start(*printed[-1].split())
    try:
        async with asyncio.timeout(60):
            while (states := await _states(shell))["synced"] < 250 or states["waiting"]:
                assert run.returncode is None
                await asyncio.sleep(0.5)
    finally:
        run.terminate()
        async with asyncio.timeout(60):
            await run.communicate()
    assert run.returncode == 0
    failed = await shell("documents", "--json", "--state", "failed")
    codes = {document["code"] for document in json.loads(failed.out)}
    assert codes == {"tax_unmapped", "lago_totals_disagree"}, "no number is claimed twice"
