"""What is made from the code in deploy/: the page of metrics and Grafana's dashboards.

``python -m deploy.generate`` writes them; with ``--check`` it only says whether they are current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.reconciliation import reconciliation
from deploy.grafana.service import service
from deploy.grafana.tenants import tenants
from deploy.metrics import page

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Path below ``deploy`` → content, deterministic."""
    boards = {"service": service, "tenants": tenants, "reconciliation": reconciliation}
    return {
        "metrics.md": page(),
        **{
            f"grafana/dashboards/{name}.json": json.dumps(
                made().build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
            )
            + "\n"
            for name, made in boards.items()
        },
    }


def drift() -> list[str]:
    """Files that are missing, outdated or left over."""
    wanted = files()
    there = {f"grafana/dashboards/{path.name}" for path in FOLDER.glob("grafana/dashboards/*")}
    found = {
        name: (FOLDER / name).read_text(encoding="utf-8")
        for name in wanted.keys() | there
        if (FOLDER / name).exists()
    }
    return sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )


def write() -> None:
    """Make ``deploy`` hold exactly the current ones."""
    wanted = files()
    for path in FOLDER.glob("grafana/dashboards/*"):
        if f"grafana/dashboards/{path.name}" not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(content, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 when ``--check`` finds drift, 2 on unknown arguments."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m deploy.generate [--check]\n")
        return 2
    if not arguments:
        write()
        return 0
    if names := drift():
        sys.stderr.write(f"Run `make dashboards`: {', '.join(names)} differ from the code.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
