"""YAML text in, plain values out: numbers as they were written, no key twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from schemas.mistakes import Mistake, Mistakes, path_of


class Unquoted(str):
    """A scalar that YAML takes for a number; its characters are kept as written."""


class _Loader(yaml.SafeLoader):
    """Safe YAML whose numbers keep the characters they were written with."""


def _as_written(loader: _Loader, node: yaml.ScalarNode) -> Unquoted:
    return Unquoted(node.value)


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _as_written)


def load(text: str) -> Any:
    """The one document in the text; its numbers are ``Unquoted``.

    Raises:
        Mistakes: it is empty or not YAML, or keys stand twice in it.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise Mistakes([Mistake("connections", "is missing", "the file is empty")])
        twice = list(_twice(node, (), set()))
        if twice:
            raise Mistakes(twice)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        raise Mistakes([Mistake(where, "is not YAML", error.problem or "")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, Mistakes):
            raise
        raise Mistakes([Mistake("file", "is not YAML")]) from None


def _twice(node: yaml.Node, at: tuple[str | int, ...], seen: set[int]) -> Iterable[Mistake]:
    """The keys that stand twice in one mapping; YAML itself would let the last one win."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, part in enumerate(node.value):
            yield from _twice(part, (*at, i), seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, part in node.value:
            name = str(key.value)
            line = key.start_mark.line + 1
            if name in lines:
                said = f"is given twice, in line {lines[name]} and in line {line}"
                yield Mistake(path_of((*at, name)), said)
            lines.setdefault(name, line)
            yield from _twice(part, (*at, name), seen)
