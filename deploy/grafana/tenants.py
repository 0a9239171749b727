"""The dashboard of tenants: who is kept from being sent to, by what, and how much of the limits is left."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import dashboard, lines, rate, sampled, stat

M = "lago_xero_"


def tenants() -> Dashboard:
    """All tenants together: which one it is, ``lago-xero status`` and ``connections`` tell."""
    return dashboard(
        "lago-xero-tenants",
        "lago-xero: tenants",
        "All tenants together; which one it is, lago-xero status and lago-xero connections tell.",
        {
            "Now": [
                stat("Connections parked", "none", sampled(f"{M}connections", more='state="parked"'),
                     red_from=1, about="Xero refuses our access."),
                stat("Connections without consent", "none",
                     sampled(f"{M}connections", more='state="unconnected"'),
                     about="Nobody has let us in yet: lago-xero connect."),
                stat("Connections paused", "none", sampled(f"{M}connections", more='state="paused"')),
                stat("Least left of a day", "percentunit", f"min({sampled(f'{M}day_budget_left_ratio')})",
                     red_below=0.1),
                stat("Tenants whose day is spent", "none", sampled(f"{M}tenants_day_spent"), red_from=1),
                stat("Alarms about charts", "none",
                     f"sum({sampled(f'{M}open_findings', 'class', ALARMS)}) or vector(0)", red_from=1),
            ],
            "Access": [
                lines("Connections by state", "none", {"{{state}}": sampled(f"{M}connections", "state")},
                      stacked=True),
                lines("Tenants by what keeps them", "none", {"{{state}}": sampled(f"{M}tenants", "state")},
                      stacked=True),
                lines("Parked, by code", "ops", {"{{code}}": rate(f"{M}parked_total", "code")}),
            ],
            "Limits": [
                lines("Least left of any tenant's day", "percentunit",
                      {"left": sampled(f"{M}day_budget_left_ratio")}),
                lines("Least left of any minute", "percentunit",
                      {"tenant": sampled(f"{M}minute_budget_left_ratio"),
                       "client id": sampled(f"{M}client_minute_budget_left_ratio")},
                      about="Near 0 with a backlog is as it should be: the limit is used."),
                lines("Answers 429, by limit", "ops",
                      {"{{problem}}": rate(f"{M}xero_throttled_total", "problem")},
                      about="Should stay at 0: we count our calls."),
            ],
            "Waiting": [
                lines("Documents kept by their tenant", "none",
                      {"{{reason}}": sampled(f"{M}ready_documents", "reason", 'reason!~"ready|backoff"')},
                      stacked=True),
                lines("Oldest of them", "s",
                      {"{{reason}}": sampled(f"{M}oldest_ready_seconds", "reason", 'reason!="ready"')}),
                lines("Charts read", "ops", {"{{outcome}}": rate(f"{M}chart_reads_total", "outcome")}),
            ],
        },
    )  # fmt: skip


ALARMS = 'class=~"chart_broke_mapping|tax_rate_differs"'
