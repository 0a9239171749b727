"""The installed command: failed documents tried again."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.acceptance.filled import Filled
from tests.acceptance.shell import NOT_FOUND, OK, Shell


async def test_retry_releases_what_failed_and_tells_how_many(shell: Shell, ledger: Filled) -> None:
    dry = await shell("retry", "--code", "tax_unmapped", "--dry-run", "--json")
    expected = {
        "dry_run": True,
        "documents": 1,
        "by_code": [{"code": "tax_unmapped", "count": 1}],
        "not_failed": [],
    }
    assert dry.json == expected
    assert "dry run" in dry.err
    assert "tax_unmapped" in (await shell("show", ledger.failed)).out

    ended = await shell("retry", "--all", "--reason", "mapped by hand")
    assert (ended.code, "tax_unmapped" in ended.out) == (OK, True)
    assert ended.err == "1 document released; the running service tries again\n"
    shown = (await shell("show", ledger.failed)).out
    assert "It waits: it is being planned again." in shown
    again = await shell("retry", "--all", "--json")
    assert (again.code, again.json["documents"]) == (OK, 0)
    assert again.err == "no failed document fits: nothing to retry\n"


@pytest.mark.parametrize("named", ["lago_id", "id", "doc", "number"])
async def test_retry_takes_what_show_takes(shell: Shell, ledger: Filled, named: str) -> None:
    [row] = (await shell("show", ledger.failed, "--json")).json
    ref = f"doc:{row['id']}" if named == "doc" else str(row[named])
    assert (await shell("retry", ref, "--json")).json["documents"] == 1


async def test_retry_of_a_documents_id_means_that_one(shell: Shell, ledger: Filled) -> None:
    await ledger.execute(
        """insert into document (kind, lago_id, target, state, code)
           values ('payment', $1, $1, 'failed', 'locked_period')""",
        UUID(ledger.failed),
    )
    first, second = (await shell("show", ledger.failed, "--json")).json
    ended = await shell("retry", str(first["id"]), "--json")
    assert ended.json["by_code"] == [{"code": first["code"], "count": 1}]
    ended = await shell("retry", ledger.failed, "--json")
    assert ended.json["by_code"] == [{"code": second["code"], "count": 1}]


async def test_retry_tells_what_had_not_failed_and_why(shell: Shell, ledger: Filled) -> None:
    ended = await shell("retry", "INV-1", ledger.failed, "--json")
    assert ended.json["documents"] == 1
    [other] = ended.json["not_failed"]
    assert set(other) == {
        "ref", "id", "connection", "kind", "lago_id", "number", "state", "explanation"
    }  # fmt: skip
    assert (other["ref"], other["state"]) == ("INV-1", "synced")
    told = await shell("retry", "INV-1")
    assert told.code == OK
    assert "invoice INV-1, has not failed. Xero has it as Lago says." in told.out


@pytest.mark.parametrize("arguments", [["INV-404"], ["--connection", "other"]])
async def test_retry_of_what_is_not_there_releases_nothing(
    shell: Shell, ledger: Filled, arguments: list[str]
) -> None:
    ended = await shell("retry", ledger.failed, *arguments)
    assert (ended.code, arguments[-1] in ended.err) == (NOT_FOUND, True)
    [row] = (await shell("show", ledger.failed, "--json")).json
    assert row["state"] == "failed"


async def test_a_large_retry_tells_how_far_it_is(shell: Shell, ledger: Filled) -> None:
    await ledger.execute(
        """insert into document (kind, lago_id, state, code)
           select 'contact', gen_random_uuid(), 'failed', 'locked_period' from generate_series(1, 1200)"""
    )
    ended = await shell("retry", "--kind", "contact", "--json")
    assert ended.json["documents"] == 1200
    assert "500 documents released …\n1000 documents released …\n" in ended.err
