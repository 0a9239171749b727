"""Parts: settings in, what both the service and commands are put together of out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.postgres.authorisations import PostgresAuthorisations
from consumer.adapters.postgres.changing import Patience
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Database, Timeouts, database
from consumer.adapters.postgres.inbox import PostgresInbox
from consumer.adapters.postgres.migrate import newest
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.webhook import HttpWebhook
from consumer.adapters.xero_auth import IdentityServer, XeroTokens
from consumer.config import Settings
from consumer.domain.errors import Halt
from consumer.domain.pacing import LIVE, Limits
from consumer.ports import Sink


def limits_of(settings: Settings) -> Limits:
    """Xero's limits as configured."""
    return Limits(
        settings.xero_minute_limit,
        settings.xero_day_limit,
        settings.xero_concurrency,
        settings.xero_app_minute_limit,
    )


def sinks_of(settings: Settings) -> list[Sink]:
    """Where failures are announced."""
    told = settings.webhook_url is not None and settings.webhook_secret is not None
    return ["dead_letter", "webhook"] if told else ["dead_letter"]


def webhook_of(settings: Settings) -> HttpWebhook | None:
    """Where failures are posted, to be closed by the caller; None: nowhere."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    secret = settings.webhook_secret.get_secret_value()
    return HttpWebhook(settings.webhook_url, secret, allow_http=settings.webhook_allow_http)


def authorisations_of(settings: Settings, db: Database) -> PostgresAuthorisations:
    """Secrets and tokens, opened with the settings' keys."""
    vault = settings.vault()
    return PostgresAuthorisations(db, vault.encrypt, vault.decrypt)


def planner_of(settings: Settings, configuration: Configuration | None = None) -> Planner:
    """Plans with the settings in force; ``configuration``: one that others read too."""
    patience = Patience.of(settings.clocks())
    return Planner(configuration or Configuration(load_snapshot), patience, sinks_of(settings))


def inbox_of(settings: Settings, db: Database, planner: Planner, lane: int = LIVE) -> PostgresInbox:
    """Where events are stored and planned; what they change is sent in ``lane``."""
    return PostgresInbox(db, planner, sinks=sinks_of(settings), lane=lane)


@asynccontextmanager
async def lago_api_of(settings: Settings) -> AsyncIterator[HttpLagoApi | None]:
    """Lago's API, until the block ends; None where none is configured."""
    if settings.lago_api_url is None or settings.lago_api_key is None:
        yield None
        return
    api = HttpLagoApi(settings.lago_api_url, settings.lago_api_key.get_secret_value())
    try:
        yield api
    finally:
        await api.close()


def xero_tokens(
    settings: Settings, client: httpx.AsyncClient, store: PostgresAuthorisations
) -> XeroTokens:
    """Tokens of either kind of authorisation."""
    identity = IdentityServer(client, settings.xero_identity_url, settings.xero_api_url)
    return XeroTokens.over(identity, store, settings.xero_login_url)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The pool with the timeouts that every transaction sets."""
    timeouts = Timeouts(
        statement=settings.database_statement_timeout,
        lock=settings.database_lock_timeout,
        idle=settings.database_idle_timeout,
    )
    async with database(
        settings.database_url.get_secret_value(),
        timeouts=timeouts,
        max_size=settings.database_pool_size,
        statement_cache=settings.database_statement_cache,
    ) as opened:
        yield opened


async def revision_of(db: Database) -> str | None:
    """The schema's revision; None: it was never migrated."""
    rows = await db.fetch("select to_regclass('alembic_version') is not null as there")
    if not rows[0]["there"]:
        return None
    return str((await db.fetch("select version_num from alembic_version"))[0]["version_num"])


async def must_be_migrated(db: Database) -> None:
    """Halt: the schema is not this version's."""
    found = await revision_of(db)
    if found != newest():
        behind = f"The database's schema is at {found}, this version needs {newest()}."
        said = behind if found else "The database has not been migrated."
        raise Halt("not_migrated", said, "run: lago-xero migrate")
