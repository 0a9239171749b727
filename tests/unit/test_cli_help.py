"""Help at 80 columns: a command in; its paragraphs out, each line as full as its words allow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from consumer.cli import app

COLUMNS = 80


def _paths(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """How the command, or group, and all below it are called."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _paths(below, *path, name)


@pytest.mark.parametrize("path", list(_paths(typer.main.get_command(app))), ids=" ".join)
def test_its_paragraphs_are_filled(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": str(COLUMNS)})
    assert told.exit_code == 0
    for line, below in pairwise(told.output.splitlines()):
        words = below.split()
        if line.strip() and words and line[0] == below[0] == " ":  # prose: the rest stands in boxes
            fits = len(f"{line.rstrip()} {words[0]} ") <= COLUMNS
            assert not fits, f"{words[0]!r} fits behind {line.strip()!r}"
            assert "Example:" not in line, "an example is one line, to be copied"
