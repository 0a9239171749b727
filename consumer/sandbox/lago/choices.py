"""Choices: a source of randomness in, the few kinds of draw that the generator makes out.

The same generator serves the demo (``RandomChoices``) and property tests, which implement
``Choices`` over Hypothesis so that failures shrink. Smaller draws are the simpler ones: 0, the
first of a sequence, False.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar
from uuid import UUID

T = TypeVar("T")


class Choices(Protocol):
    """Every decision of the generator."""

    def integer(self, low: int, high: int) -> int:
        """An integer between ``low`` and ``high``, both included."""
        ...

    def choose(self, options: Sequence[T]) -> T:
        """One of ``options`` (not empty); the first is the simplest."""
        ...

    def chance(self, percent: int) -> bool:
        """True in ``percent`` of 100 cases."""
        ...

    def shuffle(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        ...

    def uuid(self) -> str:
        """A fresh random UUID in Lago's spelling."""
        ...


class RandomChoices:
    """Choices from a seeded generator: the same seed makes the same events."""

    def __init__(self, source: Random) -> None:
        self._source = source

    def integer(self, low: int, high: int) -> int:
        return self._source.randint(low, high)

    def choose(self, options: Sequence[T]) -> T:
        return self._source.choice(options)

    def chance(self, percent: int) -> bool:
        return self._source.randrange(100) < percent

    def shuffle(self, items: Sequence[T]) -> list[T]:
        return self._source.sample(items, len(items))

    def uuid(self) -> str:
        return str(UUID(int=self._source.getrandbits(128), version=4))
