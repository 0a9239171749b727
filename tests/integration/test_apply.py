"""Apply on a real Postgres against the simulated Xero: all or nothing, and what it releases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.vault import Vault
from consumer.domain.errors import Halt
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.pacing import Limits
from consumer.ports import Wish
from consumer.sandbox.xero import Simulator
from tests.integration.ledger import Books, books
from tests.integration.office import NEW_KEY, Office, opened

Json = dict[str, Any]


@pytest.fixture
async def office(database_url: str, xero_simulator: Simulator) -> AsyncIterator[Office]:
    """One Xero organisation, reached by ``client`` with the secret ``secret``."""
    async with opened(database_url, xero_simulator) as office:
        yield office


# ── What is stored ────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_is_stored_whole(office: Office) -> None:
    applied = await office.apply(office.acme(start_date="2026-01-01"))
    assert applied.lines == ("+ acme: new connection with 6 mappings",)
    assert applied.changed

    stored = await office.connection()
    assert stored.tenant_id == office.tenant_id  # found, since the client reaches no other
    assert str(stored.start_date) == "2026-01-01"
    assert stored.mappings[MappingKey("", "tax", "vat_20")] == Target(tax_type="OUTPUT2")

    chart = (await office.db.run(load_snapshot)).charts[office.tenant_id]
    assert chart.organisation.name == "Acme"
    assert chart.items["LAGO"].sales_account == "200"
    assert not chart.tax_rates["TAX001"].active

    assert await office.value("select who from audit") == "ann"
    assert await office.value("select due_at <= now() from tenant")


async def test_the_secret_is_encrypted(office: Office) -> None:
    await office.apply(office.acme())
    assert b"secret" not in await office.value("select secret from authorisation")
    id = await office.value("select id from authorisation")
    found = await office.store().get(id)
    assert (found.client_id, found.client_secret) == ("client", "secret")


async def test_again_changes_nothing(office: Office) -> None:
    await office.apply(office.acme())
    before = await office.rows(), await office.value("select revision from configuration")
    again = await office.apply(office.acme())
    assert (again.lines, again.changed) == ((), False)
    assert (await office.rows(), await office.value("select revision from configuration")) == before


async def test_a_dry_run_shows_and_stores_nothing(office: Office) -> None:
    before = await office.rows()
    applied = await office.apply(office.acme(), dry_run=True)
    assert applied.lines == ("+ acme: new connection with 6 mappings",)
    assert await office.rows() == before


async def test_mappings_keep_their_history(office: Office) -> None:
    await office.apply(office.acme())
    changed = office.acme(mappings={"taxes": {"vat_5": "RROUTPUT"}, "no_tax": "NONE"})
    applied = await office.apply(changed)
    assert applied.lines == (
        "~ acme.mappings.no_tax: ZERORATED → NONE",
        "- acme.mappings.taxes.vat_20: OUTPUT2",
        "+ acme.mappings.taxes.vat_5: RROUTPUT",
    )
    rows = await office.db.fetch(
        """select kind || ':' || key || '=' || tax_type, unset_at is null, set_by from mapping
            where kind in ('tax', 'no_tax') order by id"""
    )
    assert [tuple(row) for row in rows] == [
        ("no_tax:=ZERORATED", False, "ann"),
        ("tax:vat_20=OUTPUT2", False, "ann"),
        ("no_tax:=NONE", True, "ann"),
        ("tax:vat_5=RROUTPUT", True, "ann"),
    ]


async def test_pods_notice_by_the_revision(office: Office) -> None:
    before = await office.value("select revision from configuration")
    await office.apply(office.acme())
    assert await office.value("select revision from configuration") > before


async def test_connections_that_the_file_does_not_name_stay(office: Office) -> None:
    await office.apply(office.acme(default=True))
    other = office.acme("other", customers="linked")
    applied = await office.apply(other)
    assert applied.lines[-1] == "  acme: not in the file, left as it is"
    assert (await office.connection()).default
    again = await office.apply(other)
    assert not again.changed


async def test_what_changed_in_xero_is_stored_again(office: Office) -> None:
    await office.apply(office.acme())
    await office.order(f"lock_dates/{office.tenant_id}", {"period_lock_date": "2026-03-31"})
    applied = await office.apply(office.acme())
    assert applied.lines == ("~ acme: Xero's chart has changed",)
    chart = (await office.db.run(load_snapshot)).charts[office.tenant_id]
    assert str(chart.organisation.period_lock_date) == "2026-03-31"


async def test_every_call_is_counted(office: Office) -> None:
    await office.apply(office.acme(), dry_run=True)
    rows = await office.db.fetch(
        "select purpose, status, outcome from request where tenant_id = $1", office.tenant_id
    )
    assert [tuple(row) for row in rows] == [("chart", 200, "answered")] * 5


# ── What is refused ───────────────────────────────────────────────────────────────────────────────


async def test_one_mistake_stores_nothing_of_the_whole_file(office: Office) -> None:
    wrong = office.acme(
        "wrong",
        customers="linked",
        mappings={
            "coupon": {"item": "NO"},
            "subscription_fee": {"item": "BARE"},
            "add_ons": {"setup": {"item": "WIDGET"}},
            "payment_account": {"default": "200", "EUR": "881"},
        },
    )
    paths = [
        line.partition(": ")[0] for line in await office.refused(office.acme(default=True), wrong)
    ]
    assert paths == [
        "connections[1].mappings.add_ons.setup.item",
        "connections[1].mappings.coupon.item",
        "connections[1].mappings.payment_account",
        "connections[1].mappings.payment_account.EUR",
        "connections[1].mappings.subscription_fee",
    ]


async def test_a_clearing_account_stands_on_lines_and_pays(office: Office) -> None:
    """825 takes no payments in Xero, 881 is a bank account."""
    clears = {"consumed_credits": "negative_line"}
    for account, why in (("825", "takes no payments"), ("881", "is a bank account")):
        asked = office.acme(policies=clears, mappings={"clearing_account": account})
        [line] = await office.refused(asked)
        assert line.startswith("connections[0].mappings.clearing_account: account")
        assert why in line
    [line] = await office.refused(office.acme(policies=clears))
    assert line.startswith("connections[0].mappings.clearing_account: is missing")
    await office.apply(office.acme(policies=clears, mappings={"clearing_account": "890"}))
    assert (await office.connection()).clears


async def test_a_wrong_secret_of_one_and_a_wrong_code_of_another(office: Office) -> None:
    await office.open_tenant("Other", "client-2")
    wrong = office.acme("two", "client-2", customers="linked")
    wrong["xero"]["client_secret"] = {"env": "mistaken"}
    code = office.acme(default=True, mappings={"no_tax": "NO"})
    lines = await office.refused(wrong, code)
    assert [line.partition(": ")[0] for line in lines] == [
        "connections[0].xero",
        "connections[1].mappings.no_tax",
    ]
    assert "mistaken" not in lines[0]


async def test_a_tenant_that_the_client_does_not_reach(office: Office) -> None:
    acme = office.acme()
    acme["xero"]["tenant_id"] = str(uuid4())
    [line] = await office.refused(acme)
    assert line.startswith("connections[0].xero: the client does not reach tenant")


async def test_a_client_that_reaches_several_needs_a_name(office: Office) -> None:
    other = await office.open_tenant("Other", "unused")
    await office.register("client", "secret", office.tenant_id, other)
    [line] = await office.refused(office.acme())
    assert line == (
        "connections[0].xero: the client reaches 2 organisations; name one with tenant_id"
    )
    acme = office.acme()
    acme["xero"]["tenant_id"] = str(other)
    await office.apply(acme)
    assert (await office.connection()).tenant_id == other


async def test_a_connection_keeps_its_tenant(office: Office) -> None:
    await office.apply(office.acme())
    await office.open_tenant("Other", "client-2")
    [line] = await office.refused(office.acme(client="client-2"))
    assert line.startswith("connections[0].xero.tenant_id: connection acme belongs to tenant")


async def test_a_connection_keeps_its_organization(office: Office) -> None:
    await office.apply(office.acme())
    [line] = await office.refused(office.acme(organization_id=str(uuid4())))
    assert line.startswith("connections[0].organization_id: connection acme follows")


async def test_a_tenant_keeps_its_client_while_others_use_it(office: Office) -> None:
    await office.apply(office.acme("one", default=True))
    await office.register("client-2", "secret", office.tenant_id)
    [line] = await office.refused(office.acme("two", "client-2", customers="linked"))
    assert "one uses the same tenant through another client" in line


async def test_rivals_within_the_file_and_with_the_stored(office: Office) -> None:
    one, two = office.acme("one", default=True), office.acme("two", default=True)
    [line] = await office.refused(one, two)
    assert line.startswith("connections[1].default: ")
    await office.apply(one)
    [line] = await office.refused(two)
    assert line == "connections[0].default: one is the organization's default already"


async def test_one_tenant_is_used_through_one_client(office: Office) -> None:
    await office.register("client-2", "secret", office.tenant_id)
    one = office.acme("one", default=True)
    [line] = await office.refused(one, office.acme("two", "client-2", customers="linked"))
    assert line.startswith("connections[1].xero.client_id: connections[0] uses the same tenant")


async def test_xero_that_fails_is_no_mistake_of_the_file(office: Office) -> None:
    where = {"method": "GET", "path_prefix": "/api.xro/2.0/Items"}
    await office.order("faults", {"kind": "503", "times": 1, "match": where})
    with pytest.raises(Halt) as halted:
        await office.apply(office.acme())
    assert halted.value.code == "xero_unavailable"
    await office.apply(office.acme())


async def test_a_spent_day_is_told_at_once(office: Office) -> None:
    office.limits = Limits(day=2)
    with pytest.raises(Halt) as halted:
        await office.apply(office.acme())
    assert halted.value.code == "budget_spent"


# ── What it mends ─────────────────────────────────────────────────────────────────────────────────


async def test_a_parked_client_is_used_again(office: Office) -> None:
    await office.apply(office.acme())
    await office.db.execute(
        """update authorisation set parked_at = now(), parked_why = 'authorisation_refused';
           update tenant set due_at = 'infinity'"""
    )
    applied = await office.apply(office.acme())
    assert applied.lines == ("~ acme: was parked, is used again",)
    assert await office.value("select parked_at is null and parked_why is null from authorisation")
    assert await office.value("select due_at <= now() from tenant")


async def test_a_forbidden_tenant_is_used_again(office: Office) -> None:
    await office.apply(office.acme())
    await office.db.execute(
        "update tenant set blocked_until = 'infinity', blocked_why = 'forbidden'"
    )
    assert (await office.apply(office.acme())).changed
    assert await office.value("select blocked_until is null and blocked_why is null from tenant")


async def test_a_new_secret_is_stored(office: Office) -> None:
    await office.apply(office.acme())
    await office.register("client", "renewed", office.tenant_id)
    acme = office.acme()
    acme["xero"]["client_secret"] = {"env": "renewed"}
    applied = await office.apply(acme)
    assert applied.lines == ("~ acme.xero.client_secret: another secret",)
    assert (
        office.vault.decrypt(await office.value("select secret from authorisation")) == b"renewed"
    )


async def test_a_lost_encryption_key_is_mended_by_applying_again(office: Office) -> None:
    await office.apply(office.acme())
    office.vault = Vault([NEW_KEY])
    assert (await office.apply(office.acme())).lines == (
        "~ acme.xero.client_secret: another secret",
    )
    assert office.vault.decrypt(await office.value("select secret from authorisation")) == b"secret"


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Books]:
    """A ledger with a connection ``acme`` that maps the tax ``vat_20``."""
    async with books(database_url) as opened:
        yield opened


async def causes(db: Database) -> set[str]:
    """What is to be released."""
    return {row["cause"] for row in await db.fetch("select cause from release")}


async def store(books: Books, **changed: Any) -> None:
    """Store the connection ``acme`` again, changed."""

    async def load(conn: Conn) -> Wish:
        snapshot = await load_snapshot(conn)
        [acme] = snapshot.connections.values()
        return Wish(replace(acme, **changed), "client-0", "secret", snapshot.charts[acme.tenant_id])

    await books.connections.store([await books.database.run(load)], "ann", ["changed"])


async def test_what_the_connections_documents_want_is_released(ledger: Books) -> None:
    customer = ledger.customer()
    await ledger.told(ledger.said(customer), ledger.said(ledger.invoice(customer)))
    await ledger.database.execute("delete from release")
    [contact] = await ledger.documents(kind="contact")
    await ledger.database.execute(
        """update document set state = 'failed', code = 'unmapped', cause = 'tax:a@b@acme'
            where kind = 'invoice'"""
    )
    await ledger.database.execute(
        "update document set state = 'skipped', cause = 'start_date@acme2' where id = $1",
        contact["id"],
    )
    await store(ledger, name="Acme")
    assert await causes(ledger.database) == {"tax:a@b@acme"}


async def test_a_connection_releases_its_organizations_homeless(ledger: Books) -> None:
    await store(ledger, customers="linked", billing_entities=frozenset())
    customer = ledger.customer("elsewhere")
    await ledger.told(ledger.said(customer))
    [contact] = await ledger.documents(kind="contact")
    assert (contact["connection_id"], contact["cause"]) == (None, f"home:{customer['lago_id']}")
    await ledger.database.execute("delete from release")

    await store(ledger, customers="create", billing_entities=frozenset({"elsewhere"}))
    assert await causes(ledger.database) == {f"home:{customer['lago_id']}"}
    await ledger.released()
    states = {(row["connection_id"] is None, row["state"]) for row in await ledger.documents()}
    assert (False, "ready") in states
