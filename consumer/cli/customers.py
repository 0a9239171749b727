"""Commands about one customer: who he is and what a person has decided in; what changes out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from consumer.cli.output import AsJson, DryRun, ask, print_json
from consumer.cli.person import Reason, person

if TYPE_CHECKING:
    from consumer.adapters.postgres.customers import Linked, Moved
    from consumer.adapters.postgres.database import Database

Customer = Annotated[str, typer.Argument(help="Lago's id of the customer, or his external id.")]


def link(
    customer: Customer,
    contact: Annotated[UUID, typer.Argument(help="The ContactID in Xero.")],
    connection: Annotated[
        str | None, typer.Option(help="A connection's code; else the customer's home.")
    ] = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Link a customer to a contact that is in Xero already; what waits for his contact goes out.

    A link of Lago's own for that connection counts above it. Xero is not asked: if there is no such
    contact, the next invoice fails as contact_missing, and another link releases it.
    """
    from consumer.adapters.postgres import customers

    async def work(db: Database) -> Linked:
        id = await customers.find(db, customer)
        return await customers.link(
            db, id, contact, connection, who=person(), reason=reason, dry_run=dry_run
        )

    linked = ask(work)
    if as_json:
        print_json({"dry_run": dry_run, "changed": linked.changed, **asdict(linked)})
    elif linked.changed:
        before = linked.before or linked.known or "no contact"
        typer.echo(f"customer {linked.customer} in {linked.connection}: {before} → {contact}")
    if linked.lago is not None:
        typer.echo(f"Lago links him to {linked.lago} there, which counts above it", err=True)
    _tell(linked.changed, dry_run=dry_run)


def move(
    customer: Customer,
    to: Annotated[str, typer.Option(help="The connection's code.")],
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send a customer's new invoices to another connection of his organization.

    What he has already stays where it is, and so does credit on his notes there: show tells of it. If he
    had no connection, what waits for one goes out. A later link of Lago's to another connection counts
    above it.
    """
    from consumer.adapters.postgres import customers

    async def work(db: Database) -> Moved:
        id = await customers.find(db, customer)
        return await customers.move(db, id, to, who=person(), reason=reason, dry_run=dry_run)

    moved = ask(work)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(moved)})
    elif moved.changed:
        typer.echo(f"customer {moved.customer}: {moved.before or 'no connection'} → {to}")
    _tell(moved.changed, dry_run=dry_run)


def _tell(changed: bool, *, dry_run: bool) -> None:
    if not changed:
        typer.echo("nothing to change", err=True)
    elif dry_run:
        typer.echo("dry run: nothing was stored", err=True)
    else:
        typer.echo("stored; the running service follows it", err=True)
