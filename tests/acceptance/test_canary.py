"""No personal data and no secret leaves the service but to Xero and, untouched, in a dead record's value.

Every such value of a whole story is a word that nothing else has; then each way out is searched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx

from consumer.sandbox.lago import Record
from tests.acceptance.harness import SECRET, World
from tests.acceptance.shop import Shop
from tests.acceptance.xero import API

Json = dict[str, Any]
BIRDS = ("kea", "tui", "weka", "kaka")


def personal(word: str) -> Json:
    """A customer's personal facts, each with a word of his own in it."""
    made = {
        name: f"{word}{name.replace('_', '')}"
        for name in (
            "name", "firstname", "lastname", "legal_name", "legal_number", "address_line1", "address_line2",
            "city", "zipcode", "state", "phone", "tax_identification_number",
        )
    }  # fmt: skip
    shipping = {**{n: f"{word}ship{n.replace('_', '')}" for n in ("address_line1", "city")}}
    return {
        **made,
        "customer_type": "individual",
        "email": f"{word}mail@{word}host.example",
        "url": f"https://{word}url.example/x",
        "shipping_address": {"country": "NZ", **shipping},
        "metadata": [{"key": "note", "value": f"{word}metadata", "display_in_invoice": False}],
    }


def cut_and_bent(record: Record, payload: Json) -> Iterator[Record]:
    """Records that cannot be read, each with personal data where it breaks."""
    value = record.value
    yield replace(record, value=value[: value.index(b"keaname") + 4])
    yield replace(record, value=b"keaname keamail@keahost.example")
    for name, junk in (
        ("lago_id", "keaname"),
        ("updated_at", "keamail@keahost.example"),
        ("integration_customers", {"keaname": "keaphone"}),
        ("sequential_id", ["keaname"]),
    ):
        bent = json.loads(value)
        bent["customer"][name] = junk
        yield replace(record, value=json.dumps(bent).encode())


async def test_no_canary_gets_out(acme: World) -> None:
    shop = Shop()
    [tenant] = acme.tenants
    tenant.secret = "tenantsecretkea"
    await acme.register(tenant)
    await acme.apply()
    kea, tui, weka, kaka = (shop.customer(**personal(bird)) for bird in BIRDS)
    tui["name"], tui["firstname"], tui["lastname"] = kea["name"], kea["firstname"], kea["lastname"]
    weka["email"] = "wekamail and no address"
    told = shop.told(kea)
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJrZWFzaWduYXR1cmUiOjF9.keasignature"
    signed = replace(told, headers=(("X-Lago-Signature", jwt.encode()),))
    broken = [replace(one, headers=signed.headers) for one in cut_and_bent(told, kea)]
    await acme.start(log_level="DEBUG", lago_api_url="http://127.0.0.1:1", lago_api_key="keaapikey")
    await acme.fault("500_after", path_prefix=f"{API}/Contacts", method="PUT")
    await acme.fault("garbage", path_prefix=f"{API}/Invoices", method="PUT")
    await acme.produce([signed, *broken, shop.told(tui), shop.told(weka), shop.told(kaka)])
    await acme.settled()
    await acme.produce(
        shop.billed(one)
        for customer in (kea, tui, weka, kaka)
        for one in (shop.invoice(customer), shop.unmapped(customer))
    )
    await acme.settled()
    await acme.order(f"lock_dates/{tenant.tenant_id}", {"period_lock_date": "2099-12-31"})
    await acme.produce(
        [shop.billed(shop.invoice(kea)), shop.told(shop.edited(kaka, phone="kakanew"))]
    )
    await acme.settled()
    await acme.register(tenant, "tenantsecrettui")  # ours is refused from now on
    await acme.order("settings", {"latency": 0.0})
    [replica] = acme.replicas
    [started] = [one for one in replica.said() if one["event"] == "started"]
    async with httpx.AsyncClient(trust_env=False) as http:
        metrics = (await http.get(f"http://127.0.0.1:{started['http_port']}/metrics")).text
    assert await replica.stop() == 0
    await acme.produce([shop.told(shop.edited(kaka, phone="kakanewer"))])
    await acme.start(log_level="DEBUG")

    async def parked() -> bool:
        return bool(
            await acme.value("select count(*) from authorisation where parked_at is not null")
        )

    await acme.until(parked, "the client is parked")

    async def told_of() -> bool:
        return not await acme.value("select exists (select from outbox where done_at is null)")

    await acme.until(told_of, "all is announced")
    await acme.replicas[1].stop()

    dead = await acme.dead_letter_records()
    assert len(dead) >= len(broken) + 4
    codes = set(acme.receiver.codes())
    assert {
        "tax_unmapped",
        "locked_period",
        "not_json",
        "wrong_type",
        "authorisation_refused",
    } <= codes
    ways_out = {
        "log": "\n".join(one.log.read_text() for one in acme.replicas),
        "dead letters' headers": repr([record.headers for record in dead]),
        "webhook": json.dumps(list(acme.receiver.posts.values()), ensure_ascii=False),
        "metrics": metrics,
        "errors": repr(await acme.rows("select code, said, hint, cause from document")),
        "announcements": repr(await acme.rows("select code, said, hint, last_error from outbox")),
        "dead events": repr(await acme.rows("select code, said, hint from event")),
    }
    keys = acme.environment["LAGO_XERO_ENCRYPTION_KEYS"]
    secrets = [jwt, SECRET, keys, *acme.simulator.app.state.world.identity.issued()]
    assert len(secrets) > 3
    words = [*BIRDS, *secrets, SECRET.removeprefix("whsec_")]
    leaks = {
        (way, text[max(0, at - 60) : at + 60])
        for way, text in ways_out.items()
        for word in words
        if (at := text.lower().find(word.lower())) >= 0
    }
    assert leaks == set()


async def test_a_line_tells_of_each_change_and_where_to_look(acme: World) -> None:
    """The fields by which a failure is followed from Kafka to Xero."""
    shop = Shop()
    customer = shop.customer()
    told = shop.told(customer)
    await acme.start()
    await acme.produce([told, replace(told, value=b"{"), shop.billed(shop.invoice(customer))])
    await acme.settled()
    said = acme.replicas[0].said()
    by_event = {line["event"]: line for line in said}
    dead = by_event["event_dead"]
    assert dead.keys() >= {"event_id", "topic", "partition", "offset", "error_code"}
    assert dead["topic"] == acme.topic
    assert by_event["events_stored"]["duration_ms"] >= 0
    sent = [line for line in said if line["event"] == "request_settled"]
    assert [line["states"] for line in sent] == [{"synced": 1}, {"synced": 1}]
    for line in sent:
        assert line.keys() >= {
            "request_id", "tenant", "purpose", "documents", "status", "error_codes", "duration_ms",
            "xero_correlation",
        }  # fmt: skip
        assert line["xero_correlation"]
