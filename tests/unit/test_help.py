"""Every command teaches: its help says what it does and ends in an example that it understands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from consumer import cli


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


ROOT = typer.main.get_command(cli.app)
COMMANDS = list(_commands(ROOT))


def _command(path: tuple[str, ...]) -> Any:
    found: Any = ROOT
    for name in path:
        found = found.commands[name]
    return found


def test_commands_are_found() -> None:
    assert ("retry",) in COMMANDS
    assert ("sandbox", "up") in COMMANDS


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_help_has_an_example_that_parses(path: tuple[str, ...]) -> None:
    command = _command(path)
    assert command.help
    _, _, example = (command.epilog or "").partition("Example: ")
    words = shlex.split(example.partition("   (")[0])
    while "=" in words[0]:
        words.pop(0)
    called = ("lago-xero", *path)
    assert tuple(words[: len(called)]) == called
    command.make_context("lago-xero", words[len(called) :])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_option_says_what_it_is(path: tuple[str, ...]) -> None:
    for parameter in _command(path).params:
        assert getattr(parameter, "help", None), parameter.name
