"""The installed command: help, usage and settings; connections applied and listed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from consumer.sandbox.services import PostgresService
from tests.acceptance.filled import Filled
from tests.acceptance.shell import OK, REFUSED, UNREACHABLE, USAGE, Shell, write
from tests.acceptance.xero import MAPPINGS

READING = ("connections", "documents", "dead-letters list", "status")


# ── Help, usage, settings ─────────────────────────────────────────────────────────────────────────


async def test_help_and_version_need_nothing() -> None:
    top = await Shell()("--help")
    assert top.code == OK
    assert "Exit codes" in top.out
    told = await Shell()("--version")
    assert (told.code, told.out) == (OK, f"lago-xero {version('lago-xero')}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["apply"],
        ["show"],
        ["documents", "--state", "lost"],
        ["documents", "--limit", "0"],
        ["retry"],
        ["retry", "--reason", "no filter"],
        ["retry", "--all", "--code", "locked_period"],
        ["retry", "--all", "INV-1"],
        ["connect"],
        ["connect", "acme", "--tenant", "acme"],
        ["connect", "acme", "--port", "0"],
        ["sandbox", "up", "--only", "redis"],
    ],
)
async def test_wrong_usage(arguments: Sequence[str]) -> None:
    assert (await Shell()(*arguments)).code == USAGE


@pytest.mark.parametrize("command", [*READING, "migrate", "run", "retry --all", "prune"])
async def test_settings_that_are_missing(command: str) -> None:
    ended = await Shell()(*command.split())
    assert ended.code == REFUSED
    assert "LAGO_XERO_DATABASE_URL is missing." in ended.err
    assert "hint: " in ended.err


async def test_debug_adds_the_traceback() -> None:
    ended = await Shell(DEBUG="1")("status")
    assert "Traceback" in ended.err
    assert "LAGO_XERO_DATABASE_URL is missing." in ended.err


@pytest.mark.parametrize("command", [*READING, "migrate", "retry --all", "prune"])
async def test_a_database_that_is_not_there(command: str) -> None:
    ended = await Shell(DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/x")(*command.split())
    assert ended.code == UNREACHABLE
    assert "LAGO_XERO_DATABASE_URL" in ended.err
    assert "hunter2" not in ended.err


async def test_a_database_that_is_not_migrated(
    shell: Shell, postgres_service: PostgresService, file: Path
) -> None:
    url = await postgres_service.create_database()
    try:
        fresh = shell.having(DATABASE_URL=url)
        asked = [command.split() for command in (*READING, "run", "prune")]
        asked += [["show", "INV-1"], ["retry", "--all"], ["apply", "-f", str(file)]]
        for arguments in asked:
            ended = await fresh(*arguments)
            assert (ended.code, "lago-xero migrate" in ended.err) == (REFUSED, True), arguments
        first, second = await fresh("migrate"), await fresh("migrate")
        assert (first.code, second.code) == (OK, OK)
        assert "empty" in first.out
        assert "already" in second.out
        assert (await fresh("connections", "--json")).json == []
    finally:
        await postgres_service.drop_database(url)


# ── Connections ─────────────────────────────────────────────────────────────────────────────────────


async def test_apply_shows_stores_and_then_has_nothing_to_do(shell: Shell, file: Path) -> None:
    arguments = ("apply", "-f", str(file))
    dry = await shell(*arguments, "--dry-run")
    assert (dry.code, dry.err) == (OK, "dry run: nothing was stored\n")
    assert dry.out.startswith("+ acme: new connection")
    assert (await shell("connections", "--json")).json == []

    assert (await shell(*arguments)).out == dry.out
    again = await shell(*arguments)
    assert (again.code, again.out, again.err) == (OK, "", "nothing to change\n")

    write(file, {**MAPPINGS, "no_tax": "NONE"})
    changed = await shell(*arguments)
    assert changed.out == "~ acme.mappings.no_tax: ZERORATED → NONE\n"


async def test_apply_tells_every_mistake(shell: Shell, file: Path) -> None:
    write(file, {**MAPPINGS, "no_tax": "NO", "coupon": {"item": "NO"}})
    ended = await shell("apply", "-f", str(file))
    assert ended.code == REFUSED
    assert "connections[0].mappings.coupon.item: Xero has no item 'NO'" in ended.err
    assert "connections[0].mappings.no_tax: Xero has no tax type 'NO'" in ended.err
    assert (await shell("connections", "--json")).json == []


async def test_apply_without_a_file(shell: Shell, tmp_path: Path) -> None:
    ended = await shell("apply", "-f", str(tmp_path / "none.yaml"))
    assert ended.code == REFUSED
    assert "none.yaml" in ended.err


async def test_apply_while_xero_does_not_answer(shell: Shell, file: Path) -> None:
    away = shell.having(XERO_API_URL="http://127.0.0.1:1/api.xro/2.0")
    assert (await away("apply", "-f", str(file))).code == UNREACHABLE
    away = shell.having(XERO_IDENTITY_URL="http://127.0.0.1:1")
    assert (await away("apply", "-f", str(file))).code == UNREACHABLE


async def test_connections(shell: Shell, file: Path) -> None:
    await shell("apply", "-f", str(file))
    [acme] = (await shell("connections", "--json")).json
    assert acme["code"] == "acme"
    assert acme["client_id"] == "client"
    assert acme["settings"]["customers"] == "create"
    shown = await shell("connections")
    assert "acme" in shown.out
    assert "hunter2" not in shown.out


async def test_tables_show_names_as_they_are(shell: Shell, ledger: Filled) -> None:
    assert "Acme [/red] :bug:" in (await shell("connections")).out
