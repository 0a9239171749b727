"""Commands that read documents: filters or a name in; each with a sentence that explains it out."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, get_args
from urllib.parse import quote

import typer

from consumer.cli.mappings import no_connection
from consumer.cli.output import AsJson, Row, ask, cell, print_json, print_rows
from consumer.cli.pausing import explain_word
from consumer.domain.documents import State
from consumer.domain.operations import DocumentKind

if TYPE_CHECKING:
    from uuid import UUID

    from consumer.adapters.postgres.database import Database
    from consumer.cli.errors import Failure

Kind = Annotated[
    DocumentKind | None,
    typer.Option(metavar="KIND", help=f"Only this kind: {', '.join(get_args(DocumentKind))}."),
]


def documents(
    state: Annotated[
        State | None,
        typer.Option(
            metavar="STATE",
            help=f"Only those in this state: {', '.join(get_args(State))}.",
            case_sensitive=False,
        ),
    ] = None,
    kind: Kind = None,
    connection: Annotated[str | None, typer.Option(help="A connection's code.")] = None,
    code: Annotated[str | None, typer.Option(help="Only those that failed with this code.")] = None,
    cause: Annotated[
        str | None, typer.Option(help="What they wait for, or how it begins: tax:, doc:7.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List documents, the newest first.

    of: the customer's external id of a contact, the invoice's or credit note's number of what is on one.
    """
    from consumer.adapters.postgres import reading, retrying

    async def work(db: Database) -> list[Row]:
        # Else a slip of the pen reads as "nothing has failed".
        if connection is not None and not await retrying.known_connection(db, connection):
            raise no_connection(connection)
        return await reading.documents(
            db, state=state, kind=kind, connection=connection, code=code, cause=cause, limit=limit
        )

    rows = ask(work)
    for row in rows:
        explain_row(row)
    columns = (
        "id",
        "connection",
        "kind",
        "number",
        "of",
        "state",
        "currency",
        "total",
        "explanation",
    )
    print_rows(rows, columns, as_json)


def show(
    ref: Annotated[str, typer.Argument(help="A Lago id, a number or a document's id.")],
    as_json: AsJson = False,
) -> None:
    """Explain an object's documents in every connection: state, what each waits for, both totals.

    With them come findings (what a person should see) and the links to Xero.
    """
    rows = ask(lambda db: _documents_of(db, ref))
    for row in rows:
        explain_row(row)
        del row["by_id"]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _print_document(row)


async def _documents_of(db: Database, ref: str) -> list[Row]:
    from consumer.adapters.postgres import dead_letters, pausing, reading

    rows = await reading.object_documents(db, ref)
    if not rows:
        raise await not_found(db, ref)
    findings = await reading.findings(db, [row["id"] for row in rows])
    paused = await pausing.paused(db)
    for row in rows:
        row["paused"] = paused.get(row["connection"])
        row["set_aside"] = await dead_letters.aside(db, row["cause"] or "")
        row["findings"] = findings.get(row["id"], [])
    return rows


async def not_found(db: Database, ref: str) -> Failure:
    """Where it was looked for, and what else names it: an object without documents, dead records."""
    from consumer.adapters.postgres import reading
    from consumer.cli.errors import NOT_FOUND, Failure

    sentences = [f"There is no document of {ref}: not as a number, a Lago id or a document's id."]
    hint = "lago-xero documents lists documents"
    for thing in await reading.objects(db, ref):
        what = "no document follows from it" if thing["told"] else "none has told of it itself yet"
        sentences.append(f"Lago's messages name the {thing['kind']}, but {what}.")
    for record in await reading.dead_naming(db, ref):
        sentences.append(
            f"Dead record event:{record['id']} names it: {record['code']}: {record['said']}"
        )
        hint = record["hint"] or "lago-xero dead-letters list --kind event lists dead records"
    return Failure(NOT_FOUND, "\n".join(sentences), hint)


def explain_row(row: Row) -> None:
    """Adds the sentence and the link, and makes amounts readable."""
    from consumer.domain import causes
    from consumer.domain.documents import DRAFTS
    from consumer.domain.explain import another, explain

    draft = row["xero_id"] is not None and row["xero_status"] in DRAFTS
    state, cause = row["state"], row["cause"]
    if row.pop("paused_at") is not None and state == "ready":  # the service has not come to it yet
        state, cause = "waiting", causes.paused(row["connection"])
    other = row.pop("other")
    row["explanation"] = explain(
        state,
        cause,
        row["code"],
        row["said"],
        drift=row["drift"],
        draft=draft,
        other=another(**other) if other is not None else None,
    )
    row["link"] = xero_link(row["kind"], row["xero_id"], row["short_code"])
    for name in ("net", "tax", "total"):
        row[name], row[f"xero_{name}"] = _amount(row[name]), _amount(row[f"xero_{name}"])


def title(row: Row) -> str:
    """Kind and number, or Lago id."""
    return f"{row['kind']} {row['number'] or row['lago_id']}"


def _print_document(row: Row) -> None:
    from consumer.domain.explain import explain_finding

    typer.echo(f"{title(row)}: {row['explanation']}")
    failed = row["state"] == "failed"
    lines = [
        ("document", row["id"]),
        ("connection", row["connection"]),
        ("Lago id", row["lago_id"]),
        ("of", row["of"]),
        ("state", row["state"]),
        ("paused", explain_word(row["paused"]) if row["paused"] else None),
        ("set aside", explain_word(row["set_aside"]) if row["set_aside"] else None),
        ("failed at", cell(row["failed_at"]) if failed else None),
        ("attempts", row["attempts"]),
        ("sent", _totals(row, "")),
        ("Xero", _totals(row, "xero_")),
        *(
            ("finding", explain_finding(one["class"], one["facts"], one["xero_id"]))
            for one in row["findings"]
        ),
        ("hint", row["hint"]),
        ("retry", f"lago-xero retry doc:{row['id']}" if failed else None),
        ("link", row["link"]),
    ]
    for name, value in lines:
        if value not in (None, ""):
            typer.echo(f"  {name:<11}{value}")


_PAGES = {"contact": "contacts/contact", "invoice": "invoicing/view"}
_OLD_PAGES = {
    "credit_note": "/AccountsReceivable/ViewCreditNote.aspx?creditNoteID",
    "payment": "/Bank/ViewTransaction.aspx?bankTransactionID",
    "refund": "/Bank/ViewTransaction.aspx?bankTransactionID",
    "overpayment": "/Bank/ViewTransaction.aspx?bankTransactionID",
}


def xero_link(kind: str, xero_id: UUID | None, short_code: str | None) -> str | None:
    """The page of a document in Xero (xero.md 8); of an allocation there is none."""
    if xero_id is None or not short_code:
        return None
    code = quote(short_code, safe="")
    if kind in _PAGES:
        return f"https://go.xero.com/app/{code}/{_PAGES[kind]}/{xero_id}"
    old = _OLD_PAGES.get(kind)
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
