"""The catalogue of metrics in, ``deploy/metrics.md`` out."""

from __future__ import annotations

from itertools import groupby

from consumer.metrics import Entry, Metrics, Values

HEAD = """\
# Metrics

*Written by `make dashboards` from `consumer/metrics.py`; do not edit.*

Every replica serves them at `/metrics` on `LAGO_XERO_HTTP_PORT`. Labels are bounded: kinds, states, codes and
the topics of the settings; no tenant, no connection, no customer. Those marked **ledger** are read from
Postgres every 15 seconds (less often where that takes long: a twentieth of the time at most). Replicas share
the ledger, so each shows the same: take `max()` of them, not `sum()`. All others are each process's own.
`process_*` (CPU, memory, file descriptors, start) are those of the Prometheus client.

Rules and alerts stand in `prometheus/`, dashboards in `grafana/`; `runbook.md` says what to do, `errors.md`
what a code means.
"""


def page() -> str:
    """The whole file."""
    parts = [HEAD]
    for part, entries in groupby(Metrics().catalogue, key=lambda entry: entry.part):
        parts.append(
            f"## {part}\n\n| metric | type | |\n|---|---|---|\n" + "".join(map(_row, entries))
        )
    return "\n".join(parts)


def _row(entry: Entry) -> str:
    labels = f"{{{','.join(entry.labels)}}}" if entry.labels else ""
    type = f"{entry.type}, **ledger**" if entry.sampled else entry.type
    told = "".join(f" `{name}`: {_values(values)}." for name, values in entry.labels.items())
    return f"| `{entry.name}{labels}` | {type} | {entry.text}{told} |\n"


def _values(values: Values) -> str:
    return values if isinstance(values, str) else ", ".join(values)
