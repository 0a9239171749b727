"""The installed command: an accountant edits Xero's books, ``lago-xero reconcile`` finds what he did."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
from typing import Any

from consumer.sandbox.lago import LagoApi, demo_events, serve_api
from consumer.sandbox.lago.__main__ import told as lago_of
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.harness import World
from tests.acceptance.shell import COMMAND
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API, Tenant

Json = dict[str, Any]
OK, USAGE, REFUSED, UNREACHABLE, NOT_FOUND = 0, 2, 3, 4, 5
LAGOS = ("missing_in_ledger", "ledger_behind", "unknown_to_lago")
EVER = ("--connection", "acme-nz", "--period", "2020-01-01..2030-12-31")


async def reconcile(world: World, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    pipe = asyncio.subprocess.PIPE
    environment = {**world.environment, **{f"LAGO_XERO_{k}": v for k, v in settings.items()}}
    process = await asyncio.create_subprocess_exec(
        COMMAND, "reconcile", *arguments, env=environment, stdout=pipe, stderr=pipe
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode or 0, out.decode(), err.decode()


async def report(world: World, *arguments: str, **settings: str) -> Json:
    """The JSON of a good run, without what the fallback item took."""
    code, out, err = await reconcile(world, *EVER, "--format", "json", *arguments, **settings)
    assert code == OK, err
    found: Json = json.loads(out)
    found["exceptions"] = [one for one in found["exceptions"] if one["class"] != "fallback"]
    return found


async def sold(world: World, count: int) -> list[Json]:
    """Invoices that the running service has posted."""
    shop = Shop()
    customer = shop.customer()
    invoices = [shop.invoice(customer) for _ in range(count)]
    await world.start()
    await world.produce([shop.told(customer), *map(shop.billed, invoices)])
    await world.settled()
    return invoices


async def edit(world: World, what: str, **order: object) -> Json:
    """By an accountant, in Xero."""
    [tenant] = world.tenants
    return await world.order(f"books/{tenant.tenant_id}/{what}", order)


async def test_the_walk_of_an_operator(acme: World) -> None:
    voided, settled, lost, _ = [one["number"] for one in await sold(acme, 4)]
    clean = await report(acme)
    assert (clean["exceptions"], clean["agrees"]) == ([], True)

    await edit(acme, "invoices", action="void", number=voided)
    await edit(acme, "invoices", action="pay", number=settled)
    # The ledger loses what it knew of one, as after a failure that was none.
    await acme.database.execute(
        "update document set state = 'failed', code = 'request_refused', said = 'status_500', "
        "xero_id = null, synced = null, failed_at = now() where number = $1",
        lost,
    )
    seeded = {("status", voided), ("status", settled), ("missing_in_xero", lost)}
    found = await report(acme)
    assert {(one["class"], one["number"]) for one in found["exceptions"]} == seeded
    assert found["calls"] == 3, "one for each kind"
    assert found["counts"]["status"] == 2
    assert not found["agrees"]
    by_number = {one["number"]: one for one in found["exceptions"]}
    assert by_number[voided]["safety"] == "accountant_only"
    assert by_number[voided]["link"].startswith("https://go.xero.com/app/%21")
    assert by_number[lost]["safety"] == "automatic"
    shown = await acme.command(*by_number[voided]["show"].split()[1:])
    assert "Somebody has voided it in Xero" in shown

    repaired = await report(acme, "--repair", "safe")
    done = [one["number"] for one in repaired["exceptions"] if one["repaired"]]
    assert done == [lost]
    await acme.settled()
    after = await report(acme)
    assert {(one["class"], one["number"]) for one in after["exceptions"]} == seeded - {
        ("missing_in_xero", lost)
    }
    first_seen = {one["number"]: one["first_seen"] for one in after["exceptions"]}
    assert first_seen[voided] == by_number[voided]["first_seen"]
    assert await acme.numbers() == sorted({*await acme.numbers()}), "nothing was made twice"
    results = await acme.rows(
        "select args, result::text as result from job where kind = 'reconcile'"
    )
    assert [json.loads(row["result"])["exceptions"].get("status") for row in results] == [
        None, 2, 2, 2,
    ]  # fmt: skip


async def test_what_a_controller_files(acme: World) -> None:
    number, *_ = [one["number"] for one in await sold(acme, 1)]
    await edit(acme, "invoices", action="void", number=number)
    page, table = acme.directory / "acme.html", acme.directory / "acme.csv"
    code, out, err = await reconcile(acme, *EVER, "--format", "html", "--output", str(page))
    assert (code, out) == (OK, "")
    assert "1 exception, 1 noted," in err
    assert number in page.read_text(encoding="utf-8")
    await reconcile(acme, *EVER, "--format", "csv", "--output", str(table))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert ("status", number) in [(row["class"], row["number"]) for row in rows]
    code, out, _ = await reconcile(acme, *EVER, "--fail-on-exceptions")
    assert (code, number in out) == (REFUSED, True)
    code, out, _ = await reconcile(
        acme, "--connection", "acme-nz", "--period", "2020-01", "--fail-on-exceptions"
    )
    assert code == OK, "there is nothing in that month"


async def test_how_it_ends_badly(acme: World) -> None:
    code, out, err = await reconcile(acme, "--connection", "acme-nz", "--period", "2026-13")
    assert (code, out) == (USAGE, "")
    code, _, err = await reconcile(acme, "--connection", "no", "--period", "previous")
    assert (code, "There is no connection no." in err) == (NOT_FOUND, True)
    code, out, err = await reconcile(acme, *EVER, XERO_API_URL="http://127.0.0.1:1/api.xro/2.0")
    assert (code, out, "Xero cannot be asked" in err) == (UNREACHABLE, "", True)
    await acme.database.execute("update tenant set blocked_until = 'infinity'")
    code, _, err = await reconcile(acme, *EVER)
    assert (code, "nobody lets us into" in err) == (REFUSED, True)


async def test_it_stops_at_once_when_asked_and_goes_on_the_next_time(acme: World) -> None:
    await acme.fault("slow", method="GET", path_prefix=f"{API}/CreditNotes", seconds="50")
    process = await asyncio.create_subprocess_exec(
        COMMAND, "reconcile", *EVER, env=acme.environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def asked() -> bool:
        return bool(
            await acme.value("select exists (select from request where path like 'CreditNotes%')")
        )

    await acme.until(asked, "the second kind is read")
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert (out, b"the next run goes on" in err) == (b"", True)
    code, _, _ = await reconcile(acme, *EVER)
    assert code == OK
    assert await acme.value("select count(*) from job where ended_at is not null") == 1


# ── Lago ──────────────────────────────────────────────────────────────────────────────────────────


def lagos(found: Json) -> list[tuple[str, str | None]]:
    """Classes and Lago's ids of what differs from Lago."""
    return [(one["class"], one["lago_id"]) for one in found["exceptions"] if one["class"] in LAGOS]


async def test_what_lago_never_told_reaches_xero_by_a_safe_repair(acme: World) -> None:
    shop = Shop()
    customer = shop.customer()
    told, voided, gone = (shop.invoice(customer) for _ in range(3))
    lost = shop.invoice(shop.customer())
    lago = LagoApi(shop.organization.organization_id)
    lago.add("customer", customer, lost["customer"])
    lago.add("invoice", told, {**voided, "status": "voided", "total_paid_amount_cents": 0}, lost)
    await acme.start()
    await acme.produce([shop.told(customer), *map(shop.billed, (told, voided, gone))])
    await acme.settled()
    quiet = await report(acme)
    assert (quiet["lago"]["compared"], lagos(quiet)) == (False, [])
    assert "LAGO_XERO_LAGO_API_URL" in quiet["lago"]["said"]
    async with serve_api(lago) as url:
        api = {"LAGO_API_URL": url, "LAGO_API_KEY": lago.key}
        seeded = [
            ("missing_in_ledger", lost["lago_id"]),
            ("ledger_behind", voided["lago_id"]),
            ("unknown_to_lago", gone["lago_id"]),
        ]
        found = await report(acme, **api)
        assert (found["lago"]["compared"], sorted(lagos(found))) == (True, sorted(seeded))
        behind = next(one for one in found["exceptions"] if one["class"] == "ledger_behind")
        assert {"field": "status", "ledger": "finalized", "xero": None, "lago": "voided"} in (
            behind["differences"]
        )
        page = acme.directory / "acme.html"
        code, _, err = await reconcile(
            acme, *EVER, "--format", "html", "--output", str(page), **api
        )
        assert (code, "Lago: compared with the ledger" in err) == (OK, True)
        assert "<th>Lago</th>" in page.read_text(encoding="utf-8")

        repaired = await report(acme, "--repair", "safe", **api)
        assert {one["lago_id"] for one in repaired["exceptions"] if one["repaired"]} == {
            lost["lago_id"], voided["lago_id"],
        }  # fmt: skip
        await acme.settled()
        assert lost["number"] in await acme.numbers()
        assert lagos(await report(acme, **api)) == seeded[2:]

        wrong = {"LAGO_API_URL": url, "LAGO_API_KEY": "another"}
        refused = await report(acme, **wrong)
        assert (refused["lago"]["compared"], "401" in refused["lago"]["said"]) == (False, True)
        assert lagos(refused) == []
    code, out, err = await reconcile(acme, *EVER, **api)
    assert (code, "Lago: not compared: " in out, lago.key in out + err) == (OK, True, False)
    assert "Lago:" not in err, "it is told once"


async def test_a_believable_story_agrees_with_lago(make_world: MakeWorld) -> None:
    """Malformed messages, what fails and what is skipped are told by the ledger: it lacks nothing."""
    records, _ = demo_events(seed=7, count=200)
    tenants = [Tenant(code, serves={"billing_entities": [code]}) for code in ("acme-nz", "acme-eu")]
    lago = lago_of(records)
    async with make_world(tenants=tenants) as world, serve_api(lago) as url:
        await world.start(home_wait=200)
        await world.produce(records)
        await world.settled()
        for tenant in tenants:
            code, out, err = await reconcile(
                world, "--connection", tenant.code, *EVER[2:], "--format", "json",
                LAGO_API_URL=url, LAGO_API_KEY=lago.key,
            )  # fmt: skip
            assert code == OK, err
            found = json.loads(out)
            assert (found["lago"]["compared"], lagos(found)) == (True, [])
    assert [path for path in lago.calls if path.startswith("invoices?")]


async def test_it_stops_at_once_while_lago_is_asked(acme: World) -> None:
    lago = LagoApi(Shop().organization.organization_id)
    lago.slow = asyncio.Event()
    async with serve_api(lago) as url:
        api = {"LAGO_XERO_LAGO_API_URL": url, "LAGO_XERO_LAGO_API_KEY": lago.key}
        process = await asyncio.create_subprocess_exec(
            COMMAND, "reconcile", *EVER, env={**acme.environment, **api},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

        async def asked() -> bool:
            return bool(lago.calls)

        await acme.until(asked, "Lago is asked")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            out, err = await process.communicate()
        lago.slow.set()
    assert process.returncode == 128 + signal.SIGINT
    assert (out, b"the next run goes on" in err, b"Traceback" in err) == (b"", True, False)
