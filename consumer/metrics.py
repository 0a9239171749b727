"""The catalogue of metrics, built on a registry; every name and label stands here."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """All metrics of one process. Labels are bounded: kinds, codes, states, never tenants."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.events = Counter(
            "lago_xero_events_total",
            "Records read, by outcome: merged, known, ignored, dead.",
            ["outcome"],
            registry=r,
        )
        self.ingest_seconds = Histogram(
            "lago_xero_ingest_seconds",
            "Seconds from a polled batch to its committed transaction.",
            registry=r,
            buckets=SECONDS,
        )
        self.calls = Counter(
            "lago_xero_xero_calls_total",
            "Calls to Xero, by purpose and outcome (2xx, 4xx, 429, 5xx, not_executed, no_answer).",
            ["purpose", "outcome"],
            registry=r,
        )
        self.call_seconds = Histogram(
            "lago_xero_xero_call_seconds",
            "Seconds of one call to Xero.",
            ["purpose"],
            registry=r,
            buckets=SECONDS,
        )
        self.batch_size = Histogram(
            "lago_xero_batch_documents",
            "Documents in one request.",
            ["kind"],
            registry=r,
            buckets=(1, 2, 5, 10, 20, 30, 40, 50),
        )
        self.documents = Counter(
            "lago_xero_documents_total",
            "Documents by kind and what became of them: synced, removed, failed, dissolved.",
            ["kind", "state"],
            registry=r,
        )
        self.failures = Counter(
            "lago_xero_failures_total", "Failures announced, by code.", ["code"], registry=r
        )
        self.accepted_seconds = Histogram(
            "lago_xero_accepted_seconds",
            "Seconds from the record's append to Kafka to Xero's acceptance.",
            ["kind"],
            registry=r,
            buckets=SECONDS,
        )
        self.notes = Counter(
            "lago_xero_notes_total",
            "Facts noted while translating: fallback_used, tax_override, ….",
            ["kind"],
            registry=r,
        )
        self.announced = Counter(
            "lago_xero_announcements_total",
            "Announcements by sink and outcome: sent, failed.",
            ["sink", "outcome"],
            registry=r,
        )
        self.doubts = Counter(
            "lago_xero_doubts_total",
            "Requests whose outcome was unknown, by how it ended: resent, adopted, dissolved;"
            " unresolved: not yet, and announced.",
            ["end"],
            registry=r,
        )
        self.parked = Counter(
            "lago_xero_parked_total", "Authorisations parked, by code.", ["code"], registry=r
        )
        self.charts = Counter(
            "lago_xero_chart_reads_total",
            "Charts that fell due, by outcome: same, changed, failed.",
            ["outcome"],
            registry=r,
        )
        self.pruned = Counter(
            "lago_xero_pruned_total",
            "Rows that pruning dropped: announcements, messages, requests, findings, events.",
            ["what"],
            registry=r,
        )
        self.questions = Counter(
            "lago_xero_lago_questions_total",
            "Questions to Lago's API, by what was asked for and outcome: answered, missing, refused,"
            " forbidden, throttled, unavailable, unreadable.",
            ["kind", "outcome"],
            registry=r,
        )
        self.commit_failures = Counter(
            "lago_xero_commit_failures_total", "Offset commits that failed.", registry=r
        )
        self.waiting = Gauge(
            "lago_xero_ledger_documents",
            "Documents by kind and state, sampled.",
            ["kind", "state"],
            registry=r,
        )
        self.oldest_ready_seconds = Gauge(
            "lago_xero_oldest_ready_seconds",
            "Age of the oldest document that could be sent but for its tenant, by reason.",
            ["reason"],
            registry=r,
        )
        self.paused = Gauge(
            "lago_xero_paused_connections",
            "Connections that a person has paused, sampled.",
            registry=r,
        )
        self.outbox = Gauge(
            "lago_xero_outbox",
            "Announcements not yet made, by sink, sampled.",
            ["sink"],
            registry=r,
        )
