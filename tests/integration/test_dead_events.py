"""Dead events on a real Postgres: what is absurd is one, and one that is read again is no news."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import from_json

from consumer.sandbox.lago import payment, payment_event
from tests.integration.ledger import Books, books
from tests.integration.past import dead

Json = dict[str, Any]
HOUR = 3_600_000


async def _events(b: Books) -> list[Json]:
    return [dict(row) for row in await b.database.fetch("select * from event order by id")]


async def _status(b: Books) -> str:
    [row] = await b.database.fetch("select facts::text as facts from object where kind = 'payment'")
    status: str = from_json(row["facts"])["status"][1]
    return status


async def test_absurd_dates_and_timestamps_are_dead_and_the_rest_goes_on(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        absurd = [
            b.record(payment_event(payment(b.choices, [invoice], at=at), str(b.organization_id)))
            for at in ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-12:00"] * 30
        ]
        times = (-(10**15), -1, 9_403_721_596_800_000)  # the last is in the year 300000
        odd = [replace(b.record(b.said(b.customer())), timestamp=at) for at in times]
        stored = await b.ingest.store([*absurd, *odd, b.record(b.said(who))])
        assert (stored.dead, stored.merged) == (60, 4)
        events = await _events(b)
        dead = [event for event in events if event["outcome"] == "dead"]
        assert {event["said"].partition(":")[0] for event in dead} == {"payment.created_at"}
        assert {event["appended_at"].year for event in events} == {1970, 2026, 9999}


@pytest.mark.parametrize("later", [1, 1000])
async def test_a_dead_event_that_comes_again_is_as_old_as_it_was(
    database_url: str, later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payments have no stamp of Lago's: of success and failure, what Kafka got last holds."""
    async with books(database_url) as b:
        who = b.customer()
        invoice = b.invoice(who)
        paid = payment(b.choices, [invoice])
        tell = [
            b.record(payment_event({**paid, "payment_status": status}, str(b.organization_id)))
            for status in ("succeeded", "failed")
        ]
        succeeded, failed = tell
        await b.told(b.said(who), b.said(invoice))

        await dead(b, succeeded, monkeypatch)
        await b.ingest.store([failed])
        again = replace(succeeded, timestamp=failed.timestamp + later * HOUR)
        assert (await b.ingest.store([again])).merged == 1
        assert await _status(b) == "failed"
        [event] = [e for e in await _events(b) if e["redriven"]]
        first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=succeeded.timestamp)
        assert (event["appended_at"], event["outcome"]) == (first, "merged")


async def test_a_dead_event_that_comes_again_still_tells_what_nobody_has_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        told = b.record(b.said(who))
        await dead(b, told, monkeypatch)
        await b.ingest.store([replace(told, timestamp=told.timestamp + HOUR)])
        [contact] = await b.documents(kind="contact")
        assert contact["state"] == "ready"
        assert contact["appended_at"] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            milliseconds=told.timestamp
        )


async def test_a_dead_event_that_comes_again_and_is_dead_still_is_counted_but_not_told_again(
    database_url: str,
) -> None:
    """It was read, so a topic of such records does not seem to stand still; people know of it."""
    async with books(database_url) as b:
        unreadable = replace(b.record(b.said(b.customer())), value=b"not JSON")
        told = b.record(b.said(b.customer()))
        await b.ingest.store([unreadable])
        [first] = await b.database.fetch("select count(*) from outbox")
        again = await b.ingest.store([unreadable, told])
        assert (again.merged, again.dead, again.codes, again.still_dead) == (1, 0, (), 1)
        counts = b.ingest.metrics.events
        assert counts.labels("dead")._value.get() == 2
        assert counts.labels("merged")._value.get() == 1
        assert await b.database.fetch("select count(*) from outbox") == [first]
