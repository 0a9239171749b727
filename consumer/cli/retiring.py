"""The command that takes a connection out of use: its code and why in; what is set aside out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.mappings import Code
from consumer.cli.output import AsJson, DryRun, ask, print_json
from consumer.cli.person import Why, person

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database
    from consumer.adapters.postgres.retiring import Retired


def retire(
    code: Code,
    reason: Why,
    leave_waiting: Annotated[
        bool,
        typer.Option("--leave-waiting", help="Set aside what waits, say for a message of Lago's."),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a connection out of use for good: it is no longer listed, counted, watched or reconciled.

    Refused before disconnect, and while documents of it are open. What was posted stays in the ledger and is
    still shown; the client's secret is forgotten unless another connection uses it.
    """
    from consumer import config
    from consumer.adapters.postgres import retiring

    vault = config.load().vault()

    async def work(db: Database) -> Retired:
        return await retiring.retire(
            db,
            code,
            who=person(),
            reason=reason,
            encrypt=vault.encrypt,
            leave_waiting=leave_waiting,
            dry_run=dry_run,
        )

    retired = ask(work)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(retired)})
    elif retired.changed:
        secret = "; its client's secret is forgotten" if retired.forgotten else ""
        left = f"; {retired.left} waiting documents are set aside" if retired.left else ""
        typer.echo(f"{code}: retired{left}{secret}")
    if not retired.changed:
        typer.echo(f"nothing to change: {code} is retired already", err=True)
    elif dry_run:
        typer.echo("dry run: nothing was stored", err=True)
    else:
        typer.echo("take it out of the connections file: applying it brings it back", err=True)
