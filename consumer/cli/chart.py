"""Commands about charts: connections in; their charts read from Xero, and what that changes out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.mappings import no_connection
from consumer.cli.output import AsJson, Row, print_json
from consumer.cli.person import person

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from consumer.config import Settings
    from consumer.ports import Redrawn, Whose

app = typer.Typer(
    help="The accounts, items, tax rates and currencies of Xero, as last read.",
    no_args_is_help=True,
)


@app.callback()
def _charts() -> None:
    pass


@app.command(epilog="Example: lago-xero chart refresh acme-nz")
def refresh(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE", help="Connections' codes; without any, all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read charts and lock dates from Xero now, five calls an organisation; the service does it daily.

    Prints what changed, and mappings that do not fit since; those are announced on the webhook too. What
    waited for the change goes out.
    """
    from consumer import config
    from consumer.cli.errors import REFUSED, UNREACHABLE, Failure

    found, unread = asyncio.run(_refresh(config.load(), codes or None))
    if as_json:
        print_json(found)
    else:
        for row in found:
            _print(row)
    if not found and not unread:
        typer.echo("there is no connection yet: lago-xero apply stores them", err=True)
    if unread:
        exit_code = UNREACHABLE if all(away for away, _ in unread) else REFUSED
        sentence = "\n".join(said for _, said in unread)
        raise Failure(exit_code, sentence, "the others were read" if found else "")


def _print(row: Row) -> None:
    names = ", ".join(row["connections"])
    typer.echo(f"{names}: {'' if row['changes'] else 'no change'}".rstrip())
    for line in row["changes"]:
        typer.echo(f"  {line}")
    for alarm in row["alarms"]:
        typer.echo(f"  ! {alarm['said']} {alarm['hint']}")


async def _refresh(
    settings: Settings, codes: list[str] | None
) -> tuple[list[Row], list[tuple[bool, str]]]:
    """What each tenant's chart shows, and for each that was not read whether Xero is away, and why."""
    from consumer.adapters.postgres.budget import PostgresBudget
    from consumer.adapters.postgres.charts import PostgresCharts
    from consumer.adapters.xero import XeroAccounting, open_client
    from consumer.app import (
        authorisations_of,
        limits_of,
        must_be_migrated,
        open_database,
        sinks_of,
        xero_tokens,
    )
    from consumer.apply import ChartReader, Refresh
    from consumer.cli.errors import AWAY
    from consumer.domain.errors import Halt

    found: list[Row] = []
    unread: list[tuple[bool, str]] = []
    async with open_database(settings) as db, open_client() as client:
        await must_be_migrated(db)
        store = authorisations_of(settings, db)
        tokens = xero_tokens(settings, client, store)
        budget = PostgresBudget(db, limits_of(settings), settings.clocks())
        reader = ChartReader(XeroAccounting(client, settings.xero_api_url), budget)
        charts = PostgresCharts(db, sinks_of(settings))
        use_case = Refresh(charts, reader)
        for tenant_id, whose in _tenants(await charts.whose(codes), codes).items():
            names = [one.code for one in whose]
            try:
                if whose[0].parked:
                    raise Halt("parked", "Nobody lets us in.", "Connect or apply first.")
                authorisation = await store.get(whose[0].authorisation_id)
                token = partial(tokens.token, authorisation)
                redrawn = await use_case.run(tenant_id, token, person())
            except Halt as error:
                said = f"{', '.join(names)}: {error.sentence} {error.hint}".rstrip()
                unread.append((error.code in AWAY, said))
            else:
                found.append(_row(names, tenant_id, redrawn))
    return found, unread


def _row(names: list[str], tenant_id: UUID, redrawn: Redrawn) -> Row:
    alarms = [{"code": a.code, "said": a.sentence, "hint": a.hint} for a in redrawn.alarms]
    changes = list(redrawn.changes)
    return {"connections": names, "tenant_id": tenant_id, "changes": changes, "alarms": alarms}


def _tenants(whose: Sequence[Whose], codes: list[str] | None) -> dict[UUID, list[Whose]]:
    """Connections by tenant: each chart is read once."""
    known = {one.code for one in whose}
    for code in codes or ():
        if code not in known:
            raise no_connection(code)
    tenants: dict[UUID, list[Whose]] = {}
    for one in whose:
        tenants.setdefault(one.tenant_id, []).append(one)
    return tenants
