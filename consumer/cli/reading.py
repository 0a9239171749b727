"""Commands that read: the ledger in; a table for people or JSON for programs out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote

import typer

from consumer.domain.documents import State
from consumer.domain.operations import DocumentKind

Row = dict[str, Any]

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]


def connections(as_json: AsJson = False) -> None:
    """List the connections: name, Xero tenant, client."""
    from consumer.adapters.postgres import reading

    rows = _read(reading.connections)
    for row in rows:
        row["settings"] = json.loads(row["settings"])
    columns = ("code", "name", "tenant_id", "client_id", "mappings", "parked_why")
    _show(rows, columns, as_json)


def documents(
    state: Annotated[
        State | None, typer.Option(help="Only those in this state.", case_sensitive=False)
    ] = None,
    kind: Annotated[DocumentKind | None, typer.Option(help="Only this kind.")] = None,
    connection: Annotated[str | None, typer.Option(help="A connection's code.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List documents, the newest first."""
    from consumer.adapters.postgres import reading

    rows = _read(
        lambda db: reading.documents(db, state=state, kind=kind, connection=connection, limit=limit)
    )
    for row in rows:
        _explained(row)
    columns = ("id", "connection", "kind", "number", "state", "currency", "total", "explanation")
    _show(rows, columns, as_json)


def show(
    ref: Annotated[str, typer.Argument(help="A Lago id or a document's number.")],
    as_json: AsJson = False,
) -> None:
    """Explain one object's documents: state, what it waits for, both totals, the link to Xero."""
    from consumer.adapters.postgres import reading
    from consumer.cli.errors import NOT_FOUND, Failure

    rows = _read(lambda db: reading.document(db, ref))
    if not rows:
        hint = "give a Lago id or a number; lago-xero documents lists them"
        raise Failure(NOT_FOUND, f"There is no document of {ref}.", hint)
    for row in rows:
        _explained(row)
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['kind']} {row['number'] or row['lago_id']}: {row['explanation']}")
        lines = {
            "document": row["id"],
            "connection": row["connection"],
            "Lago id": row["lago_id"],
            "state": row["state"],
            "attempts": row["attempts"],
            "sent": _totals(row, ""),
            "Xero": _totals(row, "xero_"),
            "hint": row["hint"],
            "link": row["link"],
        }
        for name, value in lines.items():
            if value not in (None, ""):
                typer.echo(f"  {name:<11}{value}")


def status(as_json: AsJson = False) -> None:
    """Tell how things stand: documents by state, tenants, calls of the day, announcements."""
    from consumer.adapters.postgres import reading

    found = _read(reading.status)
    if as_json:
        _print_json(found)
        return
    _table(found["states"], ("connection", "kind", "state", "count"))
    columns = ("tenant", "connections", "calls_today", "in_doubt", "oldest_ready_seconds", "blocked_why",
               "blocked_until", "parked_why")  # fmt: skip
    _table(found["tenants"], columns)
    waiting = ", ".join(f"{row['count']} for {row['sink']}" for row in found["outbox"])
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


def _read(query: Callable[[Any], Awaitable[Any]]) -> Any:
    from consumer import config
    from consumer.adapters.postgres.database import database

    async def work() -> Any:
        url = config.load_database().database_url.get_secret_value()
        async with database(url, max_size=1, statement_cache=0) as db:
            return await query(db)

    return asyncio.run(work())


def _explained(row: Row) -> None:
    from consumer.domain.explain import explain

    row["explanation"] = explain(
        row["state"], row["cause"], row["code"], row["said"], drift=row["drift"]
    )
    row["link"] = _link(row)
    for name in ("net", "tax", "total"):
        row[name], row[f"xero_{name}"] = _amount(row[name]), _amount(row[f"xero_{name}"])


_PAGES = {"contact": "contacts/contact", "invoice": "invoicing/view"}
_OLD_PAGES = {
    "credit_note": "/AccountsReceivable/ViewCreditNote.aspx?creditNoteID",
    "payment": "/Bank/ViewTransaction.aspx?bankTransactionID",
    "refund": "/Bank/ViewTransaction.aspx?bankTransactionID",
}


def _link(row: Row) -> str | None:
    """The page of the document in Xero (xero.md 8)."""
    if row["xero_id"] is None or not row["short_code"]:
        return None
    code, xero_id = quote(row["short_code"], safe=""), row["xero_id"]
    if row["kind"] in _PAGES:
        return f"https://go.xero.com/app/{code}/{_PAGES[row['kind']]}/{xero_id}"
    old = _OLD_PAGES.get(row["kind"])
    login = "https://go.xero.com/organisationlogin/default.aspx"
    return f"{login}?shortcode={code}&redirecturl={old}={xero_id}" if old else None


def _amount(value: Decimal | None) -> str | None:
    """With two decimals at least, so that Lago's and Xero's look alike."""
    if value is None:
        return None
    cents = value.quantize(Decimal("0.01"))
    return str(cents if cents == value else value)


def _totals(row: Row, side: str) -> str | None:
    if row[f"{side}total"] is None:
        return None
    net, tax, total = (row[f"{side}{name}"] for name in ("net", "tax", "total"))
    return f"net {net}, tax {tax}, total {total} {row['currency'] or ''}".rstrip()


def _show(rows: list[Row], columns: Iterable[str], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
    else:
        _table(rows, tuple(columns))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def _table(rows: list[Row], columns: tuple[str, ...]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*("" if row[c] is None else str(row[c]) for c in columns))
    # No markup: a name with brackets is a name.
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)
