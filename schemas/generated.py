"""Files made from code: what they are to hold in; written, or what differs, out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Generated:
    """Files below a folder.

    Args:
        files: path below the folder → content.
        own: a glob; what it finds below the folder is one of them, or left over.
        module, target: what makes them, for ``python -m`` and for ``make``.
        source: what they are made from, for people.
    """

    folder: Path
    files: Mapping[str, str]
    own: str
    module: str
    target: str
    source: str

    def drift(self) -> list[str]:
        """Files that are missing, outdated or left over."""
        there = {
            name: path.read_text(encoding="utf-8")
            for name in self.files.keys() | self._own()
            if (path := self.folder / name).exists()
        }
        every = self.files.keys() | there.keys()
        return sorted(name for name in every if self.files.get(name) != there.get(name))

    def write(self) -> None:
        """Make the folder hold exactly these."""
        for name in self._own() - self.files.keys():
            (self.folder / name).unlink()
        for name, content in self.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def main(self, arguments: Sequence[str]) -> int:
        """Write them, or with ``--check`` only say what differs; exit code: 1 if anything does, 2 on
        unknown arguments."""
        if arguments not in ([], ["--check"]):
            sys.stderr.write(f"usage: python -m {self.module} [--check]\n")
            return 2
        if not arguments:
            self.write()
            return 0
        if names := self.drift():
            said = f"{', '.join(names)} differ from the {self.source}."
            sys.stderr.write(f"Run `make {self.target}`: {said}\n")
            return 1
        return 0

    def _own(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.glob(self.own)}
