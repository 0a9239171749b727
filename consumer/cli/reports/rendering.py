"""Rendering a report: the report in; JSON, CSV, a table for the terminal or one page of HTML out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from consumer.cli.output import legible
from consumer.domain.reconciling.exceptions import CLASSES, MEANING, NOTED
from consumer.domain.reconciling.fields import plain
from schemas.reconciliation import Reconciliation, ReportedException, Sums

if TYPE_CHECKING:
    from rich.table import Table

Format = Literal["table", "json", "csv", "html"]
WIDTH = 160
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so would be computed by a spreadsheet."""
_AMOUNT = re.compile(r"-[0-9]+\.[0-9]+")
_COLUMNS = (
    "class", "kind", "document", "lago_id", "xero_id", "number", "on", "dated", "currency", "amount",
    "cause", "differences", "first_seen", "repair", "safety", "repaired", "show", "link",
)  # fmt: skip


def as_json(report: Reconciliation) -> str:
    """One document, as ``schemas/json/reconciliation.json`` says."""
    return report.model_dump_json(by_alias=True, indent=2) + "\n"


def as_csv(report: Reconciliation) -> str:
    """One row an exception."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for one in report.exceptions:
        row = one.model_dump(mode="json", by_alias=True)
        row["differences"] = _differences(one)
        writer.writerow([_cell(row[name]) for name in _COLUMNS])
    return out.getvalue()


def as_table(report: Reconciliation) -> str:
    """Control totals and exceptions, as wide as most terminals can be made."""
    from rich.console import Console
    from rich.table import Table

    out = io.StringIO()
    console = Console(file=out, width=WIDTH, markup=False, emoji=False, highlight=False)
    totals = Table("kind", "currency", "status", "side", "count", "net", "tax", "gross", "paid",
                   "credited", "outstanding", "")  # fmt: skip
    for total in report.totals:
        sides = (
            (("both", total.ledger),)
            if total.agrees
            else (("ledger", total.ledger), ("Xero", total.xero))
        )
        for side, sums in sides:
            figures = (f"{value}" for value in sums.model_dump(mode="json").values())
            differs = "" if total.agrees else "differs"
            totals.add_row(total.kind, total.currency, total.status, side, *figures, differs)
    console.print(totals)
    if report.to_come:
        console.print("asked for by Lago, and not in Xero:")
        console.print(_to_come(report))
    found = Table("class", "document", "amount", "first seen", "what", "safety")
    for one in report.exceptions:
        known_as = one.number or one.document or one.xero_id or one.lago_id
        name = f"{one.kind} {known_as}{_on(one)}"
        money = "" if one.amount is None else f"{plain(one.amount)} {one.currency or ''}".rstrip()
        differs = f" {_differences(one)}" if one.differences else ""
        done = "repaired" if one.repaired else one.safety
        texts = name, money, f"{one.first_seen:%Y-%m-%d}", f"{one.cause}{differs}\n→ {one.repair}"
        found.add_row(one.name, *map(legible, texts), done)
    console.print(found)
    console.print(f"Lago: {report.lago.said}")
    return out.getvalue()


def _to_come(report: Reconciliation) -> Table:
    from rich.table import Table

    table = Table("kind", "currency", "state", "count", "gross")
    for one in report.to_come:
        table.add_row(one.kind, one.currency, one.state, str(one.count), plain(one.gross))
    return table


def as_html(report: Reconciliation) -> str:
    """One page without anything from elsewhere, that a controller can file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("consumer.cli.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    ordered = sorted(
        report.exceptions, key=lambda one: (one.name in NOTED, CLASSES.index(one.name))
    )
    groups = [
        (name, MEANING[name], list(found))
        for name, found in groupby(ordered, key=lambda one: one.name)
    ]
    page = environment.get_template("reconciliation.html.j2")
    noted = sum(one.name in NOTED for one in report.exceptions)
    return page.render(
        report=report, groups=groups, noted=noted, measures=tuple(Sums.model_fields), plain=plain
    )


RENDERERS: Mapping[Format, Callable[[Reconciliation], str]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


def _on(one: ReportedException) -> str:
    return f" on {one.on}" if one.on else ""


def _differences(one: ReportedException) -> str:
    return "; ".join(f"{each.field}: {each.theirs}, not {each.ledger}" for each in one.differences)


def _cell(value: object) -> object:
    """A text that no spreadsheet computes; an amount may begin with a minus."""
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _AMOUNT.fullmatch(value):
        return "" if value is None else value
    return f"'{value}"
