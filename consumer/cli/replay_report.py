"""What a replay found in; tables or JSON on stdout, what follows on stderr, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import typer

from consumer.cli.errors import INTERRUPTED
from consumer.cli.output import Row, print_json, print_table
from consumer.domain.replays import Fate, Ref, Survey, Verified

SHOWN = 50
"""Objects or documents of a table; JSON has all."""
WORDS: Mapping[Fate, str] = {
    "known": "known: nothing changes",
    "new": "not known yet",
    "without_effect": "not known, and say nothing new",
    "decodable": "dead before, readable now",
    "dead": "not readable",
    "ignored": "of a type that says nothing to us",
    "left_out": "left out by the filters",
}


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left, on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(TextColumn):
        def render(self, task: Any) -> Any:
            from rich.text import Text

            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "")

    columns = (
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        Rate(""),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda passed: bar.advance(task, passed)


def tell_survey(survey: Survey, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "applied": False,
                "records": dict(survey.counts),
                "documents": dict(survey.documents),
                "calls": dict(survey.calls),
                "unplanned": [asdict(one) for one in survey.unplanned],
            }
        )
    else:
        print_table(_records(survey.counts), ("records", "count"))
        rows: list[Row] = [
            {"kind": kind, "documents": n, "calls": survey.calls[kind]}
            for kind, n in sorted(survey.documents.items())
        ]
        if rows:
            print_table(rows, ("kind", "documents", "calls"))
        documents, calls = survey.documents.total(), survey.calls.total()
        typer.echo(f"{documents} documents would change, for about {calls} calls to Xero")
        _refs("planning stumbles over these", survey.unplanned)
    typer.echo("dry run: nothing was changed; --apply does it", err=True)


def tell_verified(found: Verified, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(found), "counts": dict(found.counts)})
        return
    print_table(_records(found.counts), ("records", "count"))
    _refs("lost: the messages are known, but the ledger lacks these facts", found.lost)
    _refs("not taken in yet: replay --apply does it", found.not_taken_in)
    _refs("documents that stand otherwise than the facts ask", found.differing)
    _refs("planning stumbles over these", found.unplanned)
    typer.echo(
        f"{found.objects} objects compared: {len(found.lost)} lost something, "
        f"{len(found.not_taken_in)} are not taken in wholly, {len(found.differing)} documents differ"
    )
    if found.in_part:
        typer.echo(
            f"{found.in_part} objects have facts from outside the range: of those only what the range "
            "told was judged",
            err=True,
        )


def tell_applied(id: int, counts: Counter[str], ended: bool, *, as_json: bool) -> None:
    if as_json:
        print_json({"applied": True, "job": id, "complete": ended, "records": dict(counts)})
    else:
        print_table(_records(counts), ("records", "count"))
    if not ended:
        typer.echo(f"interrupted: lago-xero replay --resume {id} goes on", err=True)
        raise typer.Exit(INTERRUPTED)
    typer.echo("done; the running service sends what has changed, behind live traffic", err=True)


def _records(counts: Mapping[Any, int]) -> list[Row]:
    return [
        {"records": said, "count": counts[name]} for name, said in WORDS.items() if counts.get(name)
    ]


def _refs(title: str, refs: list[Ref]) -> None:
    if not refs:
        return
    typer.echo(f"{title}:")
    rows: list[Row] = [
        {"kind": one.kind, "ref": one.ref, "what": ", ".join(filter(None, one.what))}
        for one in refs[:SHOWN]
    ]
    print_table(rows, ("kind", "ref", "what"))
    if len(refs) > SHOWN:
        typer.echo(f"… and {len(refs) - SHOWN} more: --json lists them all", err=True)
