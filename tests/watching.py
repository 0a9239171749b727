"""Prometheus for tests: rules and dashboards' queries in, what a real one makes of them out."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from consumer.sandbox.services.processes import KeptProcess, free_port

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
WORDS = {"by", "on", "and", "or", "unless", "offset", "bool", "without", "ignoring"}


def program(name: str) -> str:
    """Where ``prometheus`` or ``promtool`` is; without it the test fails, it is never skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(
            f"{name} is missing: install Prometheus (Debian: apt install prometheus).",
            pytrace=False,
        )
    return found


# ── What is deployed ──────────────────────────────────────────────────────────────────────────────


def _groups() -> Iterator[dict[str, Any]]:
    """Recording rules first: alerts build upon them."""
    for file in sorted(RULES, key=lambda path: path.stem != "recording"):
        yield from yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]


def groups() -> list[str]:
    """The names of the rules' groups, in the order in which they build upon one another."""
    return [group["name"] for group in _groups()]


def rules() -> Iterator[dict[str, Any]]:
    """All rules, in order."""
    for group in _groups():
        yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    """All alert rules, in order."""
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> dict[str, str]:
    """Recording rules: name → expression."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    board: str
    panel: str
    expr: str


def panel_queries() -> list[Query]:
    """All queries of all dashboards."""
    return [
        Query(file.stem, panel["title"], target["expr"])
        for file in BOARDS
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
        for target in panel.get("targets", ())
    ]


def queries() -> list[str]:
    """Their expressions."""
    return [query.expr for query in panel_queries()]


def metrics_of(expression: str) -> set[str]:
    """The names of the metrics that an expression asks for."""
    bare = re.sub(r"\"[^\"]*\"|\{[^}]*\}|\[[^\]]*\]", " ", expression)
    bare = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"[A-Za-z_:][\w:]*(?!\s*[\w:]*\()", re.sub(r"\b\d\w*|\b\w+\s*\(", " ", bare))
    return set(names) - WORDS


# ── A real one ────────────────────────────────────────────────────────────────────────────────────


class Prometheus:
    """One that runs; all over HTTP."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def query(self, expression: str) -> list[Any]:
        """The samples of an instant query; an expression that it does not take is an error."""
        answer = await self.client.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        data = answer.json()["data"]
        return list(data["result"]) if data["resultType"] == "vector" else [data["result"]]

    async def alerts(self) -> dict[str, str]:
        """Names of alerts that are pending or firing; the more urgent state of each."""
        found: dict[str, str] = {}
        for alert in (await self.client.get("/api/v1/alerts")).json()["data"]["alerts"]:
            name = alert["labels"]["alertname"]
            found[name] = max(
                alert["state"], found.get(name, ""), key=["", "pending", "firing"].index
            )
        return found


@asynccontextmanager
async def prometheus(
    directory: Path, targets: Sequence[str], files: Mapping[str, str], interval: str = "500ms"
) -> AsyncIterator[Prometheus]:
    """Scrape these targets as the deployed configuration says, only oftener; ``files`` are the rules."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": list(targets)}]
    (directory / "rules").mkdir(parents=True)
    for name, content in files.items():
        (directory / "rules" / name).write_text(content, encoding="utf-8")
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    process = await KeptProcess.start(
        [
            program("prometheus"),
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        log=directory / "prometheus.log",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            async with asyncio.timeout(30):
                while not await _ready(client):
                    await asyncio.sleep(0.1)
            yield Prometheus(client)
    finally:
        await process.close()


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False
