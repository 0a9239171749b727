"""Commands of the sandbox: services without accounts, and generated Lago events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Kafka, Postgres and a simulated Xero on this machine, and events to feed them.",
    no_args_is_help=True,
)


@app.command(epilog="Example: lago-xero sandbox up --only kafka,postgres --env-file sandbox.env")
def up(
    only: Annotated[
        str, typer.Option(help="Which services, comma-separated.")
    ] = "kafka,postgres,xero",
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Where to write the settings that reach them.")
    ] = None,
) -> None:
    """Start services in the foreground; Ctrl-C stops them and leaves no process behind."""
    from consumer.cli.errors import UNREACHABLE, USAGE, Failure
    from consumer.sandbox.services import ServiceUnavailable
    from consumer.sandbox.up import up as start

    try:
        asyncio.run(start({name.strip() for name in only.split(",") if name.strip()}, env_file))
    except ServiceUnavailable as missing:
        raise Failure(UNREACHABLE, str(missing)) from None
    except ValueError as unknown:
        raise Failure(USAGE, f"{unknown}.") from None


@app.command(epilog="Example: lago-xero sandbox produce --count 500 --seed 7")
def produce(
    count: Annotated[int, typer.Option(min=60, help="How many events.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 2026,
) -> None:
    """Produce generated Lago events, a few of them broken, to the first topic of the settings."""
    from aiokafka import AIOKafkaProducer

    from consumer import config
    from consumer.sandbox.lago import demo_events

    settings = config.load()
    records, _ = demo_events(seed=seed, count=count)

    async def work() -> None:
        async with AIOKafkaProducer(**settings.cluster().options(), acks="all") as producer:
            for record in records:
                await producer.send(
                    settings.kafka_topics[0],
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                )
            await producer.flush()

    asyncio.run(work())
    typer.echo(f"produced {len(records)} events to {settings.kafka_topics[0]}", err=True)
