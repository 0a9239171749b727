"""The demo: nothing in; a real run of the consumer against a simulated Xero, shown and checked, out.

Starts Kafka, Postgres and the simulated Xero, applies two connections, produces about 200 Lago
events, runs ``lago-xero run`` as its own process and compares what came of them with what must.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from consumer.sandbox.demo_report import outcome, show
from consumer.sandbox.demo_stage import (
    Mismatch,
    Place,
    command,
    executable,
    running_consumer,
    start,
    tail,
)
from consumer.sandbox.lago import Organization, Record, demo_events
from consumer.sandbox.services import ServiceUnavailable
from consumer.sandbox.services.processes import KeptProcess
from consumer.sandbox.up import write_env_file
from consumer.stopping import on_signals

PATIENCE = 180.0
"""Seconds for everything to settle."""
POLL = 0.1
STATES = "select state, count(*) from document group by state order by state"
OPEN = """
select (select count(*) from document d where state in ('ready', 'sending') or state = 'waiting'
           and not exists (select from document x where d.cause = 'doc:' || x.id and x.state = 'failed'))
     + (select count(*) from outbox where done_at is null)
     + (select count(*) from release) + (select count(*) from request where outcome is null)
"""
STANDING = """
select kind || ' ' || coalesce(number, lago_id::text) || ': ' || state || coalesce(', ' || cause, '')
  from document where state in ('waiting', 'ready', 'sending') order by 1 limit 10
"""

Ends = Mapping[TopicPartition, int]


def main() -> int:
    """Run it; the exit code: 0 as expected, 1 not, 128 + n after signal n."""
    parser = argparse.ArgumentParser(prog="python -m consumer.sandbox.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything up until Ctrl-C")
    keep = parser.parse_args().keep
    console = Console(highlight=False)
    try:
        asyncio.run(_demo(console, keep))
    except (ServiceUnavailable, Mismatch) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    return 0


async def _demo(console: Console, keep: bool) -> None:
    me = asyncio.current_task()
    assert me is not None
    # As Ctrl-C does: everything is stopped on the way out.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    async with AsyncExitStack() as stack:
        organization = Organization()
        place = await start(stack, console, organization)
        await command(console, place, "migrate")
        await command(console, place, "apply", "-f", str(place.connections))
        records, expected = demo_events(organization=organization)
        ends = await _produce(place, records)
        console.print(f"produced {len(records)} Lago events to {place.setting('KAFKA_TOPICS')}")
        database = await asyncpg.connect(place.setting("DATABASE_URL"))
        stack.push_async_callback(database.close)
        consumer = await stack.enter_async_context(running_consumer(console, place))
        await _settled(database, place, ends, consumer)
        result = await outcome(database, place.xero.control_url, place.receiver, len(records))
        show(console, result, expected)
        if problems := result.problems(expected):
            raise Mismatch("The demo's outcome is wrong:\n  " + "\n  ".join(problems))
        if keep:
            await _keep(console, place)
        await stack.aclose()
        console.print(result.last_line, soft_wrap=True)


async def _produce(place: Place, records: list[Record]) -> Ends:
    """Append the records; returns the partitions' new ends."""
    ends = {}
    producer = AIOKafkaProducer(
        bootstrap_servers=place.setting("KAFKA_BOOTSTRAP_SERVERS"), acks="all"
    )
    async with producer:
        sent = [
            await producer.send(
                place.setting("KAFKA_TOPICS"),
                key=record.key,
                value=record.value,
                headers=list(record.headers),
            )
            for record in records
        ]
        for future in sent:
            told = await future
            ends[TopicPartition(told.topic, told.partition)] = told.offset + 1
    return ends


async def _settled(
    database: asyncpg.Connection,
    place: Place,
    ends: Ends,
    consumer: KeptProcess,
) -> None:
    """Show documents by state until every record is ingested and nothing moves any more."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("the consumer joins its group", total=None)
        ingested = False
        try:
            async with asyncio.timeout(PATIENCE):
                while not ingested or await database.fetchval(OPEN):
                    if not consumer.running:
                        raise Mismatch(f"The consumer ended by itself. {tail(place.log)}")
                    if states := await database.fetch(STATES):
                        shown = " · ".join(f"{number} {state}" for state, number in states)
                        progress.update(task, description=shown)
                    ingested = ingested or await _ingested(place, ends)
                    await asyncio.sleep(POLL)
        except TimeoutError:
            standing = [row[0] for row in await database.fetch(STANDING)]
            raise Mismatch(
                f"Not settled within {PATIENCE:.0f} s; "
                + ("not all records are ingested. " if not ingested else "")
                + "".join(f"\n  {line}" for line in standing)
                + f"\n{tail(place.log)}"
            ) from None


async def _ingested(place: Place, ends: Ends) -> bool:
    """Whether the group has committed all that was produced."""
    admin = AIOKafkaAdminClient(bootstrap_servers=place.setting("KAFKA_BOOTSTRAP_SERVERS"))
    try:
        await admin.start()
        committed = await admin.list_consumer_group_offsets(place.setting("KAFKA_GROUP_ID"))
    except KafkaError:  # the group has no coordinator yet
        return False
    finally:
        await admin.close()
    return all(part in committed and committed[part].offset >= end for part, end in ends.items())


async def _keep(console: Console, place: Place) -> None:
    """Tell how everything is reached, and wait for Ctrl-C."""
    env_file = place.directory / "demo.env"
    write_env_file(env_file, place.settings)
    lago_xero = executable()
    console.print(
        f"\nEverything stays up until Ctrl-C. In another shell:\n"
        f"  set -a; . {env_file}; set +a\n"
        f"  {lago_xero} status\n"
        f"  {lago_xero} documents --state failed\n"
        f"  {lago_xero} show AEU2026-002-004\n"
        f"  {lago_xero} sandbox produce   # the same events again: no further call to Xero\n"
        f"  {lago_xero} apply -f {place.connections}   # after a change\n"
        f"  curl http://127.0.0.1:{place.setting('HTTP_PORT')}/metrics\n"
        f"  curl {place.xero.control_url}/tenants   # likewise /arrivals and /books/TENANT_ID\n"
        f"  {lago_xero} reconcile --connection acme-nz --period 2026-01-01..2026-12-31\n"
        f"  tail -f {place.log}\n"
        "deploy/trying.md edits Xero's books as an accountant would, and has Lago's API.",
        soft_wrap=True,
    )
    await on_signals().wait()
    console.print("stopping")


if __name__ == "__main__":
    sys.exit(main())
