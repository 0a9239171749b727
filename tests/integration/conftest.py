"""A stage for the tests of one file: each of them cleans it first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

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
