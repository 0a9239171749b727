"""The installed command: a customer's data erased."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from tests.acceptance.shell import NOT_FOUND, OK, REFUSED, USAGE, Shell
from tests.integration.ledger import Books, books
from tests.integration.test_erasing import known_life, quiet, traces


@pytest.fixture
def shell(database_url: str) -> Shell:
    """With a migrated database; nothing else is there."""
    return Shell(DATABASE_URL=database_url)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Books]:
    async with books(database_url) as opened:
        yield opened


async def test_erase(shell: Shell, ledger: Books) -> None:
    who, _ = await known_life(ledger, "quixot")
    asked = ("erase", who["external_id"], "--reason", "request 17")
    early = await shell(*asked)
    assert (early.code, "hint: run it again after 20" in early.err) == (REFUSED, True)
    await quiet(ledger)
    dry = await shell(*asked, "--dry-run")
    named = "city, country, email, firstname, lastname, legal_name, name, phone"
    assert dry.out.startswith(
        f"customer {who['lago_id']}: address_line1, {named}, shipping_address"
    )
    assert dry.out.endswith("; 5 messages, 5 bodies of calls\n")
    assert (dry.code, dry.err) == (OK, "dry run: nothing was erased\n")
    made = await shell(*asked, "--json")
    assert (made.code, made.err) == (
        OK, "erased here; Xero's contact, Kafka and backups are not\n",
    )  # fmt: skip
    assert {**made.json, "facts": len(made.json["facts"])} == {
        "dry_run": False,
        "customer": who["lago_id"],
        "complete": True,
        "facts": 13,
        "messages": 5,
        "bodies": 5,
    }
    assert await traces(ledger, "quixot") == {}
    again = await shell(*asked)
    assert (again.code, again.out, again.err) == (OK, "", "nothing to erase\n")
    shown = await shell("show", who["lago_id"])
    assert "Xero has it as Lago says." in shown.out


async def test_refused_unknown_and_without_a_reason(shell: Shell, ledger: Books) -> None:
    who = ledger.customer()
    await ledger.told(ledger.said(who))
    open_ = await shell("erase", who["lago_id"], "--reason", "no")
    assert (open_.code, "(contact, ready)" in open_.err) == (REFUSED, True)
    assert (await shell("erase", "nobody", "--reason", "no")).code == NOT_FOUND
    assert (await shell("erase", who["lago_id"])).code == USAGE


async def test_interrupted_the_same_command_goes_on(shell: Shell, ledger: Books) -> None:
    who, _ = await known_life(ledger, "quixot")
    await quiet(ledger)
    asked = ("erase", who["lago_id"], "--reason", "request 17")
    async with (
        asyncio.timeout(60),
        ledger.database.pool.acquire() as conn,
        conn.transaction(),
    ):
        await conn.execute("select from object where kind = 'customer' for update")
        erasing = await shell.start(*asked)
        while not await ledger.database.fetch(
            "select from pg_stat_activity where wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0)
        erasing.send_signal(signal.SIGINT)
    _, err = await erasing.communicate()
    assert (erasing.returncode, err) == (
        128 + signal.SIGINT, b"interrupted: the same command goes on\n",
    )  # fmt: skip
    assert set(await traces(ledger, "quixot")) == {"object", "event_raw", "request"}
    assert (await shell(*asked)).code == OK
    assert await traces(ledger, "quixot") == {}
