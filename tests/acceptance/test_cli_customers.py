"""The installed command: a customer linked to a contact and moved to another connection by a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.shell import NOT_FOUND, OK, REFUSED, USAGE, Shell
from tests.integration.ledger import Books, books

CONTACT = str(uuid4())


@pytest.fixture
def shell(database_url: str) -> Shell:
    """With a migrated database; nothing else is there."""
    return Shell(DATABASE_URL=database_url)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Books]:
    """Two connections of an organization."""
    async with books(database_url, tenants=2) as opened:
        yield opened


async def _told(b: Books, entity: str = "acme") -> dict[str, Any]:
    who = b.customer(entity)
    await b.told(b.said(who), b.said(b.invoice(who)))
    return who


async def test_link(shell: Shell, ledger: Books) -> None:
    who = await _told(ledger)
    asked = ("link", who["external_id"], CONTACT)
    line = f"customer {who['lago_id']} in acme: no contact → {CONTACT}\n"
    dry = await shell(*asked, "--dry-run")
    assert (dry.code, dry.out, dry.err) == (OK, line, "dry run: nothing was stored\n")
    made = await shell(*asked, "--reason", "his contact of before")
    assert (made.code, made.out) == (OK, line)
    assert made.err == "stored; the running service follows it\n"
    again = await shell(*asked, "--json")
    assert (again.code, again.err) == (OK, "nothing to change\n")
    assert again.json == {
        "dry_run": False,
        "changed": False,
        "customer": who["lago_id"],
        "connection": "acme",
        "contact": CONTACT,
        "before": CONTACT,
        "lago": None,
        "known": None,
    }
    await ledger.released()
    assert CONTACT.encode() in (await ledger.freeze()).body
    [audit] = await ledger.database.fetch("select reason from audit where action = 'link'")
    assert audit["reason"] == "his contact of before"


async def test_move(shell: Shell, ledger: Books) -> None:
    who = await _told(ledger, "nobody")
    asked = ("move", who["lago_id"], "--to", "acme-1")
    dry = await shell(*asked, "--dry-run", "--json")
    assert dry.json == {
        "dry_run": True,
        "customer": who["lago_id"],
        "connection": "acme-1",
        "before": None,
        "changed": True,
    }
    made = await shell(*asked)
    assert (made.code, made.out) == (OK, f"customer {who['lago_id']}: no connection → acme-1\n")
    await ledger.released()
    assert (await ledger.freeze(1)).purpose == "contact_create"
    again = await shell(*asked)
    assert (again.code, again.out, again.err) == (OK, "", "nothing to change\n")


async def test_who_and_where_are_not_there(shell: Shell, ledger: Books) -> None:
    who = await _told(ledger, "nobody")
    for asked in (
        ("link", "nobody", CONTACT),
        ("move", "nobody", "--to", "acme"),
        ("link", who["lago_id"], CONTACT, "--connection", "no"),
        ("move", who["lago_id"], "--to", "no"),
    ):
        assert (await shell(*asked)).code == NOT_FOUND
    unclear = await shell("link", who["lago_id"], CONTACT)
    assert (unclear.code, "--connection: acme, acme-1" in unclear.err) == (REFUSED, True)
    assert (await shell("link", who["lago_id"], "no id")).code == USAGE
    assert (await shell("move", who["lago_id"])).code == USAGE
