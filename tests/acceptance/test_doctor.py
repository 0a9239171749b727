"""The doctor beside the running service: all is well, and what is broken is told with its fix."""

from __future__ import annotations

import json

from tests.acceptance.harness import World
from tests.acceptance.shell import REFUSED, Shell


async def test_all_that_the_service_needs_is_there(acme: World) -> None:
    await acme.start()

    async def joined() -> bool:
        return any(said["event"] == "joined" for said in acme.replicas[0].said())

    await acme.until(joined, "the consumer has joined its group")
    found = json.loads(await acme.command("doctor", "--json"))
    assert [one for one in found if one["level"] == "problem"] == []
    assert {one["check"] for one in found} >= {
        "broker", "topics", "group", "webhook", "database", "migrations", "keys", "clock",
        "connections", "charts", "coverage", "authorisation", "organisation", "lago",
    }  # fmt: skip
    assert next(one for one in found if one["check"] == "group")["level"] == "ok"


async def test_what_is_away_is_a_problem_and_the_rest_is_checked(shell: Shell) -> None:
    process = await shell.start("doctor", "--timeout", "5")
    out, _ = await process.communicate()
    assert process.returncode == REFUSED
    told = out.decode()
    assert "PROBLEM  broker: Kafka at 127.0.0.1:1 cannot be used" in told
    assert "ok       migrations:" in told
    assert "PROBLEM  connections: There is no connection." in told
    nowhere = shell.having(DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/x")
    process = await nowhere.start("doctor", "--timeout", "5")
    out, _ = await process.communicate()
    assert process.returncode == REFUSED
    assert "PROBLEM  database: The database does not answer" in out.decode()
    assert "hunter2" not in out.decode()
