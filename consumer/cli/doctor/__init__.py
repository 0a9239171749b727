"""The command ``doctor``: the settings in; what it finds of all that the service needs, with fixes, out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database
    from consumer.cli.doctor.findings import Check, Finding
    from consumer.config import Settings

_MARKS = {"ok": "ok     ", "warning": "WARNING", "problem": "PROBLEM"}


def doctor(
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which a check is cut off.")
    ] = 20.0,
    as_json: AsJson = False,
) -> None:
    """Examine all that the service needs: Kafka, Postgres, keys, webhook, Xero, charts, Lago's API.

    Each finding is ok, a warning or a problem, with what to do. Nothing is written to Xero or posted;
    tokens are renewed, and each organisation costs one call. Exit code 3 if there is a problem.
    """
    from consumer import config
    from consumer.cli.errors import REFUSED
    from consumer.cli.output import many

    found = asyncio.run(_examine(config.load(), timeout))
    if as_json:
        print_json([asdict(one) for one in found])
    for one in [] if as_json else found:
        typer.echo(f"{_MARKS[one.level]}  {one.check}: {one.said}")
        if one.fix:
            typer.echo(f"{'':9}→ {one.fix}")
    problems = sum(one.level == "problem" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    typer.echo(f"{many(problems, 'problem')}, {many(warnings, 'warning')}", err=True)
    if problems:
        raise typer.Exit(REFUSED)


async def _examine(settings: Settings, patience: float) -> list[Finding]:
    from consumer.cli.doctor import kafka, outside
    from consumer.cli.doctor.findings import examine

    checks: dict[str, Check] = {
        "broker": lambda: kafka.broker(settings),
        "topics": lambda: kafka.topics(settings),
        "group": lambda: kafka.group(settings),
        "webhook": lambda: outside.webhook(settings),
    }
    found: list[Finding] = []
    for name, check in checks.items():
        found += await examine(name, check, patience)
    return found + await _stored(settings, patience)


async def _stored(settings: Settings, patience: float) -> list[Finding]:
    """What needs the database; without it, that one finding."""
    from consumer.adapters.postgres.database import AWAY
    from consumer.app import open_database
    from consumer.cli.doctor.findings import examine, problem

    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(patience):
                db = await stack.enter_async_context(open_database(settings))
        except AWAY as error:
            why = f"The database does not answer ({type(error).__name__})"
            fix = "LAGO_XERO_DATABASE_URL says which database is used."
            return [problem("database", f"{why}; what needs it was not checked.", fix)]
        found: list[Finding] = []
        for name, check in _checks_of(settings, db).items():
            found += await examine(name, check, patience)
            if name == "migrations" and found[-1].level == "problem":
                break  # the others' tables may not be there
        return found


def _checks_of(settings: Settings, db: Database) -> dict[str, Check]:
    from consumer.cli.doctor import ledger, outside, xero

    async def lago() -> list[Finding]:
        rows = await db.fetch(ledger.SQL["connections"])
        whose = {row["organization_id"] for row in rows}
        return list(await outside.lago_api(settings, whose))

    return {
        "database": lambda: ledger.version(db),
        "migrations": lambda: ledger.migrations(db),
        "keys": lambda: ledger.keys(db, settings.vault().renewed),
        "clock": lambda: ledger.clock(db),
        "connections": lambda: ledger.connections(db),
        "charts": lambda: ledger.charts(db, settings.clocks().chart_refresh),
        "coverage": lambda: ledger.coverage(db),
        "authorisation": lambda: xero.authorised(settings, db),
        "organisation": lambda: xero.organisations(settings, db),
        "lago": lago,
    }
