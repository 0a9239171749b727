"""The files of Prometheus' rules in, a ``PrometheusRule`` of each for the Prometheus operator out."""

from __future__ import annotations

from pathlib import Path

import yaml

RULES = Path(__file__).parent / "prometheus" / "rules"
HEAD = "# Written by `make dashboards` from ../../../prometheus/rules; do not edit.\n"


class _Plain(yaml.SafeDumper):
    """Without anchors, and with texts of several lines as they are read."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Plain.add_representer(str, _text)


def operator_rules() -> str:
    """One file of them."""
    made = [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {
                "name": f"lago-xero-{path.stem}",
                "labels": {"app.kubernetes.io/name": "lago-xero"},
            },
            "spec": yaml.safe_load(path.read_text(encoding="utf-8")),
        }
        for path in sorted(RULES.glob("*.yml"))
    ]
    return HEAD + yaml.dump_all(
        made, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True, explicit_start=False
    )
