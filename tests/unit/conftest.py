"""All that unit tests read and announce is what the checked-in JSON Schemas say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.schemas import Witness


@pytest.fixture(scope="session", autouse=True)
def witness() -> Iterator[Witness]:
    """Watches every unit test."""
    with Witness().watching() as watching:
        yield watching
