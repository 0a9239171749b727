"""The installed command: what is kept no longer dropped; where everything stands."""

from __future__ import annotations

import asyncio
import json
import signal

from consumer.adapters.postgres.database import database
from tests.acceptance.filled import Filled
from tests.acceptance.shell import Shell


async def _old(ledger: Filled, announcements: int = 3) -> None:
    """All messages are old, and so are announcements of the posted invoice."""
    await ledger.execute("update event set received_at = now() - interval '60 days'")
    await ledger.execute("update request set answered_at = now() - interval '60 days'")
    await ledger.execute(
        """insert into outbox (sink, class, code, said, created_at, done_at)
           select 'webhook', 'Refused', 'odd', 'Odd.', now() - interval '60 days', now() - interval '60 days'
             from generate_series(1, $1)""",
        announcements,
    )


async def test_prune_drops_what_is_kept_no_longer(shell: Shell, ledger: Filled) -> None:
    await _old(ledger)
    told = await shell("prune", "--dry-run", "--json")
    rows = [
        {"what": "announcements", "kept_days": 30, "dropped": 3},
        {"what": "messages", "kept_days": 30, "dropped": 2},
        {"what": "requests", "kept_days": 90, "dropped": 0},
        {"what": "findings", "kept_days": 365, "dropped": 0},
        {"what": "events", "kept_days": 365, "dropped": 0},
    ]
    assert told.json == {"dry_run": True, "complete": True, "rows": rows}
    assert "nothing was dropped" in told.err
    kept = shell.having(KEEP_MESSAGES="61")
    rows[1] |= {"kept_days": 61, "dropped": 0}
    assert (await kept("prune", "--json")).json == {
        "dry_run": False, "complete": True, "rows": rows,
    }  # fmt: skip
    dropped = await shell("prune")
    assert "dropped" in dropped.out
    [messages] = [line for line in dropped.out.splitlines() if "messages" in line]
    assert [cell.strip() for cell in messages.split("│")[1:4]] == ["messages", "30", "2"]
    [row] = (await shell("show", ledger.posted, "--json")).json
    assert row["state"] == "synced"
    assert all(row["dropped"] == 0 for row in (await shell("prune", "--json")).json["rows"])


async def test_a_large_prune_tells_how_far_it_is(shell: Shell, ledger: Filled) -> None:
    await _old(ledger, 60_000)
    ended = await shell("prune", "--json")
    assert ended.json["rows"][0]["dropped"] == 60_000
    assert ended.err == "50000 rows looked at, now announcements …\n"


async def test_ctrl_c_ends_a_prune_after_the_page_at_hand(shell: Shell, ledger: Filled) -> None:
    await _old(ledger)
    waits = """select from pg_locks l join pg_database d on d.oid = l.database
                where l.locktype = 'advisory' and not l.granted and d.datname = current_database()"""
    async with (
        database(ledger.url, max_size=1) as other,
        database(ledger.url, max_size=1) as watch,
        asyncio.timeout(60),
    ):
        async with other.transaction(configuring=True):
            pruning = await shell.start("prune", "--json")
            while not await watch.fetch(waits):
                await asyncio.sleep(0.05)
            pruning.send_signal(signal.SIGINT)
        out, err = await pruning.communicate()
    assert pruning.returncode == 128 + signal.SIGINT
    told = json.loads(out)
    assert (told["complete"], told["rows"][0]["dropped"]) == (False, 3)
    assert err == b"interrupted: the next prune goes on\n"
    assert (await shell("prune", "--json")).json["rows"][1]["dropped"] == 2


async def test_status(shell: Shell, ledger: Filled) -> None:
    found = (await shell("status", "--json")).json
    assert {"connection": "acme", "kind": "invoice", "state": "failed", "count": 1} in found[
        "states"
    ]
    [tenant] = found["tenants"]
    assert tenant["calls_today"] == 2
    assert tenant["connections"] == "acme"
    assert found["dead"] == 0
    assert set(found) == {"states", "tenants", "outbox", "dead"}
    await ledger.die("{}")
    assert (
        "dead records: 1 (lago-xero dead-letters list --kind event)" in (await shell("status")).out
    )
    assert "acme" in (await shell("status")).out
