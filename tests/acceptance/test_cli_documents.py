"""The installed command: documents listed and shown."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID, uuid4

import pytest

from tests.acceptance.filled import Filled
from tests.acceptance.shell import COMMAND, NOT_FOUND, OK, Shell

DOCUMENT = {
    "id", "connection", "kind", "part", "lago_id", "target", "number", "state", "cause", "code", "said",
    "hint", "attempts", "failed_at", "currency", "dated", "net", "tax", "total", "xero_net", "xero_tax",
    "xero_total", "xero_id", "xero_status", "drift", "of", "short_code", "explanation", "link",
}  # fmt: skip


# ── documents ───────────────────────────────────────────────────────────────────────────────────────


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


# ── show ────────────────────────────────────────────────────────────────────────────────────────────


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
