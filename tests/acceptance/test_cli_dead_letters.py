"""The commands about dead letters: what they print, and what the running service makes of it."""

from __future__ import annotations

import asyncio
import re
import signal
from random import Random
from uuid import uuid4

from consumer.adapters.postgres.database import database
from consumer.sandbox.lago import (
    RandomChoices,
    Record,
    customer_event,
    encode,
    generate_customer,
)
from tests.acceptance.filled import Filled
from tests.acceptance.harness import World
from tests.acceptance.shell import NOT_FOUND, OK, USAGE, Shell
from tests.acceptance.shop import Shop

DIGESTS = "update event e set digest = sha256(r.value) from event_raw r where r.event_id = e.id"


async def test_list_groups_or_tells_one_by_one(shell: Shell, ledger: Filled) -> None:
    for _ in range(3):
        await ledger.die("{}")
    groups = (await shell("dead-letters", "list", "--json")).json
    assert [(g["kind"], g["count"], g["newest"], g["hint"]) for g in groups] == [
        ("event", 3, "event:1002", "Mend it."),
        ("invoice", 1, "doc:3", "Map vat_7."),
    ]
    each = await shell(
        "dead-letters", "list", "--each", "--kind", "event", "--limit", "2", "--json"
    )
    assert [row["id"] for row in each.json] == ["event:1002", "event:1001"]
    assert (await shell("dead-letters", "list", "--until", "2026-01-01", "--json")).json == []
    shown = (await shell("dead-letters", "list", "--connection", "acme")).out
    assert "tax_unmapped" in shown
    assert "undecodable" not in shown
    for wrong in (["--since", "soon"], ["--connection", "nobody"], ["--kind", "letter"]):
        ended = await shell("dead-letters", "list", *wrong)
        assert ended.code == (NOT_FOUND if "nobody" in wrong else USAGE)


async def test_show_tells_where_it_lies_and_not_what_is_in_it(shell: Shell, ledger: Filled) -> None:
    await ledger.die('{"name": "Kanari Vogel"}')
    shown = (await shell("dead-letters", "show", "event:1000")).out
    assert "lago.webhooks" in shown
    assert "Mend it." in shown
    assert re.search(r"^  appended_at +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$", shown, re.MULTILINE)
    assert "Kanari" not in shown
    assert "tax_unmapped" in (await shell("dead-letters", "show", "doc:3")).out
    for wrong, code in (
        ("event:7", NOT_FOUND),
        ("letter:7", USAGE),
        ("7", USAGE),
        ("event:x", USAGE),
    ):
        assert (await shell("dead-letters", "show", wrong)).code == code


async def test_redrive_stops_what_goes_round_in_circles(shell: Shell, ledger: Filled) -> None:
    redrive = ("dead-letters", "redrive", "--reason", "try")
    assert (await shell(*redrive)).code == USAGE
    assert (await shell(*redrive, "--all", "--kind", "event")).code == USAGE
    for n in range(2):
        await ledger.die(f"{{{n}")
    await ledger.execute(DIGESTS)
    dry = (await shell(*redrive, "--kind", "event", "--dry-run", "--json")).json
    assert dry["events"] == {"undecodable": 2}
    for _ in range(3):
        told = (await shell(*redrive, "event:1000", "--json")).json
        assert sum(told["dead_again"].values()) == 1
    left = await shell(*redrive, "event:1000")
    assert left.code == OK
    assert "event:1000 is left alone" in left.err
    forced = (await shell(*redrive, "event:1000", "--force", "--json")).json
    assert sum(forced["dead_again"].values()) == 1


async def test_an_interrupted_redrive_goes_on_with_the_same_command(
    shell: Shell, ledger: Filled
) -> None:
    choices, id = RandomChoices(Random(7)), str(uuid4())
    for _ in range(8):
        who = generate_customer(choices, linked=False)
        await ledger.die(encode(customer_event(who, id)).decode())
    await ledger.execute(DIGESTS)
    left = "select count(*) from event where outcome = 'dead'"
    redrive = ("dead-letters", "redrive", "--kind", "event", "--reason", "new version")

    process = await shell.start(*redrive, "--rate", "0.1")  # one, and then ten seconds of rest
    async with asyncio.timeout(60), database(ledger.url, max_size=1) as db:
        while [row["count"] for row in await db.fetch(left)] == [8]:
            assert process.returncode is None
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert (process.returncode, out) == (130, b"")
        assert "Traceback" not in err.decode()
        assert [row["count"] for row in await db.fetch(left)] == [7]
        told = (await shell(*redrive, "--json")).json
        assert (told["events"], told["dead_again"]) == ({"read": 7}, {})
        assert [row["count"] for row in await db.fetch(left)] == [0]


async def test_discard_and_ignore_set_aside_with_a_reason(shell: Shell, ledger: Filled) -> None:
    await ledger.die("{}")
    assert (await shell("dead-letters", "discard", "event:1000")).code == USAGE
    assert (await shell("ignore", ledger.failed)).code == USAGE
    why = ("--reason", "entered by hand")
    dry = (await shell("dead-letters", "discard", "--all", *why, "--dry-run", "--json")).json
    assert dry == {"dry_run": True, "discarded": {"tax_unmapped": 1, "undecodable": 1}}
    assert (await shell("dead-letters", "discard", "event:1000", *why)).code == OK
    told = (await shell("ignore", ledger.failed, *why, "--json")).json
    assert told == {"dry_run": False, "ignored": {"tax_unmapped": 1}}
    shown = (await shell("show", ledger.failed)).out
    assert "It is not posted: a person has set it aside." in shown
    assert "entered by hand" in shown
    assert (await shell("dead-letters", "list", "--json")).json == []
    assert (await shell("retry", ledger.failed, "--json")).json["by_code"] == [
        {"code": "ignored", "count": 1}
    ]
    assert (await shell("ignore", "INV-404", *why)).code == NOT_FOUND


async def test_what_is_produced_or_redriven_again_reaches_xero_once(acme: World) -> None:
    """A record that was dead for want of a newer version, by either way back."""
    shop = Shop()
    customers = [shop.customer() for _ in range(2)]
    records: list[Record] = [shop.told(customer) for customer in customers]
    await acme.start()
    for n, record in enumerate(records):
        await acme.database.execute(
            """with made as (
                 insert into event (digest, outcome, code, said, hint, topic, partition, "offset",
                                    appended_at)
                 values (sha256($1), 'dead', 'decoder_fault', 'No.', '', $2, 0, 1000 + $3::bigint, now())
                 returning id)
               insert into event_raw (event_id, key, value) select id, $4, $1 from made""",
            record.value, acme.topic, n, record.key,
        )  # fmt: skip
    await acme.command("dead-letters", "redrive", "event:1", "--reason", "new version")
    await acme.produce(records)
    await acme.settled()
    assert await acme.value("select count(*) from event where outcome = 'merged'") == 2
    books = await acme.books()
    assert sorted(c["Name"] for c in books["contacts"]) == sorted(c["name"] for c in customers)
