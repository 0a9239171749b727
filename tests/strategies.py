"""Hypothesis strategies over the Lago generator: payloads out, shrinking to the simplest."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st

from consumer.sandbox.lago import Choices, generate_customer, generate_invoice

T = TypeVar("T")


class DrawnChoices:
    """Choices drawn by Hypothesis. Ids come from one drawn seed: they need no shrinking."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._ids = Random(draw(st.integers(0, 2**32 - 1)))

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def choose(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.integer(1, 100) > 100 - percent

    def shuffle(self, items: Sequence[T]) -> list[T]:
        order = self._draw(st.permutations(range(len(items))))
        return [items[i] for i in order]

    def uuid(self) -> str:
        return str(UUID(int=self._ids.getrandbits(128), version=4))


@st.composite
def choices(draw: st.DrawFn) -> Choices:
    """A source of choices for any of the generator's functions."""
    return DrawnChoices(draw)


@st.composite
def invoices(draw: st.DrawFn, /, **options: Any) -> dict[str, Any]:
    """Consistent Lago invoices with all relations; options as for ``generate_invoice``."""
    return generate_invoice(DrawnChoices(draw), **options)


@st.composite
def customers(draw: st.DrawFn, /, **options: Any) -> dict[str, Any]:
    """Lago customers; options as for ``generate_customer``."""
    return generate_customer(DrawnChoices(draw), **options)
