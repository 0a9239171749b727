"""The command that erases a customer's data: who he is and why in; how much of what was dropped out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from consumer.cli.customers import Customer
from consumer.cli.output import AsJson, DryRun, ask, print_json
from consumer.cli.person import person

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database

PROGRESS = 200
"""Pages between two lines that tell how far it is."""


def erase(
    customer: Customer,
    reason: Annotated[str, typer.Option(help="Why, for the audit; it is kept: write no name.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Erase what is personal of a customer: names, e-mail, phone, addresses, tax id, and all messages
    about him as they were received. Ids, numbers, amounts, days and texts of lines stay: the books need
    them.

    Refused while anything of his is open. Nothing is sent to Xero: his contact there is a person's to
    erase. If Lago tells of him again, his data comes again: erase him there first. Ctrl-C ends it after
    the page at hand (exit code 130); the same command goes on.
    """
    from consumer.adapters.postgres import customers
    from consumer.adapters.postgres.erasing import Eraser
    from consumer.cli.errors import INTERRUPTED
    from consumer.stopping import on_signals

    dropped: Counter[str] = Counter()
    facts: list[str] = []

    async def work(db: Database) -> tuple[UUID, bool]:
        stop = on_signals()
        id = await customers.find(db, customer)
        eraser = Eraser(db, id, dry_run=dry_run)
        await eraser.begin(person(), reason)
        pages = 0
        while not stop.is_set():
            step = await eraser.step()
            if step is None:
                return id, True
            dropped[step.what] += step.dropped
            facts.extend(step.facts)
            pages += 1
            if pages % PROGRESS == 0:
                typer.echo(f"{pages} pages looked at, now {step.what} …", err=True)
        return id, False

    id, complete = ask(work)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "customer": id,
                "complete": complete,
                "facts": facts,
                "messages": dropped["messages"],
                "bodies": dropped["bodies"],
            }
        )
    elif dropped.total():
        named = f"{', '.join(facts)}; " if facts else ""
        typer.echo(
            f"customer {id}: {named}{dropped['messages']} messages, "
            f"{dropped['bodies']} bodies of calls"
        )
    if not complete:
        typer.echo("interrupted: the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED)
    if not dropped.total():
        typer.echo("nothing to erase", err=True)
    elif dry_run:
        typer.echo("dry run: nothing was erased", err=True)
    else:
        typer.echo("erased here; Xero's contact, Kafka and backups are not", err=True)
