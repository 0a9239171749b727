"""Kept processes: a command in; how it ends when its starter closes it out."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from consumer.sandbox.services import processes
from consumer.sandbox.services.processes import KeptProcess, text_of

SLOW = """
import os, signal, threading, time
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
print("up", os.environ.get("WORD"), flush=True)
told.wait()
time.sleep(1.5)  # as calls under way take their time
print("done", flush=True)
"""


async def test_closing_leaves_the_time_that_the_process_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.1)
    log = tmp_path / "log"
    process = await KeptProcess.start(
        [sys.executable, "-c", SLOW],
        log=log,
        environment={"WORD": "ours"},
        stop_signal=signal.SIGTERM,
        grace=30.0,
    )
    while "up" not in text_of(log):
        assert process.running
        await asyncio.sleep(0)
    await process.close()
    assert text_of(log).split() == ["up", "ours", "done"]


@pytest.mark.parametrize("closed", [True, False])
async def test_its_directory_goes_when_it_is_closed_not_when_it_ends(
    tmp_path: Path, closed: bool
) -> None:
    directory = tmp_path / "its own"
    directory.mkdir()
    command = ["sleep", "600"] if closed else ["true"]
    process = await KeptProcess.start(command, log=tmp_path / "log", remove=directory)
    if not closed:
        assert await process.wait() == 0
    await process.close()
    assert directory.exists() != closed
