"""Customers linked and moved by a person, on a real Postgres: what waits follows, Lago has the last word."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.adapters.postgres.customers import Linked, Moved, find, link, move
from consumer.domain.answers import Answered, Refusal
from consumer.domain.errors import Halt
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, note_told

Json = dict[str, Any]
THEIRS, OTHERS = uuid4(), uuid4()


async def _link(
    b: Books, who: Json, contact: UUID = THEIRS, code: str | None = None, **more: Any
) -> Linked:
    id = await find(b.database, who["lago_id"])
    return await link(b.database, id, contact, code, who="ann", reason="why", **more)


async def _move(b: Books, who: Json, code: str, **more: Any) -> Moved:
    id = await find(b.database, who["lago_id"])
    return await move(b.database, id, code, who="ann", reason="why", **more)


def _says(who: Json, second: int, *links: tuple[str, UUID]) -> Json:
    """The customer as Lago tells of him later, with these links."""
    told = [
        {"type": "xero", "integration_code": code, "external_customer_id": str(contact)}
        for code, contact in links
    ]
    return {
        **who,
        "updated_at": f"2026-05-01T12:01:{second:02}Z",
        "integration_customers": told,
    }


async def _tell(b: Books, who: Json) -> None:
    await b.told(b.said(who, "customer.updated"))
    await b.released()


async def _contact(b: Books, connection: int = 1) -> Json:
    [row] = await b.documents(kind="contact", connection_id=connection)
    return row


async def _findings(b: Books, name: str) -> list[Json]:
    rows = await b.database.fetch(
        "select document_id, facts::text as facts from finding where class = $1 "
        "and closed_at is null order by id",
        name,
    )
    return [dict(row) for row in rows]


# ── link ──────────────────────────────────────────────────────────────────────────────────────────


async def test_linked_before_his_contact_was_made_none_is(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        linked = await _link(b, who)
        assert (linked.changed, linked.before, linked.known) == (True, None, None)
        await b.released()
        contact = await _contact(b)
        assert (contact["state"], contact["xero_id"], contact["linked"]) == (
            "synced", THEIRS, True,
        )  # fmt: skip
        frozen = await b.freeze()
        assert (frozen.purpose, str(THEIRS).encode() in frozen.body) == ("invoice_create", True)


async def test_linked_afterwards_new_invoices_follow_and_the_other_is_told_of(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await b.work()
        ours = (await _contact(b))["xero_id"]
        await _link(b, who)
        await b.released()
        assert (await _contact(b))["xero_id"] == THEIRS
        assert len(await _findings(b, "linked_elsewhere")) == 1
        await b.told(b.said(b.invoice(who)))
        body = (await b.freeze()).body
        assert (str(THEIRS).encode() in body, str(ours).encode() in body) == (True, False)


@pytest.mark.parametrize("ended", ["refused", "accepted"])
async def test_linked_while_his_contact_is_being_sent(database_url: str, ended: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        frozen = await b.freeze()
        await _link(b, who)
        await b.released()
        if ended == "refused":
            await b.ledger.settle(frozen.request_id, Answered((Refusal("no", "No.", ""),)), None)
        else:
            await b.accept(frozen)
        await b.released()
        assert (await _contact(b))["xero_id"] == THEIRS
        assert str(THEIRS).encode() in (await b.freeze()).body


async def test_linked_while_an_update_is_under_way(database_url: str) -> None:
    async with books(database_url) as b:
        [invoice] = await b.posted()
        who = invoice["customer"]
        await b.told(note_told(b, a_note(invoice, credit=400)))
        await b.work()
        await b.told(b.said({**_says(who, 1), "name": "Other"}, "customer.updated"))
        frozen = await b.freeze()
        assert frozen.purpose == "contact_update"
        await _link(b, who)
        await b.released()
        await b.accept(frozen)
        await b.released()
        contact = await _contact(b)
        assert (contact["state"], contact["xero_id"]) == ("synced", THEIRS)
        assert len(await _findings(b, "linked_elsewhere")) == 1
        assert len(await _findings(b, "credit_left_behind")) == 1


async def test_what_failed_for_want_of_the_contact_goes_out(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        await b.accept(await b.freeze())
        await b.released()
        missing = Refusal("contact_missing", "The Contact could not be found.", "Link another.")
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((missing,)), None)
        assert len(await b.documents(kind="invoice", state="failed")) == 1
        await _link(b, who)
        await b.released()
        assert str(THEIRS).encode() in (await b.freeze()).body


async def test_it_survives_messages_and_lagos_own_counts_above_it(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        await _link(b, who)
        await b.released()
        await _tell(b, {**_says(who, 1), "name": "Other"})
        contact = await _contact(b)
        assert (contact["state"], contact["xero_id"]) == ("synced", THEIRS)
        await _tell(b, _says(who, 2, ("acme", OTHERS)))
        assert (await _contact(b))["xero_id"] == OTHERS
        again = await _link(b, who, uuid4())
        assert (again.lago, again.before) == (OTHERS, THEIRS)
        await b.released()
        assert (await _contact(b))["xero_id"] == OTHERS


async def test_a_link_of_lagos_without_a_contact_yet_leaves_it_to_the_person(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who = _says(b.customer(), 1, ("acme", THEIRS))
        who["integration_customers"][0]["external_customer_id"] = None
        await b.told(b.said(who))
        await _link(b, who)
        await b.released()
        assert (await _contact(b))["xero_id"] == THEIRS


async def test_a_link_gives_a_home_to_who_has_none(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await b.settings("acme-1", customers="linked")
        who = b.customer("nobody")
        await b.told(b.said(who), b.said(b.invoice(who)))
        assert {d["cause"] for d in await b.documents()} == {f"home:{who['lago_id']}"}
        with pytest.raises(Halt, match="no home") as unclear:
            await _link(b, who)
        assert unclear.value.code == "connection_unclear"
        await _link(b, who, code="acme-1")
        await b.released()
        assert (await _contact(b, 2))["xero_id"] == THEIRS
        assert str(THEIRS).encode() in (await b.freeze(1)).body


async def test_again_and_dry_it_stores_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        assert (await _link(b, who, dry_run=True)).changed
        assert (await _link(b, who)).before is None
        assert not (await _link(b, who)).changed
        [audit] = await b.database.fetch("select * from audit where action = 'link'")
        assert (audit["who"], audit["reason"]) == ("ann", "why")
        said = f"customer {who['lago_id']}, acme: nothing → {THEIRS}"
        assert audit["subject"] == said
        assert len(await b.database.fetch("select from release")) == 1


async def test_found_by_external_id_on_any_page(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.adapters.postgres.customers.PAGE", 2)
    async with books(database_url) as b:
        told = [b.customer() for _ in range(5)]
        await b.told(*map(b.said, told))
        for who in told:
            assert await find(b.database, who["external_id"]) == UUID(who["lago_id"])
        twin = {**b.customer(), "external_id": told[0]["external_id"]}
        await b.told(b.said(twin))
        with pytest.raises(Halt) as several:
            await find(b.database, twin["external_id"])
        assert several.value.code == "ambiguous"
        for unknown in ("nobody", str(uuid4())):
            with pytest.raises(Halt) as none:
                await find(b.database, unknown)
            assert none.value.code == "not_found"


async def test_messages_at_the_same_moment_lose_nothing(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        renamed = {**_says(who, 1), "name": "Other"}
        await asyncio.gather(_link(b, who), b.told(b.said(renamed, "customer.updated")))
        await b.released()
        contact = await _contact(b)
        assert contact["xero_id"] == THEIRS
        [row] = await b.database.fetch("select facts::text from object where kind = 'customer'")
        assert '"Other"' in row["facts"]


# ── move ──────────────────────────────────────────────────────────────────────────────────────────


async def test_new_invoices_go_there_what_is_posted_stays(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        who = b.customer()
        await b.told(b.said(who), b.said(b.invoice(who)))
        await b.work()
        moved = await _move(b, who, "acme-1")
        assert (moved.changed, moved.before) == (True, "acme")
        await b.released()
        await _tell(b, _says(who, 1))
        await b.told(b.said(b.invoice(who)))
        invoices = await b.documents(kind="invoice")
        assert [d["connection_id"] for d in invoices] == [1, 2]
        assert (await b.freeze(1)).purpose == "contact_create"
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        assert await _findings(b, "credit_left_behind") == []
        [audit] = await b.database.fetch("select * from audit where action = 'move'")
        assert audit["subject"] == f"customer {who['lago_id']}: acme → acme-1"
        assert not (await _move(b, who, "acme-1")).changed


async def test_who_waits_without_a_home_gets_one(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        who = b.customer("nobody")
        await b.told(b.said(who), b.said(b.invoice(who)))
        await _move(b, who, "acme-1")
        await b.released()
        assert {d["connection_id"] for d in await b.documents()} == {2}
        await b.accept(await b.freeze(1))
        await b.released()
        assert (await b.freeze(1)).purpose == "invoice_create"


async def test_lagos_link_of_before_does_not_bring_him_back_but_another_does(
    database_url: str,
) -> None:
    async with books(database_url, tenants=3) as b:
        who = _says(b.customer(), 1, ("acme", THEIRS))
        await b.told(b.said(who))

        async def home() -> int:
            [row] = await b.database.fetch("select connection_id from object")
            return int(row["connection_id"])

        await _move(b, who, "acme-1")
        await b.released()
        assert await home() == 2
        await _tell(b, {**_says(who, 2, ("acme", THEIRS)), "name": "Other"})
        assert await home() == 2
        await _tell(b, _says(who, 3, ("acme-2", OTHERS)))
        assert await home() == 3
        await _tell(b, _says(who, 4))
        assert await home() == 3, "the move was for then"
        await _tell(b, _says(who, 5, ("acme", THEIRS)))
        assert await home() == 1


async def test_lagos_link_that_comes_before_the_service_has_moved_him_wins(
    database_url: str,
) -> None:
    async with books(database_url, tenants=3) as b:
        who = b.customer()
        await b.told(b.said(who))
        await _move(b, who, "acme-1")
        await _tell(b, _says(who, 1, ("acme-2", OTHERS)))
        [row] = await b.database.fetch("select connection_id, facts::text as facts from object")
        assert (row["connection_id"], "moved" in row["facts"]) == (3, False)


async def test_credit_left_behind_is_told_of(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        [invoice] = await b.posted()
        who = invoice["customer"]
        await b.told(note_told(b, a_note(invoice, credit=400, offset=100)))
        await b.work()
        await _move(b, who, "acme-1")
        await b.released()
        [found] = await _findings(b, "credit_left_behind")
        assert found["document_id"] == (await _contact(b))["id"]
        assert found["facts"] == '{"EUR": "4.00"}'
        await _link(b, who, code="acme")
        await b.released()
        assert len(await _findings(b, "credit_left_behind")) == 1, "the one before is closed"


async def test_where_he_cannot_go(database_url: str) -> None:
    async with books(database_url) as b:
        who = b.customer()
        await b.told(b.said(who))
        with pytest.raises(Halt) as unknown:
            await _move(b, who, "no")
        assert unknown.value.code == "not_found"
        await b.database.execute(
            "insert into connection (organization_id, code, name, tenant_id) values ($1, 'far', '', $2)",
            uuid4(), b.tenants[0],
        )  # fmt: skip
        with pytest.raises(Halt) as far:
            await _move(b, who, "far")
        assert far.value.code == "other_organization"


async def test_dry_it_moves_nobody(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        who = b.customer()
        await b.told(b.said(who))
        before = await b.database.fetch("select * from object")
        assert (await _move(b, who, "acme-1", dry_run=True)).changed
        assert await b.database.fetch("select * from object") == before
        assert not await b.database.fetch("select from release")
