"""Consents on a real Postgres against the simulated Xero: parked, connected, disconnected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.adapters.postgres.authorisations import Rekeyed, rekey
from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.inbox import PostgresInbox
from consumer.adapters.postgres.outbox import PostgresOutbox
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.vault import Vault
from consumer.apply import Disconnect
from consumer.domain.clocks import Clocks
from consumer.domain.consent import stand_in
from consumer.domain.errors import Halt, Unauthorised
from consumer.ingest import Intake
from consumer.metrics import Metrics
from consumer.ports import TenantRef
from consumer.sandbox.lago import RandomChoices
from consumer.sandbox.xero import Simulator
from tests.integration.ledger import Books
from tests.integration.office import NEW_KEY, OLD_KEY, PATIENCE, Office, opened

WAITS = "  {0}: waits for a consent; run lago-xero connect {0}"


@pytest.fixture
async def office(database_url: str, xero_simulator: Simulator) -> AsyncIterator[Office]:
    """One organisation, Acme, and a client ``web`` that nobody has let in yet."""
    async with opened(database_url, xero_simulator) as office:
        await office.register_web()
        yield office


def books_of(office: Office) -> Books:
    """To feed the office's ledger with Lago's events."""
    ledger, planner = office.ledger(), Planner(Configuration(load_snapshot), PATIENCE)
    inbox = PostgresInbox(office.db, planner, sinks=["webhook"])
    return Books(
        office.db,
        inbox,
        ledger,
        PostgresBudget(office.db, office.limits, Clocks()),
        PostgresOutbox(office.db),
        office.connections(),
        Intake(inbox, Metrics(), lambda: None),
        [office.tenant_id],
        office.organization_id,
        RandomChoices(Random(7)),
    )


async def due(office: Office) -> list[UUID]:
    """Tenants whose turn it is."""
    found, _ = await office.ledger().due(10)
    return [tenant for tenant, _ in found]


async def halted(code: str, work: Any) -> Halt:
    """The error of that code that ``work`` ends with."""
    with pytest.raises(Halt) as caught:
        await work
    assert caught.value.code == code
    return caught.value


# ── Connecting ────────────────────────────────────────────────────────────────────────────────────


async def test_what_waited_for_a_consent_is_sent_once_there_is_one(office: Office) -> None:
    applied = await office.apply(office.web())
    assert applied.lines == ("+ acme: new connection with 6 mappings", WAITS.format("acme"))
    assert (await office.connections().stored())["acme"].parked
    books = books_of(office)
    customer = books.customer()
    await books.told(books.said(customer), books.said(books.invoice(customer)))
    assert await due(office) == []
    again = await office.apply(office.web())
    assert (again.lines, again.changed) == ((WAITS.format("acme"),), False)

    connected = await office.connect()
    assert connected.lines == (f"~ acme: connected to Acme ({office.tenant_id})",)
    assert await due(office) == [office.tenant_id]
    assert {row["tenant_id"] for row in await books.documents()} == {office.tenant_id}
    assert (await books.freeze()).count == 1
    tenants = await office.db.fetch("select id from tenant")
    assert [row["id"] for row in tenants] == [office.tenant_id], "the stand-in is gone"
    again = await office.apply(office.web())
    assert (again.lines, again.changed) == ((), False)
    assert (await office.connection()).tenant_id == office.tenant_id


async def test_a_tenant_named_in_the_file_waits_too(office: Office) -> None:
    other = await office.open_tenant("Other", "unused")
    await office.apply(office.web(tenant_id=office.tenant_id))
    assert await office.value("select parked_why from authorisation") == "unauthorised"
    assert await office.value("select blocked_why from tenant") == "unauthorised"
    before = await office.rows()
    error = await halted("tenant_not_reached", office.connect("acme", other))
    assert f"Other ({other})" in error.sentence
    await halted("tenant_differs", office.connect("acme", named=other))
    assert await office.rows() == before
    await office.connect()
    assert await office.value("select parked_at is null from authorisation")
    assert (await office.connection()).tenant_id == office.tenant_id


async def test_the_tenant_is_chosen_where_the_consent_reaches_several(office: Office) -> None:
    other = await office.open_tenant("Other", "unused")
    await office.apply(office.web())
    offered: list[str] = []

    def choose(tenants: Sequence[TenantRef]) -> UUID:
        offered.extend(ref.name for ref in tenants)
        return other

    await office.connect(choose=choose)
    assert sorted(offered) == ["Acme", "Other"]
    assert (await office.connection()).tenant_id == other
    assert not (await office.apply(office.web())).changed  # the choice stays
    error = office.apply(office.web(tenant_id=office.tenant_id))
    with pytest.raises(ValueError, match="belongs to tenant"):
        await error


async def test_a_named_tenant_is_not_asked_for(office: Office) -> None:
    await office.open_tenant("Other", "unused")
    await office.apply(office.web())
    await office.connect(named=office.tenant_id)
    assert (await office.connection()).tenant_id == office.tenant_id
    await halted("tenant_differs", office.connect(named=uuid4()))


async def test_naming_the_tenant_later_moves_what_waits(office: Office) -> None:
    await office.apply(office.web())
    books = books_of(office)
    await books.told(books.said(books.customer()))
    applied = await office.apply(office.web(tenant_id=office.tenant_id))
    assert applied.lines[0] == f"~ acme.xero.tenant_id: {office.tenant_id}"
    assert {row["tenant_id"] for row in await books.documents()} == {office.tenant_id}
    assert await due(office) == []


async def test_one_consent_serves_every_tenant_it_reaches(office: Office) -> None:
    other = await office.open_tenant("Other", "unused")
    acme = office.web(default=True, tenant_id=office.tenant_id)
    two = office.web("two", customers="linked", tenant_id=other)
    await office.apply(acme, two)
    connected = await office.connect("two")
    assert len(connected.lines) == 2
    rows = await office.db.fetch("select generation from authorisation")
    assert [row["generation"] for row in rows] == [1]
    assert await office.value("select count(*) from tenant where blocked_until is null") == 2
    assert not (await office.apply(acme, two)).changed


async def test_a_further_tenant_needs_a_further_consent(office: Office) -> None:
    """The only tenant that is reached is another connection's: it is not taken for the second."""
    other = await office.open_tenant("Other", "unused")
    acme = office.web(default=True)
    two = office.web("two", customers="linked")
    await office.apply(acme)
    await office.connect("acme", office.tenant_id)
    applied = await office.apply(acme, two)
    assert applied.lines[-1] == WAITS.format("two")
    stored = await office.connections().stored()
    assert (stored["acme"].parked, stored["two"].parked) == (False, True)
    assert stored["two"].connection.tenant_id == stand_in("two")
    await office.connect("two", other, named=other)
    stored = await office.connections().stored()
    assert stored["two"].connection.tenant_id == other
    assert not any(one.parked for one in stored.values())


async def test_a_consent_that_would_take_a_tenant_away_is_refused(office: Office) -> None:
    other = await office.open_tenant("Other", "unused")
    acme = office.web(default=True, tenant_id=office.tenant_id)
    two = office.web("two", customers="linked", tenant_id=other)
    await office.apply(acme, two)
    await office.connect("acme", office.tenant_id)
    before = await office.rows()
    await halted("consent_too_small", office.connect("two", other, user="bob"))
    assert await office.rows() == before
    await office.db.execute("update authorisation set parked_at = now()")
    connected = await office.connect("two", other, user="bob")
    assert connected.lines[0] == "  acme: not reached by this consent, stays parked"
    assert await office.value("select blocked_why from tenant where id = $1", office.tenant_id) == (
        "unauthorised"
    )


async def test_a_tenant_is_not_taken_from_another_client(office: Office) -> None:
    await office.apply(office.acme(default=True), office.web("two", customers="linked"))
    await halted("tenant_taken", office.connect("two"))


async def test_mappings_are_checked_once_the_chart_can_be_read(office: Office) -> None:
    await office.apply(office.web(mappings={"coupon": {"item": "NO"}}))
    connected = await office.connect()
    assert connected.mistakes == (
        "acme.mappings.coupon.item: Xero has no item 'NO'; codes are those of this Xero "
        "organisation: add it there, or use another",
    )


async def test_a_public_client_is_connected_and_renewed_without_a_secret(office: Office) -> None:
    await office.register_web(secret="")
    await office.apply(office.web(secret=""))
    await office.connect()
    tokens = office.tokens()
    authorisation = await office.store().get(1)
    first = await tokens.token(authorisation)
    await tokens.renew(authorisation)
    assert await tokens.token(await office.store().get(1)) != first


async def test_a_refusal_at_the_login_page_stores_nothing(office: Office) -> None:
    await office.apply(office.web())
    before = await office.rows()
    await office.order("consents/web", {"denied": True})
    await halted("consent_denied", office.connect())
    await halted("not_found", office.connect("nobody"))
    assert await office.rows() == before


async def test_a_custom_connection_needs_no_consent_until_it_says_so(office: Office) -> None:
    await office.apply(office.acme())
    await halted("no_consent_needed", office.connect())
    await office.order(
        "clients",
        {
            "client_id": "client",
            "client_secret": "secret",
            "tenant_ids": [],
            "custom_connection": False,
        },
    )
    changed = office.acme()
    changed["xero"]["consent"] = True
    applied = await office.apply(changed)
    assert "~ acme.xero.consent: true" in applied.lines
    assert "~ acme: nobody lets us in, is parked" in applied.lines
    await office.connect()
    assert await due(office) == [office.tenant_id]
    two = office.acme("two", customers="linked")
    [line] = await office.refused(two)
    assert line == "connections[0].xero: Xero refuses the client (authorisation_refused). " + (
        "Check the client's id, secret and scopes in Xero's developer portal, correct the "
        "connections file and apply it."
    )


async def test_connections_of_one_client_agree_about_consent(office: Office) -> None:
    one = office.web(default=True)
    two = office.web("two", customers="linked", tenant_id=office.tenant_id)
    two["xero"]["client_id"] = one["xero"]["client_id"] = "client"
    del two["xero"]["consent"]
    lines = await office.refused(one, two)
    assert "connections[1].xero.consent: differs from connections[0], " in lines[0]


async def test_tokens_are_nowhere_in_clear(office: Office) -> None:
    await office.apply(office.web())
    connected = await office.connect()
    store = office.store()
    authorisation = await store.get(1)
    await office.tokens().renew(authorisation)
    issued = office.secrets()
    await office.end_consent()
    with pytest.raises(Unauthorised) as refused:
        await office.tokens().renew(await store.get(1))
    tables = await office.db.fetch(
        "select tablename from pg_tables where schemaname = 'public' order by 1"
    )
    shown = [repr(authorisation), repr(authorisation.consent), repr(refused.value)]
    shown += [refused.value.hint, *connected.lines, repr(refused.value.__context__)]
    for [table] in tables:
        rows = await office.db.fetch(f"select t::text as row from {table} t")
        shown += [row["row"] for row in rows]
    everything = "\n".join(shown)
    sealed = [row["tokens"] for row in await office.db.fetch("select tokens from authorisation")]
    assert len(issued) >= 4
    for token in issued:
        assert token not in everything
        assert token.encode() not in sealed[0]
        assert token.encode().hex() not in everything


# ── Disconnecting ─────────────────────────────────────────────────────────────────────────────────


async def disconnect(office: Office, code: str) -> tuple[str, ...]:
    """The command."""
    return await Disconnect(office.connections(), office.tokens()).run(code, "ann")


async def test_a_tenant_is_disconnected_and_the_last_takes_the_tokens_along(
    office: Office,
) -> None:
    other = await office.open_tenant("Other", "unused")
    acme = office.web(default=True, tenant_id=office.tenant_id)
    two = office.web("two", customers="linked", tenant_id=other)
    await office.apply(acme, two)
    await office.connect()
    first = await disconnect(office, "acme")
    assert first == ("~ acme: nothing more is sent", "~ Acme: disconnected at Xero")
    store = office.store()
    assert await office.tokens().tenants(await store.get(1)) == [TenantRef(other, "Other")]
    assert await office.asked("/connections/", "DELETE") == 1
    assert await due(office) == [other]
    assert not (await office.apply(acme, two)).changed, "applying does not undo it"

    second = await disconnect(office, "two")
    assert second[1:] == (
        "~ Other: disconnected at Xero",
        "~ its tokens are forgotten; no other tenant uses them",
    )
    assert await office.value("select tokens is null and parked_at is not null from authorisation")
    assert await office.value("select parked_why from authorisation") == "disconnected"
    assert await due(office) == []
    assert "lets us in no more" in (await disconnect(office, "two"))[1]

    await office.connect("two")
    assert sorted(await due(office)) == sorted([office.tenant_id, other])


async def test_a_custom_connection_is_disconnected_as_well(office: Office) -> None:
    await office.apply(office.acme())
    assert await disconnect(office, "acme") == (
        "~ acme: nothing more is sent",
        "~ Acme: disconnected at Xero",
    )
    assert (await disconnect(office, "acme"))[1] == "  Xero had disconnected it already"
    assert await due(office) == []


async def test_nothing_is_sent_although_xero_cannot_be_told(office: Office) -> None:
    await office.apply(office.web())
    await halted("not_connected", disconnect(office, "acme"))
    await office.connect()
    where = {"method": "DELETE", "path_prefix": "/connections"}
    await office.order("faults", {"kind": "503", "times": 1, "match": where})
    await halted("identity_unavailable", disconnect(office, "acme"))
    assert await due(office) == []
    assert not await office.value("select tokens is null from authorisation")
    assert len(await disconnect(office, "acme")) == 3


# ── Keys ──────────────────────────────────────────────────────────────────────────────────────────


async def test_rekey_encrypts_everything_anew_and_again_nothing(office: Office) -> None:
    await office.apply(office.acme(default=True), office.web("two", customers="linked"))
    other = await office.open_tenant("Other", "unused")
    await office.connect("two", other)
    generation = await office.value("select max(generation) from authorisation")
    both = Vault([NEW_KEY, OLD_KEY])
    assert await rekey(office.db, both.renewed, page=1) == Rekeyed(seen=3, changed=3)
    assert await rekey(office.db, both.renewed, page=1) == Rekeyed(seen=3)
    office.vault = Vault([NEW_KEY])
    web = next(
        s.authorisation for s in (await office.connections().stored()).values() if s.authorisation
    )
    assert [ref.id for ref in await office.tokens().tenants(web)] == [other]
    assert await office.value("select max(generation) from authorisation") == generation
    lost = Vault([OLD_KEY])
    before = await office.rows()
    assert await rekey(office.db, lost.renewed) == Rekeyed(seen=3, lost=3)
    assert await office.rows() == before


async def test_a_consent_asks_for_bank_transactions_once_overpayments_are_to_be_posted(
    office: Office,
) -> None:
    """Also for a sibling of the connection: one consent serves all of its client."""
    connect, tokens = office.connecting()

    async def asked() -> str:
        request = await connect.begin("acme", None, "http://localhost:1/callback", "s", "v" * 60)
        return tokens.consent_url(request)

    banked: dict[str, Any] = {
        "mappings": {"payment_account": "090"},
        "policies": {"excess": "overpayment"},
    }
    await office.apply(office.web(serves={"default": True}))
    assert "banktransactions" not in await asked()
    nz = office.web("nz", customers="linked", **banked)
    await office.apply(office.web(serves={"default": True}), nz)
    assert "accounting.banktransactions" in await asked()
    await office.connect("acme", office.tenant_id)
    token = await tokens.token(await office.store().get(1))
    headers = {"Authorization": f"Bearer {token}", "xero-tenant-id": str(office.tenant_id)}
    url = f"{office.simulator.api_url}/BankTransactions"
    answer = await office.http.get(url, headers={**headers, "Accept": "application/json"})
    assert answer.status_code == 200


async def test_apply_refuses_overpayments_on_what_is_no_bank_account(office: Office) -> None:
    asked = office.acme(policies={"excess": "overpayment"})
    assert await office.refused(asked) == [
        "connections[0].mappings.payment_account: account '880' is no bank account. Xero keeps "
        "overpayments on bank accounts only: use one, or policies: {excess: fail}"
    ]
    asked = office.acme(policies={"excess": "overpayment"}, mappings={"payment_account": "090"})
    await office.apply(asked)
    assert (await office.connection()).overpays
