"""The command that reconciles: a connection and a period in; control totals and exceptions out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from consumer.cli.mappings import no_connection
from consumer.cli.output import many
from consumer.cli.person import person

if TYPE_CHECKING:
    from consumer.config import Settings
    from consumer.domain.reconciling import Period
    from consumer.reconcile import Reconciled


def reconcile(
    connection: Annotated[str, typer.Option(help="A connection's code.")],
    period: Annotated[
        str,
        typer.Option(help="A month (2026-10), previous (the month before this), or FROM..TO."),
    ],
    repair: Annotated[
        Literal["safe"] | None,
        typer.Option(help="safe: also do what is marked automatic; audited."),
    ] = None,
    format: Annotated[
        Literal["table", "json", "csv", "html"],
        typer.Option(help="html is one page to file, csv one row an exception."),
    ] = "table",
    output: Annotated[
        Path | None, typer.Option(help="Write the report to this file, not to stdout.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read all of the period anew, not only what changed.")
    ] = False,
    fail_on_exceptions: Annotated[
        bool,
        typer.Option("--fail-on-exceptions", help="Exit code 3 if the sides differ anywhere."),
    ] = False,
) -> None:
    """Compare the ledger with Xero's books, document by document, and report what differs; with Lago's API
    configured, also the ledger with what Lago has.

    Reads Xero 1,000 documents a call, later only what has changed, within a tenth of the day's calls and
    after all that is waiting to be sent. Ctrl-C ends it (exit code 130); the next run goes on at the same
    page. Exceptions do not change the exit code unless --fail-on-exceptions is given. Nothing that a person
    did in Xero is ever undone.
    """
    from consumer import config
    from consumer.cli.errors import INTERRUPTED, REFUSED, USAGE, Failure
    from consumer.cli.reports import RENDERERS, report_of
    from consumer.domain.reconciling import parse_period

    try:
        days = parse_period(period, datetime.now(UTC).date())
    except ValueError as error:
        raise Failure(
            USAGE, f"{error}.", "say 2026-10, previous, or 2026-10-01..2026-10-31"
        ) from None
    settings = config.load()
    who = person() if repair else None
    found = asyncio.run(_interruptible(settings, connection, days, full=full, repair=who))
    if found is None:
        typer.echo("interrupted: the next run goes on at the same page", err=True)
        raise typer.Exit(INTERRUPTED)
    text = RENDERERS[format](report_of(found))
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    differences = sum(found.differences.values())
    told = (
        many(differences, "exception"),
        f"{len(found.exceptions) - differences} noted",
        f"{len(found.repaired)} repaired",
        many(found.calls, "call"),
    )
    typer.echo(", ".join(told), err=True)
    if format != "table" or output is not None:  # else it is read already
        typer.echo(f"Lago: {found.lago.told}", err=True)
    if fail_on_exceptions and differences:
        raise typer.Exit(REFUSED)


async def _interruptible(
    settings: Settings, code: str, period: Period, *, full: bool, repair: str | None
) -> Reconciled | None:
    """None if SIGINT or SIGTERM came first: what was read is kept."""
    from consumer.stopping import on_signals, unless

    work = _reconcile(settings, code, period, full=full, repair=repair)
    return await unless(on_signals(), work, None)


async def _reconcile(
    settings: Settings, code: str, period: Period, *, full: bool, repair: str | None
) -> Reconciled | None:
    from consumer.adapters.postgres.holdings import PostgresHoldings
    from consumer.adapters.postgres.reconciling import PostgresMirror
    from consumer.adapters.postgres.spare import SpareBudget
    from consumer.adapters.xero import XeroAccounting, open_client
    from consumer.app import (
        authorisations_of,
        inbox_of,
        lago_api_of,
        limits_of,
        must_be_migrated,
        open_database,
        planner_of,
        xero_tokens,
    )
    from consumer.cli.errors import REFUSED, Failure
    from consumer.cli.progress import Bars
    from consumer.reconcile import Lago, LagoReader, Reader, Reconcile

    async with (
        open_database(settings) as db,
        open_client() as client,
        lago_api_of(settings) as api,
    ):
        await must_be_migrated(db)
        mirror = PostgresMirror(db)
        subject = await mirror.subject(code)
        if subject is None:
            raise no_connection(code)
        if subject.parked:
            raise Failure(
                REFUSED, f"{code}: nobody lets us into its organisation.", "connect or apply first"
            )
        store = authorisations_of(settings, db)
        authorisation = await store.get(subject.authorisation_id)
        tokens = xero_tokens(settings, client, store)
        clocks = settings.clocks()
        with Bars(subject.kinds) as bars:
            reader = Reader(
                XeroAccounting(client, settings.xero_api_url),
                SpareBudget(db, limits_of(settings), clocks),
                lambda: tokens.token(authorisation),
                clocks,
                bars,
            )

            def now() -> datetime:
                return datetime.now(UTC)

            lago = None
            if api is not None:
                inbox = inbox_of(settings, db, planner_of(settings))
                lago = Lago(LagoReader(api, clocks, bars), PostgresHoldings(db), inbox, now)
            work = Reconcile(mirror, reader, now, lago)
            return await work.run(subject, period, full=full, repair=repair)
