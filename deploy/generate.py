"""What is made from the code in deploy/: the pages of metrics and of error codes, Grafana's dashboards; and
from the files of Prometheus' rules the same as its operator takes them.

``python -m deploy.generate`` writes them; with ``--check`` it only says whether they are current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy import errors
from deploy.grafana.reconciliation import reconciliation
from deploy.grafana.service import service
from deploy.grafana.tenants import tenants
from deploy.metrics import page
from deploy.operator_rules import operator_rules
from schemas.generated import Generated

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Path below ``deploy`` → content, deterministic."""
    boards = {"service": service, "tenants": tenants, "reconciliation": reconciliation}
    return {
        "metrics.md": page(),
        "errors.md": errors.page(),
        "kubernetes/components/monitoring/rules.yaml": operator_rules(),
        **{
            f"grafana/dashboards/{name}.json": json.dumps(
                made().build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
            )
            + "\n"
            for name, made in boards.items()
        },
    }


def generated() -> Generated:
    """They as they are to be."""
    own = "grafana/dashboards/*"
    return Generated(FOLDER, files(), own, "deploy.generate", "dashboards", "code")


if __name__ == "__main__":
    sys.exit(generated().main(sys.argv[1:]))
