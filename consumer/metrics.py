"""The catalogue of metrics, built on a registry; every name and label stands here.

``deploy/metrics.md`` is written from it. Labels are bounded: each takes its values from a set that is
ours (kinds, states, codes) or that the operator's settings name (topics), never from tenants, customers or
texts. With thousands of connections even their codes would be too many: what a gauge shows as the worst
or the sum of all, ``lago-xero status``, ``documents`` and ``show`` tell by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from consumer.domain.operations import OPERATIONS, DocumentKind

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

Values = tuple[str, ...] | str
"""All values of a label, or, where there is no list of them, what they are."""

KINDS: tuple[str, ...] = get_args(DocumentKind)
SINKS = ("dead_letter", "webhook")
HOLDS = (
    "budget",
    "throttled",
    "unavailable",
    "identity",
    "fault",
    "paused",
    "unconnected",
    "parked",
)
"""What keeps a tenant from being sent to: its paced or spent budget; for a while a 429, a 5xx, the identity
server or a fault of ours; until somebody acts, a person, a consent that is not given, access refused."""
CODES = "the stable codes of failures (deploy/errors.md)"
LEFT = "What is left, from 0 to 1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric as the catalogue describes it."""

    part: str
    name: str
    type: Literal["counter", "gauge", "histogram"]
    text: str
    labels: Mapping[str, Values] = field(default_factory=dict)
    sampled: bool = False
    """Read from the ledger, which all replicas share: each of them shows the same."""


class Metrics:
    """All metrics of one process.

    Counters whose labels have a list of values start at 0, so that the first increase is seen.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.catalogue: list[Entry] = []
        self._part = ""
        self._kafka()
        self._xero()
        self._outcomes()
        self._beside()
        self._ledger()
        self._reconciliation()

    def _kafka(self) -> None:
        self._part = "Kafka"
        self.events = self._counter(
            "events_total",
            "Records read, by outcome.",
            outcome=("merged", "known", "ignored", "dead"),
        )
        self.ingest_seconds = self._histogram(
            "ingest_seconds", "Seconds from a polled batch to its committed transaction.", SECONDS
        )
        self.assigned_partitions = self._gauge(
            "assigned_partitions",
            "Partitions that this process reads.",
            topic="the topics of the settings",
        )
        self.lag = self._gauge(
            "consumer_lag_records",
            "Records from what this process has committed to the end of the partition, at most 10 s old.",
            topic="the topics of the settings", partition="their partitions",
        )  # fmt: skip
        self.position = self._gauge(
            "consumer_position", "Offset up to which this process has stored and committed.",
            topic="the topics of the settings", partition="their partitions",
        )  # fmt: skip
        self.rebalances = self._counter(
            "rebalances_total", "Assignments received: one on joining, and one for each rebalance."
        )
        self.commit_failures = self._counter(
            "commit_failures_total",
            "Offset commits that failed: the records come again, for nothing.",
        )

    def _xero(self) -> None:
        self._part = "Calls to Xero"
        purposes = (*OPERATIONS, "lookup", "resend", "chart")
        self.calls = self._counter(
            "xero_calls_total", "Calls, by purpose and outcome.", purpose=purposes,
            outcome=("2xx", "3xx", "4xx", "429", "5xx", "not_executed", "no_answer"),
        )  # fmt: skip
        self.call_seconds = self._histogram(
            "xero_call_seconds", "Seconds of one call.", SECONDS, purpose=purposes
        )
        self.throttled = self._counter(
            "xero_throttled_total", "Answers 429, by the limit that Xero names.",
            problem=("minute", "day", "concurrent", "appminute", "other"),
        )  # fmt: skip
        self.batch_size = self._histogram(
            "batch_documents",
            "Documents in one request.",
            (1, 2, 5, 10, 20, 30, 40, 50),
            kind=KINDS,
        )
        self.doubts = self._counter(
            "doubts_total",
            "Requests whose outcome was unknown, by how it ended; unresolved: not yet, and announced.",
            end=("resent", "adopted", "dissolved", "unresolved"),
        )
        self.parked = self._counter(
            "parked_total", "Authorisations and tenants parked, by code.", code=CODES
        )

    def _outcomes(self) -> None:
        self._part = "What became of documents"
        self.documents = self._counter(
            "documents_total", "Documents, by what became of them.", kind=KINDS,
            state=("synced", "removed", "failed", "dissolved"),
        )  # fmt: skip
        self.failures = self._counter("failures_total", "Failures announced, by code.", code=CODES)
        self.accepted_seconds = self._histogram(
            "accepted_seconds", "Seconds from the record's append to Kafka to Xero's acceptance.", SECONDS,
            kind=KINDS,
        )  # fmt: skip
        self.notes = self._counter(
            "notes_total",
            "Facts noted while translating.",
            kind="classes of findings, such as fallback_used",
        )
        self.announced = self._counter(
            "announcements_total",
            "Attempts to announce a failure.",
            sink=SINKS,
            outcome=("sent", "failed"),
        )

    def _beside(self) -> None:
        self._part = "Beside the stream"
        self.questions = self._counter(
            "lago_questions_total", "Questions to Lago's API, by what was asked for.",
            kind=("organization", "customer", "invoice", "invoice_taxes", "credit_note", "credit_note_taxes",
                  "credit", "payments"),
            outcome=("answered", "missing", "refused", "forbidden", "throttled", "unavailable", "unreadable"),
        )  # fmt: skip
        self.charts = self._counter(
            "chart_reads_total", "Charts that fell due.", outcome=("same", "changed", "failed")
        )
        self.pruned = self._counter(
            "pruned_total", "Rows that pruning dropped.",
            what=("announcements", "messages", "requests", "findings", "events"),
        )  # fmt: skip
        self.build = self._gauge(
            "build_info", "1, with the version that runs.", version="the package's version"
        )

    def _ledger(self) -> None:
        self._part = "Ledger"
        self.ledger_up = self._gauge(
            "ledger_up", "1 if Postgres answered this process when it last looked, else 0."
        )
        self.sampled_at = self._gauge(
            "sampled_timestamp_seconds",
            "When this process last read the gauges that come from the ledger; while Postgres is away they"
            " stay as they were.",
        )
        self.waiting = self._sampled(
            "ledger_documents", "Documents by state; those that are settled are not counted.", kind=KINDS,
            state=("waiting", "ready", "sending", "failed"),
        )  # fmt: skip
        self.ready = self._sampled(
            "ready_documents", "Documents that are to be sent, by what keeps them.",
            reason=("ready", "backoff", *HOLDS),
        )  # fmt: skip
        self.oldest_ready_seconds = self._sampled(
            "oldest_ready_seconds",
            "Age of the oldest document that nothing but its tenant keeps from being sent; 0: none.",
            reason=("ready", *HOLDS),
        )  # fmt: skip
        self.failed = self._sampled(
            "failed_documents", "Documents that stand as failed.", code=CODES
        )
        self.dead = self._sampled("dead_records", "Records that could not be read.", code=CODES)
        self.tenants = self._sampled(
            "tenants", "Tenants by what keeps them; open: nothing.", state=("open", *HOLDS)
        )
        self.day_spent = self._sampled("tenants_day_spent", "Tenants with no call left today.")
        self.day_left = self._sampled(
            "day_budget_left_ratio", f"{LEFT}, of the day of the tenant with the least."
        )
        self.minute_left = self._sampled(
            "minute_budget_left_ratio", f"{LEFT}, of the minute of the tenant with the least."
        )
        self.client_minute_left = self._sampled(
            "client_minute_budget_left_ratio",
            f"{LEFT}, of the minute of the client id with the least.",
        )
        self.in_flight = self._sampled("xero_calls_in_flight", "Calls that may be under way.")
        self.in_doubt = self._sampled(
            "requests_in_doubt", "Requests whose outcome is not known yet."
        )
        self.oldest_doubt_seconds = self._sampled(
            "oldest_doubt_seconds", "Age of the oldest of them; 0: none."
        )
        self.connections = self._sampled(
            "connections",
            "Connections by state.",
            state=("open", "paused", "unconnected", "parked"),
        )
        self.outbox = self._sampled("outbox", "Announcements not yet made.", sink=SINKS)
        self.oldest_announcement_seconds = self._sampled(
            "oldest_announcement_seconds", "Age of the oldest of them; 0: none.", sink=SINKS
        )
        self.findings = self._sampled(
            "open_findings",
            "Open findings. Alarms about a chart are chart_broke_mapping and tax_rate_differs; what Xero had"
            " twice is surplus.",
            **{"class": "classes of findings (deploy/accounting.md)"},
        )

    def _reconciliation(self) -> None:
        self._part = "Reconciliation"
        self.exceptions = self._sampled(
            "reconcile_exceptions", "Exceptions in the newest completed run of each connection.",
            **{"class": "classes of exceptions"},
        )  # fmt: skip
        self.reconcile_age = self._sampled(
            "reconcile_age_seconds",
            "Age of the newest completed run of the connection where that is oldest; 0: no run.",
        )
        self.unreconciled = self._sampled(
            "unreconciled_connections", "Connections that were never reconciled."
        )

    # ── Making them ───────────────────────────────────────────────────────────────────────────────

    def _counter(self, name: str, text: str, **labels: Values) -> Counter:
        made = Counter(f"lago_xero_{name}", text, list(labels), registry=self.registry)
        self._describe(name, "counter", text, labels)
        listed = [values for values in labels.values() if isinstance(values, tuple)]
        if labels and len(listed) == len(labels):
            for each in product(*listed):
                made.labels(*each)
        return made

    def _gauge(self, name: str, text: str, **labels: Values) -> Gauge:
        self._describe(name, "gauge", text, labels)
        return Gauge(f"lago_xero_{name}", text, list(labels), registry=self.registry)

    def _sampled(self, name: str, text: str, **labels: Values) -> Gauge:
        self._describe(name, "gauge", text, labels, sampled=True)
        return Gauge(f"lago_xero_{name}", text, list(labels), registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], **labels: Values
    ) -> Histogram:
        self._describe(name, "histogram", text, labels)
        return Histogram(
            f"lago_xero_{name}", text, list(labels), registry=self.registry, buckets=buckets
        )

    def _describe(
        self,
        name: str,
        type: Literal["counter", "gauge", "histogram"],
        text: str,
        labels: Mapping[str, Values],
        *,
        sampled: bool = False,
    ) -> None:
        self.catalogue.append(Entry(self._part, f"lago_xero_{name}", type, text, labels, sampled))
