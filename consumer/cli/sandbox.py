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

_AT_ONCE = 500


@app.command(epilog="Example: lago-xero sandbox up --only kafka,postgres --env-file kafka.env")
def up(
    only: Annotated[
        str, typer.Option(help="Which services, comma-separated.")
    ] = "kafka,postgres,xero",
    env_file: Annotated[
        Path,
        typer.Option(
            "--env-file",
            help="Where to write the settings that reach them; with Xero, a connections file beside.",
        ),
    ] = Path("sandbox.env"),
) -> None:
    """Start services in the foreground; Ctrl-C stops them and removes what they wrote.

    With all of them everything is ready for a run; the commands that follow are printed.
    """
    from consumer.cli.errors import REFUSED, UNREACHABLE, USAGE, Failure
    from consumer.sandbox.services import ServiceUnavailable
    from consumer.sandbox.up import up as start

    try:
        asyncio.run(start({name.strip() for name in only.split(",") if name.strip()}, env_file))
    except ServiceUnavailable as missing:
        raise Failure(UNREACHABLE, str(missing)) from None
    except FileExistsError as taken:
        hint = "another sandbox may be up; remove it, or name another file with --env-file"
        raise Failure(REFUSED, f"{taken}.", hint) from None
    except ValueError as unknown:
        raise Failure(USAGE, f"{unknown}.") from None


@app.command(epilog="Example: lago-xero sandbox produce --count 500 --seed 7")
def produce(
    count: Annotated[int, typer.Option(min=150, help="How many events.")] = 200,
    seed: Annotated[
        int, typer.Option(help="The same seed and count make the same events, others other ones.")
    ] = 2026,
) -> None:
    """Produce generated Lago events, a few of them broken, to the first topic of the settings."""
    import logging

    from consumer import config
    from consumer.adapters.kafka.publisher import KafkaPublisher
    from consumer.cli.errors import UNREACHABLE, Failure
    from consumer.ports import Message
    from consumer.sandbox.lago import demo_events

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # our sentence says it all
    settings = config.load()
    topic = settings.kafka_topics[0]
    records, _ = demo_events(seed=seed, count=count)
    messages = [Message(topic, r.key, r.value, r.headers) for r in records]

    async def work() -> None:
        publisher = KafkaPublisher(settings.cluster())
        await publisher.start()
        try:
            for start in range(0, len(messages), _AT_ONCE):
                for error in await publisher.publish(messages[start : start + _AT_ONCE]):
                    if error is not None:
                        why = str(error) or type(error).__name__
                        sentence = f"Kafka did not take an event for {topic}: {why}"
                        raise Failure(UNREACHABLE, sentence, "is there such a topic?")
        finally:
            await publisher.stop()

    asyncio.run(work())
    typer.echo(f"produced {len(records)} events to {topic}", err=True)
