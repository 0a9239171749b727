"""Migrations: a database URL in, the schema at its newest revision out."""

from __future__ import annotations

import re
from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 0x1A60  # so that two migrating pods run one after the other


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def run_file(path: Path) -> None:
    """Run a file of SQL statements, each ended by a semicolon at the end of a line."""
    for statement in re.split(r";\s*$", path.read_text(), flags=re.MULTILINE):
        if statement.strip():
            op.execute(statement)


def newest() -> str:
    """The newest revision this version of the service knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise LookupError("no migration found")
    return head


def _upgrade(connection: Connection) -> str | None:
    connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
    before = MigrationContext.configure(connection).get_current_revision()
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before


async def migrate(url: str) -> tuple[str | None, str]:
    """Bring the schema to the newest revision, in one transaction.

    Returns:
        The revision found (None on an empty database) and the newest one.
    """
    engine = create_async_engine(
        re.sub(r"^postgres(ql)?://", "postgresql+asyncpg://", url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            before = await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
    return before, newest()
