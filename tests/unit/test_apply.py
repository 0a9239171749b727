"""Apply's own rules against stand-ins: secrets, clients, patience with a busy tenant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml

from consumer.apply import Apply, read_secrets
from consumer.domain.answers import Reply
from consumer.domain.errors import Halt
from consumer.ports import Authorisation, Call, Stored, TenantRef, TokenSet, Wish
from schemas.connections import File, parse
from schemas.mistakes import Mistakes
from tests.unit.test_charting import ANSWERS

TENANT = UUID(int=7)


class Nothing:
    """Nothing is stored yet; what would be is kept."""

    def __init__(self) -> None:
        self.wishes: Sequence[Wish] = ()

    async def stored(self) -> Mapping[str, Stored]:
        return {}

    async def rates(self, codes: Sequence[str]) -> Mapping[str, Mapping[str, Decimal]]:
        return {}

    async def store(
        self,
        wishes: Sequence[Wish],
        who: str,
        changes: Sequence[str],
        tokens: TokenSet | None = None,
    ) -> None:
        self.wishes = wishes

    async def park(self, code: str, who: str) -> None:
        raise AssertionError("nothing is disconnected")

    async def forget_tokens(self, code: str) -> bool:
        raise AssertionError("nothing is disconnected")


class Xero:
    """Any client reaches the one tenant, whose chart is ``ANSWERS``."""

    async def token(self, authorisation: Authorisation) -> str:
        return "token"

    def forget(self, authorisation: Authorisation, token: str) -> None:
        raise AssertionError("no token is refused")

    async def renew(self, authorisation: Authorisation) -> None:
        raise AssertionError("nothing is renewed")

    async def disconnect(self, authorisation: Authorisation, link: str) -> None:
        raise AssertionError("nothing is disconnected")

    async def tenants(self, authorisation: Authorisation) -> Sequence[TenantRef]:
        return [TenantRef(TENANT, "Acme")]

    async def call(self, call: Call) -> Reply:
        return Reply(200, json.dumps(ANSWERS[call.path]).encode())


class Busy:
    """A budget that says these waits before it gives way."""

    def __init__(self, *waits: float) -> None:
        self.waits = list(waits)
        self.answers: dict[UUID, Reply | None] = {}

    async def take(self, tenant_id: UUID, purpose: str, method: str, path: str) -> UUID | float:
        if self.waits:
            return self.waits.pop(0)
        return uuid4()

    async def answered(self, request_id: UUID, reply: Reply | None) -> None:
        self.answers[request_id] = reply


class Clock:
    """Sleeps that take no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def acme(code: str = "acme", client: str = "client", **changed: Any) -> dict[str, Any]:
    """A connection as the file has it."""
    return {
        "code": code,
        "organization_id": str(UUID(int=1)),
        "xero": {"client_id": client, "client_secret": {"env": "SECRET"}},
        "mappings": {
            "fallback_item": {"item": "SUB"},
            "payment_account": "880",
            "no_tax": "ZERORATED",
            "outside_tax": "ZERORATED",
        },
        **changed,
    }


def file(*connections: dict[str, Any]) -> File:
    """A file of these."""
    return parse(yaml.safe_dump({"connections": list(connections)}))


@pytest.fixture(autouse=True)
def _zero_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [*ANSWERS["TaxRates"]["TaxRates"], {"TaxType": "ZERORATED", "EffectiveRate": 0}]
    monkeypatch.setitem(ANSWERS, "TaxRates", {"TaxRates": rates})


async def applied(
    *connections: dict[str, Any], secrets: Sequence[str] = (), budget: Busy | None = None
) -> tuple[Nothing, Clock]:
    """What was stored, and how long was slept."""
    store, xero, clock = Nothing(), Xero(), Clock()
    use_case = Apply(store, xero, xero, budget or Busy(), clock)
    asked = file(*connections)
    await use_case.run(asked, secrets or ["s"] * len(connections), "ann", dry_run=False)
    return store, clock


async def test_connections_may_share_a_tenant_and_its_client() -> None:
    store, _ = await applied(acme(default=True), acme("two", customers="linked"))
    assert {wish.connection.tenant_id for wish in store.wishes} == {TENANT}


async def test_one_client_has_one_secret() -> None:
    with pytest.raises(Mistakes) as refused:
        await applied(acme(default=True), acme("two", customers="linked"), secrets=["old", "new"])
    assert str(refused.value) == (
        "connections[1].xero.client_secret: "
        "differs from the secret that connections[0] gives the same client"
    )


async def test_one_tenant_has_one_client() -> None:
    with pytest.raises(Mistakes) as refused:
        await applied(acme(default=True), acme("two", "other", customers="linked"))
    assert str(refused.value).startswith("connections[1].xero.client_id: connections[0] uses")


async def test_a_busy_tenant_is_waited_for_as_long_as_it_takes() -> None:
    waits = [60.0 - 5 * n for n in range(12)]
    store, clock = await applied(acme(), budget=Busy(*waits))
    assert store.wishes
    assert clock.slept == [5.0] * 12


async def test_a_spent_day_is_not_waited_for() -> None:
    with pytest.raises(Halt) as halted:
        await applied(acme(), budget=Busy(40_000.0))
    assert halted.value.code == "budget_spent"


async def test_every_call_counted_is_answered() -> None:
    budget = Busy()
    await applied(acme(), budget=budget)
    assert [reply.status for reply in budget.answers.values() if reply] == [200] * 5


# ── Secrets ───────────────────────────────────────────────────────────────────────────────────────


def test_a_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    assert read_secrets(file(acme()), tmp_path) == ["hunter2"]


def test_a_secret_from_a_file_beside_the_connections_file(tmp_path: Path) -> None:
    (tmp_path / "acme.secret").write_text("hunter2\n")
    xero = {"client_id": "client", "client_secret": {"file": "acme.secret"}}
    assert read_secrets(file(acme(xero=xero)), tmp_path) == ["hunter2"]


def test_all_missing_secrets_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET", raising=False)
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_text("\n")
    places = [{"env": "SECRET"}, {"file": "none"}, {"file": "bad"}, {"file": "empty"}]
    connections = [
        acme(f"c{i}", xero={"client_id": "c", "client_secret": place})
        for i, place in enumerate(places)
    ]
    with pytest.raises(Mistakes) as refused:
        read_secrets(file(*connections), tmp_path)
    paths = [mistake.path for mistake in refused.value.mistakes]
    assert paths == [f"connections[{i}].xero.client_secret" for i in range(4)]
