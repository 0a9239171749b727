"""A customer erased by a person, on a real Postgres: nothing personal of him is left anywhere, all else is,
nothing is sent because of it, and Lago may bring him back."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.adapters.postgres.customers import link
from consumer.adapters.postgres.dead_letters import Events, Letters, discard
from consumer.adapters.postgres.erasing import Eraser
from consumer.adapters.postgres.retiring import retire
from consumer.adapters.postgres.retrying import Which
from consumer.domain import causes
from consumer.domain.answers import Answered, Refusal
from consumer.domain.errors import Halt
from consumer.domain.objects import ObjectKey
from consumer.ports import Frozen, Record
from consumer.sandbox.lago import payment
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, note_told
from tests.integration.past import age, left
from tests.integration.test_replay import verify

Json = dict[str, Any]
REFUSAL = Refusal("locked_period", "The document cannot be posted.", "Move the lock date.")
FACTS = (
    *("address_line1", "city", "country", "email", "firstname", "lastname", "legal_name", "name"),
    *("phone", "shipping_address", "state", "tax_identification_number", "zipcode"),
)


def person(b: Books, of: str) -> Json:
    """A customer all of whose personal facts begin with ``of``."""
    return b.customer(
        name=f"{of}name Ltd",
        firstname=f"{of}first",
        lastname=f"{of}last",
        legal_name=f"{of}legal",
        email=f"{of}mail@example.test",
        phone=f"{of}phone",
        tax_identification_number=f"{of}tax",
        address_line1=f"{of}street 1",
        city=f"{of}city",
        zipcode=f"{of}zip",
        shipping_address={"address_line1": f"{of}dock 2", "city": f"{of}port"},
        integration_customers=[],
    )


async def traces(b: Books, of: str) -> Counter[str]:
    """Rows of each table that have something with ``of`` in them, be it in bytes."""
    tables = await b.database.fetch(
        "select tablename as name from pg_tables where schemaname = 'public'"
    )
    found: Counter[str] = Counter()
    for table in tables:
        rows = await b.database.fetch(f'select t::text as row from "{table["name"]}" t')
        found[table["name"]] = sum(of in r["row"] or of.encode().hex() in r["row"] for r in rows)
    return +found


async def erase(b: Books, who: Json, **options: Any) -> Counter[str]:
    eraser = Eraser(b.database, UUID(who["lago_id"]), **options)
    await eraser.begin("ann", "request 17")
    return await to_its_end(eraser)


async def to_its_end(eraser: Eraser) -> Counter[str]:
    """How much of what it drops."""
    dropped: Counter[str] = Counter()
    while (step := await eraser.step()) is not None:
        dropped[step.what] += step.dropped
    return +dropped


async def refused(b: Books, who: Json) -> Halt:
    """What he is not erased for; then nothing of him is gone, and nobody is written down."""
    before = await left(b, "event_raw", "event_id"), await facts(b, who)
    with pytest.raises(Halt) as halted:
        await erase(b, who)
    assert (await left(b, "event_raw", "event_id"), await facts(b, who)) == before
    assert await audited(b) == []
    return halted.value


async def facts(b: Books, who: Json) -> str:
    [row] = await b.database.fetch(
        "select facts::text as facts from object where kind = 'customer' and lago_id = $1",
        UUID(who["lago_id"]),
    )
    return str(row["facts"])


async def audited(b: Books) -> list[tuple[Any, ...]]:
    rows = await b.database.fetch("select who, subject, reason from audit where action = 'erase'")
    return [tuple(row) for row in rows]


async def again(b: Books, who: Json) -> list[Frozen]:
    """He is planned again with nothing new of Lago's; what is sent because of it."""
    cause = causes.changed(ObjectKey("customer", UUID(who["lago_id"])))
    await b.database.execute("insert into release (cause) values ($1)", cause)
    return await b.work()


async def quiet(b: Books) -> None:
    """No call of the last minutes can be settled any more; bodies are kept yet."""
    await age(b, 0.01)


async def contact(b: Books, who: Json) -> Json:
    [row] = await b.documents(kind="contact", lago_id=UUID(who["lago_id"]))
    return row


async def known_life(b: Books, of: str) -> tuple[Json, list[Record]]:
    """A customer with an invoice, a note and a payment in Xero, and an address of before; his messages."""
    who = person(b, of)
    bill = b.invoice(who)
    paid = b.paid(payment(b.choices, [bill], amount_cents=300))
    later = {**who, "updated_at": "2026-05-02T12:00:00Z", "email": f"{of}new@example.test"}
    said = [b.said(who), b.said(bill), note_told(b, a_note(bill, credit=400)), paid]
    records = [b.record(one) for one in (*said, b.said(later, "customer.updated"))]
    await b.ingest.store(records[:4])
    await b.work()
    await b.ingest.store(records[4:])
    await b.work()
    return later, records


async def test_nothing_personal_is_left_and_all_else_is(database_url: str) -> None:
    async with books(database_url) as b:
        who, records = await known_life(b, "quixot")
        await known_life(b, "sancho")
        await quiet(b)
        before, his, others = (
            await b.documents(),
            await traces(b, "quixot"),
            await traces(b, "sancho"),
        )
        assert his == {"object": 1, "event_raw": 4, "request": 2}
        counted = {table: await left(b, table) for table in ("event", "request", "finding")}

        assert await erase(b, who) == {"messages": 5, "bodies": 5, "facts": len(FACTS)}
        assert await traces(b, "quixot") == {}
        # A body that tells of both is dropped for both; it would have been within the hour.
        assert {**await traces(b, "sancho"), "request": 2} == others
        assert await b.documents() == before
        assert {table: await left(b, table) for table in counted} == counted
        assert await audited(b) == [("ann", f"customer {who['lago_id']}", "request 17")]

        # A known event that comes again changes nothing, nor does one whose key was pruned.
        await b.ingest.store(records)
        assert (await traces(b, "quixot"), await b.documents()) == ({}, before)
        assert await b.work() == []


async def test_planned_again_he_is_left_alone(database_url: str) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        was = await contact(b, who)
        await erase(b, who)
        assert await again(b, who) == []
        row = await contact(b, who)
        assert (row["state"], row["cause"], row["xero_id"]) == ("synced", "erased", was["xero_id"])
        assert row["synced"] == was["synced"]
        assert {d["state"] for d in await b.documents()} <= {"synced", "skipped"}


async def test_what_was_told_of_him_is_what_the_ledger_has(database_url: str) -> None:
    """Read again, his messages tell nothing that is lacking, and nothing that differs."""
    async with books(database_url) as b:
        who, records = await known_life(b, "quixot")
        await quiet(b)
        await erase(b, who)
        assert await b.work() == []
        assert (await contact(b, who))["cause"] == "erased"
        found = await verify(b, records)
        assert (found.lost, found.not_taken_in, found.differing) == ([], [], [])


async def test_a_message_that_comes_meanwhile_goes_too(database_url: str) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        eraser = Eraser(b.database, UUID(who["lago_id"]))
        await eraser.begin("ann", "request 17")
        while (step := await eraser.step()) is not None:
            if step.what == "bodies":
                await b.told(b.said({**who, "updated_at": "2026-05-03T12:00:00Z"}))
        assert await traces(b, "quixot") == {}


async def test_a_message_that_opens_something_meanwhile_stays(database_url: str) -> None:
    """Its bytes are announced with what fails because of it."""
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        eraser = Eraser(b.database, UUID(who["lago_id"]))
        await eraser.begin("ann", "request 17")
        told = {**who, "updated_at": "2026-05-03T12:00:00Z", "phone": "quixotphone2"}
        await b.told(b.said(told, "customer.updated"))
        [newest] = (await left(b, "event_raw", "event_id"))[-1:]
        with pytest.raises(Halt) as halted:
            await to_its_end(eraser)
        assert halted.value.code == "documents_open"
        assert await left(b, "event_raw", "event_id") == [newest]


async def test_a_message_whose_key_was_pruned_brings_nothing_back(database_url: str) -> None:
    async with books(database_url) as b:
        who, records = await known_life(b, "quixot")
        await quiet(b)
        await erase(b, who)
        before = await b.documents()
        await b.database.execute("delete from event where kind = 'customer'")
        await b.ingest.store([records[0], records[4]])
        assert (await traces(b, "quixot")).keys() == {
            "event_raw"
        }  # as received, until it is pruned
        assert await b.work() == []
        assert [d["state"] for d in await b.documents()] == [d["state"] for d in before]


@pytest.mark.parametrize("replanned", [False, True])
async def test_lago_brings_him_back(database_url: str, replanned: bool) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        await erase(b, who)
        if replanned:
            assert await again(b, who) == []
        told = {**who, "updated_at": "2026-05-04T12:00:00Z", "name": "quixotnew Ltd"}
        await b.told(b.said(told, "customer.updated"), b.said(b.invoice(told)))
        sent = await b.work()
        assert [one.purpose for one in sent] == ["contact_update", "invoice_create"]
        assert b"quixotnew Ltd" in sent[0].body
        assert {d["state"] for d in await b.documents()} <= {"synced", "skipped"}
        assert (await contact(b, who))["cause"] is None


async def test_told_of_as_he_was_he_costs_no_call(database_url: str) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        await erase(b, who)
        await b.told(b.said(b.invoice(who)))
        assert [one.purpose for one in await b.work()] == ["invoice_create"]
        assert "quixot" in await facts(b, who)


@pytest.mark.parametrize("state", ["waiting", "ready", "sending", "failed"])
async def test_not_while_a_document_of_his_is_open(database_url: str, state: str) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        await b.database.execute("update document set state = $1 where kind = 'invoice'", state)
        [invoice] = await b.documents(kind="invoice")
        halt = await refused(b, who)
        named = f"document {invoice['id']} (invoice {invoice['number']}, {state})"
        assert (halt.code, named in halt.sentence) == ("documents_open", True)


async def test_what_no_connection_serves_keeps_nobody(database_url: str) -> None:
    """His connection was retired, and Lago goes on telling of him: that waits until there is another."""
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        await b.connections.park("acme", "ann")
        await retire(b.database, "acme", who="ann", reason="over", encrypt=bytes)
        await b.told(b.said(b.invoice(who)))
        homeless = [row for row in await b.documents() if row["connection_id"] is None]
        assert {(row["kind"], row["state"]) for row in homeless} == {
            ("contact", "waiting"), ("invoice", "waiting"),
        }  # fmt: skip
        await erase(b, who)
        assert await traces(b, "quixot") == {}
        assert await again(b, who) == []
        assert await traces(b, "quixot") == {}


async def test_not_while_a_link_may_still_give_him_a_home(database_url: str) -> None:
    async with books(database_url, tenants=2) as b:
        who = person(b, "quixot")
        bare = {name: value for name, value in who.items() if name != "integration_customers"}
        await b.told(b.said(b.invoice(bare)))
        assert (await refused(b, who)).code == "documents_open"


async def test_not_while_a_failure_of_his_is_to_be_announced(database_url: str) -> None:
    async with books(database_url) as b:
        who = person(b, "quixot")
        await b.told(b.said(who), b.said(b.invoice(who)))
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, Answered((REFUSAL,)), None)
        await quiet(b)
        async for _ in discard(b.database, Letters(Which(), None), who="ann", reason="no"):
            pass
        await b.released()
        assert "not announced yet" in (await refused(b, who)).sentence
        await b.database.execute("update outbox set done_at = now()")
        await erase(b, who)
        assert await traces(b, "quixot") == {}


async def test_not_while_a_call_about_him_may_be_looked_at(database_url: str) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        assert (await refused(b, who)).code == "calls_open"
        await quiet(b)
        await b.database.execute(
            "update request set audit_at = now() + interval '1 minute' where purpose = 'contact_create'"
        )
        assert (await refused(b, who)).code == "calls_open"


async def test_not_while_a_record_that_names_him_is_unread(database_url: str) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        other, _ = await known_life(b, "sancho")
        await quiet(b)
        bad = b.said({**who, "updated_at": "2026-05-05T12:00:00Z"}, "customer.updated")
        bad["customer"]["name"] = ["no", "text"]
        await b.told(bad)
        halt = await refused(b, who)
        dead = (await left(b, "event"))[-1]
        assert (halt.code, f"event:{dead}" in halt.sentence) == ("records_unread", True)
        await erase(b, other)
        await b.database.execute("update outbox set done_at = now()")
        async for _ in discard(b.database, Letters(None, Events()), who="ann", reason="no"):
            pass
        await erase(b, who)
        assert await traces(b, "quixot") == {}


async def test_a_payment_that_names_no_customer_is_his_by_its_invoice(database_url: str) -> None:
    async with books(database_url) as b:
        who = person(b, "quixot")
        bill = b.invoice(who)
        money = payment(b.choices, [bill], amount_cents=300, reference="quixotref")
        money["lago_customer_id"] = None
        await b.told(b.said(who), b.said(bill), b.paid(money))
        await b.work()
        await quiet(b)
        assert await erase(b, who) == {"messages": 3, "bodies": 3, "facts": len(FACTS)}
        assert (await traces(b, "quixot")).keys() == {
            "object"
        }  # a payment's reference is in the books


async def test_dry_it_counts_again_it_finds_nothing_interrupted_it_goes_on(
    database_url: str,
) -> None:
    async with books(database_url) as b:
        who, _ = await known_life(b, "quixot")
        await quiet(b)
        before = await traces(b, "quixot"), await b.documents()
        counted = await erase(b, who, dry_run=True)
        assert (await traces(b, "quixot"), await b.documents()) == before
        assert await audited(b) == []

        eraser = Eraser(b.database, UUID(who["lago_id"]), page=2)
        await eraser.begin("ann", "request 17")
        first = await eraser.step()
        assert first is not None
        rest = await erase(b, who, page=2)
        assert Counter({first.what: first.dropped}) + rest == counted
        assert await traces(b, "quixot") == {}
        assert await erase(b, who) == {}


async def test_lagos_api_is_not_asked_about_him(database_url: str) -> None:
    async with books(database_url) as b:
        who = person(b, "quixot")
        del who["integration_customers"]
        bill = b.invoice(who)
        await b.told(b.said(who), b.said(bill), note_told(b, a_note(bill, credit=400)))
        await b.work()
        await quiet(b)
        assert len(await b.database.fetch("select from object where lacking is not null")) == 2
        await b.database.execute(
            "insert into question (kind, lago_id, organization_id, next_at)"
            " values ('customer', $1, $2, now())",
            *(UUID(who["lago_id"]), b.organization_id),
        )
        await erase(b, who)
        assert await b.database.fetch("select from object where lacking is not null") == []
        assert await b.database.fetch("select from question") == []
        await link(b.database, UUID(who["lago_id"]), uuid4(), None, who="ann", reason="a twin")
        assert await b.work() == []
        assert await b.database.fetch("select from object where lacking is not null") == []


async def test_who_was_never_posted(database_url: str) -> None:
    async with books(database_url) as b:
        who = {**person(b, "quixot"), "account_type": "partner"}
        await b.told(b.said(who))
        await b.work()
        await erase(b, who)
        assert await traces(b, "quixot") == {}
        assert await again(b, who) == []
        assert (await contact(b, who))["state"] == "skipped"
        assert await erase(b, {"lago_id": who["lago_id"]}) == {}


async def test_unknown(database_url: str) -> None:
    async with books(database_url) as b:
        with pytest.raises(Halt) as halted:
            await Eraser(b.database, uuid4()).begin("ann", "no")
        assert halted.value.code == "not_found"
