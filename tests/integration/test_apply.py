"""Applying a connections file, against the simulated Xero and a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import yaml

from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.connections import PostgresConnections, load_snapshot
from consumer.adapters.postgres.database import Database, database
from consumer.adapters.xero import XeroAccounting, open_client
from consumer.adapters.xero_auth import ClientCredentials
from consumer.apply import Applied, Apply
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.sandbox.xero import Simulator
from schemas.connections import Mistakes, parse


@dataclass
class Desk:
    """Where files are applied."""

    database: Database
    use_case: Apply
    tenants: list[str]

    def file(self, **changes: Any) -> dict[str, Any]:
        """One connection, ``changes`` applied to it."""
        return {
            "code": "acme",
            "organization_id": "1a901a90-1a90-1a90-1a90-1a901a901a90",
            "xero": {
                "tenant_id": self.tenants[0],
                "client_id": "client",
                "client_secret": {"env": "X"},
            },
            "mappings": {
                "fallback_item": {"item": "LAGO", "account": "200"},
                "payment_account": "880",
                "no_tax": "ZERORATED",
                "outside_tax": "NONE",
            },
            **changes,
        }

    async def apply(
        self, *connections: dict[str, Any], secret: str = "right", dry_run: bool = False
    ) -> Applied:
        """Through YAML, as a person would."""
        file = parse(yaml.safe_dump({"connections": list(connections)}))
        return await self.use_case.run(file, [secret] * len(connections), "me", dry_run=dry_run)


@pytest.fixture
async def desk(database_url: str, xero_simulator: Simulator) -> AsyncIterator[Desk]:
    """A client that reaches two Xero organisations."""
    tenants = [str(uuid4()), str(uuid4())]
    async with httpx.AsyncClient(base_url=xero_simulator.control_url) as control:
        for tenant_id in tenants:
            tenant = {
                "tenant_id": tenant_id,
                "name": "Acme",
                "country_code": "NZ",
                "base_currency": "NZD",
                "currencies": ["NZD"],
            }
            (await control.post("/tenants", json=tenant)).raise_for_status()
        client = {"client_id": "client", "client_secret": "right", "tenant_ids": tenants}
        (await control.post("/clients", json=client)).raise_for_status()
    async with database(database_url) as db, open_client() as http:
        use_case = Apply(
            PostgresConnections(db, bytes, bytes),
            XeroAccounting(http, xero_simulator.api_url),
            ClientCredentials(http, xero_simulator.identity_url, xero_simulator.api_url),
            PostgresBudget(db, Limits(), Clocks()),
        )
        yield Desk(db, use_case, tenants)


async def _stored(desk: Desk) -> dict[str, Any]:
    async with desk.database.transaction() as conn:
        snapshot = await load_snapshot(conn)
    return {c.code: c for c in snapshot.connections.values()}


async def test_applying_twice_changes_nothing(desk: Desk) -> None:
    first = await desk.apply(desk.file(serves={"billing_entities": ["nz"]}))
    assert first.lines == ("+ acme: new connection with 4 mappings",)
    connection = (await _stored(desk))["acme"]
    assert connection.tenant_id == UUID(desk.tenants[0])
    assert connection.billing_entities == {"nz"}
    second = await desk.apply(desk.file(serves={"billing_entities": ["nz"]}))
    assert (second.lines, second.changed) == ((), False)


async def test_a_dry_run_stores_nothing(desk: Desk) -> None:
    assert (await desk.apply(desk.file(), dry_run=True)).changed
    assert await _stored(desk) == {}


async def test_the_diff_names_each_setting_and_mapping(desk: Desk) -> None:
    await desk.apply(desk.file())
    changed = desk.file()
    changed["start_date"] = date(2026, 1, 1)
    changed["mappings"]["taxes"] = {"vat_20": "OUTPUT2"}
    changed["mappings"]["no_tax"] = "NONE"
    applied = await desk.apply(changed)
    assert applied.lines == (
        "~ acme.start_date: nothing → 2026-01-01",
        "~ acme.mappings.no_tax: ZERORATED → NONE",
        "+ acme.mappings.taxes.vat_20: OUTPUT2",
    )
    history = await desk.database.fetch(
        "select tax_type, set_by, unset_at is null as current from mapping where kind = 'no_tax' order by id"
    )
    assert [tuple(row) for row in history] == [("ZERORATED", "me", False), ("NONE", "me", True)]


async def test_a_code_that_xero_does_not_have_is_named_and_nothing_is_half_applied(
    desk: Desk,
) -> None:
    good = desk.file(default=True)
    bad = desk.file(code="other", serves={"billing_entities": ["eu"]}, number_prefix="E-")
    bad["mappings"] |= {"fallback_item": {"item": "NOPE", "account": "299"}, "no_tax": "OUTPUT2"}
    with pytest.raises(Mistakes) as caught:
        await desk.apply(good, bad)
    said = "\n".join(map(str, caught.value.mistakes))
    assert "connections[1].mappings.fallback_item.item: Xero has no item 'NOPE'" in said
    assert "connections[1].mappings.fallback_item.account: account '299' is archived" in said
    assert "connections[1].mappings.no_tax: tax type 'OUTPUT2' has 20 %" in said
    assert await _stored(desk) == {}


async def test_two_connections_that_could_claim_one_customer_are_refused(desk: Desk) -> None:
    one = desk.file(serves={"billing_entities": ["nz"]})
    other = desk.file(code="other", serves={"billing_entities": ["nz"]})
    with pytest.raises(Mistakes, match=r"connections\[1\].serves.billing_entities: nz is served"):
        await desk.apply(one, other)
    with pytest.raises(Mistakes, match="serves nobody"):
        await desk.apply(one, desk.file(code="other"))


async def test_a_wrong_secret_and_an_ambiguous_tenant_are_told_apart(desk: Desk) -> None:
    with pytest.raises(Mistakes, match=r"connections\[0\].xero: Xero refuses the client"):
        await desk.apply(desk.file(), secret="wrong")
    unnamed = desk.file()
    del unnamed["xero"]["tenant_id"]
    with pytest.raises(Mistakes, match="reaches 2 organisations"):
        await desk.apply(unnamed)


async def test_a_connection_never_moves_to_another_tenant(desk: Desk) -> None:
    await desk.apply(desk.file())
    moved = desk.file()
    moved["xero"]["tenant_id"] = desk.tenants[1]
    with pytest.raises(Mistakes, match="belongs to tenant"):
        await desk.apply(moved)
