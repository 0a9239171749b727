"""README says what the code does: its settings, its commands and the files it names."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import typer.main

from consumer import cli
from consumer.config import settings_table
from consumer.sandbox.lago import demo_events

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_that_of_the_code() -> None:
    section = README.partition("<!-- settings:")[2].partition("<!-- /settings -->")[0]
    rows = [
        tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    assert rows == settings_table()


def test_every_command_is_described() -> None:
    group = typer.main.get_command(cli.app)
    described = set(re.findall(r"^\| `lago-xero ([a-z-]+)", README, re.MULTILINE))
    assert described == set(group.commands)  # type: ignore[attr-defined]


def test_the_exit_codes_are_those_of_the_help() -> None:
    codes = cli.EPILOG.partition(". ")[0]
    assert codes.replace(" ", "") in re.sub(r"\s", "", README)


def test_what_it_and_the_operators_pages_link_to_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "deploy").glob("*.md")]
    links = [
        page.parent / link
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert links
    assert [link for link in links if not link.exists()] == []


def test_where_a_change_belongs_exists() -> None:
    table = README.partition("| to change | look in |")[2].partition("###")[0]
    named = re.findall(r"`([\w/]+(?:\.\w+|/))`", table)
    assert len(named) > 20
    there = [
        f"/{one.relative_to(ROOT)}"
        for d in ("schemas", "consumer", "deploy")
        for one in ROOT.glob(f"{d}/**/*")
    ]
    missing = [name for name in named if not any(f.endswith("/" + name.rstrip("/")) for f in there)]
    assert missing == []


def test_the_demos_last_line_is_that_of_its_events() -> None:
    records, expected = demo_events()
    failed = sum(expected.failed.values()) + expected.dead
    skipped = sum(expected.skipped.values())
    line = rf"demo: {len(records)} events, \d+ synced, {failed} failed and announced, {skipped} skipped"
    assert re.search(line, README)


def test_what_make_runs_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    modules = set(re.findall(r"python -m ([\w.]+)", makefile)) - {"venv"}
    assert {"consumer.sandbox.demo", "tests.bench.ingest"} <= modules
    missing = [name for name in sorted(modules) if importlib.util.find_spec(name) is None]
    assert missing == []
