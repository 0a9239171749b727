"""Commands about dead letters: filters or ids in; what failed, tried again or set aside, out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.chosen_letters import (
    Code,
    Connection,
    Everything,
    Ids,
    OfKind,
    Since,
    Until,
    chosen,
    letters_of,
    split,
)
from consumer.cli.output import AsJson, Row, ask, cell, print_json, print_rows, print_table
from consumer.cli.person import Why, person

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database
    from consumer.adapters.postgres.dead_letters import Events, Letters
    from consumer.config import Settings

LOOPS = 3
"""So many times in a row the same thing may fail for the same reason; then it is not tried again."""

app = typer.Typer(
    help="Documents that failed and events that could not be read: the ledger's word on them.",
    no_args_is_help=True,
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell how many.")]


@app.command("list", epilog="Example: lago-xero dead-letters list --since 2026-10-01")
def list_(
    code: Code = None,
    connection: Connection = None,
    kind: OfKind = None,
    since: Since = None,
    until: Until = None,
    one_by_one: Annotated[
        bool, typer.Option("--each", help="One by one, the newest first.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="With --each: at most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what failed and what could not be read, grouped by what mends it, with the newest of each."""
    from consumer.adapters.postgres import dead_letters

    async def work(db: Database) -> list[Row]:
        letters = await letters_of(db, None, code, connection, kind, since, until)
        if one_by_one:
            return await dead_letters.each(db, letters, limit)
        return await dead_letters.groups(db, letters)

    columns = ["connection", "kind", "code", "cause"]
    columns = ["id", "at", *columns] if one_by_one else ["count", *columns, "newest", "newest_at"]
    print_rows(ask(work), [*columns, "said", "hint"], as_json)


@app.command(epilog="Example: lago-xero dead-letters show event:12")
def show(
    ref: Annotated[str, typer.Argument(metavar="ID", help="As list shows it: doc:7, event:12.")],
    as_json: AsJson = False,
) -> None:
    """Show one in full: where its record lies, why it is dead, what to do. Its contents are not shown."""
    from consumer.adapters.postgres import dead_letters
    from consumer.cli import documents
    from consumer.cli.errors import NOT_FOUND, Failure

    events, _ = split([ref])
    if not events:
        documents.show(ref, as_json)
        return
    found = ask(lambda db: dead_letters.event(db, events[0]))
    if found is None:
        raise Failure(NOT_FOUND, f"There is no dead event {ref}.", "lago-xero dead-letters list")
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if value is not None:
            typer.echo(f"  {name:<16}{cell(value)}")


@app.command(epilog="Example: lago-xero dead-letters redrive --code unstorable --reason 'mended'")
def redrive(
    reason: Why,
    ids: Ids = None,
    code: Code = None,
    connection: Connection = None,
    kind: OfKind = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    rate: Annotated[float, typer.Option(min=0.1, help="At most so many a second.")] = 50.0,
    force: Annotated[
        bool, typer.Option("--force", help="Also what failed three times for the same reason.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Try again: events are read anew from the ledger, documents are planned and sent by the service.

    An event keeps its key, and counts as told when it first came. What failed for the same reason three
    times in a row is left alone; what was discarded is taken up again if it is named.
    """
    from consumer.adapters.postgres import dead_letters, retrying

    chosen(ids, everything, code, connection, kind, since, until)
    most = None if force else LOOPS
    settings = _settings()

    async def work(db: Database) -> Row:
        letters = await letters_of(db, ids, code, connection, kind, since, until)
        documents, events = letters.documents, letters.events
        told: dict[str, Counter[str]] = {
            n: Counter() for n in ("documents", "events", "dead_again")
        }
        looping: list[Row] = []
        if events is not None:
            if most is not None:
                found = await dead_letters.looping_events(db, events, most)
                looping += [{**row, "id": f"event:{row['id']}"} for row in found]
            if dry_run:
                told["events"].update(await dead_letters.count_events(db, events))
            else:
                await _reread(db, settings, events, reason, rate, most, told)
        if documents is not None:
            if most is not None:
                found = await retrying.looping(db, documents, most)
                looping += [{**row, "id": f"doc:{row['id']}"} for row in found]
            if dry_run:
                told["documents"].update(await retrying.count(db, documents))
            else:
                page = _page(rate)
                async for released in retrying.retry(
                    db, documents, who=person(), reason=reason, page=page, most=most
                ):
                    told["documents"].update(released)
                    await _rest(released.values(), page, rate)
        return {"dry_run": dry_run, **told, "left_alone": looping}

    _report(ask(work), as_json)


async def _reread(
    db: Database,
    settings: Settings,
    events: Events,
    reason: str,
    rate: float,
    most: int | None,
    told: Mapping[str, Counter[str]],
) -> None:
    """As the service reads records of Kafka's: each is known by its bytes."""
    from consumer.adapters import logs
    from consumer.adapters.postgres import dead_letters
    from consumer.app import inbox_of, must_be_migrated, planner_of
    from consumer.ingest import Intake
    from consumer.metrics import Metrics

    await must_be_migrated(db)
    logs.configure("console", "ERROR")  # the report says what the service would log
    intake = Intake(inbox_of(settings, db, planner_of(settings)), Metrics(), lambda: None)
    page = _page(rate)
    async for ids, records in dead_letters.records(
        db, events, who=person(), reason=reason, page=page, most=most
    ):
        await intake.store(records)
        dead = await dead_letters.still_dead(db, ids)
        told["dead_again"].update(dead)
        told["events"].update({"read": len(ids) - sum(dead.values())})
        await _rest([len(ids)], page, rate)


def _page(rate: float) -> int:
    """How many in one transaction: a second's worth at most."""
    return max(1, min(500, int(rate)))


async def _rest(counts: object, page: int, rate: float) -> None:
    """So long that the rate is kept; not after the last page."""
    number = sum(counts)  # type: ignore[call-overload]
    if number >= page:
        await asyncio.sleep(number / rate)


@app.command(epilog="Example: lago-xero dead-letters discard event:12 --reason 'sent by a test'")
def discard(
    reason: Why,
    ids: Ids = None,
    code: Code = None,
    connection: Connection = None,
    kind: OfKind = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set aside for good: nothing of it is sent, listed or read again.

    A document comes back when a message of Lago's asks for something else of it; an event by redrive,
    not by being produced again. What Xero has of such a document stays there as it is; what waits for
    one that Xero does not have is left out with it.
    """
    chosen(ids, everything, code, connection, kind, since, until)

    async def work(db: Database) -> Row:
        letters = await letters_of(db, ids, code, connection, kind, since, until)
        told = await _discard(db, letters, reason, dry_run=dry_run)
        return {"dry_run": dry_run, "discarded": told}

    _report(ask(work), as_json)


def ignore(
    reason: Why,
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="REF", help="Lago ids, numbers or documents' ids, as show takes them."
        ),
    ],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set failed documents aside: nothing of them is sent until Lago asks for something else.

    A REF means what failed of all that show lists for it. retry REF takes it up again.
    """
    from consumer.adapters.postgres.dead_letters import Letters
    from consumer.adapters.postgres.retrying import Which
    from consumer.cli.retrying import named_by

    async def work(db: Database) -> Row:
        named = await named_by(db, refs)
        told = await _discard(db, Letters(Which(named.failed), None), reason, dry_run=dry_run)
        return {"dry_run": dry_run, "ignored": told}

    _report(ask(work), as_json)


async def _discard(db: Database, letters: Letters, reason: str, *, dry_run: bool) -> Counter[str]:
    """How many were set aside, or would be, by code."""
    from consumer.adapters.postgres import dead_letters, retrying

    told: Counter[str] = Counter()
    if not dry_run:
        async for page in dead_letters.discard(db, letters, who=person(), reason=reason):
            told.update(page)
        return told
    if letters.documents is not None:
        told.update(await retrying.count(db, letters.documents))
    if letters.events is not None:
        told.update(await dead_letters.count_events(db, letters.events))
    return told


def _report(told: Row, as_json: bool) -> None:
    """Counts by code on stdout, what follows on stderr."""
    if as_json:
        print_json(told)
        return
    counts: list[Row] = [
        {"what": name.replace("_", " "), "code": code, "count": count}
        for name, codes in told.items()
        if isinstance(codes, Counter)
        for code, count in sorted(codes.items())
        if count
    ]
    if counts:
        print_table(counts, ("what", "code", "count"))
    for row in told.get("left_alone", ()):
        times = f"{row['code']} {row['redriven']} times in a row"
        typer.echo(f"{row['id']} is left alone: {times}; mend it, or --force", err=True)
    if not counts:
        typer.echo("nothing fits", err=True)
    elif told["dry_run"]:
        typer.echo("dry run: nothing was stored", err=True)


def _settings() -> Settings:
    from consumer import config

    return config.load()
