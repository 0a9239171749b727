"""The alert rules, tried by promtool: each fires on what it is for, says so, and is quiet otherwise."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.watching import ROOT, RULES, alerts, groups, program

Series = Mapping[str, str]
JOB = 'job="lago-xero"'
A, B = f'{JOB},instance="a"', f'{JOB},instance="b"'


@dataclass(frozen=True)
class Case:
    """``fires`` after ``at`` minutes on these series, a sample a minute; never on the ``quiet`` ones, from
    minute ``since`` on.

    ``labels`` are the alert's beside job and severity, ``told`` what its description fills in.
    """

    name: str
    fires: Series
    at: int
    quiet: Series
    labels: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[str] = ()
    since: int = 0


def sampled(name: str, values: str, labels: str = "") -> Series:
    """A gauge of the ledger from two replicas, which must not count double."""
    more = f",{labels}" if labels else ""
    return {f"lago_xero_{name}{{{one}{more}}}": values for one in (A, B)}


CASES = [
    Case("LagoXeroTargetDown", {f"up{{{A}}}": "1 0x9", f"up{{{B}}}": "1x10"}, 4,
         {f"up{{{A}}}": "1 1 0 1x9"}, {"instance": "a"}, ["a"]),
    Case("LagoXeroRestarting", {f"process_start_time_seconds{{{A}}}": "1+1x15"}, 15,
         {f"process_start_time_seconds{{{A}}}": "1 1 1 9x15", f"up{{{A}}}": "1x20"}, {}, ["15"]),
    Case("LagoXeroLedgerAway",
         {f"lago_xero_ledger_up{{{A}}}": "1 0 0", f"lago_xero_ledger_up{{{B}}}": "1x3"}, 2,
         {f"lago_xero_ledger_up{{{A}}}": "0 1x9"}, {"instance": "a"}, ["a"]),
    Case("LagoXeroSamplesOld",
         {f"lago_xero_sampled_timestamp_seconds{{{A}}}": "0x15", f"lago_xero_ledger_up{{{A}}}": "1x15"}, 10,
         {f"lago_xero_sampled_timestamp_seconds{{{A}}}": "0+60x15", f"lago_xero_ledger_up{{{A}}}": "1x15",
          f"lago_xero_sampled_timestamp_seconds{{{B}}}": "0x15", f"lago_xero_ledger_up{{{B}}}": "0x15"},
         {"instance": "a"}, ["a", "10m 0s"]),
    Case("LagoXeroNobodyConsumes", {f'lago_xero_assigned_partitions{{{A},topic="t"}}': "3 0x9"}, 5,
         {f'lago_xero_assigned_partitions{{{A},topic="t"}}': "0x9",
          f'lago_xero_assigned_partitions{{{B},topic="t"}}': "3x9"}),
    Case("LagoXeroConsumerWithoutPartitions",
         {f'lago_xero_assigned_partitions{{{A},topic="t"}}': "0x20",
          f'lago_xero_assigned_partitions{{{B},topic="t"}}': "3x20"}, 16,
         {f'lago_xero_assigned_partitions{{{A},topic="t"}}': "0x20",
          f'lago_xero_assigned_partitions{{{A},topic="u"}}': "1x20",
          f'lago_xero_assigned_partitions{{{B},topic="t"}}': "3x20"}, {"instance": "a"}, ["a"]),
    Case("LagoXeroNoProgress",
         {f'lago_xero_consumer_lag_records{{{A},topic="t",partition="0"}}': "9x20",
          f'lago_xero_events_total{{{A},outcome="merged"}}': "7x20",
          f'lago_xero_events_total{{{A},outcome="dead"}}': "0x20"}, 11,
         {f'lago_xero_consumer_lag_records{{{A},topic="t",partition="0"}}': "9x20",
          f'lago_xero_events_total{{{A},outcome="merged"}}': "7x20",
          f'lago_xero_events_total{{{A},outcome="dead"}}': "0+1x20"}, {}, ["9"]),
    Case("LagoXeroLagKeepsIncreasing",
         {f'lago_xero_consumer_lag_records{{{A},topic="t",partition="0"}}': "900+60x30",
          f'lago_xero_consumer_lag_records{{{A},topic="t",partition="1"}}': "900+40x30"}, 25,
         {f'lago_xero_consumer_lag_records{{{A},topic="t",partition="0"}}': "9000-60x30",
          f'lago_xero_consumer_lag_records{{{A},topic="t",partition="1"}}': "900+40x30"}, {}, ["500"]),
    Case("LagoXeroRebalancing", {f"lago_xero_rebalances_total{{{A}}}": "0+1x20"}, 15,
         {f"lago_xero_rebalances_total{{{A}}}": "1 2 3x20"}, {}, ["15"]),
    Case("LagoXeroCommitFailures", {f"lago_xero_commit_failures_total{{{A}}}": "0+1x20"}, 15,
         {f"lago_xero_commit_failures_total{{{A}}}": "0 1x20"}, {}, ["10"]),
    Case("LagoXeroDeliveryLateFast", sampled("oldest_ready_seconds", "0x54 400x20", 'reason="ready"'), 62,
         {**sampled("oldest_ready_seconds", "0x58 400 400 0x20", 'reason="ready"'),
          **sampled("oldest_ready_seconds", "9999x90", 'reason="budget"')}, {}, ["13.11%"]),
    Case("LagoXeroDeliveryLateSlow", sampled("oldest_ready_seconds", "0x21 400x40", 'reason="ready"'), 62,
         sampled("oldest_ready_seconds", "0x40 400 0x30", 'reason="ready"'), {}, ["65.08%"]),
    Case("LagoXeroDayBudgetLow", sampled("day_budget_left_ratio", "0.05x9"), 6,
         sampled("day_budget_left_ratio", "0.1x9"), {}, ["5%"]),
    Case("LagoXeroConnectionParked", sampled("connections", "0 2x9", 'state="parked"'), 3,
         {**sampled("connections", "0x9", 'state="parked"'),
          **sampled("connections", "2x9", 'state="unconnected"')},
         {}, ["2"]),
    Case("LagoXeroTenantBlocked", sampled("tenants", "1x15", 'state="unavailable"'), 11,
         {**sampled("tenants", "1x9 0 1x9", 'state="unavailable"'),
          **sampled("tenants", "9x20", 'state="budget"')},
         {"state": "unavailable"}, ["1", "unavailable"]),
    Case("LagoXeroThrottled", {f'lago_xero_xero_throttled_total{{{A},problem="minute"}}': "0 0 1x20"}, 5,
         {f'lago_xero_xero_throttled_total{{{A},problem="minute"}}': "1x20"}, {"problem": "minute"},
         ["1", "minute"]),
    Case("LagoXeroXeroFailing",
         {f'lago_xero_xero_calls_total{{{A},outcome="2xx"}}': "0+60x20",
          f'lago_xero_xero_calls_total{{{A},outcome="5xx"}}': "0+12x20",
          f'lago_xero_xero_calls_total{{{A},outcome="no_answer"}}': "0+6x20"}, 12,
         {f'lago_xero_xero_calls_total{{{A},outcome="2xx"}}': "0+60x20",
          f'lago_xero_xero_calls_total{{{A},outcome="4xx"}}': "0+60x20",
          f'lago_xero_xero_calls_total{{{A},outcome="5xx"}}': "0+6x20"}, {}, ["300m"]),
    Case("LagoXeroDoubtUnresolved", sampled("oldest_doubt_seconds", "1740+60x9"), 8,
         sampled("oldest_doubt_seconds", "1500+60x4 0x9"), {}, ["37m 0s"]),
    Case("LagoXeroLagoRefusesUs",
         {f'lago_xero_lago_questions_total{{{A},kind="invoice",outcome="refused"}}': "0 1x70"}, 60,
         {f'lago_xero_lago_questions_total{{{A},kind="invoice",outcome="missing"}}': "0+1x70",
          f'lago_xero_lago_questions_total{{{A},kind="invoice",outcome="refused"}}': "1x70"},
         {"outcome": "refused"}, ["1", "refused"]),
    Case("LagoXeroDeadLetters",
         {f'lago_xero_announcements_total{{{A},sink="dead_letter",outcome="sent"}}': "0+1x30",
          f'lago_xero_events_total{{{A},outcome="merged"}}': "0+10x30"}, 22,
         {f'lago_xero_announcements_total{{{A},sink="dead_letter",outcome="sent"}}': "0+1x30",
          f'lago_xero_announcements_total{{{A},sink="webhook",outcome="sent"}}': "0+9x30",
          f'lago_xero_events_total{{{A},outcome="merged"}}': "0+30x30"}, {}, ["15"]),
    Case("LagoXeroNewErrorCode",
         {f'lago_xero_failures_total{{{A},code="tax_unmapped"}}': "_x20 1x5"}, 22,
         {f'lago_xero_failures_total{{{A},code="tax_unmapped"}}': "1x30"}, {"code": "tax_unmapped"},
         ["tax_unmapped"], since=16),
    Case("LagoXeroAnnouncementsLate", sampled("oldest_announcement_seconds", "960+60x9", 'sink="webhook"'), 6,
         sampled("oldest_announcement_seconds", "840x9", 'sink="webhook"'), {"sink": "webhook"},
         ["webhook", "22m 0s"]),
    Case("LagoXeroChartAlarm", sampled("open_findings", "3x9", 'class="tax_rate_differs"'), 2,
         sampled("open_findings", "3x9", 'class="fallback_used"'), {"class": "tax_rate_differs"},
         ["3", "tax_rate_differs"]),
    Case("LagoXeroTotalsDiffer", sampled("open_findings", "1x9", 'class="totals_differ"'), 1,
         sampled("open_findings", "0x9", 'class="totals_differ"'), {}, ["1"]),
    Case("LagoXeroSurplus", sampled("open_findings", "1x9", 'class="surplus"'), 1,
         sampled("open_findings", "1x9", 'class="tax_override"'), {}, ["1"]),
    Case("LagoXeroReconcileExceptions",
         {**sampled("reconcile_exceptions", "2x70", 'class="amount"'),
          **sampled("reconcile_exceptions", "1x70", 'class="extra"')}, 61,
         {**sampled("reconcile_exceptions", "2x50 0x20", 'class="amount"')}, {}, ["3"]),
    Case("LagoXeroReconcileStale", sampled("reconcile_age_seconds", "133200x5"), 1,
         sampled("reconcile_age_seconds", "90000x5"), {}, ["1d 13h 0m 0s"]),
]  # fmt: skip
BY_NAME = {case.name: case for case in CASES}


def test_each_alert_has_a_case() -> None:
    assert [rule["alert"] for rule in alerts()] == [case.name for case in CASES]


@pytest.mark.parametrize("name", BY_NAME)
def test_it_fires_and_says_why(name: str, tmp_path: Path) -> None:
    case = BY_NAME[name]
    [rule] = [rule for rule in alerts() if rule["alert"] == name]
    said = iter(case.told)
    description = re.sub(r"\{\{.*?\}\}", lambda _: next(said), rule["annotations"]["description"])
    fired = {
        "exp_labels": {"job": "lago-xero", **rule["labels"], **case.labels},
        "exp_annotations": {**rule["annotations"], "description": description},
    }
    _try(case, case.fires, {case.at: [fired]}, tmp_path)
    assert list(said) == []


@pytest.mark.parametrize("name", BY_NAME)
def test_it_is_quiet_otherwise(name: str, tmp_path: Path) -> None:
    case = BY_NAME[name]
    minutes = range(case.since, case.at + 1)
    _try(case, case.quiet, {minute: [] for minute in minutes}, tmp_path)


def test_no_replica_at_all_is_a_target_that_is_down(tmp_path: Path) -> None:
    case = BY_NAME["LagoXeroTargetDown"]
    [rule] = [rule for rule in alerts() if rule["alert"] == case.name]
    description = re.sub(r"\{\{.*?\}\}", "", rule["annotations"]["description"])
    fired = {
        "exp_labels": rule["labels"],
        "exp_annotations": {**rule["annotations"], "description": description},
    }
    _try(case, {'up{job="something-else"}': "1x9"}, {3: [fired]}, tmp_path)


def test_promtool_takes_the_configuration() -> None:
    _run("check", "config", str(ROOT / "deploy/prometheus/prometheus.yml"))


def _try(
    case: Case, series: Series, expected: Mapping[int, Sequence[Any]], directory: Path
) -> None:
    """Evaluate each minute; ``expected`` are the alerts that fire by then."""
    trial = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "1m",
        "group_eval_order": groups(),
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": v} for name, v in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": case.name, "exp_alerts": alerts}
                    for minute, alerts in expected.items()
                ],
            }
        ],
    }
    file = directory / "trial.yml"
    file.write_text(yaml.safe_dump(trial), encoding="utf-8")
    _run("test", "rules", str(file))


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
