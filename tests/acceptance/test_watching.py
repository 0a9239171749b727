"""What operators see: dashboards with data in every panel, and alerts that come and go with what is wrong."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from pathlib import Path

from consumer.adapters.postgres.migrate import migrate
from consumer.metrics import Metrics
from consumer.sandbox.lago import Organization, invoice_event, malformed_records
from consumer.sandbox.services import postgres
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import POLL, SCALE, World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import Tenant
from tests.watching import RULES, Prometheus, panel_queries, prometheus

DEPLOYED = {file.name: file.read_text(encoding="utf-8") for file in RULES}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
RECONCILED = """insert into job (kind, args, result, ended_at)
                values ('reconcile', '{"connection": "acme-nz"}', '{"exceptions": {"amount": 2}}', now())"""


def targets(world: World) -> list[str]:
    """Where the replicas that run serve their metrics."""
    said = [line for replica in world.replicas for line in replica.said()]
    return [f"127.0.0.1:{line['http_port']}" for line in said if line["event"] == "started"]


async def test_no_panel_of_any_dashboard_is_empty(make_world: MakeWorld, tmp_path: Path) -> None:
    """A service with a bit of everything: successes, failures, findings, a client that is refused."""
    other = Organization("5e8c0f3a-3f5e-4c52-9d1d-0f3f4a1c7b22")
    revoked = Tenant("revoked", other.organization_id)
    shop, elsewhere = Shop(), Shop(2, other)
    async with make_world(tenants=[Tenant("acme-nz"), revoked]) as world:
        await world.register(revoked, "another")
        await world.rows(RECONCILED)
        await world.start(2)
        async with prometheus(tmp_path / "prometheus", targets(world), DEPLOYED) as watching:
            await world.until(lambda: _scraped(watching), "both replicas are scraped")
            customer = shop.customer()
            await world.produce(
                [
                    *shop.sold(3, 3),
                    shop.told(customer),
                    shop.billed(shop.unmapped(customer)),
                    elsewhere.told(elsewhere.customer()),
                    malformed_records(invoice_event(shop.invoice(customer), other.organization_id))[
                        0
                    ],
                ]
            )
            await world.until_ingested()
            await world.until(lambda: _parked(watching), "the refused client is seen", 60)
            await world.produce(shop.sold(3, 3))
            empty: list[str] = []

            async def filled() -> bool:
                empty[:] = [
                    f"{query.board}: {query.panel}: {query.expr}"
                    for query in panel_queries()
                    if not await _shows(watching, query.expr)
                ]
                return not empty

            try:
                await world.until(filled, "every panel shows something", 60)
            except AssertionError:
                raise AssertionError("empty:\n" + "\n".join(empty)) from None
            await _labels_are_those_of_the_catalogue(watching)


async def _scraped(watching: Prometheus) -> bool:
    [up] = await watching.query("sum(up) or vector(0)")
    [sampled] = await watching.query("count(lago_xero_sampled_timestamp_seconds > 0) or vector(0)")
    return (up["value"][1], sampled["value"][1]) == ("2", "2")


async def _parked(watching: Prometheus) -> bool:
    found = await watching.query('max(lago_xero_connections{state="parked"})')
    return bool(found) and found[0]["value"][1] == "1"


async def _shows(watching: Prometheus, expression: str) -> bool:
    """Whether some series has a value by now that is a number."""
    asked = expression.replace("$__rate_interval", "1m").replace("$job", ".+")
    return any(math.isfinite(float(one["value"][1])) for one in await watching.query(asked))


async def _labels_are_those_of_the_catalogue(watching: Prometheus) -> None:
    for entry in Metrics().catalogue:
        name = f"{entry.name}_count" if entry.type == "histogram" else entry.name
        for sample in await watching.query(name):
            labels = sample["metric"].keys() - {"__name__", "instance", "job"}
            assert labels == set(entry.labels), entry.name
            for label, values in entry.labels.items():
                if not isinstance(values, str):
                    assert sample["metric"][label] in values, (entry.name, label)


def _faster(rules: Mapping[str, str]) -> dict[str, str]:
    """Rules whose times pass as fast as the service's clocks do in this test; limits stay."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found["number"]) * UNITS[found["unit"]] * SCALE
        return f"{found['before']}{max(1, round(seconds * 1000))}ms"

    times = r"(?P<before>\[|offset |for: )(?P<number>\d+)(?P<unit>[smhd])\b"
    return {name: re.sub(times, shorter, text) for name, text in rules.items()}


async def test_alerts_come_with_an_outage_of_postgres_and_go_with_it(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with postgres(fsync=True) as server:
        template = await server.create_database()
        await migrate(template)
        async with make_world(postgres=server, template=template) as world:
            shop = Shop(seed=11)
            await world.start()
            await world.produce(shop.sold(2, 2))
            await world.settled()
            async with prometheus(
                tmp_path / "prometheus", targets(world), _faster(DEPLOYED)
            ) as watching:

                async def calm() -> bool:
                    [sampled] = await watching.query("max(lago_xero_ledger_up) or vector(0)")
                    return sampled["value"][1] == "1" and not await watching.alerts()

                await world.until(calm, "nothing is wrong")
                await server.stop_server()
                await world.produce(shop.sold(2, 2))
                seen: dict[str, str] = {}

                async def told() -> bool:
                    seen.update(await watching.alerts())
                    firing = {name for name, state in seen.items() if state == "firing"}
                    assert firing <= {"LagoXeroLedgerAway", "LagoXeroNoProgress"}
                    return len(firing) == 2

                try:
                    async with asyncio.timeout(60):
                        while not await told():
                            await asyncio.sleep(POLL)
                finally:
                    await server.start_server()
                await world.settled(60)
                await world.until(calm, "all alerts are over", 60)
                await world.assert_booked(shop.expected)
