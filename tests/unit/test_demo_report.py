"""The demo's tables: what came of its events in; every figure whole on a terminal of 80 columns out."""

from __future__ import annotations

import io
import re
from collections import Counter

from rich.console import Console

from consumer.sandbox.demo_report import Booked, Outcome, show, tie_out
from consumer.sandbox.lago import Expected, cents, demo_events


def _as_expected(expected: Expected) -> Outcome:
    books = {
        i.number: Booked(i.entity, i.currency, cents(i.total), cents(i.tax), cents(i.paid))
        for i in expected.invoices
    }
    owed = {account: one.due_in_xero for account, one in tie_out({}, expected).items()}
    return Outcome(
        events=200,
        states=Counter({("invoice", "synced"): len(books)}),
        failed=[],
        announced=Counter(),
        told=Counter(),
        posts=0,
        books=books,
        contacts=expected.contacts,
        owed=owed,
        calls=Counter(),
        reads=0,
        seconds=(0.0, 0.0),
    )


def test_no_figure_is_cut_at_80_columns() -> None:
    _, expected = demo_events()
    result = _as_expected(expected)
    told = io.StringIO()
    show(Console(file=told, width=80), result, expected)
    lines = told.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    shown = {cell for row in cells for cell in row}
    for currency in {i.currency for i in expected.invoices}:
        invoices = [b for b in result.books.values() if b.currency == currency]
        for column in ("total", "tax", "paid"):
            assert f"{sum(getattr(b, column) for b in invoices):,.2f}" in shown
    amounts = [cell for cell in shown if re.fullmatch(r"-?[0-9,]+\.[0-9]+", cell)]
    assert [one for one in amounts if len(one.partition(".")[2]) < 2] == []
    differences = [row[-1] for row in cells if row and row[-1]]
    assert differences == ["0"] * (7 + len(result.owed))
