"""Output: what a query of the database gives in; a table for people or JSON for programs out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from unicodedata import category

import typer

T = TypeVar("T")
Row = dict[str, Any]

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; store nothing.")]


def ask(query: Callable[[Any], Awaitable[T]]) -> T:
    """What ``query`` gives of the database that the settings name."""
    from consumer import config
    from consumer.adapters.postgres.database import database

    async def work() -> T:
        url = config.load_database().database_url.get_secret_value()
        async with database(url, max_size=1, statement_cache=0) as db:
            return await query(db)

    return asyncio.run(work())


def many(count: int, what: str) -> str:
    """So many of them, as one says it."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def print_rows(rows: list[Row], columns: Iterable[str], as_json: bool) -> None:
    """All that is in the rows as JSON, or these columns as a table."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, tuple(columns))


def print_json(value: Any) -> None:
    """On stdout, as text that people can read too."""
    typer.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def print_table(rows: list[Row], columns: tuple[str, ...]) -> None:
    """On stdout; a name with brackets is a name, not markup."""
    import sys

    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(cell(row[c]) for c in columns))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


def cell(value: Any) -> str:
    """An instant to the second, in UTC; nothing for None."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    return "" if value is None else legible(str(value))


def legible(text: str) -> str:
    """Nothing in it moves a terminal's cursor, colours it or turns what follows: numbers are Lago's texts."""
    return "".join("\ufffd" if category(c)[0] == "C" and c != "\n" else c for c in text)
