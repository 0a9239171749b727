"""A stage for the tests of one file: each of them cleans it first."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from consumer.sandbox.services import PostgresService
from tests.lives.stage import Stage, stage


@pytest.fixture(scope="module")
async def theatre(
    postgres_service: PostgresService, database_template: str
) -> AsyncIterator[Stage]:
    url = await postgres_service.create_database(template=database_template)
    async with stage(url) as opened:
        yield opened
    await postgres_service.drop_database(url)


@pytest.fixture(scope="module")
def quiet() -> Iterator[None]:
    """A story is read more easily without its log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
