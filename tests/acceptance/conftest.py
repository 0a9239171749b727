"""Worlds for acceptance tests, and a shell with a file and a ledger for those of the command; a test that
fails shows what its consumers logged."""

from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import httpx
import pytest
from cryptography.fernet import Fernet

from consumer.sandbox.services import KafkaService, PostgresService
from consumer.sandbox.xero import Simulator
from tests.acceptance.filled import Filled, filled
from tests.acceptance.harness import World, world
from tests.acceptance.shell import Shell, write
from tests.acceptance.xero import MAPPINGS


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


@pytest.fixture
def shell(database_url: str, xero_simulator: Simulator) -> Shell:
    """With a migrated database and a simulated Xero; Kafka is not there."""
    return Shell(
        DATABASE_URL=database_url,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        XERO_API_URL=xero_simulator.api_url,
        XERO_IDENTITY_URL=xero_simulator.identity_url,
        XERO_LOGIN_URL=xero_simulator.identity_url,
        ENCRYPTION_KEYS=Fernet.generate_key().decode(),
    )


@pytest.fixture
async def file(xero_simulator: Simulator, tmp_path: Path) -> Path:
    """A connections file that Xero agrees with."""
    tenant = {"tenant_id": str(uuid4()), "name": "Acme"}
    client = {
        "client_id": "client",
        "client_secret": "hunter2",
        "tenant_ids": [tenant["tenant_id"]],
    }
    async with httpx.AsyncClient() as http:
        for order, body in (("tenants", tenant), ("clients", client)):
            answer = await http.post(f"{xero_simulator.control_url}/{order}", json=body)
            assert answer.status_code == 200
    (tmp_path / "acme.secret").write_text("hunter2")
    path = tmp_path / "connections.yaml"
    write(path, MAPPINGS)
    return path


@pytest.fixture
async def ledger(database_url: str) -> Filled:
    """A contact and an invoice that are in Xero, and an invoice without its tax mapping."""
    return await filled(database_url)


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
