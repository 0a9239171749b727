"""The command that replays: a range of a topic in; what it would change, changed or showed missing out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from consumer.cli.errors import INTERRUPTED, REFUSED, USAGE, Failure
from consumer.cli.instants import instant
from consumer.cli.output import AsJson
from consumer.cli.person import Reason, person
from consumer.cli.replay_report import (
    progress,
    tell_applied,
    tell_survey,
    tell_verified,
)
from consumer.domain.objects import ObjectKind
from consumer.domain.replays import Choice, Chooser, Survey, Verified
from consumer.ports import Span

if TYPE_CHECKING:
    from consumer.adapters.kafka.rereading import KafkaRereading
    from consumer.adapters.postgres.database import Database
    from consumer.adapters.postgres.replaying import Job, PostgresReplaying
    from consumer.domain.mapping import Connection
    from consumer.ingest import Intake
    from consumer.ports import Bound
    from consumer.replay import Replay


def replay(
    topic: Annotated[str | None, typer.Option(help="The topic to read.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME|OFFSET",
            help="Where to begin: ISO 8601 (UTC unless it says "
            "otherwise), or an offset of each partition.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="TIME|OFFSET", help="Where to end, exclusive; else at the end."
        ),
    ] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    connection: Annotated[
        str | None, typer.Option(help="Only messages at home in the connection of this code.")
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Only of this customer: Lago's id, or his external id.")
    ] = None,
    kind: Annotated[ObjectKind | None, typer.Option(help="Only messages about this kind.")] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Take in what is not known; else only tell.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Tell what the ledger lacks of it; change nothing.")
    ] = False,
    resume: Annotated[
        int | None, typer.Option(metavar="ID", help="Go on with a replay that was interrupted.")
    ] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Read a range of a topic once more, beside the consumer group and without its offsets.

    Without --apply nothing changes: it tells how many messages are known, new or unreadable, which
    documents would change and what that would cost in calls to Xero. That is an estimate: what is new is
    merged by itself, then planned for real, 50 objects at a time, in transactions that are rolled back; live
    traffic in between, what others wait for and what calls share may make a difference. What a filter
    leaves out is not counted as known either; records that cannot be read belong to nobody, and are left out.

    With --apply what is not known goes through the inbox, each message as of its own Kafka timestamp; what
    is known changes nothing, and dead records are read again. Its documents go out behind what is told now,
    and leave a quarter of each minute and a fifth of the day to it. Ctrl-C ends it after the batch at hand
    (exit code 130), and --resume goes on, also after a crash.

    With --verify it rebuilds what the range told of each object and compares that with the ledger: what is
    lost, what was not taken in yet, which documents stand otherwise than the facts ask. Facts that are from
    outside the range are not judged.
    """
    if resume is not None:
        given = (topic, since, until, partition, connection, customer, kind)
        if any(one is not None for one in given) or apply or verify:
            raise Failure(
                USAGE, "--resume goes on as begun: it goes with --reason and --json only."
            )
    elif topic is None or since is None:
        raise Failure(USAGE, "Nothing says what to replay.", "give --topic and --from, or --resume")
    elif apply and verify:
        raise Failure(USAGE, "--verify changes nothing: it does not go with --apply.")
    asked = _Asked(topic or "", _bound(since) or 0, _bound(until), partition)
    who = _Who(connection, customer, kind)
    if apply or resume is not None:
        tell_applied(*asyncio.run(_apply(asked, who, resume, reason)), as_json=as_json)
        return
    found = asyncio.run(_look(asked, who, verify=verify))
    if isinstance(found, Verified):
        tell_verified(found, as_json=as_json)
    else:
        tell_survey(found, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A range."""

    topic: str
    since: Bound
    until: Bound | None
    partition: int | None


@dataclass(frozen=True, slots=True)
class _Who:
    """Filters, as given."""

    connection: str | None
    customer: str | None
    kind: ObjectKind | None


def _bound(given: str | None) -> Bound | None:
    if given is None:
        return None
    if given.isdecimal():
        return int(given)
    try:
        return instant(given)
    except ValueError:
        raise Failure(
            USAGE, f"{given} is neither an offset nor a time.", "a time is 2026-10-01T08:00:00Z"
        ) from None


async def _look(asked: _Asked, who: _Who, *, verify: bool) -> Survey | Verified:
    """What a replay that changes nothing finds; it is not told when it was interrupted."""
    async with _stage() as stage:
        choice = await stage.choice(who)
        spans = await stage.rereading.spans(*astuple(asked))
        with stage.replay(choice, spans) as replay:
            look = replay.verify if verify else replay.survey
            found = await look(asked.topic, spans)
    if found is None:
        typer.echo("interrupted: nothing was changed", err=True)
        raise typer.Exit(INTERRUPTED)
    return found


async def _apply(
    asked: _Asked, who: _Who, resume: int | None, reason: str | None
) -> tuple[int, Counter[str], bool]:
    """The job, what became of its records, and whether it came to its end."""
    async with _stage() as stage:
        if resume is None:
            topic, choice = asked.topic, await stage.choice(who)
            spans = await stage.rereading.spans(*astuple(asked))
            args = {
                "topic": topic,
                "spans": {n: [span.start, span.end] for n, span in spans.items()},
                "choice": asdict(choice),
            }
            id, counts = await stage.ledger.begin(args, who=person(), reason=reason), Counter[str]()
        else:
            job = await stage.ledger.resume(resume, who=person(), reason=reason)
            if job.ended:
                raise Failure(REFUSED, f"Replay {resume} came to its end.", "nothing is left of it")
            id, counts, topic = resume, Counter(job.counts), str(job.args["topic"])
            choice, spans = _choice(job.args["choice"]), _left(job)
        typer.echo(f"replay {id}: {sum(map(len, spans.values()))} offsets to read", err=True)
        with stage.replay(choice, spans) as replay:
            ended = await replay.apply(id, stage.intake, topic, spans, counts)
    return id, counts, ended


def _choice(args: Mapping[str, Any]) -> Choice:
    customer = args["customer_id"]
    return Choice(args["kind"], UUID(customer) if customer else None, args["connection_id"])


def _left(job: Job) -> Mapping[int, Span]:
    spans = {int(n): Span(*ends) for n, ends in job.args["spans"].items()}
    return {n: Span(job.positions.get(n, span.start), span.end) for n, span in spans.items()}


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a replay is made of."""

    database: Database
    ledger: PostgresReplaying
    intake: Intake
    rereading: KafkaRereading
    connections: Mapping[int, Connection]
    stop: asyncio.Event
    most: int

    async def choice(self, who: _Who) -> Choice:
        """The filters' ids; raises ``Halt`` where there is no such connection or customer."""
        from consumer.adapters.postgres import customers

        customer = connection = None
        if who.connection is not None:
            connection = await self.ledger.connection(who.connection)
        if who.customer is not None:
            customer = await customers.find(self.database, who.customer)
        return Choice(who.kind, customer, connection)

    @contextmanager
    def replay(self, choice: Choice, spans: Mapping[int, Span]) -> Iterator[Replay]:
        """A replay that shows how far it is, and that Ctrl-C ends."""
        from consumer.replay import Replay

        chooser = Chooser(choice, self.connections, datetime.now(UTC))
        with progress(sum(map(len, spans.values()))) as passed:
            yield Replay(
                self.rereading,
                self.ledger,
                chooser,
                stop=self.stop,
                progress=passed,
                most=self.most,
            )


@asynccontextmanager
async def _stage() -> AsyncIterator[_Stage]:
    from consumer import config
    from consumer.adapters import logs
    from consumer.adapters.kafka.rereading import KafkaRereading
    from consumer.adapters.postgres.replaying import PostgresReplaying
    from consumer.app import inbox_of, must_be_migrated, open_database, planner_of
    from consumer.domain.pacing import BACKFILL
    from consumer.ingest import Intake
    from consumer.metrics import Metrics
    from consumer.stopping import on_signals

    settings = config.load()
    logs.configure("console", "ERROR")  # the report says what the service would log
    stop = on_signals()
    async with open_database(settings) as database:
        await must_be_migrated(database)
        planner = planner_of(settings)
        ledger = PostgresReplaying(database, planner)
        rereading = KafkaRereading(settings.cluster(), most=settings.kafka_max_poll_records)
        inbox = inbox_of(settings, database, planner, BACKFILL)
        intake = Intake(inbox, Metrics(), lambda: None)
        most = settings.batch_documents
        try:
            await rereading.start()
            connections = await ledger.connections()
            yield _Stage(database, ledger, intake, rereading, connections, stop, most)
        finally:
            await rereading.stop()
