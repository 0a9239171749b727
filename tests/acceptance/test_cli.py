"""The installed command ``lago-xero``: what it prints where, and its exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from cryptography.fernet import Fernet

from consumer.adapters.postgres.database import database
from consumer.sandbox.services import KafkaService, PostgresService
from consumer.sandbox.xero import Simulator
from tests.acceptance.harness import MAPPINGS
from tests.integration.ledger import books

COMMAND = str(Path(sys.executable).with_name("lago-xero"))
READING = ("connections", "documents", "dead-letters list", "status")
OK, UNEXPECTED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND = range(6)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Shell:
    """Runs the command with these settings."""

    def __init__(self, **settings: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LAGO_XERO_")}
        self.environment = {**kept, **{f"LAGO_XERO_{k}": v for k, v in settings.items()}}

    def having(self, **settings: str) -> Shell:
        """Another one, with these settings too."""
        other = Shell()
        other.environment = {
            **self.environment,
            **{f"LAGO_XERO_{k}": v for k, v in settings.items()},
        }
        return other

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            COMMAND, *arguments, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def __call__(self, *arguments: str) -> Ended:
        """Run it to its end. Whatever ends badly says so without a traceback."""
        process = await self.start(*arguments)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        ended = Ended(process.returncode or 0, out.decode(), err.decode())
        if "LAGO_XERO_DEBUG" not in self.environment:
            assert "Traceback" not in ended.err
        if ended.code:
            assert ended.err
            assert not ended.out
        return ended


@pytest.fixture
def shell(database_url: str, xero_simulator: Simulator) -> Shell:
    """With a migrated database and a simulated Xero; Kafka is not there."""
    return Shell(
        DATABASE_URL=database_url,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        XERO_API_URL=xero_simulator.api_url,
        XERO_IDENTITY_URL=xero_simulator.identity_url,
        ENCRYPTION_KEYS=Fernet.generate_key().decode(),
    )


@pytest.fixture
async def file(xero_simulator: Simulator, tmp_path: Path) -> Path:
    """A connections file that Xero agrees with."""
    tenant = {"tenant_id": str(uuid4()), "name": "Acme"}
    client = {
        "client_id": "client",
        "client_secret": "hunter2",
        "tenant_ids": [tenant["tenant_id"]],
    }
    async with httpx.AsyncClient() as http:
        for order, body in (("tenants", tenant), ("clients", client)):
            answer = await http.post(f"{xero_simulator.control_url}/{order}", json=body)
            assert answer.status_code == 200
    (tmp_path / "acme.secret").write_text("hunter2")
    path = tmp_path / "connections.yaml"
    write(path, MAPPINGS)
    return path


def write(path: Path, mappings: dict[str, Any]) -> None:
    """The file with these mappings."""
    acme = {
        "code": "acme",
        "organization_id": "1a901a90-1a90-1a90-1a90-1a901a901a90",
        "xero": {"client_id": "client", "client_secret": {"file": "acme.secret"}},
        "mappings": mappings,
    }
    path.write_text(yaml.safe_dump({"connections": [acme]}))


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


# ── apply ─────────────────────────────────────────────────────────────────────────────────────────


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


# ── The ledger ────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Filled:
    """Lago ids of what is in the ledger."""

    customer: str
    external_id: str
    posted: str
    failed: str
    url: str
    dead: int = field(default=1000)

    async def execute(self, query: str, *args: Any) -> None:
        """A statement in the same database."""
        async with database(self.url, max_size=1) as db:
            await db.execute(query, *args)

    async def die(self, value: str) -> None:
        """A record that could not be read; their ids and offsets begin with 1000."""
        await self.execute(
            """with made as (
                 insert into event (id, digest, outcome, code, said, hint, topic, partition, "offset",
                                    appended_at)
                 overriding system value
                 values ($1, decode(lpad(to_hex($1::bigint), 64, '0'), 'hex'), 'dead', 'undecodable', 'No.',
                         'Mend it.', 'lago.webhooks', 3, $1, now()) returning id)
               insert into event_raw (event_id, value) select id, $2 from made""",
            self.dead,
            value.encode(),
        )
        self.dead += 1


@pytest.fixture
async def ledger(database_url: str) -> Filled:
    """A contact and an invoice that are in Xero, and an invoice without its tax mapping."""
    async with books(database_url) as ledger:
        customer = ledger.customer()
        posted, failed = ledger.invoice(customer, number="INV-1"), ledger.invoice(customer)
        await ledger.told(ledger.said(customer), ledger.said(posted))
        await ledger.accept(await ledger.freeze())
        while await ledger.ledger.release(10):
            pass
        await ledger.accept(await ledger.freeze())
        await ledger.told(ledger.said(failed))
        await ledger.database.execute(
            """update document set state = 'failed', code = 'tax_unmapped', said = 'No tax type.',
                      hint = 'Map vat_7.', cause = 'tax:vat_7@acme', failed_at = now()
                where state = 'ready'"""
        )
        await ledger.database.execute("update connection set name = 'Acme [/red] :bug:'")
        await ledger.database.execute(
            """update tenant set organisation = '{"short_code": "!Ab12c"}'"""
        )
        return Filled(
            customer["lago_id"],
            customer["external_id"],
            posted["lago_id"],
            failed["lago_id"],
            database_url,
        )


async def test_documents_by_state_and_kind(shell: Shell, ledger: Filled) -> None:
    rows = (await shell("documents", "--json")).json
    assert [(row["kind"], row["state"]) for row in rows] == [
        ("invoice", "failed"),
        ("invoice", "synced"),
        ("contact", "synced"),
    ]
    [contact] = (await shell("documents", "--json", "--kind", "contact")).json
    assert contact["of"] == ledger.external_id
    for arguments, ids in (
        (["--state", "failed"], [ledger.failed]),
        (["--kind", "contact"], [ledger.customer]),
        (["--connection", "acme", "--limit", "1"], [ledger.failed]),
        (["--code", "tax_unmapped"], [ledger.failed]),
        (["--code", "tax"], []),
        (["--cause", "tax:"], [ledger.failed]),
        (["--cause", "tax:%"], []),
        (["--cause", "doc:"], []),
    ):
        rows = (await shell("documents", "--json", *arguments)).json
        assert [row["lago_id"] for row in rows] == ids
    assert "INV-1" in (await shell("documents")).out


async def test_a_table_for_nobody_is_no_error(shell: Shell, ledger: Filled) -> None:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$0" documents >&-', COMMAND),
        env=shell.environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert (process.returncode, err) == (OK, b"")


@pytest.mark.parametrize("command", ["documents", "retry"])
async def test_a_connection_that_is_not_there(shell: Shell, ledger: Filled, command: str) -> None:
    ended = await shell(command, "--connection", "other")
    assert ended.code == NOT_FOUND
    assert "There is no connection other.\nhint: " in ended.err


async def test_tables_show_names_as_they_are(shell: Shell, ledger: Filled) -> None:
    assert "Acme [/red] :bug:" in (await shell("connections")).out


async def test_a_payment_is_listed_with_the_invoice_that_it_is_on(
    shell: Shell, ledger: Filled
) -> None:
    await ledger.execute(
        """insert into document (connection_id, tenant_id, kind, lago_id, target, state)
           select connection_id, tenant_id, 'payment', gen_random_uuid(), lago_id, 'synced'
             from document where number = 'INV-1'"""
    )
    [payment] = (await shell("documents", "--json", "--kind", "payment")).json
    assert payment["of"] == "INV-1"
    assert "of         INV-1" in (await shell("show", payment["lago_id"])).out


async def test_show_by_number_and_by_id(shell: Shell, ledger: Filled) -> None:
    [by_number] = (await shell("show", "INV-1", "--json")).json
    assert [by_number] == (await shell("show", ledger.posted, "--json")).json
    assert by_number["explanation"] == "Xero has it as Lago says."
    assert by_number["total"] == by_number["xero_total"] == "10.00"
    page = f"https://go.xero.com/app/%21Ab12c/invoicing/view/{by_number['xero_id']}"
    assert by_number["link"] == page
    shown = (await shell("show", "INV-1")).out
    assert page in shown
    assert "net 10.00, tax 0.00, total 10.00 EUR" in shown

    [contact] = (await shell("show", ledger.customer, "--json")).json
    assert contact["link"].startswith("https://go.xero.com/app/%21Ab12c/contacts/contact/")


async def test_show_tells_why_and_what_to_do(shell: Shell, ledger: Filled) -> None:
    shown = (await shell("show", ledger.failed)).out
    assert "It failed as tax_unmapped: No tax type; it waits:" in shown
    assert "a Xero tax type for the Lago tax vat_7 in connection acme" in shown
    assert "Map vat_7." in shown
    assert re.search(r"^  failed at  \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$", shown, re.MULTILINE)


async def test_show_names_the_document_that_is_waited_for(shell: Shell, ledger: Filled) -> None:
    await ledger.execute(
        """insert into document (connection_id, kind, lago_id, state, cause)
           select connection_id, 'payment', gen_random_uuid(), 'waiting', 'doc:' || id
             from document where state = 'failed'"""
    )
    [failed] = (await shell("documents", "--state", "failed", "--json")).json
    named = (
        f"It waits: invoice {failed['number']} (document {failed['id']}), which failed as tax_unmapped, "
        "must be in Xero first."
    )
    [waiting] = (await shell("documents", "--kind", "payment", "--json")).json
    assert waiting["explanation"] == named
    assert named in (await shell("show", waiting["lago_id"])).out
    assert named in (await shell("retry", f"doc:{waiting['id']}")).out


DOCUMENT = {
    "id", "connection", "kind", "part", "lago_id", "target", "number", "state", "cause", "code", "said",
    "hint", "attempts", "failed_at", "currency", "dated", "net", "tax", "total", "xero_net", "xero_tax",
    "xero_total", "xero_id", "xero_status", "drift", "of", "short_code", "explanation", "link",
}  # fmt: skip


async def test_json_has_these_keys(shell: Shell, ledger: Filled) -> None:
    """Programs read them: keys may come, none may go."""
    await ledger.execute(
        """insert into finding (document_id, class)
           select id, 'drift' from document where number = 'INV-1'"""
    )
    await ledger.execute(
        "insert into outbox (sink, class, code, said) values ('webhook', '', '', '')"
    )
    assert all(row.keys() == DOCUMENT for row in (await shell("documents", "--json")).json)
    [shown] = (await shell("show", "INV-1", "--json")).json
    assert shown.keys() == DOCUMENT | {"findings", "paused", "set_aside"}
    assert shown["findings"][0].keys() == {"class", "facts", "xero_id", "first_seen"}
    [connection] = (await shell("connections", "--json")).json
    assert connection.keys() == {
        "paused_at",
        "code", "name", "organization_id", "tenant_id", "client_id", "settings", "mappings", "parked_at",
        "parked_why",
    }  # fmt: skip
    found = (await shell("status", "--json")).json
    assert found["states"][0].keys() == {"connection", "kind", "state", "count"}
    assert found["outbox"] == [{"sink": "webhook", "count": 1}]
    assert found["tenants"][0].keys() == {
        "paused",
        "tenant", "connections", "parked_at", "parked_why", "blocked_until", "blocked_why", "calls_today",
        "in_doubt", "oldest_ready_seconds",
    }  # fmt: skip


async def test_show_lists_all_documents_of_an_object(shell: Shell, ledger: Filled) -> None:
    [posted] = (await shell("show", "INV-1", "--json")).json
    by_id = (await shell("show", str(posted["id"]), "--json")).json
    assert [posted] == by_id == (await shell("show", f"doc:{posted['id']}", "--json")).json
    payment, elsewhere = uuid4(), uuid4()
    await ledger.execute(
        """insert into document (kind, lago_id, part, target, state)
           values ('payment', $1, 'residual', $2, 'waiting'), ('payment', $3, '', $2, 'waiting'),
                  ('invoice', $2, '', null, 'waiting')""",
        payment, UUID(ledger.posted), elsewhere,
    )  # fmt: skip
    rows = (await shell("show", "INV-1", "--json")).json
    assert {(row["kind"], row["lago_id"]) for row in rows} == {
        ("invoice", ledger.posted),
        ("payment", str(payment)),
    }
    assert len(rows) == 3, "that of the other connection too"


async def test_a_number_counts_before_a_documents_id(shell: Shell, ledger: Filled) -> None:
    await ledger.execute("update document set number = '1' where number = 'INV-1'")
    [shown] = (await shell("show", "1", "--json")).json
    assert shown["lago_id"] == ledger.posted
    [shown] = (await shell("show", "doc:1", "--json")).json
    assert shown["lago_id"] == ledger.customer


async def test_show_tells_what_a_person_should_see(shell: Shell, ledger: Filled) -> None:
    await ledger.execute(
        """insert into finding (document_id, class, facts)
           select id, 'totals_differ', '{"net": ["10.00", "9.99"]}' from document where number = 'INV-1'"""
    )
    await ledger.execute(
        """insert into finding (document_id, class, closed_at)
           select id, 'drift', now() from document where number = 'INV-1'"""
    )
    [shown] = (await shell("show", "INV-1", "--json")).json
    found = {finding["class"]: finding["facts"] for finding in shown["findings"]}
    assert found.keys() == {"fallback_used", "totals_differ"}
    assert found["totals_differ"] == {"net": ["10.00", "9.99"]}
    told = (await shell("show", "INV-1")).out
    assert "finding    Xero saved it with net 9.99 instead of 10.00" in told


@pytest.mark.parametrize("ref", ["INV-404", "404", "doc:404", "9" * 40, str(uuid4())])
async def test_show_of_what_is_not_there(shell: Shell, ref: str) -> None:
    ended = await shell("show", ref)
    assert ended.code == NOT_FOUND
    assert f"There is no document of {ref}: not as a number, a Lago id" in ended.err


async def test_show_of_what_only_a_dead_record_names(shell: Shell, ledger: Filled) -> None:
    lost = uuid4()
    await ledger.die(f'{{"invoice": {{"lago_id": "{lost}"}}}}')
    ended = await shell("show", str(lost).upper())
    assert ended.code == NOT_FOUND
    assert "Dead record event:1000 names it: undecodable: No." in ended.err
    assert "hint: Mend it." in ended.err
    assert "Dead record" not in (await shell("show", str(lost)[:8])).err


async def test_show_of_what_messages_only_name(shell: Shell, ledger: Filled) -> None:
    named = uuid4()
    await ledger.execute(
        """insert into object (kind, lago_id, organization_id, facts)
           values ('invoice', $1, $1, '{}'), ('payment', $1, $1, '{"money": []}')""",
        named,
    )
    ended = await shell("show", str(named))
    assert "name the invoice, but none has told of it itself yet" in ended.err
    assert "name the payment, but no document follows from it" in ended.err


# ── retry ─────────────────────────────────────────────────────────────────────────────────────────


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


# ── Probes and the sandbox ────────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def answering(statuses: dict[str, int]) -> AsyncIterator[int]:
    """A service that answers its probes with these statuses; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        status = statuses[line.split()[1].decode()]
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nwhy".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("healthz", "readyz", "code"),
    [(200, 200, OK), (503, 200, UNREACHABLE), (200, 503, UNREACHABLE)],
)
async def test_healthcheck(healthz: int, readyz: int, code: int) -> None:
    async with answering({"/healthz": healthz, "/readyz": readyz}) as port:
        ended = await Shell(HTTP_PORT=str(port))("healthcheck")
    assert ended.code == code
    assert ("why" in ended.err) == (code != OK)


async def test_healthcheck_where_nothing_listens() -> None:
    assert (await Shell()("healthcheck", "--port", "1")).code == UNREACHABLE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_sandbox_runs_until_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    env = tmp_path / "sandbox.env"
    process = await Shell().start("sandbox", "up", "--only", "xero", "--env-file", str(env))
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            said = ""
            while "ready" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
            settings = dict(line.split("=", 1) for line in env.read_text().split())
            assert settings["LAGO_XERO_XERO_API_URL"] in said
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"{settings['LAGO_XERO_XERO_API_URL']}/Organisation")
            assert answer.status_code == 401
            second = await Shell()("sandbox", "up", "--only", "xero", "--env-file", str(env))
            assert (second.code, str(env) in second.err) == (REFUSED, True)
            assert settings["LAGO_XERO_XERO_API_URL"] in env.read_text()
            process.send_signal(number)
            await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == OK
    assert not list(tmp_path.iterdir())


async def test_sandbox_produces_generated_events(
    shell: Shell, kafka_service: KafkaService, topic: str
) -> None:
    there = shell.having(
        KAFKA_BOOTSTRAP_SERVERS=kafka_service.bootstrap_servers, KAFKA_TOPICS=topic
    )
    ended = await there("sandbox", "produce", "--count", "150")
    assert ended.code == OK
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_service.bootstrap_servers)
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        assert f"produced {(await consumer.end_offsets([part]))[part]} events" in ended.err
        assert (await consumer.end_offsets([part]))[part] >= 150
    finally:
        await consumer.stop()


async def test_producing_to_a_kafka_that_is_not_there(shell: Shell) -> None:
    ended = await shell("sandbox", "produce", "--count", "150")
    assert ended.code == UNREACHABLE
    sentence, hint = ended.err.splitlines()
    assert sentence.startswith("Kafka at ")
    assert hint.startswith("hint: ")
