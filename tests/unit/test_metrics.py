"""The catalogue of metrics: bounded, documented, really counted, and shown to somebody."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import Counter, Gauge, Histogram

from consumer.adapters.postgres.pruning import What
from consumer.deliver.calling import PROBLEMS
from consumer.metrics import Metrics
from consumer.ports.asking import QuestionKind, Why
from deploy import generate
from tests.watching import BOARDS, ROOT, alerts, metrics_of, queries, recorded

PERSONAL = re.compile(r"tenant|connection|customer|organi[sz]ation|contact|number|id$|name$|said")
ELSEWHERE = {
    "up",
    "ALERTS",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
}
"""Prometheus' own, and the client library's of the process."""


def attributes() -> dict[str, str]:
    """What the code calls a metric → its name."""
    ours = {n: m for n, m in vars(Metrics()).items() if isinstance(m, Counter | Gauge | Histogram)}
    families = {name: next(iter(metric.collect())) for name, metric in ours.items()}
    return {
        name: family.name + ("_total" if family.type == "counter" else "")
        for name, family in families.items()
    }


# ── The code ──────────────────────────────────────────────────────────────────────────────────────


def test_each_is_counted_or_set_somewhere() -> None:
    used = set(_used())
    assert sorted(set(attributes()) - used) == []


def _used() -> Iterator[str]:
    """What is asked of ``metrics`` (``m`` for short) anywhere but where it is made."""
    for file in (ROOT / "consumer").rglob("*.py"):
        if file.name == "metrics.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                if name in ("metrics", "_metrics", "m"):
                    yield node.attr


def test_no_label_names_anybody() -> None:
    labels = {label for entry in Metrics().catalogue for label in entry.labels}
    assert [label for label in labels if PERSONAL.search(label)] == []


def test_lists_of_values_are_those_of_the_code() -> None:
    listed = {(e.name, n): v for e in Metrics().catalogue for n, v in e.labels.items()}
    assert listed["lago_xero_pruned_total", "what"] == get_args(What)
    assert listed["lago_xero_xero_throttled_total", "problem"] == (*PROBLEMS, "other")
    asked, outcomes = (listed["lago_xero_lago_questions_total", n] for n in ("kind", "outcome"))
    assert set(asked) == {"organization", *get_args(QuestionKind)}
    assert set(outcomes) == {"answered", *get_args(Why)}


def test_counters_with_listed_labels_start_at_0() -> None:
    """An alert on the first increase needs a value before it."""
    metrics = Metrics()
    for entry in metrics.catalogue:
        if entry.type == "counter" and all(isinstance(v, tuple) for v in entry.labels.values()):
            first = {name: values[0] for name, values in entry.labels.items()}
            assert metrics.registry.get_sample_value(entry.name, first) == 0, entry.name


# ── What is made of it ────────────────────────────────────────────────────────────────────────────


def test_what_is_made_from_the_code_is_current() -> None:
    assert generate.generated().drift() == [], "run `make dashboards`"


def test_drift_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    made = generate.generated()
    assert made.main([]) == 0
    assert made.main(["--check"]) == 0
    (tmp_path / "metrics.md").write_text("old")
    (tmp_path / "grafana/dashboards/tenants.json").unlink()
    (tmp_path / "grafana/dashboards/left-over.json").write_text("{}")
    assert made.main(["--check"]) == 1
    said = capsys.readouterr().err
    names = ("left-over.json", "tenants.json")
    assert ", ".join([f"grafana/dashboards/{name}" for name in names] + ["metrics.md"]) in said
    assert made.main([]) == 0
    assert made.main(["--check"]) == 0
    assert made.main(["--wrong"]) == 2


def test_each_is_documented_and_shown() -> None:
    page = (ROOT / "deploy" / "metrics.md").read_text(encoding="utf-8")
    shown = {name for query in [*queries(), *recorded().values()] for name in metrics_of(query)}
    for entry in Metrics().catalogue:
        assert f"`{entry.name}" in page
        parts = {entry.name, f"{entry.name}_bucket", f"{entry.name}_sum"}
        assert parts & shown, f"{entry.name} stands in no dashboard"


def test_rules_and_dashboards_ask_for_what_there_is() -> None:
    there = ELSEWHERE | set(recorded())
    for entry in Metrics().catalogue:
        there |= {entry.name}
        if entry.type == "histogram":
            there |= {f"{entry.name}{part}" for part in ("_bucket", "_sum", "_count")}
    expressions = [*queries(), *recorded().values(), *(rule["expr"] for rule in alerts())]
    assert len(expressions) > 100
    assert {name for one in expressions for name in metrics_of(one)} - there == set()


def test_what_an_expression_asks_for_is_found() -> None:
    ours = 'sum by (job, code) (rate(a_total{x="b_total"}[5m])) > 0'
    expression = f"{ours} unless on (job) c:d offset 15m or vector(0)"
    assert metrics_of(expression) == {"a_total", "c:d"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_dashboards_are_of_grafanas_schema(board: Path) -> None:
    """Read by the types that Grafana generates from its schema, and written again, nothing is lost."""
    there = json.loads(board.read_text(encoding="utf-8"))
    assert _again(there) == there
    assert len({panel["title"] for panel in _panels(there)}) == len(_panels(there))
    wrong = json.loads(board.read_text(encoding="utf-8"))
    _panels(wrong)[-1]["fieldConfigs"] = {}
    assert _again(wrong) != wrong


def _again(board: Any) -> Any:
    return json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))


def _panels(board: Any) -> list[Any]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


# ── The runbook ───────────────────────────────────────────────────────────────────────────────────


def test_each_alert_leads_to_its_chapter() -> None:
    runbook = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
    chapters = set(re.findall(r"^#+ (LagoXero\w+)$", runbook, re.MULTILINE))
    assert chapters == {rule["alert"] for rule in alerts()}
    for rule in alerts():
        assert rule["annotations"]["runbook_url"] == f"deploy/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
