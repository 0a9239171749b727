"""Commands that read how things stand: the ledger in; a table for people or JSON for programs out."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from consumer.cli.output import AsJson, ask, print_json, print_rows, print_table


def connections(as_json: AsJson = False) -> None:
    """List the connections: name, Xero tenant, client, and whether a person has paused them."""
    from consumer.adapters.postgres import reading

    rows = ask(reading.connections)
    for row in rows:
        row["settings"] = json.loads(row["settings"])
    columns = ("code", "name", "tenant_id", "client_id", "mappings", "parked_why", "paused_at")
    print_rows(rows, columns, as_json)


def status(as_json: AsJson = False) -> None:
    """Tell how things stand: documents by state, tenants, calls, dead records, announcements."""
    from consumer.adapters.postgres import reading

    found = ask(reading.status)
    if as_json:
        print_json(found)
        return
    print_table(found["states"], ("connection", "kind", "state", "count"))
    columns = ("tenant", "connections", "paused", "calls_today", "in_doubt", "oldest_ready_seconds",
               "blocked_why", "blocked_until", "parked_why")  # fmt: skip
    print_table(found["tenants"], columns)
    waiting = ", ".join(f"{row['count']} for {row['sink']}" for row in found["outbox"])
    dead = found["dead"]
    where = " (lago-xero dead-letters list --kind event)" if dead else ""
    typer.echo(f"dead records: {dead}{where}")
    typer.echo(f"announcements not yet made: {waiting or 'none'}")


def healthcheck(
    port: Annotated[
        int, typer.Option(envvar="LAGO_XERO_HTTP_PORT", help="Where the service listens.")
    ] = 8080,
) -> None:
    """Ask the running service on this machine whether it is alive and ready; for containers."""
    import httpx

    from consumer.cli.errors import UNREACHABLE, Failure

    for path in ("healthz", "readyz"):
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/{path}", timeout=10, trust_env=False)
        except httpx.HTTPError as error:
            sentence = f"Nothing answers on port {port} ({type(error).__name__})."
            raise Failure(UNREACHABLE, sentence, "is lago-xero run running?") from None
        if answer.status_code != 200:
            raise Failure(UNREACHABLE, f"/{path}: {answer.text[:500]}")
    typer.echo("alive and ready")
