"""The demo: nothing in; a real run of the consumer against a simulated Xero, shown and checked, out.

Starts Kafka, Postgres and the simulated Xero, applies two connections, produces about 200 Lago
events, runs ``lago-xero run`` as its own process and compares what came of them with what must.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer
from cryptography.fernet import Fernet
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from consumer.sandbox.demo_report import Outcome, outcome, show
from consumer.sandbox.lago import Expected, Organization, Record, demo_events
from consumer.sandbox.services import ServiceUnavailable, kafka, postgres
from consumer.sandbox.up import TOPICS, write_env_file
from consumer.sandbox.xero import Simulator, serve

PATIENCE = 180.0
"""Seconds for everything to settle."""
CURRENCIES = ("NZD", "USD", "EUR", "GBP", "JPY", "HUF", "KWD")
TAXES = "{vat_20: OUTPUT2, gst_15: OUTPUT15, vat_5: RROUTPUT, vat_0: ZERORATED}"


class Mismatch(Exception):
    """What came of the events is not what must."""


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m consumer.sandbox.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything up until Ctrl-C")
    keep = parser.parse_args().keep
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        asyncio.run(_demo(console, keep))
    except (ServiceUnavailable, Mismatch) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _demo(console: Console, keep: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="lago-xero-demo-") as folder:
        place = Path(folder)
        console.print("starting Kafka, Postgres and the simulated Xero")
        async with kafka() as broker, postgres() as server, serve() as xero:
            for topic, partitions in TOPICS.items():
                await broker.create_topic(topic, partitions)
            url = await server.create_database()
            organization = Organization()
            settings = {
                "LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
                "LAGO_XERO_DATABASE_URL": url,
                "LAGO_XERO_XERO_API_URL": xero.api_url,
                "LAGO_XERO_XERO_IDENTITY_URL": xero.identity_url,
                "LAGO_XERO_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
                "LAGO_XERO_HTTP_PORT": "0",
                "LAGO_XERO_HTTP_HOST": "127.0.0.1",
                "DEMO_XERO_SECRET": "demo-secret",
            }
            connections = place / "connections.yaml"
            connections.write_text(await _connections(xero, organization))
            env = {**os.environ, **settings}
            await _command(console, env, "migrate")
            await _command(console, env, "apply", "-f", str(connections))
            records, expected = demo_events(organization=organization)
            await _produce(broker.bootstrap_servers, records)
            console.print(f"produced {len(records)} Lago events to lago.webhooks")
            database = await asyncpg.connect(url)
            async with _consumer(env, place / "consumer.log"):
                await _settled(database, expected, place / "consumer.log")
                result = await outcome(database, xero.control_url, len(records))
                show(console, result, expected)
                if keep:
                    await _keep(console, place, settings, xero)
            await database.close()
        _check(result, expected)
    console.print(result.last_line, soft_wrap=True)


async def _connections(xero: Simulator, organization: Organization) -> str:
    """Two Xero organisations with a client each, and the file that connects them."""
    parts = ["connections:"]
    async with httpx.AsyncClient(base_url=xero.control_url) as control:
        for code, currency in (("acme-nz", "NZD"), ("acme-eu", "EUR")):
            tenant_id = str(uuid4())
            tenant = {
                "tenant_id": tenant_id,
                "name": code,
                "country_code": "NZ",
                "base_currency": currency,
                "currencies": list(CURRENCIES),
            }
            client = {
                "client_id": f"demo-{code}",
                "client_secret": "demo-secret",
                "tenant_ids": [tenant_id],
            }
            (await control.post("/tenants", json=tenant)).raise_for_status()
            (await control.post("/clients", json=client)).raise_for_status()
            parts.append(
                f"""\
  - code: {code}
    organization_id: {organization.organization_id}
    xero:
      tenant_id: {tenant_id}
      client_id: demo-{code}
      client_secret: {{env: DEMO_XERO_SECRET}}
    serves: {{billing_entities: [{code}]}}
    mappings:
      fallback_item: {{item: LAGO, account: "200"}}
      payment_account: "880"
      subscription_fee: {{item: SUB}}
      minimum_commitment: {{item: MIN}}
      coupon: {{item: DISC}}
      prepaid_credit: {{item: PREPAID, account: "825"}}
      credit_note: {{item: CN}}
      no_tax: ZERORATED
      outside_tax: NONE
      taxes: {TAXES}
      billable_metrics: {{storage: {{item: STOR}}, seats: {{item: SEATS}}}}
      add_ons: {{setup: {{item: SETUP}}}}"""
            )
    return "\n".join(parts) + "\n"


def _executable() -> str:
    """The installed command beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name("lago-xero")
    found = str(beside) if beside.exists() else shutil.which("lago-xero")
    if found is None:
        raise Mismatch("The command lago-xero is not installed; run make demo.")
    return found


async def _command(console: Console, env: Mapping[str, str], *arguments: str) -> None:
    console.print(f"$ lago-xero {' '.join(arguments[:2])}", style="bold")
    process = await asyncio.create_subprocess_exec(_executable(), *arguments, env=dict(env))
    if await process.wait():
        raise Mismatch(f"lago-xero {arguments[0]} failed; its message stands above.")


async def _produce(bootstrap: str, records: list[Record]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for record in records:
            await producer.send(
                "lago.webhooks", key=record.key, value=record.value, headers=list(record.headers)
            )
        await producer.flush()


@asynccontextmanager
async def _consumer(env: Mapping[str, str], log: Path) -> AsyncIterator[None]:
    """``lago-xero run`` as a process of its own, ended by SIGTERM."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            _executable(), "run", env=dict(env), stdout=sink, stderr=sink
        )
    try:
        yield
        if process.returncode is not None:
            raise Mismatch(f"The consumer ended early with {process.returncode}.")
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 40)
            except TimeoutError:
                process.kill()
                await process.wait()


STATES = "select state, count(*) from document group by state"
OPEN = """
select (select count(*) from document where state in ('ready', 'sending') or cause like 'doc:%')
     + (select count(*) from outbox where done_at is null)
     + (select count(*) from release) + (select count(*) from request where outcome is null)
"""


async def _settled(database: asyncpg.Connection, expected: Expected, log: Path) -> None:
    """Show documents by state until nothing moves any more."""
    wanted = expected.contacts + len(expected.invoices)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True
    ) as progress:
        task = progress.add_task("the consumer joins the group", total=None)
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    rows = await database.fetch(STATES)
                    states = {row["state"]: row["count"] for row in rows}
                    if states:
                        shown = " · ".join(f"{n} {state}" for state, n in sorted(states.items()))
                        progress.update(task, description=shown)
                    if states.get("synced", 0) >= wanted and not await database.fetchval(OPEN):
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            tail = _tail(log)
            raise Mismatch(f"Not settled within {PATIENCE:.0f} s. The log ends:\n{tail}") from None


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def _check(result: Outcome, expected: Expected) -> None:
    problems = result.problems(expected)
    if problems:
        raise Mismatch("The demo's outcome is wrong:\n  " + "\n  ".join(problems))


async def _keep(
    console: Console, place: Path, settings: Mapping[str, str], xero: Simulator
) -> None:
    env_file = place / "demo.env"
    write_env_file(env_file, settings)
    console.print(
        f"\nEverything stays up until Ctrl-C. In another shell:\n"
        f"  set -a; . {env_file}; set +a\n"
        f"  .venv/bin/lago-xero status\n"
        f"  .venv/bin/lago-xero documents --state failed\n"
        f"  .venv/bin/lago-xero sandbox produce\n"
        f"  curl {xero.control_url}/arrivals\n"
        f"  tail -f {place / 'consumer.log'}",
        soft_wrap=True,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
