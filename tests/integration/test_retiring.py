"""A connection retired by a person, on a real Postgres: it no longer counts, and what was posted stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from consumer.adapters.postgres import reading
from consumer.adapters.postgres.retiring import Retired, retire
from consumer.adapters.postgres.sql import statements
from consumer.domain.errors import Halt
from consumer.domain.mapping import MappingKey, Target
from consumer.ports import Unavailable, Wish
from consumer.sandbox.lago import payment
from tests.integration.ledger import CHART, Books, books
from tests.integration.past import posted

Json = dict[str, Any]


async def _retire(b: Books, code: str = "acme", **options: Any) -> Retired:
    return await retire(
        b.database, code, who="ann", reason="contract ended", encrypt=lambda t: b"sealed", **options
    )


async def _refused(b: Books, code: str = "acme") -> Halt:
    with pytest.raises(Halt) as halted:
        await _retire(b, code)
    return halted.value


async def _connections(b: Books) -> list[tuple[str, bool]]:
    rows = await b.database.fetch("select code, removed_at from connection order by id")
    return [(row["code"], row["removed_at"] is not None) for row in rows]


async def _clients(b: Books) -> list[tuple[bytes, str | None]]:
    rows = await b.database.fetch("select secret, parked_why from authorisation order by id")
    return [(row["secret"], row["parked_why"]) for row in rows]


async def _wish(b: Books) -> Wish:
    """As it stands now."""
    stored = (await b.connections.stored())["acme"]
    return Wish(stored.connection, stored.client_id, stored.secret, CHART)


def _asking(wish: Wish, **changed: Any) -> Wish:
    return replace(wish, connection=replace(wish.connection, **changed))


async def test_it_no_longer_counts_and_what_was_posted_stays(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await posted(b, 2)
        before = await b.documents()
        assert (await _refused(b)).code == "still_connected"
        await b.connections.park("acme", "ann")
        assert await _retire(b, dry_run=True) == Retired("acme", changed=True, forgotten=True)
        assert await _connections(b) == [("acme", False), ("acme-1", False)]
        assert await _retire(b) == Retired("acme", changed=True, forgotten=True)
        assert await _connections(b) == [("acme", True), ("acme-1", False)]
        assert await _retire(b) == Retired("acme", changed=False)

        assert await _clients(b) == [(b"sealed", "disconnected"), (b"secret", None)]
        assert await b.documents() == before
        assert [row["connections"] for row in (await reading.status(b.database))["tenants"]] == [
            "acme-1"
        ]
        assert list(await b.connections.stored()) == ["acme-1"]
        counted = await b.database.fetch(statements("sampling")["tenants"])
        assert [(row["state"], row["tenants"]) for row in counted] == [("open", 1)]
        rows = await b.database.fetch("select subject, reason from audit where action = 'retire'")
        assert [tuple(row) for row in rows] == [("acme", "contract ended")]


@pytest.mark.parametrize("state", ["waiting", "ready", "sending", "failed"])
async def test_not_while_documents_are_open(database_url: str, state: str) -> None:
    async with books(database_url) as b:
        await posted(b, 2)
        await b.connections.park("acme", "ann")
        await b.database.execute("update document set state = $1 where kind = 'invoice'", state)
        halt = await _refused(b)
        assert (halt.code, halt.sentence) == (
            "documents_open", f"Documents of acme are open: 2 {state}.",
        )  # fmt: skip


async def test_what_waits_may_be_set_aside(database_url: str) -> None:
    async with books(database_url) as b:
        await posted(b, 2)
        await b.connections.park("acme", "ann")
        [one, other] = await b.documents(kind="invoice")
        await b.database.execute(
            "update document set state = 'waiting', cause = 'split:x', xero_id = null where id = $1",
            other["id"],
        )
        assert await _retire(b, leave_waiting=True) == Retired(
            "acme", changed=True, left=1, forgotten=True
        )
        [one, other] = await b.documents(kind="invoice")
        assert (one["state"], one["cause"], other["state"]) == ("synced", None, "skipped")
        assert other["cause"].startswith("ignored:")


async def test_what_waits_is_set_aside_page_by_page_and_an_interruption_loses_nothing(
    database_url: str,
) -> None:
    """No statement has more of it than a page; who repeats the command goes on behind what is done."""
    async with books(database_url) as b:
        await posted(b, 6)
        await b.connections.park("acme", "ann")
        await b.database.execute("update document set state = 'waiting' where kind = 'invoice'")
        await b.database.execute(
            """create function cut() returns trigger language plpgsql as $$ begin
                 if (select count(*) > 3 from document where cause like 'ignored:%') then
                   raise deadlock_detected;
                 end if;
                 return null; end $$"""
        )
        await b.database.execute(
            "create trigger cut after update on document for each statement execute function cut()"
        )
        with pytest.raises(Unavailable):
            await _retire(b, leave_waiting=True, page=2)
        assert await _connections(b) == [("acme", False)]
        await b.database.execute("drop trigger cut on document")
        assert (await _retire(b, leave_waiting=True, page=2)).left == 4
        assert await _connections(b) == [("acme", True)]
        rows = await b.documents(kind="invoice")
        assert [row["state"] for row in rows] == ["synced"] * 6
        audits = [int(row["cause"].removeprefix("ignored:")) for row in rows]
        assert [audits.count(one) for one in sorted(set(audits))] == [2, 2, 2]


async def test_not_with_what_failed_beside_what_waits(database_url: str) -> None:
    async with books(database_url) as b:
        await posted(b, 2)
        await b.connections.park("acme", "ann")
        await b.database.execute("update document set state = 'waiting' where kind = 'invoice'")
        await b.database.execute("update document set state = 'failed' where kind = 'contact'")
        with pytest.raises(Halt, match="1 failed, 2 waiting"):
            await _retire(b, leave_waiting=True)


async def test_the_secret_stays_where_another_connection_uses_the_client(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        await b.database.execute("update tenant set authorisation_id = 1")
        await b.connections.park("acme", "ann")
        assert not (await _retire(b)).forgotten
        assert (await _clients(b))[0] == (b"secret", None)


async def test_beside_another_connection_of_its_organisation_that_goes_on(
    database_url: str,
) -> None:
    async with books(database_url, tenants=2) as b:
        await b.database.execute("update connection set tenant_id = $1", b.tenants[0])
        assert await _retire(b) == Retired("acme", changed=True, forgotten=False)
        who = b.customer("acme-1")
        await b.told(b.said(who))
        assert (await b.freeze()).purpose == "contact_create"


async def test_what_lago_still_tells_waits_for_a_connection(database_url: str) -> None:
    async with books(database_url) as b:
        who, bill = await posted(b)
        before = await b.documents()
        await b.connections.park("acme", "ann")
        await _retire(b)
        voided = {**bill, "status": "voided", "updated_at": "2026-06-02T12:00:00Z"}
        await b.told(
            b.said(b.invoice(who)),
            b.paid(payment(b.choices, [bill], amount_cents=100)),
            b.said(voided, "invoice.voided"),
        )
        assert await b.work() == []
        after = await b.documents()
        assert after[: len(before)] == before
        late = [(d["connection_id"], d["state"]) for d in after[len(before) :]]
        assert set(late) <= {(None, "waiting"), (None, "skipped")}
        assert (None, "waiting") in late


async def test_naming_it_again_brings_it_back(database_url: str) -> None:
    """With its mappings as they were, or as they are named then; what it posted is its own again."""
    async with books(database_url) as b:
        who, _ = await posted(b)
        wish = await _wish(b)
        await b.connections.park("acme", "ann")
        await _retire(b)
        changed = {
            **wish.connection.mappings,
            MappingKey("", "tax", "vat_20"): Target(tax_type="X"),
        }
        await b.connections.store([_asking(wish, mappings=changed)], "ann", [])
        again = await _wish(b)
        assert (again.secret, again.connection.mappings) == ("secret", changed)
        await b.told(b.said(b.invoice(who)))
        assert [frozen.purpose for frozen in await b.work()] == ["invoice_create"]
        unset = await b.database.fetch("select key from mapping where unset_at is not null")
        assert [row["key"] for row in unset] == ["vat_20"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tenant_id": uuid4()}, "tenant_differs"),
        ({"organization_id": uuid4()}, "organization_differs"),
    ],
)
async def test_it_comes_back_to_where_its_documents_are(
    database_url: str, changed: Json, code: str
) -> None:
    async with books(database_url) as b:
        await posted(b)
        wish = await _wish(b)
        await b.connections.park("acme", "ann")
        await _retire(b)
        with pytest.raises(Halt) as halted:
            await b.connections.store([_asking(wish, mappings={}, **changed)], "ann", [])
        assert halted.value.code == code
        assert await _connections(b) == [("acme", True)]


async def test_unknown(database_url: str) -> None:
    async with books(database_url) as b:
        assert (await _refused(b, "no")).code == "not_found"
