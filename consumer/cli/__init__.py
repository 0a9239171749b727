"""The command ``lago-xero``: arguments in; data on stdout, chatter on stderr, an exit code out.

What a command needs is imported when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from consumer.cli import (
    chart,
    connecting,
    customers,
    dead_letters,
    doctor,
    documents,
    erasing,
    mappings,
    pausing,
    pruning,
    reading,
    reconciling,
    replaying,
    restoring,
    retiring,
    retrying,
    sandbox,
)
from consumer.cli.output import DryRun

EPILOG = (
    "Exit codes: 0 done · 1 unexpected error · 2 wrong usage · 3 refused or invalid input · "
    "4 something is unreachable · 5 not found. LAGO_XERO_DEBUG=1 adds tracebacks."
)

app = typer.Typer(
    name="lago-xero",
    help="Makes a company's Xero books follow its Lago billing.\n\n"
    "Start with: lago-xero sandbox up",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # fills the lines of paragraphs anew; "rich" keeps the source's
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"lago-xero {version('lago-xero')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Tell the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: run the command and exit with its code."""
    if sys.stdout is None:  # closed by who called us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until we end
    try:
        app()
    except SystemExit as end:
        # Who reads us has seen enough (`| head -1`); typer ends with 1 then.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(0)
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence, not a traceback
        from consumer.cli.errors import report

        sys.exit(report(error))


@app.command(epilog="Example: lago-xero run   (SIGTERM or Ctrl-C stops it)")
def run() -> None:
    """Run the service: read Kafka, post to Xero, announce failures, until it is told to stop."""
    import asyncio

    import structlog
    import uvloop

    from consumer import config
    from consumer.adapters import logs
    from consumer.app import run as serve

    settings = config.load()
    logs.configure(settings.log_format, settings.log_level)
    for sentence in config.unknown():
        structlog.get_logger("consumer").warning("unknown_setting", said=sentence)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raise typer.Exit(runner.run(serve(settings)))


@app.command(epilog="Example: LAGO_XERO_DATABASE_URL=postgresql://… lago-xero migrate")
def migrate() -> None:
    """Bring the database's schema to the version that this program needs; safe to repeat."""
    import asyncio

    from consumer import config
    from consumer.adapters.postgres.migrate import migrate as upgrade

    url = config.load_database().database_url.get_secret_value()
    before, after = asyncio.run(upgrade(url))
    if before == after:
        typer.echo(f"The schema is at {after} already.")
    else:
        typer.echo(f"The schema is at {after} now; before: {before or 'empty'}.")


@app.command(epilog="Example: lago-xero apply -f connections.yaml --dry-run")
def apply(
    file: Annotated[Path, typer.Option("--file", "-f", help="The connections and mappings, YAML.")],
    dry_run: DryRun = False,
) -> None:
    """Check connections and mappings against Xero and store them, all or nothing.

    Prints what changes, one line each; applying the same file again changes nothing.
    """
    import asyncio

    from consumer import config
    from consumer.cli.applying import apply_file
    from consumer.cli.person import person

    applied = asyncio.run(apply_file(config.load(), file, person(), dry_run=dry_run))
    for line in applied.lines:
        typer.echo(line)
    if not applied.changed:
        typer.echo("nothing to change", err=True)
    else:
        typer.echo("dry run: nothing was stored" if dry_run else "stored", err=True)


app.command(epilog="Example: lago-xero retry --code locked_period --reason 'lock date moved'")(
    retrying.retry
)
app.command(epilog="Example: lago-xero reconcile --connection acme-nz --period previous")(
    reconciling.reconcile
)
app.command(epilog="Example: lago-xero link acme-7 5040915e-8ce7-4177-8d08-fde416232f18 --dry-run")(
    customers.link
)
app.command(epilog="Example: lago-xero move acme-7 --to acme-eu --reason 'sold to the EU company'")(
    customers.move
)
app.command(epilog="Example: lago-xero erase acme-7 --reason 'request 2026-17' --dry-run")(
    erasing.erase
)
app.command(epilog="Example: lago-xero pause acme-nz --reason 'books are being closed'")(
    pausing.pause
)
app.command(epilog="Example: lago-xero resume acme-nz")(pausing.resume)
app.command(epilog="Example: lago-xero replay --topic lago.webhooks --from 2026-10-01")(
    replaying.replay
)
app.command(epilog="Example: lago-xero restored --at 2026-10-07T03:00:00Z --reason 'disk lost'")(
    restoring.restored
)
app.command(epilog="Example: lago-xero prune --dry-run")(pruning.prune)
app.command(epilog="Example: lago-xero connect acme-nz --no-browser")(connecting.connect)
app.command(epilog="Example: lago-xero disconnect acme-nz")(connecting.disconnect)
app.command(epilog="Example: lago-xero retire acme-nz --reason 'contract ended'")(retiring.retire)
app.command(epilog="Example: lago-xero rekey")(connecting.rekey)
app.command(epilog="Example: lago-xero connections --json")(reading.connections)
app.command(epilog="Example: lago-xero documents --state failed --connection acme-nz")(
    documents.documents
)
app.command(epilog="Example: lago-xero show INV-001")(documents.show)
app.command(epilog="Example: lago-xero ignore INV-001 --reason 'entered by hand'")(
    dead_letters.ignore
)
app.command(epilog="Example: lago-xero doctor --json")(doctor.doctor)
app.command(epilog="Example: lago-xero status")(reading.status)
app.command(epilog="Example: lago-xero healthcheck --port 8080")(reading.healthcheck)
app.add_typer(mappings.app, name="mappings")
app.add_typer(chart.app, name="chart")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(sandbox.app, name="sandbox")
