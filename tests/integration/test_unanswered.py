"""Questions to Lago's API without an answer, or with a crash around it: nothing changes, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from consumer.adapters.postgres.asking import PostgresQuestions
from consumer.ports import Incoming, Ingested, Unavailable
from consumer.sandbox.lago import payment
from tests.integration.asking import inquiry, large, logged
from tests.integration.ledger import Books

Json = dict[str, Any]
UNANSWERED: dict[str, tuple[Response | None, str, bool]] = {
    "refused": (Response("{}", 401), "refused", True),
    "forbidden": (Response("{}", 403), "forbidden", False),
    "away": (Response("{}", 503), "unavailable", True),
    "slow": (None, "unavailable", True),
    "throttled": (Response("{}", 429, {"X-RateLimit-Reset": "30"}), "throttled", True),
    "garbage": (Response("<html>"), "unreadable", False),
    "no invoice": (JSONResponse({"invoice": {}}), "missing", False),
}


@pytest.mark.parametrize("how", UNANSWERED)
async def test_no_answer_changes_nothing_and_loses_nothing(database_url: str, how: str) -> None:
    response, outcome, pauses = UNANSWERED[how]
    async with inquiry(database_url) as d:
        told = large(d.b)
        await logged(d.b, told)
        d.lago.add("invoice", told)
        asker = d.asker()
        d.step = 0.0
        await asker._organization_id()
        if response is None:
            d.lago.slow = asyncio.Event()
        else:
            d.lago.faults.append(response)
        before = await d.b.documents()
        assert await asker.run_once() is not pauses
        assert await d.b.documents() == before
        assert await d.b.database.fetch("select from event where topic = 'lago.api'") == []
        assert await d.b.database.fetch("select from outbox") == []
        assert await d.questions() == [("invoice", f"lago_{outcome}")]
        assert d.counted("invoice", outcome) == 1
        await d.due()
        calls = len(d.lago.calls)
        asker._clock = lambda: 1.0
        await asker.run_once()
        stopped = pauses or how == "forbidden"
        assert (len(d.lago.calls) == calls) is stopped
        if stopped:
            d.lago.slow = None
            asker._clock = lambda: 10_000.0
            await d.due()
            await asker.run_once()
        assert await d.states("invoice") == [("waiting", "doc")]


async def test_an_answer_that_cannot_be_read_is_no_dead_record(database_url: str) -> None:
    async with inquiry(database_url) as d:
        told = large(d.b)
        await logged(d.b, told)
        d.lago.add("invoice", {**told, "fees_amount_cents": "many"})
        await d.ask()
        assert await d.questions() == [("invoice", "lago_unreadable")]
        assert await d.b.database.fetch("select from event where outcome = 'dead'") == []


async def test_what_lago_does_not_have_is_left_alone_for_a_day(database_url: str) -> None:
    async with inquiry(database_url) as d:
        await logged(d.b, large(d.b))
        await d.ask()
        assert await d.questions() == [("invoice", "lago_missing")]
        [row] = await d.b.database.fetch(
            "select next_at between now() + interval '23 h' and now() + interval '25 h' as day from question"
        )
        assert row["day"]
        await d.b.database.execute("update document set wait_until = now() where kind = 'invoice'")
        await d.b.ledger.expire(10)
        [document] = await d.b.documents(kind="invoice")
        assert (document["state"], document["code"]) == ("failed", "missing_dependency")


class _Killed(BaseException):
    """As if the process ended here."""


@dataclass
class _Dying:
    """An inbox whose process is killed before or after the commit, once."""

    b: Books
    after: bool
    alive: bool = False

    async def known(self, digests: Sequence[bytes]) -> set[bytes]:
        return await self.b.inbox.known(digests)

    async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
        if self.after:
            await self.b.inbox.ingest(batch)
        raise _Killed


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_around_the_answer_only_repeats_a_question(
    database_url: str, after: bool
) -> None:
    async with inquiry(database_url) as d:
        told = large(d.b)
        await d.b.told(d.b.said(told["customer"]))
        await logged(d.b, told)
        d.lago.add("invoice", told)
        with pytest.raises(_Killed):
            await d.ask(d.asker(_Dying(d.b, after)))
        held = await d.ask()  # another replica: the dead one's lease still runs
        assert d.paths().count("invoices") == 1
        await d.due()
        await d.ask(held)
        assert d.paths().count("invoices") == (1 if after else 2)
        assert (await d.questions(), await d.states("invoice")) == ([], [("waiting", "doc")])
        [row] = await d.b.database.fetch("select count(*) from event where topic = 'lago.api'")
        assert row["count"] == 1


async def test_while_postgres_is_away_the_question_stays(database_url: str) -> None:
    async with inquiry(database_url) as d:
        told = large(d.b)
        await logged(d.b, told)
        d.lago.add("invoice", told)
        inbox = d.b.inbox

        class Away:
            known = staticmethod(inbox.known)

            async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
                raise Unavailable("away")

        with pytest.raises(Unavailable):
            await d.ask(d.asker(Away()))
        await d.due()
        await d.ask()
        assert await d.states("invoice") == [("waiting", "doc")]


async def test_replicas_share_the_questions(database_url: str) -> None:
    async with inquiry(database_url) as d:
        invoices = [large(d.b, 30) for _ in range(12)]
        for told in invoices:
            await d.b.told(d.b.said(told["customer"]), d.b.said(told, "invoice.generated"))
        d.lago.add("invoice", *invoices)
        await asyncio.gather(*(d.ask() for _ in range(3)))
        asked = sorted(path for path in d.lago.calls if path.startswith("invoices"))
        assert asked == sorted(f"invoices/{one['lago_id']}" for one in invoices)
        assert await d.states("invoice") == [("waiting", "doc")] * 12


async def test_the_same_answer_again_is_known(database_url: str) -> None:
    async with inquiry(database_url) as d:
        [of] = await d.b.posted()
        paid = {**of, "total_paid_amount_cents": 900, "updated_at": "2026-05-04T00:00:00Z"}
        await d.b.told(d.b.said(paid, "invoice.payment_status_updated"))
        d.lago.add("payment", payment(d.b.choices, [of], amount_cents=500))
        for times in (1, 2, 3):
            await d.due()
            await d.ask()
            assert d.counted("payments", "answered") == times
        [row] = await d.b.database.fetch("select count(*) from event where topic = 'lago.api'")
        assert row["count"] == 1
        [row] = await d.b.database.fetch("select asks, next_at - now() as wait from question")
        assert (row["asks"], round(row["wait"].total_seconds())) == (3, 40)


async def test_laps_go_through_all_that_is_lacking_page_by_page(database_url: str) -> None:
    async with inquiry(database_url) as d:
        for _ in range(7):
            await d.b.told(d.b.said(d.b.invoice(d.b.customer()), "invoice.generated"))
        questions = PostgresQuestions(d.b.database, 60.0, page=3)
        for noted in (3, 6, 7):
            await questions.note(d.b.organization_id)
            rows = await d.b.database.fetch(
                "select kind, count(*) from question group by 1 order by 1"
            )
            assert [tuple(row) for row in rows] == [("customer", noted), ("invoice", noted)]
        await questions.note(d.b.organization_id)  # the next lap, which adds nothing
        [row] = await d.b.database.fetch("select count(*) from question")
        assert row["count"] == 7 + 7
        await d.b.database.execute("delete from question")
        for noted in (6, 8, 14):  # on from where it is, and around
            await questions.note(d.b.organization_id)
            [row] = await d.b.database.fetch("select count(*) from question")
            assert row["count"] == noted
