"""What is wrong with the connections file: places in it in, one line each out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the file: where, in the file's own terms, what, and what to do."""

    path: str
    said: str
    hint: str = ""

    def __str__(self) -> str:
        joint = ". " if self.hint[:1].isupper() else "; "
        return f"{self.path}: {self.said}" + (f"{joint}{self.hint}" if self.hint else "")


class Mistakes(ValueError):
    """All that is wrong; nothing was applied."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


def path_of(at: Iterable[str | int]) -> str:
    """``connections[0].mappings.taxes.vat_20``."""
    path = ""
    for part in at:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part or any(char in ".[]:'\" " or not char.isprintable() for char in part):
            path += f"[{part!r}]"
        else:
            path += f".{part}" if path else part
    return path
