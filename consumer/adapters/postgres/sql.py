"""Named SQL: a file of statements under ``-- name: x`` lines in, a mapping of name to text out; and rows
in the shape that such statements take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

_NAME = re.compile(r"^-- name: (\w+).*$", re.MULTILINE)


@cache
def statements(file: str) -> Mapping[str, str]:
    """The statements of ``sql/<file>.sql`` by name."""
    source = files("consumer.adapters.postgres").joinpath("sql", f"{file}.sql").read_text()
    parts = _NAME.split(source)[1:]
    named = dict(zip(parts[::2], (text.strip().rstrip(";") for text in parts[1::2]), strict=True))
    return MappingProxyType(named)


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as columns, the shape ``unnest`` takes."""
    made = [list(column) for column in zip(*rows, strict=True)]
    return made or [[] for _ in range(width)]


def array_of(values: Iterable[object]) -> str:
    """Postgres' way to write an array of ids: ``unnest`` takes no arrays of arrays."""
    return "{" + ",".join(map(str, values)) + "}"


def interval(seconds: float) -> timedelta:
    """Of a length that Postgres can add to a time."""
    return timedelta(seconds=min(seconds, 10_000_000))
