"""The command for after a restore: the time of the backup in; what is read and looked up again out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.errors import USAGE, Failure
from consumer.cli.instants import instant
from consumer.cli.output import AsJson, DryRun, Row, print_json, print_table
from consumer.cli.person import Reason, person

if TYPE_CHECKING:
    from consumer.adapters.kafka.rewinding import Rewound
    from consumer.adapters.postgres.restoring import Marked


def restored(
    at: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="The time that the database was restored to: ISO 8601 (UTC unless it says "
            "otherwise); if in doubt, an earlier one.",
        ),
    ],
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Tell the service that its database was restored from a backup, before it runs again.

    The ledger knows nothing of what was read and sent after TIME. So the consumer group is set back to
    before TIME, which needs all replicas stopped; and payments, refunds, overpayments and allocations are
    looked up in Xero before they are created, once each: what is there is adopted. Contacts, invoices and
    credit notes are unique in Xero, and adopted when it refuses them. What is to be removed or voided is
    looked up too. Look-ups wait until nothing from before can arrive any more, eight minutes; one sweep of
    what changed since TIME serves all documents of a tenant and a kind, allocations cost a call each.

    Safe to repeat, also after it was interrupted: do not start the service before it has ended well.
    """
    when = _time(at)
    marked, rewound = asyncio.run(_restored(when, reason, dry_run=dry_run))
    if as_json:
        print_json(
            {"dry_run": dry_run, **asdict(marked), "offsets": [asdict(one) for one in rewound]}
        )
    else:
        rows: list[Row] = [_row(one) for one in rewound]
        print_table(rows, ("topic", "partition", "before", "after"))
        typer.echo(
            f"{marked.tenants} Xero organisations are looked up first; {marked.requests} requests were "
            "under way"
        )
    for one in rewound:
        if one.gone is not None:
            typer.echo(
                f"{one.topic}, partition {one.partition}: records from offset {one.gone} on are gone from "
                "Kafka; have Lago send again what they told",
                err=True,
            )
    done = (
        "dry run: nothing was changed" if dry_run else "done: start the service, then run reconcile"
    )
    typer.echo(done, err=True)


def _row(one: Rewound) -> Row:
    """A group that has committed nothing there begins at the first record, before and after."""
    before = "none" if one.before is None else one.before
    after = "first record" if one.after is None else one.after
    return {"topic": one.topic, "partition": one.partition, "before": before, "after": after}


def _time(given: str) -> datetime:
    try:
        at = instant(given)
    except ValueError:
        raise Failure(USAGE, f"{given} is not a time.", "a time is 2026-10-01T08:00:00Z") from None
    if at > datetime.now(UTC):
        raise Failure(USAGE, f"{given} is yet to come.")
    return at


async def _restored(
    at: datetime, reason: str | None, *, dry_run: bool
) -> tuple[Marked, Sequence[Rewound]]:
    """The group is checked, then the ledger is marked, then it is read again: whoever does looks first."""
    from consumer import config
    from consumer.adapters.kafka.rewinding import rewind
    from consumer.adapters.postgres import restoring
    from consumer.app import must_be_migrated, open_database

    settings = config.load()
    group, topics, cluster = settings.kafka_group_id, settings.kafka_topics, settings.cluster()
    async with open_database(settings) as database:
        await must_be_migrated(database)
        read_to = await restoring.read_to(database, topics)
        await rewind(cluster, group, topics, at, read_to, dry_run=True)
        marked = await restoring.mark(database, at, who=person(), reason=reason, dry_run=dry_run)
        return marked, await rewind(cluster, group, topics, at, read_to, dry_run=dry_run)
