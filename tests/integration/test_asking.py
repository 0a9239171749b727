"""Asking Lago's API on a real Postgres and over real HTTP: what messages lack comes, once; and whatever
does not come changes nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from starlette.responses import JSONResponse, Response

from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.postgres.asking import PostgresQuestions
from consumer.asking import Asker
from consumer.domain.chart import TaxRate
from consumer.domain.clocks import Clocks
from consumer.domain.mapping import MappingKey, Target
from consumer.metrics import Metrics
from consumer.ports import Incoming, Ingested, Record, Unavailable
from consumer.sandbox.lago import (
    FeeFacts,
    InvoiceFacts,
    LagoApi,
    Money,
    Price,
    activity_log,
    ambiguous_invoice,
    invoice,
    link,
    log_record,
    payment,
    serve_api,
)
from consumer.sandbox.lago import Item as Plan
from tests.integration.ledger import AT, CHART, MAPPINGS, Books, books
from tests.integration.notes import a_note, consuming, note_told

Json = dict[str, Any]


@dataclass
class Desk:
    """A ledger, a Lago and whoever asks it; his clock leaps ten seconds with each look at it."""

    b: Books
    lago: LagoApi
    api: HttpLagoApi
    metrics: Metrics
    step: float = 10.0

    def asker(self, inbox: Any = None) -> Asker:
        """As a replica that has just begun."""
        ticks = itertools.count()
        return Asker(
            PostgresQuestions(self.b.database, 0.0), self.api, inbox or self.b.inbox, self.metrics,
            Clocks(), lambda: None, clock=lambda: next(ticks) * self.step,
        )  # fmt: skip

    async def ask(self, asker: Asker | None = None) -> Asker:
        """Until there is nothing to ask."""
        asker = asker or self.asker()
        while await asker.run_once():
            pass
        return asker

    async def due(self, kind: str = "") -> None:
        """All that is noted, or all of a kind, is due again."""
        await self.b.database.execute(
            "update question set next_at = now() where $1 in ('', kind)", kind
        )

    async def questions(self) -> list[tuple[str, str | None]]:
        """What is noted, with what came of it last."""
        rows = await self.b.database.fetch("select kind, last_error from question order by kind")
        return [tuple(row) for row in rows]

    async def states(self, kind: str) -> list[tuple[str, str | None]]:
        """Of the documents of a kind."""
        rows = await self.b.documents(kind=kind)
        return [(row["state"], (row["cause"] or "").partition(":")[0] or None) for row in rows]

    def counted(self, kind: str, outcome: str) -> float:
        """How many questions ended so."""
        return float(self.metrics.questions.labels(kind, outcome)._value.get())

    def paths(self) -> list[str]:
        """What was asked for, by its first part."""
        return [path.partition("/")[0].partition("?")[0] for path in self.lago.calls]


@asynccontextmanager
async def _desk(database_url: str, tenants: int = 1) -> AsyncIterator[Desk]:
    async with books(database_url, tenants=tenants) as b:
        lago = LagoApi(str(b.organization_id), "key-of-the-tests")
        async with serve_api(lago) as url:
            api = HttpLagoApi(url, lago.key, timeout=0.5)
            try:
                yield Desk(b, lago, api, Metrics())
            finally:
                await api.close()


def _large(b: Books, fees: int = 40) -> Json:
    """An invoice of so many fees."""
    sold = tuple(
        FeeFacts("subscription", Plan.named("basic", "Basic"), Price.of_amount(1, n + 1))
        for n in range(fees)
    )
    facts = InvoiceFacts(
        b.customer(), Money("EUR", sold), issuing_date=date(2026, 5, 1), at=AT, number="INV-40"
    )
    return invoice(b.choices, facts)


async def _logged(b: Books, told: Json) -> None:
    """Lago's own topic tells of it, without its fees."""
    log = activity_log(b.choices, "invoice.created", told, str(b.organization_id), at=AT)
    made = log_record(log)
    b.offset += 1
    await b.ingest.store(
        [Record("activity_logs", 0, b.offset, 1_777_636_800_000, made.key, made.value)]
    )


@pytest.mark.parametrize("how", ["log", "webhook"])
async def test_an_invoice_of_40_fees_is_completed_and_sent(database_url: str, how: str) -> None:
    async with _desk(database_url) as d:
        told = _large(d.b)
        if how == "log":
            await _logged(d.b, told)
        else:
            await d.b.told(d.b.said(told, "invoice.generated"))
        assert await d.states("invoice") == [("waiting", "content")]
        assert [one.purpose for one in await d.b.work()] == ["contact_create"]
        d.lago.add("invoice", told)
        d.lago.add("customer", told["customer"])
        await d.ask()
        [sent] = await d.b.work()
        [body] = json.loads(sent.body)["Invoices"]
        assert len(body["LineItems"]) == 40
        [document] = await d.b.documents(kind="invoice")
        assert (document["state"], document["xero_total"]) == ("synced", 820)
        assert await d.questions() == []
        assert d.paths().count("invoices") == 1


async def test_what_was_answered_is_the_same_as_what_was_told(database_url: str) -> None:
    """A rich message after the answer changes nothing, and is no drift."""
    async with _desk(database_url) as d:
        told = _large(d.b)
        await _logged(d.b, told)
        d.lago.add("invoice", told)
        await d.ask()
        await d.b.work()
        before = await d.b.documents()
        await d.b.told(d.b.said(told))
        after = await d.b.documents()
        assert [(one["state"], one["wanted"], one["drift"]) for one in after] == [
            (one["state"], one["wanted"], False) for one in before
        ]


async def test_an_invoice_that_only_a_payment_names_is_fetched(database_url: str) -> None:
    async with _desk(database_url) as d:
        told = d.b.invoice(d.b.customer())
        d.lago.add("invoice", told)
        await d.b.told(d.b.paid(payment(d.b.choices, [told])))
        assert await d.states("payment") == [("waiting", "lago_invoice")]
        await d.ask()
        sent = [one.purpose for one in await d.b.work()]
        assert sent == ["contact_create", "invoice_create", "payment_create"]


async def test_a_consumed_note_that_nobody_told_of_is_fetched(database_url: str) -> None:
    async with _desk(database_url) as d:
        [of] = await d.b.posted()
        note = a_note(of, credit=400)
        later = consuming(d.b, of, note, 300)
        await d.b.told(d.b.said(later))
        await d.b.work()
        assert await d.states("allocation") == [("waiting", "credit_note")]
        d.lago.add("credit_note", note)
        await d.ask()
        await d.b.released()
        assert [one.purpose for one in await d.b.work()] == [
            "credit_note_create",
            "allocation_create",
        ]
        await d.due("credit_note")
        await d.ask()
        assert await d.questions() == [("credit", None)], "which is for another day"
        assert d.paths().count("credit_notes") == 1


async def test_a_credit_that_lago_voided_in_silence_is_seen_within_a_day(database_url: str) -> None:
    async with _desk(database_url) as d:
        [first] = await d.b.posted()
        note = a_note(first, credit=400)
        await d.b.told(note_told(d.b, note))
        await d.b.work()
        d.lago.add("credit_note", note)
        await d.ask()
        assert ("credit", None) in await d.questions()
        assert "credit_notes" not in d.paths(), "not before the day is over"
        for credit_status, balance in (("available", 400), ("voided", 0)):
            d.lago.add(
                "credit_note",
                note | {"credit_status": credit_status, "balance_amount_cents": balance},
            )
            await d.due()
            await d.ask()
        assert ("credit", None) not in await d.questions(), "there is nothing left to void"
        assert [one.purpose for one in await d.b.work()] == ["credit_note_void"]


async def test_a_residual_gives_way_to_the_payments_themselves(database_url: str) -> None:
    async with _desk(database_url) as d:
        [of] = await d.b.posted()
        paid = {**of, "total_paid_amount_cents": 900, "updated_at": "2026-05-04T00:00:00Z"}
        await d.b.told(d.b.said(paid, "invoice.payment_status_updated"))
        assert await d.states("payment") == [("waiting", "residual")]
        for cents, status in (
            (500, "succeeded"),
            (400, "succeeded"),
            (1000, "failed"),
            (1000, "pending"),
        ):
            d.lago.add(
                "payment",
                payment(d.b.choices, [of], amount_cents=cents, type="manual", status=status),
            )
        await d.ask()
        moneys = {row["amount_cents"]: row for row in await d.b.documents(kind="payment", part="")}
        assert {cents: row["state"] for cents, row in moneys.items()} == {
            500: "ready",
            400: "ready",
        }
        assert await d.states("payment") == [
            ("skipped", "nothing_open"),
            ("ready", None),
            ("ready", None),
        ]
        assert await d.questions() == []


async def test_money_without_any_payment_in_lago_is_posted_as_it_would_be(
    database_url: str,
) -> None:
    """Attempts that failed are no money that went back."""
    async with _desk(database_url) as d:
        [of] = await d.b.posted()
        paid = {**of, "total_paid_amount_cents": 900, "updated_at": "2026-05-04T00:00:00Z"}
        await d.b.told(d.b.said(paid, "invoice.payment_status_updated"))
        d.lago.add("payment", payment(d.b.choices, [of], amount_cents=900, status="failed"))
        await d.ask()
        assert d.counted("payments", "answered") == 1
        assert await d.states("payment") == [("waiting", "residual")]
        await d.b.database.execute("update document set wait_until = now() where part = 'residual'")
        await d.b.ledger.end_patience(10)
        await d.b.released()
        assert await d.states("payment") == [("ready", None)]


async def test_a_split_is_told_by_the_other_payments_of_its_invoices(database_url: str) -> None:
    async with _desk(database_url) as d:
        one, other = await d.b.posted(2)  # 10.00 and 20.00
        first = payment(d.b.choices, [one], amount_cents=600)
        both = payment(d.b.choices, [one, other], amount_cents=2400)
        await d.b.told(d.b.paid(both))
        assert await d.states("payment") == [("waiting", "split")] * 2
        d.lago.add("payment", first, both)
        await d.ask()
        amounts = {
            row["amount_cents"] for row in await d.b.documents(kind="payment", state="ready")
        }
        assert amounts == {600, 400, 2000}


async def test_taxes_that_a_rate_does_not_tell_are_asked_for(database_url: str) -> None:
    async with _desk(database_url) as d:
        twin = {MappingKey("", "tax", "vat_20_twin"): Target(tax_type="OUTPUT3")}
        rates = {**CHART.tax_rates, "OUTPUT3": TaxRate("OUTPUT3", Decimal(20))}
        chart = replace(CHART, tax_rates=rates)
        await d.b.settings(chart=chart, mappings={**MAPPINGS, **twin})
        who = d.b.customer()
        told = ambiguous_invoice(d.b.choices, customer=who)
        await d.b.told(d.b.said(who), d.b.said(told))
        await d.b.work()
        [document] = await d.b.documents(kind="invoice")
        assert (document["state"], document["code"]) == ("failed", "tax_ambiguous")
        d.lago.add("invoice", told)
        codes = {tax["tax_code"]: tax for tax in told["applied_taxes"]}
        first, second = told["fees"]
        d.lago.taxes = {
            first["lago_id"]: [codes["vat_20_twin"]],
            second["lago_id"]: [codes["vat_20"]],
        }
        await d.ask()
        [sent] = await d.b.work()
        [body] = json.loads(sent.body)["Invoices"]
        assert sorted(line["TaxType"] for line in body["LineItems"]) == ["OUTPUT2", "OUTPUT3"]
        assert await d.questions() == []
        later = {**told, "updated_at": "2027-01-01T00:00:00Z"}
        await d.b.told(d.b.said(later))  # shows no taxes of fees
        [document] = await d.b.documents(kind="invoice")
        assert (document["state"], document["drift"]) == ("synced", False)


async def test_a_customer_of_whom_only_invoices_tell_gets_his_links(database_url: str) -> None:
    async with _desk(database_url, tenants=2) as d:
        who = d.b.customer("elsewhere")
        await d.b.told(d.b.said(d.b.invoice(who)))
        assert await d.states("contact") == [("waiting", "home")]
        contact = str(uuid4())
        linked = {**who, "integration_customers": [link(d.b.choices, "xero", "acme-1", contact)]}
        d.lago.add("customer", linked)
        await d.ask()
        await d.b.released()
        [document] = await d.b.documents(kind="contact")
        assert (str(document["xero_id"]), document["tenant_id"]) == (contact, d.b.tenants[1])
        assert await d.states("invoice") == [("ready", None)]
        assert await d.questions() == []


async def test_whom_a_message_told_of_is_not_asked_for(database_url: str) -> None:
    async with _desk(database_url) as d:
        who = d.b.customer()
        await d.b.told(d.b.said(who), d.b.said(d.b.invoice(who)))
        await d.ask()
        assert d.paths() == ["organizations"]


async def test_a_message_that_comes_meanwhile_saves_the_question(database_url: str) -> None:
    async with _desk(database_url) as d:
        told = _large(d.b)
        await d.b.told(d.b.said(d.b.customer()), d.b.said(told["customer"]))
        await _logged(d.b, told)
        asker = d.asker()
        asker.questions = PostgresQuestions(d.b.database, 60.0)
        await d.ask(asker)
        assert await d.questions() == [("invoice", None)]
        await d.b.told(d.b.said(told))
        await d.due()
        await d.ask(asker)
        assert (await d.questions(), d.paths()) == ([], ["organizations"])


async def test_only_the_keys_organization_is_asked_for(database_url: str) -> None:
    async with _desk(database_url) as d:
        d.lago.organization_id = str(uuid4())
        await _logged(d.b, _large(d.b))
        await d.ask()
        assert (await d.questions(), d.paths()) == ([], ["organizations"])


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
    async with _desk(database_url) as d:
        told = _large(d.b)
        await _logged(d.b, told)
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
    async with _desk(database_url) as d:
        told = _large(d.b)
        await _logged(d.b, told)
        d.lago.add("invoice", {**told, "fees_amount_cents": "many"})
        await d.ask()
        assert await d.questions() == [("invoice", "lago_unreadable")]
        assert await d.b.database.fetch("select from event where outcome = 'dead'") == []


async def test_what_lago_does_not_have_is_left_alone_for_a_day(database_url: str) -> None:
    async with _desk(database_url) as d:
        await _logged(d.b, _large(d.b))
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
    async with _desk(database_url) as d:
        told = _large(d.b)
        await d.b.told(d.b.said(told["customer"]))
        await _logged(d.b, told)
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
    async with _desk(database_url) as d:
        told = _large(d.b)
        await _logged(d.b, told)
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
    async with _desk(database_url) as d:
        invoices = [_large(d.b, 30) for _ in range(12)]
        for told in invoices:
            await d.b.told(d.b.said(told["customer"]), d.b.said(told, "invoice.generated"))
        d.lago.add("invoice", *invoices)
        await asyncio.gather(*(d.ask() for _ in range(3)))
        asked = sorted(path for path in d.lago.calls if path.startswith("invoices"))
        assert asked == sorted(f"invoices/{one['lago_id']}" for one in invoices)
        assert await d.states("invoice") == [("waiting", "doc")] * 12


async def test_the_same_answer_again_is_known(database_url: str) -> None:
    async with _desk(database_url) as d:
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
    async with _desk(database_url) as d:
        for _ in range(7):
            await d.b.told(d.b.said(d.b.invoice(d.b.customer()), "invoice.generated"))
        questions = PostgresQuestions(d.b.database, 60.0, page=3)
        more = [await questions.note(d.b.organization_id) for _ in range(3)]
        assert more == [True, True, False]
        rows = await d.b.database.fetch("select kind, count(*) from question group by 1 order by 1")
        assert [tuple(row) for row in rows] == [("customer", 7), ("invoice", 7)]
        assert await questions.note(d.b.organization_id)  # the next lap, which adds nothing
        [row] = await d.b.database.fetch("select count(*) from question")
        assert row["count"] == 14
