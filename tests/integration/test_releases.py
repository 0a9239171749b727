"""Releases on a real Postgres: everything that waited for a cause is looked at, page after page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from consumer.domain.chart import Organisation
from consumer.sandbox.lago import Tax
from tests.integration.ledger import CHART, books


async def test_what_stays_held_does_not_hide_what_is_released(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        await b.settings(start_date=date(2027, 1, 1))
        who = b.customer()
        old = [b.invoice(who) | {"issuing_date": "2026-01-01"} for _ in range(520)]
        new = [b.invoice(who) | {"issuing_date": "2026-06-01"} for _ in range(3)]
        await b.told(b.said(who), *map(b.said, old))
        await b.told(*map(b.said, new))
        assert len(await b.documents(state="skipped")) == 523
        await b.settings(start_date=date(2026, 5, 1))
        await b.released()
        assert len(await b.documents(state="skipped")) == 520
        assert len(await b.documents(kind="invoice", state="waiting")) == 3
        assert not await b.database.fetch("select from release")


async def test_a_cause_released_twice_at_once_is_worked_on_twice(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(start_date=date(2027, 1, 1))
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        await b.settings(start_date=date(2026, 12, 1))
        await b.settings(start_date=date(2026, 1, 1))
        assert len(await b.database.fetch("select from release")) == 2
        await b.released()
        [invoice] = await b.documents(kind="invoice")
        assert invoice["state"] == "waiting"
        assert invoice["cause"].startswith("doc:")


async def test_a_tenant_that_the_file_does_not_name_wakes_with_its_authorisation(
    database_url: str,
) -> None:
    async with books(database_url, tenants=2) as b:
        await b.database.execute("update tenant set authorisation_id = 1, due_at = 'infinity'")
        await b.database.execute("update authorisation set parked_at = now() where id = 1")
        await b.settings()
        due, _ = await b.ledger.due(10)
        assert {tenant for tenant, _ in due} == set(b.tenants)


async def test_a_contact_that_comes_late_takes_its_invoices_along(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(b.invoice(who)))
        await b.database.execute(
            """
            update document set cause = 'contact:' || customer_id || '@' || connection_id,
                                state = 'failed', code = 'missing_dependency'
             where kind = 'invoice'
            """
        )
        await b.database.execute("delete from document where kind = 'contact'")
        await b.told(b.said({**who, "updated_at": "2026-05-01T12:00:09Z"}, "customer.updated"))
        await b.released()
        [invoice] = await b.documents(kind="invoice")
        [contact] = await b.documents(kind="contact")
        assert (invoice["state"], invoice["cause"]) == ("waiting", f"doc:{contact['id']}")


async def test_one_object_that_cannot_be_planned_holds_up_nobody(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(start_date=date(2027, 1, 1))
        who = b.customer()
        bills = [b.invoice(who) for _ in range(130)]
        await b.told(b.said(who), *map(b.said, bills))
        await b.database.execute(
            'update object set facts = \'{"content": [[1, 0, 0, ""], {"fees": 7}]}\' '
            "where kind = 'invoice' and lago_id = $1",
            UUID(bills[77]["lago_id"]),
        )
        await b.settings(start_date=date(2026, 1, 1))
        await b.released()
        [broken] = await b.documents(kind="invoice", state="failed")
        assert (str(broken["lago_id"]), broken["code"]) == (
            bills[77]["lago_id"],
            "translator_fault",
        )
        assert len(await b.documents(kind="invoice", state="waiting")) == 129
        assert await b.announced() == ["translator_fault"]


async def test_a_code_of_any_length_is_a_cause(database_url: str) -> None:
    """Causes are looked up by an index, whose rows Postgres bounds."""
    async with books(database_url) as b:
        who = b.customer()
        code = "".join(b.choices.uuid() for _ in range(150))
        await b.told(b.said(who), b.said(b.invoice(who, taxes=(Tax(code, Decimal(20)),))))
        await b.accept(await b.freeze())
        await b.released()
        await b.ledger.freeze(b.tenants[0])
        [failed] = await b.documents(state="failed")
        assert failed["cause"].startswith("tax:")
        assert len(failed["cause"]) < 250


async def test_what_a_lock_date_holds_goes_out_once_it_moves(database_url: str) -> None:
    async with books(database_url) as b:

        async def lock(day: date) -> None:
            await b.settings(chart=replace(CHART, organisation=Organisation(period_lock_date=day)))

        await lock(date(2026, 5, 1))
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        await b.accept(await b.freeze())
        await b.released()
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        [held] = await b.documents(kind="invoice")
        assert (held["state"], held["code"]) == ("failed", "locked_period")
        await lock(date(2026, 4, 30))
        await b.released()
        assert (await b.freeze()).purpose == "invoice_create"


async def test_a_large_release_lets_others_have_their_turn(database_url: str) -> None:
    """Each page of it goes behind what came since."""
    async with books(database_url) as b:
        who, other = b.customer(), b.customer()
        await b.told(b.said(who), b.said(other))
        [one, two] = await b.documents(kind="contact")
        await b.told(*(b.said(b.invoice(who)) for _ in range(250)), b.said(b.invoice(other)))
        for contact in (one, two):
            await b.database.execute(
                "insert into release (cause) values ($1)", f"doc:{contact['id']}"
            )
        await b.ledger.release(2)  # a page of the first, and all of the second
        left = await b.database.fetch("select cause from release")
        assert [row["cause"] for row in left] == [f"doc:{one['id']}"]
