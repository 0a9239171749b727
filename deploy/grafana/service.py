"""The dashboard of the service: does it read, does it send, what fails, what does it use."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import OURS, dashboard, lines, quantiles, rate, sampled, stat

M = "lago_xero_"


def service() -> Dashboard:
    """From Kafka to Xero, in the order in which a document passes."""
    return dashboard(
        "lago-xero-service",
        "lago-xero: service",
        "Does it read, does it send, what fails. Alerts: deploy/runbook.md.",
        {
            "At a glance": [
                stat("Alerts firing", "none",
                     'count(ALERTS{alertname=~"LagoXero.+",alertstate="firing"}) or vector(0)', red_from=1),
                stat("Replicas", "none", f"sum(up{{{OURS}}})", red_below=1, legend="up"),
                stat("Postgres", "none", f"min({M}ledger_up{{{OURS}}})", red_below=1,
                     about="0: some replica cannot reach it."),
                stat("Records behind", "none", f"sum(lago_xero:consumer_lag_records:sum{{{OURS}}})",
                     about="Not yet stored and committed."),
                stat("Oldest sendable document", "s",
                     sampled(f"{M}oldest_ready_seconds", more='reason="ready"'),
                     red_from=300, about="Of those that nothing keeps; 0: none."),
                stat("Failed documents", "none",
                     f"sum({sampled(f'{M}failed_documents', 'code')}) or vector(0)"),
            ],
            "Reading": [
                lines("Records by outcome", "ops", {"{{outcome}}": rate(f"{M}events_total", "outcome")},
                      about="known: seen before, changes nothing; ignored: a type that says nothing to us."),
                lines("Lag by partition", "none",
                      {"{{topic}}/{{partition}}": sampled(f"{M}consumer_lag_records", "topic, partition")}),
                quantiles("Seconds to store a batch", f"{M}ingest_seconds"),
                lines("Position by partition", "none",
                      {"{{topic}}/{{partition}}": sampled(f"{M}consumer_position", "topic, partition")}),
                lines("Partitions by replica", "none",
                      {"{{instance}}": f"sum by (instance) ({M}assigned_partitions{{{OURS}}})"}),
                lines("Rebalances and failed commits", "ops",
                      {"assignments": rate(f"{M}rebalances_total"),
                       "failed commits": rate(f"{M}commit_failures_total")}),
            ],
            "Sending": [
                quantiles("Seconds from Kafka to Xero", f"{M}accepted_seconds",
                          about="From the record's append to Xero's acceptance."),
                lines("Documents by what became of them", "ops",
                      {"{{state}}": rate(f"{M}documents_total", "state")},
                      about="dissolved: certainly not in Xero, sent again."),
                lines("Documents not yet settled", "none",
                      {"{{state}}": f"sum by (state) ({sampled(f'{M}ledger_documents', 'kind, state')})"},
                      stacked=True),
                lines("Documents to be sent, by what keeps them", "none",
                      {"{{reason}}": sampled(f"{M}ready_documents", "reason")}, stacked=True),
                lines("Oldest document, by what keeps it", "s",
                      {"{{reason}}": sampled(f"{M}oldest_ready_seconds", "reason")}),
                lines("Time with a late document", "percentunit",
                      {"last hour": f"lago_xero:late:ratio1h{{{OURS}}}",
                       "last six hours": f"lago_xero:late:ratio6h{{{OURS}}}"},
                      about="Older than five minutes though nothing keeps it; a month allows 0.5 %."),
            ],
            "Xero": [
                lines("Calls by outcome", "ops", {"{{outcome}}": rate(f"{M}xero_calls_total", "outcome")}),
                lines("Calls by purpose", "ops", {"{{purpose}}": rate(f"{M}xero_calls_total", "purpose")},
                      stacked=True),
                quantiles("Seconds of a call", f"{M}xero_call_seconds"),
                lines("Documents in a request", "none",
                      {"{{kind}}": f"{rate(f'{M}batch_documents_sum', 'kind')} / "
                                   f"{rate(f'{M}batch_documents_count', 'kind')}"}, about="Average."),
                lines("Calls under way and in doubt", "none",
                      {"under way": sampled(f"{M}xero_calls_in_flight"),
                       "in doubt": sampled(f"{M}requests_in_doubt")}),
                lines("How doubt ended", "ops", {"{{end}}": rate(f"{M}doubts_total", "end")}),
            ],
            "Failures": [
                lines("Failures announced, by code", "ops", {"{{code}}": rate(f"{M}failures_total", "code")},
                      stacked=True),
                lines("Documents that stand as failed, by code", "none",
                      {"{{code}}": sampled(f"{M}failed_documents", "code")}, stacked=True,
                      about="lago-xero documents --state failed lists them."),
                lines("Records that could not be read, by code", "none",
                      {"{{code}}": sampled(f"{M}dead_records", "code")}, stacked=True,
                      about="lago-xero dead-letters list --kind event lists them."),
                lines("Announcements", "ops",
                      {"{{sink}} {{outcome}}": rate(f"{M}announcements_total", "sink, outcome")}),
                lines("Announcements not yet made", "none", {"{{sink}}": sampled(f"{M}outbox", "sink")}),
                lines("Oldest announcement", "s",
                      {"{{sink}}": sampled(f"{M}oldest_announcement_seconds", "sink")}),
            ],
            "Process": [
                lines("Processor", "percentunit",
                      {"{{instance}}": f"rate(process_cpu_seconds_total{{{OURS}}}[$__rate_interval])"},
                      about="Of one core."),
                lines("Memory", "bytes", {"{{instance}}": f"process_resident_memory_bytes{{{OURS}}}"}),
                lines("Age of the ledger's gauges", "s",
                      {"{{instance}}": f"time() - {M}sampled_timestamp_seconds{{{OURS}}}"}),
                lines("Replicas by version", "none",
                      {"{{version}}": f"count by (version) ({M}build_info{{{OURS}}})"}),
                lines("Rows pruned", "ops", {"{{what}}": rate(f"{M}pruned_total", "what")}),
                lines("Questions to Lago's API", "ops",
                      {"{{outcome}}": rate(f"{M}lago_questions_total", "outcome")}),
            ],
        },
    )  # fmt: skip
