"""Postgres for tests and the sandbox: settings go in; a server given, in Docker or local comes
out, with databases made to order."""

import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from .containers import docker_answers, postgres_container
from .postgres_local import local_postgres
from .server import How, Server, ours

SETTING = "LAGO_XERO_DATABASE_URL"
PARAMETERS: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
UNSAFE_AND_FAST: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class PostgresService:
    """A Postgres whose administrator connects at `url`; `how` tells whose it is."""

    url: str
    how: How
    _server: Server | None = field(default=None, repr=False)

    async def create_database(self, name: str | None = None, template: str | None = None) -> str:
        """Creates a database, uniquely named unless `name` is given; returns its URL.

        `template` is the URL or the name of a database that nobody is connected to.
        """
        name = name or f"lago_xero_{secrets.token_hex(6)}"
        source = database_name(template) if template else "template0"
        await self._execute(f"create database {_quoted(name)} template {_quoted(source)}")
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def drop_database(self, url: str) -> None:
        """Drops the database of the URL, if it exists, and whoever is still connected to it."""
        name = _quoted(database_name(url))
        await self._execute(f"drop database if exists {name} with (force)")

    async def stop_server(self) -> None:
        """Ends the server at once, without a checkpoint; data and port stay.

        Raises ServiceUnavailable if it is not ours.
        """
        await ours(self._server, "Postgres").crash()

    async def start_server(self) -> None:
        """Starts the stopped server again at the same URL; returns when it has recovered."""
        await ours(self._server, "Postgres").start()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def postgres(
    *, fsync: bool = False, parameters: Mapping[str, str] | None = None
) -> AsyncIterator[PostgresService]:
    """Postgres while the context is open: settings, else Docker, else a local server.

    `fsync` makes commits durable, as a benchmark wants them; `parameters` are further server
    parameters. Both are ignored where the server is given by settings. Raises ServiceUnavailable.
    """
    if given := os.environ.get(SETTING):
        yield PostgresService(given, "settings")
        return
    wanted = {**PARAMETERS, **({} if fsync else UNSAFE_AND_FAST), **(parameters or {})}
    server: Server
    how: How
    if await docker_answers():
        how = "docker"
        server, url = await postgres_container(wanted, _answers)
    else:
        how = "local"
        server, url = await local_postgres(wanted, _answers)
    try:
        yield PostgresService(url, how, server)
    finally:
        await server.close()


def database_name(url_or_name: str) -> str:
    """The database that a URL names; a bare name is returned as it is."""
    return urlsplit(url_or_name).path.lstrip("/") if "://" in url_or_name else url_or_name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def _answers(url: str) -> None:
    """Raises unless the server answers a query."""
    connection = await asyncpg.connect(url, timeout=2)
    try:
        await connection.fetchval("select 1")
    finally:
        await connection.close()
