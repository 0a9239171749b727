"""The installed command: mappings listed, set, exported, covered; charts read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from consumer.adapters.postgres.database import database
from consumer.sandbox.xero import Simulator
from tests.acceptance.shell import NOT_FOUND, OK, REFUSED, UNREACHABLE, USAGE, Shell, write
from tests.acceptance.xero import MAPPINGS
from tests.integration.ledger import books

TENANT = "7f6a0c1e-5a3b-4c2d-9e8f-0a1b2c3d4e5f"
COMMANDS = (
    ("mappings", "list", "acme"),
    ("mappings", "set", "acme", "no_tax", "NONE"),
    ("mappings", "unset", "acme", "coupon"),
    ("mappings", "export", "acme"),
    ("mappings", "coverage", "acme"),
    ("chart", "refresh", "acme"),
)


async def order(simulator: Simulator, path: str, body: dict[str, Any]) -> None:
    """To the simulated Xero."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{simulator.control_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text


@pytest.fixture
async def file(shell: Shell, xero_simulator: Simulator, tmp_path: Path) -> Path:
    """A connections file that has been applied."""
    client = {"client_id": "client", "client_secret": "hunter2", "tenant_ids": [TENANT]}
    await order(xero_simulator, "tenants", {"tenant_id": TENANT, "name": "Acme"})
    await order(xero_simulator, "clients", client)
    (tmp_path / "acme.secret").write_text("hunter2")
    path = tmp_path / "connections.yaml"
    write(path, MAPPINGS)
    assert (await shell("apply", "-f", str(path))).code == OK
    return path


async def test_the_file_wins_over_what_was_set(shell: Shell, file: Path) -> None:
    made = await shell("mappings", "set", "acme", "taxes.vat_7", "RROUTPUT")
    assert (made.code, made.out, made.err) == (
        OK,
        "+ acme.mappings.taxes.vat_7: RROUTPUT\n",
        "stored\n",
    )
    again = await shell("mappings", "set", "acme", "taxes.vat_7", "RROUTPUT")
    assert (again.code, again.out, again.err) == (OK, "", "nothing to change\n")

    applied = await shell("apply", "-f", str(file))
    assert applied.out == "- acme.mappings.taxes.vat_7: RROUTPUT\n"
    rows = (await shell("mappings", "list", "acme", "--history", "--json")).json
    [gone] = [row for row in rows if row["path"] == "taxes.vat_7"]
    assert gone["tax_type"] == "RROUTPUT"
    assert gone["unset_at"]
    assert "vat_7" not in (await shell("mappings", "list", "acme")).out


async def test_what_is_exported_is_what_the_file_says(shell: Shell, file: Path) -> None:
    await shell("mappings", "set", "acme", "entities.eu.coupon", "item=DISC", "account=260")
    exported = await shell("mappings", "export", "acme")
    [connection] = yaml.safe_load(file.read_text())["connections"]
    connection["mappings"] = yaml.safe_load(exported.out)["mappings"]
    file.write_text(yaml.safe_dump({"connections": [connection]}))
    applied = await shell("apply", "-f", str(file))
    assert (applied.out, applied.err) == ("", "nothing to change\n")


async def test_a_code_that_was_just_added_is_known_after_a_refresh(
    shell: Shell, file: Path, xero_simulator: Simulator
) -> None:
    item = {"Code": "NEW", "Name": "New", "SalesDetails": {"AccountCode": "200"}}
    await order(xero_simulator, f"books/{TENANT}/chart", {"items": [item]})
    wanted = ("mappings", "set", "acme", "coupon", "item=NEW")
    refused = await shell(*wanted)
    assert refused.code == REFUSED
    assert "mappings.coupon.item: Xero has no item 'NEW'" in refused.err
    assert "lago-xero chart refresh acme" in refused.err
    refreshed = await shell("chart", "refresh", "acme")
    assert (refreshed.code, refreshed.out) == (OK, "acme:\n  + item NEW\n")
    assert (await shell(*wanted)).code == OK


async def test_a_refresh_tells_what_it_breaks(
    shell: Shell, file: Path, xero_simulator: Simulator
) -> None:
    account = {"Code": "880", "Name": "Gone", "Type": "CURRENT", "Status": "ARCHIVED"}
    await order(xero_simulator, f"books/{TENANT}/chart", {"accounts": [account]})
    [row] = (await shell("chart", "refresh", "--json")).json
    assert row["connections"] == ["acme"]
    [alarm] = row["alarms"]
    assert alarm["code"] == "chart_broke_mapping"
    assert alarm["said"] == "acme.mappings.payment_account: account '880' is archived."
    assert (await shell("chart", "refresh")).out == "acme: no change\n"
    rows = (await shell("mappings", "list", "acme", "--json")).json
    assert [row["path"] for row in rows if row["problem"]] == ["payment_account"]


async def test_charts_that_cannot_be_read(shell: Shell, file: Path) -> None:
    away = shell.having(XERO_API_URL="http://127.0.0.1:1/api.xro/2.0")
    ended = await away("chart", "refresh")
    assert (ended.code, "acme: Xero cannot be asked" in ended.err) == (UNREACHABLE, True)
    async with database(shell.environment["LAGO_XERO_DATABASE_URL"], max_size=1) as db:
        await db.execute("update tenant set blocked_until = 'infinity'")
    ended = await shell("chart", "refresh")
    assert (ended.code, "acme: Nobody lets us in." in ended.err) == (REFUSED, True)


async def test_coverage(shell: Shell, database_url: str) -> None:
    async with books(database_url) as ledger:
        customer = ledger.customer()
        await ledger.told(ledger.said(customer), ledger.said(ledger.invoice(customer, 1250)))
        await ledger.accept(await ledger.freeze())
        while await ledger.ledger.release(10):
            pass
        await ledger.accept(await ledger.freeze())
    assert (await shell("mappings", "coverage", "acme", "--json")).json == [
        {
            "path": "subscription_fee",
            "how": "fallback",
            "currency": "EUR",
            "invoices": 1,
            "posted": "12.50",
        }
    ]
    assert "subscription_fee" in (await shell("mappings", "coverage", "acme")).out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[1])
async def test_a_connection_that_is_not_there(shell: Shell, command: tuple[str, ...]) -> None:
    ended = await shell(*(word.replace("acme", "no") for word in command))
    assert (ended.code, "There is no connection no." in ended.err) == (NOT_FOUND, True)


async def test_a_mapping_that_is_not_there(shell: Shell, file: Path) -> None:
    ended = await shell("mappings", "unset", "acme", "taxes.no")
    assert (ended.code, "acme has no mapping taxes.no." in ended.err) == (NOT_FOUND, True)


async def test_a_mandatory_mapping_cannot_be_unset(shell: Shell, file: Path) -> None:
    ended = await shell("mappings", "unset", "acme", "no_tax")
    assert (ended.code, "mappings.no_tax: is missing" in ended.err) == (REFUSED, True)


@pytest.mark.parametrize(
    "arguments",
    [["set", "acme"], ["set", "acme", "tax.vat_7", "X"], ["set", "acme", "coupon", "X"]],
)
async def test_wrong_usage(arguments: list[str]) -> None:
    assert (await Shell()("mappings", *arguments)).code == USAGE
