"""The code of ``consumer/`` in, every stable code that it gives an error out: where, as what, what to do.

Nothing is run for it: calls of the error classes are read, with their first argument, the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CONSUMER = Path(__file__).parents[1] / "consumer"
KINDS = frozenset(
    {
        *("Reject", "Undecodable", "Inconsistent", "Unmapped", "Refused", "Refusal", "_rule"),
        *("Retry", "Throttled", "NotExecuted", "_not_taken"),
        *("Doubt", "InDoubt"),
        *("Halt", "Unauthorised", "TooManyRejects", "Alarm"),
    }
)
"""What is called with a code first: errors, refusals, and the two functions that make them."""
PARKED = re.compile(r"_why = .*'((?!infinity)\w+)'|'infinity', '(\w+)'")
"""Where SQL parks by itself."""
HOLE = "…"


@dataclass(frozen=True, slots=True)
class Use:
    """One place. ``code`` has a hole where a part of it is only known when it runs; ``hint`` is None where
    the place does not say it in words of its own."""

    kind: str
    code: str
    hint: str | None
    where: str

    def means(self, code: str) -> bool:
        """Whether this is a use of that code."""
        hole = "NNN" if self.kind == "InDoubt" else r"\w+"  # a status
        return re.fullmatch(re.escape(self.code).replace(HOLE, hole), code) is not None


class Codes:
    """All uses below a folder."""

    def __init__(self, folder: Path = CONSUMER) -> None:
        files = sorted(f for f in folder.rglob("*.py") if "sandbox" not in f.parts)
        self._trees = {
            f.relative_to(folder).as_posix(): ast.parse(f.read_text(encoding="utf-8"))
            for f in files
        }
        self._sql = {
            f.relative_to(folder).as_posix(): f.read_text(encoding="utf-8")
            for f in sorted(folder.rglob("sql/*.sql"))
        }

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """In the order of the files."""
        return (*self._calls(), *self._literals(), *self._parked())

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Where an error is made of a code that cannot be read here, and is not another error's."""
        return tuple(
            f"{name}:{call.lineno}"
            for name, call, _ in self._made()
            if not call.args
            or (
                not self._texts(call.args[0])
                and not isinstance(call.args[0], ast.Attribute | ast.Subscript)
            )
        )

    @cached_property
    def _constants(self) -> Mapping[str, str]:
        return {
            target.id: node.value.value
            for tree in self._trees.values()
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value.value, str)
        }

    def _made(self) -> Iterator[tuple[str, ast.Call, str]]:
        for name, tree in self._trees.items():
            own = {
                id(call)
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef) and node.name == "_not_taken"
                for call in ast.walk(node)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and id(node) not in own:
                    called = node.func
                    kind = called.id if isinstance(called, ast.Name) else ""
                    kind = called.attr if isinstance(called, ast.Attribute) else kind
                    if kind in KINDS:
                        yield name, node, kind

    def _calls(self) -> Iterator[Use]:
        for name, call, kind in self._made():
            at = f"{name}:{call.lineno}"
            for code in self._texts(call.args[0]) if call.args else ():
                yield Use(kind, code, self._hint(call), at)

    def _literals(self) -> Iterator[Use]:
        """``code: Literal[…]`` of a class."""
        for name, tree in self._trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "code":
                    for value in ast.walk(node.annotation):
                        if isinstance(value, ast.Constant) and isinstance(value.value, str):
                            yield Use("Alarm", value.value, None, f"{name}:{node.lineno}")

    def _parked(self) -> Iterator[Use]:
        for name, text in self._sql.items():
            for found in PARKED.finditer(text):
                yield Use("Unauthorised", found[1] or found[2], None, name)

    def _hint(self, call: ast.Call) -> str | None:
        texts = self._texts(call.args[2]) if len(call.args) > 2 else [""]
        return texts[0] if len(texts) == 1 else None

    def _texts(self, node: ast.expr) -> list[str]:
        """What it can be; none if that is not to be seen."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.Name(id=name) if name in self._constants:
                return [self._constants[name]]
            case ast.Attribute(attr=name) if name in self._constants:
                return [self._constants[name]]
            case ast.IfExp(body=one, orelse=other):
                return [*self._texts(one), *self._texts(other)]
            case ast.JoinedStr(values=parts):
                texts = [
                    self._texts(part) if isinstance(part, ast.Constant) else [HOLE]
                    for part in parts
                ]
                return ["".join(text[0] for text in texts)]
        return []
