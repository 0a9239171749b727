"""Fixtures for services: a test that names one gets it running; one that names none starts none."""

import secrets
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from consumer.sandbox.services import (
    KafkaService,
    PostgresService,
    ServiceUnavailable,
    kafka,
    postgres,
)
from consumer.sandbox.xero import Simulator, SimulatorSettings, serve

# How long an example takes says how busy the machine is.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
async def kafka_service() -> AsyncIterator[KafkaService]:
    """One Kafka for the session. A missing service fails the test; it never skips it."""
    try:
        async with kafka() as service:
            yield service
    except ServiceUnavailable as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
async def postgres_service() -> AsyncIterator[PostgresService]:
    """One Postgres for the session. A missing service fails the test; it never skips it."""
    try:
        async with postgres() as service:
            yield service
    except ServiceUnavailable as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
async def topic(kafka_service: KafkaService, request: pytest.FixtureRequest) -> str:
    """A fresh topic of one partition, or as many as an indirect parameter says."""
    name = f"test.{secrets.token_hex(6)}"
    await kafka_service.create_topic(name, partitions=getattr(request, "param", 1))
    return name


@pytest.fixture(scope="session")
async def database_template(postgres_service: PostgresService) -> AsyncIterator[str]:
    """The URL of a migrated database to copy; nobody may connect to it."""
    from consumer.adapters.postgres.migrate import migrate

    url = await postgres_service.create_database()
    await migrate(url)
    yield url
    await postgres_service.drop_database(url)


@pytest.fixture
async def database_url(
    postgres_service: PostgresService, database_template: str
) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database, dropped after the test."""
    url = await postgres_service.create_database(template=database_template)
    yield url
    await postgres_service.drop_database(url)


@pytest.fixture
async def xero_simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A simulated Xero on a free port; an indirect parameter gives other SimulatorSettings."""
    settings: SimulatorSettings = getattr(request, "param", None) or SimulatorSettings()
    async with serve(settings) as simulator:
        yield simulator
