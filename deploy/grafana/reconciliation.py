"""The dashboard of reconciliation: do Xero's books say what the ledger says, and when was that looked at."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import dashboard, lines, rate, sampled, stat

M = "lago_xero_"


def reconciliation() -> Dashboard:
    """The newest completed run of each connection, and what was found without one."""
    return dashboard(
        "lago-xero-reconciliation",
        "lago-xero: reconciliation",
        "The newest completed run of each connection; lago-xero reconcile shows them one by one.",
        {
            "Newest runs": [
                stat("Exceptions", "none",
                     f"sum({sampled(f'{M}reconcile_exceptions', 'class')}) or vector(0)",
                     red_from=1),
                stat("Longest not reconciled", "s", sampled(f"{M}reconcile_age_seconds"), red_from=129600,
                     about="Age of the newest completed run of the connection where that is oldest."),
                stat("Never reconciled", "none", sampled(f"{M}unreconciled_connections"),
                     about="Connections; what they hold is in none of these figures."),
                stat("Totals that differ", "none", _open("totals_differ"), red_from=1),
                stat("Twice in Xero", "none", _open("surplus"), red_from=1),
                stat("Oldest doubt", "s", sampled(f"{M}oldest_doubt_seconds"), red_from=1800),
            ],
            "By class": [
                lines("Exceptions by class", "none",
                      {"{{class}}": sampled(f"{M}reconcile_exceptions", "class")},
                      stacked=True),
                lines("Open findings by class", "none",
                      {"{{class}}": sampled(f"{M}open_findings", "class")},
                      stacked=True),
                lines("Noted while translating", "ops", {"{{kind}}": rate(f"{M}notes_total", "kind")}),
            ],
        },
    )  # fmt: skip


def _open(name: str) -> str:
    """Open findings of one class: where there is none, there is no such label."""
    return sampled(f"{M}open_findings", more=f'class="{name}"') + " or vector(0)"
