"""The report of a reconciliation: sealed, complete in every format, harmless wherever it is opened."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from consumer.cli.reports import RENDERERS, Format, report_of
from consumer.domain.matching import Difference
from consumer.domain.reconciling import Discrepancy, Period, ToCome, Total
from consumer.ports.reconciling import Subject
from consumer.reconcile import Reconciled
from schemas.export import FOLDER
from schemas.reconciliation import Reconciliation, content_hash

AT = datetime(2026, 11, 2, 3, 4, 5, tzinfo=UTC)
EVIL = '=HYPERLINK("http://x")<script>alert(1)</script>'
NOTHING = (0, *(Decimal(0),) * 6)


def _found(*exceptions: Discrepancy, totals: tuple[Total, ...] = ()) -> Reconciled:
    subject = Subject(
        "acme", 1, UUID(int=1), 1, "Acme & Söhne <Ltd>", "!abcde", parked=False,
        kinds=("invoice", "payment"),
    )  # fmt: skip
    return Reconciled(
        subject,
        Period(date(2026, 10, 1), date(2026, 10, 31)),
        totals,
        (ToCome("credit_note", "KWD", "failed", 41, Decimal("987.654")),),
        exceptions,
        {one.key: datetime(2026, 10, 9, tzinfo=UTC) for one in exceptions[:1]},
        frozenset(one.key for one in exceptions if one.action == "retry"),
        {"invoice": AT, "payment": AT, "overpayment": AT},
        AT,
        3,
        0,
    )


EXCEPTIONS = (
    Discrepancy(
        "status", "invoice", "Somebody has voided it in Xero.", "Decide.", document_id=7,
        lago_id=UUID(int=8), xero_id=UUID(int=9), number=EVIL, dated=date(2026, 10, 3), currency="EUR",
        amount=Decimal("-12.3"), differences=(Difference("status", "AUTHORISED", "VOIDED"),),
    ),
    Discrepancy(
        "extra_in_xero", "payment", "Nobody asks for it.", "Look.", xero_id=UUID(int=5), on="A-2"
    ),
    Discrepancy(
        "missing_in_xero", "invoice", "It failed.", "It is tried again.", "automatic", "retry", 6,
        number="A-1",
    ),
)  # fmt: skip
TOTALS = (
    Total("invoice", "EUR", "PAID", (2, *(Decimal("12.5"),) * 6), (2, *(Decimal("12.50"),) * 6)),
    Total("invoice", "EUR", "VOIDED", NOTHING, (1, *(Decimal(1),) * 6)),
)
REPORT = report_of(_found(*EXCEPTIONS, totals=TOTALS))


def test_the_hash_is_that_of_the_canonical_json_without_it() -> None:
    import hashlib

    whole = json.loads(RENDERERS["json"](REPORT))
    said = whole.pop("content_hash")
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(canonical.encode()).hexdigest() == said
    assert content_hash(REPORT.model_copy(update={"calls": 4})) != said
    again = Reconciliation.model_validate_json(RENDERERS["json"](REPORT))
    assert content_hash(again) == said, "it can be checked from the file alone"


def test_what_is_to_come_is_in_each_format_but_the_list_of_exceptions() -> None:
    [one] = json.loads(RENDERERS["json"](REPORT))["to_come"]
    assert (one["kind"], one["state"], one["count"], one["gross"]) == (
        "credit_note", "failed", 41, "987.654",
    )  # fmt: skip
    for name in ("table", "html"):
        page = RENDERERS[name](REPORT)
        assert "987.654" in page
        assert "and not in Xero" in page


@pytest.mark.parametrize("format", RENDERERS)
def test_every_format_says_what_money_is_on_and_what_is_to_be_done(format: Format) -> None:
    text = RENDERERS[format](REPORT)
    assert "A-2" in text
    assert all(one.repair in text for one in EXCEPTIONS)


def test_what_is_only_noted_comes_last() -> None:
    noted = Discrepancy(
        "in_flight", "invoice", "It waits.", "Nothing.", "nothing_to_do", number="N-1"
    )
    lagos = Discrepancy("unknown_to_lago", "invoice", "Gone.", "Look.", number="L-1")
    report = report_of(_found(noted, *EXCEPTIONS, lagos))
    assert report.exceptions[-1].number == "N-1"
    page = RENDERERS["html"](report)
    assert page.index("N-1") > page.index("L-1")
    assert "4 exceptions" in page
    assert "1 noted" in page


def test_the_json_is_as_its_schema_says() -> None:
    schema = json.loads((FOLDER / "reconciliation.json").read_text(encoding="utf-8"))
    shown = json.loads(RENDERERS["json"](REPORT))
    jsonschema.validate(shown, schema)
    assert (shown["agrees"], shown["counts"]) == (
        False,
        {"extra_in_xero": 1, "missing_in_xero": 1, "status": 1},
    )
    assert shown["totals"][0]["ledger"]["gross"] == "12.50"
    first = shown["exceptions"][0]
    assert first["first_seen"] == "2026-10-09T00:00:00Z"
    assert first["show"] == "lago-xero show doc:7"
    assert first["link"] == f"https://go.xero.com/app/%21abcde/invoicing/view/{UUID(int=9)}"
    assert shown["exceptions"][2]["repaired"] is True
    assert "overpayment" not in shown["read_at"], "it was not read for this connection"


def test_csv_has_a_row_for_each_exception_and_nothing_that_a_spreadsheet_computes() -> None:
    rows = list(csv.DictReader(RENDERERS["csv"](REPORT).splitlines()))
    assert [row["class"] for row in rows] == ["status", "extra_in_xero", "missing_in_xero"]
    assert rows[0]["number"] == f"'{EVIL}"
    assert rows[0]["amount"] == "-12.30"
    assert rows[0]["differences"] == "status: VOIDED, not AUTHORISED"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    text = RENDERERS["html"](REPORT)
    page = _Page()
    page.feed(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object"}
    assert not any("src" in attributes for _, attributes in page.tags)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all(str(link).startswith("https://go.xero.com/") for link in links)
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_what_a_controller_files() -> None:
    text = RENDERERS["html"](REPORT)
    for said in (
        "2026-10-01 to 2026-10-31", REPORT.content_hash, "Acme &amp; Söhne &lt;Ltd&gt;",
        AT.isoformat(), "control totals differ", "3 exceptions", "lago-xero show doc:7",
        "&lt;script&gt;alert(1)", "12.50", "AUTHORISED", "done by this run",
    ):  # fmt: skip
        assert said in text
    assert len(re.findall("<article>", text)) == 3


@pytest.mark.parametrize("format", RENDERERS)
def test_nothing_to_tell_is_told_too(format: Format) -> None:
    text = RENDERERS[format](report_of(_found()))
    assert text.endswith("\n")
    if format == "html":
        assert "no exceptions" in text
        assert "all control totals agree" in text


def test_a_number_of_lagos_does_nothing_to_a_terminal() -> None:
    odd = Discrepancy("unknown_to_lago", "invoice", "Gone.", "Look.", number="\x1b]0;A\x07B\u202e")
    text = RENDERERS["table"](report_of(_found(odd)))
    assert "invoice \ufffd]0;A\ufffdB\ufffd" in text


def test_the_table_shows_both_sides_only_where_they_differ() -> None:
    text: Any = RENDERERS["table"](REPORT)
    assert len([line for line in text.splitlines() if "PAID" in line]) == 1
    assert len([line for line in text.splitlines() if "VOIDED" in line and "differs" in line]) == 2
    assert "repaired" in text


@pytest.mark.parametrize("form", ["table", "csv", "html"])
def test_what_is_empty_or_has_only_lagos_id_is_not_called_none(form: Format) -> None:
    emptied = Discrepancy(
        "edited", "invoice", "Somebody has emptied its number.", "Decide.", document_id=7,
        lago_id=UUID(int=8), differences=(Difference("number", "A-1", ""),),
    )  # fmt: skip
    unknown = Discrepancy("missing_in_ledger", "payment", "Untold.", "Take.", lago_id=UUID(int=9))
    text = RENDERERS[form](report_of(_found(emptied, unknown)))
    assert not re.search(r"\bNone\b", text)
    assert str(UUID(int=9)) in text
