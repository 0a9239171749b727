"""The doctor's checks, each where all is well and where it is not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from consumer import config
from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.vault import Vault
from consumer.cli.doctor import kafka, ledger, outside, xero
from consumer.cli.doctor.findings import Finding, examine, ok
from consumer.config import Settings
from consumer.domain.errors import Halt
from consumer.sandbox.services import KafkaService
from consumer.sandbox.xero import Simulator
from tests.integration.office import NEW_KEY, OLD_KEY, Office, opened


@pytest.fixture
async def office(database_url: str, xero_simulator: Simulator) -> AsyncIterator[Office]:
    async with opened(database_url, xero_simulator) as made:
        yield made


@pytest.fixture
def settings(
    database_url: str, xero_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return _settings(
        monkeypatch,
        DATABASE_URL=database_url,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        XERO_API_URL=xero_simulator.api_url,
        XERO_IDENTITY_URL=xero_simulator.identity_url,
    )


def _settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    values = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x", "ENCRYPTION_KEYS": OLD_KEY, **values}
    for name, value in values.items():
        monkeypatch.setenv(f"LAGO_XERO_{name}", value)
    return config.load()


def _levels(found: Sequence[Finding]) -> list[str]:
    assert all(one.fix for one in found if one.level != "ok")
    return [one.level for one in found]


# ── A check that hangs or breaks ──────────────────────────────────────────────────────────────────


async def test_a_check_that_hangs_is_cut_off_and_told() -> None:
    async def hangs() -> Sequence[Finding]:
        await asyncio.Event().wait()
        return []

    [found] = await examine("broker", hangs, 0.01)
    assert (found.check, found.level) == ("broker", "problem")
    assert "cut off" in found.said


async def test_a_check_that_breaks_does_not_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks() -> Sequence[Finding]:
        raise RuntimeError("hunter2")

    async def halts() -> Sequence[Finding]:
        raise Halt("x", "It is broken.", "Mend it.")

    async def fine() -> Sequence[Finding]:
        return [ok("x", "Fine.")]

    [found] = await examine("x", breaks, 1.0)
    assert (found.level, "hunter2" in repr(found)) == ("problem", False)
    [found] = await examine("x", halts, 1.0)
    assert (found.said, found.fix) == ("It is broken.", "Mend it.")
    assert _levels(await examine("x", fine, 1.0)) == ["ok"]


# ── Kafka ─────────────────────────────────────────────────────────────────────────────────────────


async def test_kafka_that_is_there(
    kafka_service: KafkaService, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = f"{topic}.dlq"
    await kafka_service.create_topic(letters, 1, {"max.message.bytes": "500000"})
    values = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_service.bootstrap_servers,
        "KAFKA_TOPICS": f"{topic},{topic}.missing",
        "DEAD_LETTER_TOPIC": letters,
        "KAFKA_GROUP_ID": topic,
    }
    there = _settings(monkeypatch, **values)
    assert [one.said for one in await kafka.broker(there)] == ["Kafka answers; 1 broker."]
    found = {one.said: one.level for one in await kafka.topics(there)}
    assert found == {
        f"{topic} has 1 partition.": "ok",
        f"Kafka shows us no topic {topic}.missing.": "problem",
        f"{letters} has 1 partition.": "ok",
        f"{letters} takes 500000 bytes, but LAGO_XERO_DEAD_LETTER_MAX_BYTES is 1000000.": "problem",
    }
    small = _settings(
        monkeypatch, **{**values, "KAFKA_TOPICS": topic}, DEAD_LETTER_MAX_BYTES="500000"
    )
    assert _levels(await kafka.topics(small)) == ["ok"] * 3
    [group] = await kafka.group(small)
    said = f"Nobody reads: Group {topic} has 0 members and 0 records ahead."
    assert (group.level, group.said) == ("warning", said)


async def test_kafka_that_is_not_there(settings: Settings) -> None:
    for check in (kafka.broker, kafka.topics, kafka.group):
        with pytest.raises(Halt, match="cannot be used"):
            await check(settings)


# ── Postgres and what is stored ───────────────────────────────────────────────────────────────────


async def test_a_ledger_that_is_well(office: Office) -> None:
    assert _levels(await ledger.connections(office.db)) == ["problem"], "there is none yet"
    await office.apply(office.acme())
    assert _levels(await ledger.version(office.db)) == ["ok"]
    assert _levels(await ledger.migrations(office.db)) == ["ok"]
    assert _levels(await ledger.clock(office.db)) == ["ok"]
    assert [one.said for one in await ledger.connections(office.db)] == ["1 connection can send."]
    assert _levels(await ledger.charts(office.db, 86_400)) == ["ok"]
    assert _levels(await ledger.coverage(office.db)) == ["ok"]


async def test_a_schema_of_another_version(office: Office) -> None:
    await office.db.execute("update alembic_version set version_num = '0000'")
    with pytest.raises(Halt, match="schema is at 0000"):
        await ledger.migrations(office.db)


async def test_keys_that_are_old_or_lost(office: Office) -> None:
    await office.apply(office.acme())
    assert _levels(await ledger.keys(office.db, office.vault.renewed)) == ["ok"]
    rotated = Vault([NEW_KEY, OLD_KEY])
    assert _levels(await ledger.keys(office.db, rotated.renewed)) == ["warning"]
    lost = Vault([Fernet.generate_key().decode()])
    [found] = await ledger.keys(office.db, lost.renewed)
    assert (found.level, "client" in found.said) == ("problem", True)


def test_clocks_that_are_apart() -> None:
    now = datetime.now(UTC)
    for told, level in ((0, "ok"), (-60, "warning"), (60, "warning")):
        assert ledger.apart("Its", now + timedelta(seconds=told), now, now).level == level


async def test_connections_that_do_not_send(office: Office) -> None:
    await office.apply(office.acme())
    await office.db.execute("update connection set paused_at = now()")
    assert _levels(await ledger.connections(office.db)) == ["warning"]
    await office.db.execute("update connection set paused_at = null")
    await office.db.execute("update tenant set blocked_why = 'forbidden'")
    assert _levels(await ledger.connections(office.db)) == ["problem"]
    await office.db.execute("update tenant set blocked_why = null")
    await office.db.execute(
        """insert into document (connection_id, kind, lago_id, state, cause)
           values (1, 'overpayment', gen_random_uuid(), 'failed', 'scope@acme')"""
    )
    [found] = await ledger.connections(office.db)
    assert (found.check, found.level) == ("scopes", "problem")
    assert found.said == "1 document of acme cannot go out for want of a scope."


async def test_what_was_billed_in_two_currencies_lacks_one_mapping(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaps = [
        {"path": path, "currency": currency}
        for path in ("items.seats", "taxes.vat_20")
        for currency in ("EUR", "NZD")
    ]

    async def gaps_of(*_: object) -> list[dict[str, str]]:
        return gaps

    await office.apply(office.acme())
    monkeypatch.setattr(ledger, "gaps_of", gaps_of)
    [found] = await ledger.coverage(office.db)
    assert found.said == "acme: what was billed lacks 2 mappings of its own (1 for taxes)."
    del gaps[2:]
    [found] = await ledger.coverage(office.db)
    assert found.said == "acme: what was billed lacks 1 mapping of its own."


async def test_charts_that_are_old_or_break_mappings(office: Office) -> None:
    await office.apply(office.acme())
    await office.db.execute("update tenant set chart_read_at = now() - interval '3 days'")
    assert _levels(await ledger.charts(office.db, 86_400)) == ["warning"]
    await office.db.execute("update tenant set chart_read_at = now()")
    await office.db.execute(
        """insert into finding (connection_id, class, facts)
           values (1, 'chart_broke_mapping', '{"path": "mappings.no_tax", "said": "gone", "hint": "Map."}')"""
    )
    assert _levels(await ledger.charts(office.db, 86_400)) == ["problem"]


# ── Xero ──────────────────────────────────────────────────────────────────────────────────────────


async def test_xero_lets_us_in_and_the_call_is_counted(office: Office, settings: Settings) -> None:
    await office.apply(office.acme())
    before = await office.value("select count(*) from request")
    assert "problem" not in _levels(await xero.authorised(settings, office.db))
    assert await office.value("select count(*) from request") == before
    levels = _levels(await xero.organisations(settings, office.db))
    assert levels == ["ok", "ok"], "the organisation and its clock"
    assert await office.value("select count(*) from request") == before + 1
    assert await office.value("select count(*) from request where answered_at is null") == 0


async def test_a_consent_is_renewed(office: Office, settings: Settings) -> None:
    await office.register_web()
    await office.apply(office.web(tenant_id=office.tenant_id))
    [found] = await xero.authorised(settings, office.db)
    assert found.level == "problem", "nobody has consented yet"
    await office.connect("acme", office.tenant_id)
    before = await office.value("select generation from authorisation")
    assert "problem" not in _levels(await xero.authorised(settings, office.db))
    assert await office.value("select generation from authorisation") == before + 1
    await office.end_consent()
    [found] = await xero.authorised(settings, office.db)
    assert found.level == "problem"


async def test_an_organisation_out_of_reach(office: Office, settings: Settings) -> None:
    await office.apply(office.acme())
    await office.register("client", "secret")  # it reaches none any more
    levels = _levels(await xero.authorised(settings, office.db))
    assert levels[0] == "problem"
    levels = _levels(await xero.organisations(settings, office.db))
    assert levels[0] == "problem"
    await office.register("client", "another", office.tenant_id)
    assert _levels(await xero.authorised(settings, office.db)) == ["problem"]


def test_scopes_of_a_token_that_tells_them() -> None:
    def token(scope: object) -> str:
        claims = base64.urlsafe_b64encode(json.dumps({"scope": scope}).encode()).decode()
        return f"e30.{claims.rstrip('=')}.x"

    assert _levels(xero.granted("c", token(["a", "b"]), ("a", "b"))) == ["ok"]
    assert _levels(xero.granted("c", token("a b"), ("a", "b"))) == ["ok"]
    [found] = xero.granted("c", token("a"), ("a", "b"))
    assert (found.level, "lacks b" in found.said) == ("problem", True)
    for opaque in ("", "x.y", "no-token", f"e30.{'!' * 8}.x"):
        assert xero.granted("c", opaque, ("a",)) == []


# ── Webhook and Lago's API ────────────────────────────────────────────────────────────────────────


async def test_the_webhooks_host(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    assert _levels(await outside.webhook(_settings(monkeypatch, **kafka_))) == ["warning"]
    arrived: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        secret = f"whsec_{base64.b64encode(b'x' * 32).decode()}"
        values = {**kafka_, "WEBHOOK_SECRET": secret}
        there = _settings(monkeypatch, **values, WEBHOOK_URL=f"http://127.0.0.1:{port}/hook")
        assert _levels(await outside.webhook(there)) == ["ok"]
        assert b"".join(arrived) == b"", "nothing is posted"
    for address in (f"http://127.0.0.1:{port}/hook", "http://169.254.169.254/hook"):
        gone = _settings(monkeypatch, **values, WEBHOOK_URL=address)
        assert _levels(await outside.webhook(gone)) == ["problem"]


async def test_lagos_api(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    assert _levels(await outside.lago_api(_settings(monkeypatch, **kafka_), ())) == ["ok"]
    values = {**kafka_, "LAGO_API_URL": "http://127.0.0.1:1", "LAGO_API_KEY": "key"}
    away = _settings(monkeypatch, **values)
    assert _levels(await outside.lago_api(away, ())) == ["problem"]
    mine = uuid4()

    async def organization(self: object) -> object:
        return mine

    monkeypatch.setattr(HttpLagoApi, "organization", organization)
    assert _levels(await outside.lago_api(away, {mine})) == ["ok"]
    assert _levels(await outside.lago_api(away, {uuid4()})) == ["warning"]
