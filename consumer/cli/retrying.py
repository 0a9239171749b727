"""The command that tries again what failed: filters in; how many documents of each code out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.documents import Kind, explain_row, not_found, title
from consumer.cli.mappings import no_connection
from consumer.cli.output import AsJson, Row, ask, many, print_json, print_table
from consumer.cli.person import Reason, person
from consumer.domain.causes import is_ignored

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database


def retry(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF", help="Lago ids, numbers or documents' ids, as show takes them."
        ),
    ] = None,
    connection: Annotated[str | None, typer.Option(help="A connection's code.")] = None,
    kind: Kind = None,
    code: Annotated[str | None, typer.Option(help="Only those that failed with this code.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that failed.")] = False,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try failed documents again: the running service plans and sends them with today's settings.

    Takes those that every filter lets through. A REF means what failed of all that show lists for it;
    a document's id means that one; of those that are named, also what a person has set aside. What has
    not failed is left alone: it is safe to repeat.
    """
    from consumer.adapters.postgres import retrying
    from consumer.cli.errors import USAGE, Failure

    filtered = bool(refs) or not (connection is None and kind is None and code is None)
    if filtered == everything:
        sentence = "--all goes with no filter." if everything else "Nothing says what to retry."
        raise Failure(USAGE, sentence, "name a REF, --connection, --kind or --code; or --all")

    async def work(db: Database) -> tuple[Counter[str], list[Row]]:
        if connection is not None and not await retrying.known_connection(db, connection):
            raise no_connection(connection)
        named = await named_by(db, refs or [], aside=True)
        which = retrying.Which(named.failed if refs else None, connection, kind, code)
        if dry_run:
            return Counter(await retrying.count(db, which)), named.others
        released: Counter[str] = Counter()
        async for page in retrying.retry(db, which, who=person(), reason=reason):
            if released:
                typer.echo(f"{many(released.total(), 'document')} released …", err=True)
            released.update(page)
        return released, named.others

    _report(*ask(work), dry_run=dry_run, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Named:
    """What the REFs mean: failed documents, and of REFs of which nothing failed all documents."""

    failed: list[int]
    others: list[Row]


async def named_by(db: Database, refs: list[str], *, aside: bool = False) -> Named:
    """Raises ``Failure`` where there is no such document: nothing is released then. ``aside``: what a
    person has set aside is meant too."""
    from consumer.adapters.postgres import reading

    named = Named([], [])
    for ref in dict.fromkeys(refs):
        found = await reading.object_documents(db, ref)
        if not found:
            raise await not_found(db, ref)
        meant = [row for row in found if row["by_id"]] or found
        failed = [
            row["id"]
            for row in meant
            if row["state"] == "failed" or (aside and is_ignored(row["cause"]))
        ]
        named.failed.extend(failed)
        named.others.extend([] if failed else ({"ref": ref, **_other(row)} for row in meant))
    return named


def _other(row: Row) -> Row:
    explain_row(row)
    kept = ("id", "connection", "kind", "lago_id", "number", "state", "explanation")
    return {name: row[name] for name in kept}


def _report(released: Counter[str], others: list[Row], *, dry_run: bool, as_json: bool) -> None:
    """Counts and what was not failed on stdout, what follows on stderr."""
    total = released.total()
    by_code: list[Row] = [{"code": code, "count": n} for code, n in sorted(released.items())]
    if as_json:
        print_json(
            {"dry_run": dry_run, "documents": total, "by_code": by_code, "not_failed": others}
        )
    else:
        if by_code:
            print_table(by_code, ("code", "count"))
        for row in others:
            what = f"document {row['id']}, {title(row)}, has not failed"
            typer.echo(f"{row['ref']}: {what}. {row['explanation']}")
    if not total:
        typer.echo("no failed document fits: nothing to retry", err=True)
    elif dry_run:
        typer.echo(f"dry run: {many(total, 'document')} would be released", err=True)
    else:
        typer.echo(f"{many(total, 'document')} released; the running service tries again", err=True)
