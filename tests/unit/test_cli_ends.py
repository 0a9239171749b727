"""How commands end: an error in; its sentence, its hint and its exit code out. A reader who leaves
is none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

import consumer.cli
from consumer.__main__ import main
from consumer.cli.errors import REFUSED, UNEXPECTED, report
from schemas.mistakes import Mistake, Mistakes

COMMAND = str(Path(sys.executable).with_name("lago-xero"))


def test_a_place_named_after_a_secret_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    place = "connections[0].xero.client_secret"
    said = "the environment variable ACME_SECRET is not set"
    leaking = Mistake("connections[0].xero", "no such client", "client_secret=hunter2 is refused")
    assert report(Mistakes([Mistake(place, said), leaking])) == REFUSED
    first, second, _ = capsys.readouterr().err.splitlines()
    assert first == f"{place}: {said}"
    assert second == "connections[0].xero: no such client; client_secret=*** is refused"


class _Interrupts(MetaPathFinder):
    """Somebody presses Ctrl-C while the first module is being looked for."""

    def find_spec(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_while_the_command_is_imported_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "consumer.cli")
    monkeypatch.delattr(consumer, "cli")
    monkeypatch.setattr(sys, "meta_path", [_Interrupts()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130


def test_a_hint_that_is_a_sentence_follows_one() -> None:
    assert str(Mistake("a", "it is refused", "Correct it.")) == "a: it is refused. Correct it."
    assert str(Mistake("a", "is missing", "say b")) == "a: is missing; say b"


def test_a_full_disk_is_no_service_that_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == UNEXPECTED
    told = capsys.readouterr().err
    assert "cannot be written: No space left on device." in told
    assert "LAGO_XERO_DATABASE_URL" not in told


@pytest.mark.parametrize("arguments", [["--help"], ["documents", "--help"], ["--version"]])
def test_a_reader_who_has_seen_enough_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
