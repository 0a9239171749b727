"""The command that prunes: the settings in; how much of what was, or would be, dropped out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.output import AsJson, Row, ask, print_json, print_table

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database

PROGRESS = 50_000
"""Rows between two lines that tell how far it is."""


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell how much; drop nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Drop what the ledger needs no more and has kept for as long as the settings say.

    Small transactions beside the running service, which does the same by itself. Ctrl-C ends it after
    the one at hand (exit code 130); what is left, the next one drops.
    """
    from consumer import config
    from consumer.adapters.postgres.pruning import WHATS, Pruner
    from consumer.cli.errors import INTERRUPTED
    from consumer.stopping import on_signals

    keeping = config.load_keeping().keeping()
    dropped: Counter[str] = Counter()

    async def work(db: Database) -> bool:
        stop = on_signals()
        pruner = Pruner(db, keeping, dry_run=dry_run)
        looked, tell_at = 0, PROGRESS
        while not stop.is_set():
            step = await pruner.step()
            if step is None:
                return True
            dropped[step.what] += step.dropped
            looked += step.looked
            if looked >= tell_at:
                tell_at += PROGRESS
                typer.echo(f"{looked} rows looked at, now {step.what} …", err=True)
        return False

    ended = ask(work)
    rows: list[Row] = [
        {"what": what, "kept_days": keeping.of(what).days, "dropped": dropped[what]}
        for what in WHATS
    ]
    if as_json:
        print_json({"dry_run": dry_run, "complete": ended, "rows": rows})
    else:
        column = "would be dropped" if dry_run else "dropped"
        named = [
            {"what": r["what"], "kept for days": r["kept_days"], column: r["dropped"]} for r in rows
        ]
        print_table(named, ("what", "kept for days", column))
    if dry_run:
        typer.echo("dry run: nothing was dropped", err=True)
    if not ended:
        typer.echo("interrupted: the next prune goes on", err=True)
        raise typer.Exit(INTERRUPTED)
