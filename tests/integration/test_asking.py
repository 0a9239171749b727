"""Asking Lago's API on a real Postgres and over real HTTP: what messages lack comes, once."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from consumer.adapters.postgres.asking import PostgresQuestions
from consumer.domain.chart import TaxRate
from consumer.domain.mapping import MappingKey, Target
from consumer.sandbox.lago import (
    ambiguous_invoice,
    link,
    payment,
)
from tests.integration.asking import inquiry, large, logged
from tests.integration.ledger import CHART, MAPPINGS
from tests.integration.notes import a_note, consuming, note_told

Json = dict[str, Any]


@pytest.mark.parametrize("how", ["log", "webhook"])
async def test_an_invoice_of_40_fees_is_completed_and_sent(database_url: str, how: str) -> None:
    async with inquiry(database_url) as d:
        told = large(d.b)
        if how == "log":
            await logged(d.b, told)
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
    async with inquiry(database_url) as d:
        told = large(d.b)
        await logged(d.b, told)
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
    async with inquiry(database_url) as d:
        told = d.b.invoice(d.b.customer())
        d.lago.add("invoice", told)
        await d.b.told(d.b.paid(payment(d.b.choices, [told])))
        assert await d.states("payment") == [("waiting", "lago_invoice")]
        await d.ask()
        sent = [one.purpose for one in await d.b.work()]
        assert sent == ["contact_create", "invoice_create", "payment_create"]


async def test_a_consumed_note_that_nobody_told_of_is_fetched(database_url: str) -> None:
    async with inquiry(database_url) as d:
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
    async with inquiry(database_url) as d:
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


@pytest.mark.parametrize("credit", [0, 200])
async def test_a_refund_that_has_to_succeed_is_asked_for_until_it_has(
    database_url: str, credit: int
) -> None:
    async with inquiry(database_url) as d:
        await d.b.settings(refunds="when_succeeded")
        [of] = await d.b.posted()
        note = a_note(of, refund=400, **({"credit": credit} if credit else {}))
        await d.b.told(note_told(d.b, note))
        await d.b.work()
        assert await d.states("refund") == [("waiting", "policy")]
        d.lago.add("credit_note", note)
        await d.ask()
        assert ("credit_note", None) in await d.questions(), "it has not succeeded yet"
        d.lago.add("credit_note", {**note, "refund_status": "succeeded"})
        await d.due("credit_note")
        await d.ask()
        assert [one.purpose for one in await d.b.work()] == ["refund_create"]
        assert [kind for kind, _ in await d.questions()] == ["credit"] * bool(credit)
        assert d.paths().count("credit_notes") == 2


async def test_a_residual_gives_way_to_the_payments_themselves(database_url: str) -> None:
    async with inquiry(database_url) as d:
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
    async with inquiry(database_url) as d:
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
    async with inquiry(database_url) as d:
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
    async with inquiry(database_url) as d:
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
    async with inquiry(database_url, tenants=2) as d:
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
    async with inquiry(database_url) as d:
        who = d.b.customer()
        await d.b.told(d.b.said(who), d.b.said(d.b.invoice(who)))
        await d.ask()
        assert d.paths() == ["organizations"]


async def test_a_message_that_comes_meanwhile_saves_the_question(database_url: str) -> None:
    async with inquiry(database_url) as d:
        told = large(d.b)
        await d.b.told(d.b.said(d.b.customer()), d.b.said(told["customer"]))
        await logged(d.b, told)
        asker = d.asker()
        asker.questions = PostgresQuestions(d.b.database, 60.0)
        await d.ask(asker)
        assert await d.questions() == [("invoice", None)]
        await d.b.told(d.b.said(told))
        await d.due()
        await d.ask(asker)
        assert (await d.questions(), d.paths()) == ([], ["organizations"])


async def test_only_the_keys_organization_is_asked_for(database_url: str) -> None:
    async with inquiry(database_url) as d:
        d.lago.organization_id = str(uuid4())
        await logged(d.b, large(d.b))
        await d.ask()
        assert (await d.questions(), d.paths()) == ([], ["organizations"])
