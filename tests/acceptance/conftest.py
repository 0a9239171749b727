"""Worlds for acceptance tests; a test that fails shows what its consumers logged."""

from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from consumer.sandbox.services import KafkaService, PostgresService
from tests.acceptance.harness import World, world


class MakeWorld(Protocol):
    """Opens a world; arguments as for ``harness.world``."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[World]: ...


@pytest.fixture
def make_world(
    kafka_service: KafkaService,
    postgres_service: PostgresService,
    database_template: str,
    tmp_path: Path,
) -> MakeWorld:
    """Worlds of the test's own settings."""
    made = 0

    def make(**options: Any) -> AbstractAsyncContextManager[World]:
        nonlocal made
        made += 1
        usual = {"postgres": postgres_service, "template": database_template}
        return world(kafka_service, directory=tmp_path / f"world-{made}", **{**usual, **options})

    return make


@pytest.fixture
async def acme(make_world: MakeWorld) -> AsyncIterator[World]:
    """The usual world: one connection, nothing running yet."""
    async with make_world() as one:
        yield one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the ends of the consumers' logs to a failure's report."""
    report = yield
    directory = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and report.failed and directory is not None:
        for log in sorted(directory.glob("**/consumer-*.log")):
            report.sections.append((log.name, log.read_text()[-4000:]))
    return report
