"""The installed command: a connection taken out of use."""

from __future__ import annotations

from cryptography.fernet import Fernet

from tests.acceptance.shell import NOT_FOUND, OK, REFUSED, USAGE, Shell
from tests.integration.ledger import books


async def test_retire(database_url: str) -> None:
    shell = Shell(
        DATABASE_URL=database_url,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        ENCRYPTION_KEYS=Fernet.generate_key().decode(),
    )
    async with books(database_url) as b:
        asked = ("retire", "acme", "--reason", "contract ended")
        early = await shell(*asked)
        assert (early.code, "hint: run first: lago-xero disconnect acme" in early.err) == (
            REFUSED,
            True,
        )
        await b.connections.park("acme", "ann")
        [connection] = (await shell("connections", "--json")).json
        assert connection["parked_why"] == "disconnected"
        dry = await shell(*asked, "--dry-run", "--json")
        assert (dry.code, dry.err) == (OK, "dry run: nothing was stored\n")
        assert dry.json == {
            "dry_run": True,
            "connection": "acme",
            "changed": True,
            "left": 0,
            "forgotten": True,
        }
        made = await shell(*asked)
        assert (made.code, made.out) == (OK, "acme: retired; its client's secret is forgotten\n")
        assert "applying it brings it back" in made.err
        again = await shell(*asked)
        assert (again.code, again.out) == (OK, "")
        assert again.err == "nothing to change: acme is retired already\n"
        assert (await shell("connections", "--json")).json == []
        assert (await shell("rekey")).code == OK
        assert (await shell("retire", "no", "--reason", "no")).code == NOT_FOUND
        assert (await shell("retire", "acme")).code == USAGE
