"""Which dead letters are meant: ids or filters in, which documents and events of the ledger out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from consumer.cli.instants import instant
from consumer.cli.mappings import no_connection
from consumer.domain.operations import DocumentKind

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database
    from consumer.adapters.postgres.dead_letters import Letters

Kind = Literal[DocumentKind, "event"]
"""What a dead letter is of."""


def _instant(text: str) -> datetime:
    try:
        return instant(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no ISO 8601 date or time") from None


Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="As list shows them: doc:7, event:12.")
]
Code = Annotated[str | None, typer.Option(help="Only those that failed with this code.")]
Connection = Annotated[str | None, typer.Option(help="A connection's code; events have none.")]
OfKind = Annotated[
    Kind | None,
    typer.Option("--kind", metavar="KIND", help=f"Only this kind: {', '.join(get_args(Kind))}."),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=_instant, help="Failed then or later: 2026-10-01T12:00 (UTC), or with an offset."
    ),
]
Until = Annotated[datetime | None, typer.Option(parser=_instant, help="Failed before then.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything that failed.")]


def chosen(ids: list[str] | None, everything: bool, *filters: object) -> None:
    """Refuse unless either something says which ones, or ``everything``."""
    from consumer.cli.errors import USAGE, Failure

    filtered = bool(ids) or any(one is not None for one in filters)
    if filtered == everything:
        sentence = "--all goes with no filter." if everything else "Nothing says which ones."
        raise Failure(USAGE, sentence, "name an ID or a filter; or --all")


async def letters_of(
    db: Database,
    ids: list[str] | None,
    code: str | None,
    connection: str | None,
    kind: Kind | None,
    since: datetime | None,
    until: datetime | None,
) -> Letters:
    """Those that every filter lets through; ``ids`` None: of all."""
    from consumer.adapters.postgres.dead_letters import Events, Letters
    from consumer.adapters.postgres.retrying import Which, known_connection

    if connection is not None and not await known_connection(db, connection):
        raise no_connection(connection)
    events, documents = split(ids) if ids else (None, None)
    of_documents = Which(
        documents, connection, None if kind == "event" else kind, code, since, until
    )
    of_events = Events(events, code, since, until)
    return Letters(
        of_documents if kind != "event" and (not ids or documents) else None,
        of_events
        if kind in (None, "event") and connection is None and (not ids or events)
        else None,
    )


def split(ids: list[str]) -> tuple[list[int], list[int]]:
    """Ids of events, and of documents."""
    from consumer.cli.errors import USAGE, Failure

    found: dict[str, list[int]] = {"event": [], "doc": []}
    for id in ids:
        kind, _, number = id.partition(":")
        if kind not in found or not (number.isascii() and number.isdigit() and len(number) < 19):
            raise Failure(USAGE, f"{id} is no id of a dead letter.", "such as doc:7 or event:12")
        found[kind].append(int(number))
    return found["event"], found["doc"]
