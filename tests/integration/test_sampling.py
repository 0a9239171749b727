"""Gauges on a real Postgres: each shows what stands in the ledger, and nothing about whom."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import to_json

from consumer.adapters.postgres.sampling import SQL, Sampler
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.metrics import HOLDS, Metrics
from consumer.ports import Unavailable
from tests.integration.ledger import Books, books


class Gauges:
    """A ledger and what is sampled of it."""

    def __init__(self, b: Books, limits: Limits) -> None:
        self.b = b
        self.metrics = Metrics()
        self.sampler = Sampler(b.database, self.metrics, limits, Clocks())

    async def look(self) -> None:
        await self.sampler.sample()

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lago_xero_{name}", labels)

    def shown(self, name: str) -> dict[str, float]:
        """Samples of one gauge that are not 0, by their last label."""
        [family] = [f for f in self.metrics.registry.collect() if f.name == f"lago_xero_{name}"]
        return {list(s.labels.values())[-1]: s.value for s in family.samples if s.value}

    async def execute(self, statement: str, *args: Any) -> None:
        await self.b.database.execute(statement, *args)

    async def called(
        self, tenant_id: UUID, count: int, ago: timedelta = timedelta(minutes=5)
    ) -> None:
        """So many answered calls."""
        await self.execute(
            """insert into request (id, tenant_id, purpose, method, path, started_at, deadline_at,
                                    answered_at, outcome)
               select gen_random_uuid(), $1, 'chart', 'GET', 'Accounts', now() - $3::interval,
                      now() - $3::interval + interval '95 s', now() - $3::interval, 'answered'
                 from generate_series(1, $2)""",
            tenant_id, count, ago,
        )  # fmt: skip


@pytest.fixture
async def gauges(database_url: str) -> AsyncIterator[Gauges]:
    limits = Limits(minute=60, day=1000, app_minute=200)
    async with books(database_url, tenants=3, limits=limits) as b:
        yield Gauges(b, limits)


async def test_an_empty_ledger_shows_zeros_and_whole_budgets(gauges: Gauges) -> None:
    await gauges.look()
    assert gauges.shown("ledger_documents") == gauges.shown("ready_documents") == {}
    assert gauges.value("ledger_documents", kind="invoice", state="failed") == 0
    assert {
        hold: gauges.value("oldest_ready_seconds", reason=hold) for hold in HOLDS
    } == dict.fromkeys(HOLDS, 0.0)
    assert gauges.shown("tenants") == {"open": 3.0}
    assert gauges.shown("connections") == {"open": 3.0}
    assert gauges.value("day_budget_left_ratio") == gauges.value("minute_budget_left_ratio") == 1
    assert gauges.value("client_minute_budget_left_ratio") == 1
    assert gauges.value("unreconciled_connections") == 3
    assert gauges.value("ledger_up") == 1


async def test_documents_by_state_and_by_what_keeps_them(gauges: Gauges) -> None:
    b = gauges.b
    customers = [b.customer() for _ in range(4)]
    await b.told(*(b.said(who) for who in customers))
    await gauges.execute("update document set ready_at = now() - interval '7 min'")
    await gauges.execute("update tenant set due_at = now() where id = $1", b.tenants[0])
    await gauges.look()
    [(reason, count)] = gauges.shown("ready_documents").items()
    assert (reason, count) == ("ready", 4.0)
    assert gauges.shown("ledger_documents") == {"ready": 4.0}
    assert gauges.value("oldest_ready_seconds", reason="ready") == pytest.approx(420, abs=60)
    await gauges.execute("update document set ready_at = now() + interval '1 h'")
    await gauges.look()
    assert gauges.shown("ready_documents") == {"backoff": 4.0}
    assert gauges.shown("oldest_ready_seconds") == {}


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("due_at = now() + interval '1 min'", "budget"),
        ("blocked_until = now() + interval '1 min', blocked_why = 'throttled'", "throttled"),
        ("blocked_until = now() + interval '1 min', blocked_why = 'unavailable'", "unavailable"),
        (
            "blocked_until = now() - interval '1 min', blocked_why = 'unavailable', due_at = now()",
            "open",
        ),
        ("blocked_until = 'infinity', blocked_why = 'unauthorised'", "unconnected"),
        ("blocked_until = 'infinity', blocked_why = 'disconnected'", "unconnected"),
        ("blocked_until = 'infinity', blocked_why = 'tenant_forbidden'", "parked"),
    ],
)
async def test_what_keeps_a_tenant(gauges: Gauges, change: str, state: str) -> None:
    b = gauges.b
    await b.told(b.said(b.customer()))
    rows = await b.documents()
    await gauges.execute(f"update tenant set {change} where id = $1", rows[0]["tenant_id"])
    await gauges.look()
    assert gauges.shown("ready_documents") == {"ready" if state == "open" else state: 1.0}
    others = {"open": 2.0} if state != "open" else {}
    assert gauges.shown("tenants") == {**others, state: 3.0 if state == "open" else 1.0}
    gone = state if state in ("unconnected", "parked") else "open"
    assert gauges.shown("connections")[gone] == (3.0 if gone == "open" else 1.0)


async def test_parked_and_paused_are_told_apart(gauges: Gauges) -> None:
    await gauges.execute("update authorisation set parked_at = now() where client_id = 'client-0'")
    await gauges.execute("update connection set paused_at = now() where code = 'acme-1'")
    await gauges.look()
    assert gauges.shown("tenants") == gauges.shown("connections")
    assert gauges.shown("tenants") == {"open": 1.0, "paused": 1.0, "parked": 1.0}


async def test_the_least_that_is_left(gauges: Gauges) -> None:
    first, second, third = gauges.b.tenants
    await gauges.called(first, 700)
    await gauges.called(second, 15, timedelta(seconds=10))
    await gauges.called(second, 500, timedelta(days=2))
    await gauges.look()
    assert gauges.value("day_budget_left_ratio") == pytest.approx(0.3)
    assert gauges.value("minute_budget_left_ratio") == pytest.approx(0.75)
    assert gauges.value("client_minute_budget_left_ratio") == pytest.approx(1 - 15 / 200)
    assert gauges.value("tenants_day_spent") == 0
    # Xero's word counts where it is less than our own count says, with what was called since.
    await gauges.execute(
        "update tenant set day_left = 50, day_left_at = now() - interval '1 min' where id = $1",
        second,
    )
    await gauges.look()
    assert gauges.value("day_budget_left_ratio") == pytest.approx(0.035)
    await gauges.called(third, 1001)
    await gauges.look()
    assert gauges.value("day_budget_left_ratio") == 0
    assert gauges.value("tenants_day_spent") == 1


async def test_calls_under_way_and_in_doubt(gauges: Gauges) -> None:
    await gauges.execute(
        """insert into request (id, tenant_id, purpose, method, path, started_at, deadline_at, doubt)
           select gen_random_uuid(), $1, 'contact_create', 'PUT', 'Contacts', now() - ago,
                  now() - ago + interval '95 s', doubt
             from (values (interval '0', null), (interval '1 h', 'no_answer')) as made (ago, doubt)""",
        gauges.b.tenants[0],
    )
    await gauges.look()
    assert gauges.value("xero_calls_in_flight") == 1
    assert gauges.value("requests_in_doubt") == 1
    assert gauges.value("oldest_doubt_seconds") == pytest.approx(3600, abs=60)


async def test_failures_announcements_and_findings(gauges: Gauges) -> None:
    b = gauges.b
    who = b.customer()
    await b.told(b.said(who))
    await gauges.execute("update document set state = 'failed', code = 'name_taken'")
    await gauges.execute(
        """insert into event (digest, outcome, code, topic, partition, "offset", appended_at)
           values ('x', 'dead', 'not_json', 't', 0, 0, now())"""
    )
    await gauges.execute(
        """insert into outbox (sink, class, code, said, created_at, done_at)
           values ('webhook', 'Refused', 'c', 's', now() - interval '1 h', null),
                  ('webhook', 'Refused', 'c', 's', now(), null),
                  ('dead_letter', 'Refused', 'c', 's', now() - interval '2 h', now())"""
    )
    await gauges.execute(
        """insert into finding (class, closed_at)
           values ('surplus', null), ('surplus', null), ('surplus', now())"""
    )
    await gauges.look()
    assert gauges.shown("failed_documents") == {"name_taken": 1.0}
    assert gauges.shown("dead_records") == {"not_json": 1.0}
    assert gauges.shown("outbox") == {"webhook": 2.0}
    assert gauges.shown("oldest_announcement_seconds")["webhook"] == pytest.approx(3600, abs=60)
    assert gauges.value("oldest_announcement_seconds", sink="dead_letter") == 0
    assert gauges.shown("open_findings") == {"surplus": 2.0}
    await gauges.execute("update finding set closed_at = now()")
    await gauges.look()
    assert gauges.shown("open_findings") == {}


async def test_the_newest_completed_reconciliation_of_each_connection(gauges: Gauges) -> None:
    async def ran(connection: str, hours: int, result: Mapping[str, Any] | None) -> None:
        await gauges.execute(
            """insert into job (kind, args, result, started_at, ended_at)
               values ('reconcile', jsonb_build_object('connection', $1::text), $2::jsonb, now(),
                       case when $2::jsonb is not null then now() - make_interval(hours => $3) end)""",
            connection, to_json(result).decode() if result is not None else None, hours,
        )  # fmt: skip

    await ran("acme", 30, {"exceptions": {"amount": 7, "missing": 7}})
    await ran("acme", 6, {"exceptions": {"amount": 1, "extra": 2}})
    await ran("acme", 0, None)
    await ran("acme", 1, {"error": "xero_away"})
    await ran("acme", 2, {"exceptions": None})
    await ran("acme-1", 4, {"exceptions": {"amount": 3}})
    await ran("left-long-ago", 100, {"exceptions": {"amount": 100}})
    await gauges.look()
    assert gauges.shown("reconcile_exceptions") == {"amount": 4.0, "extra": 2.0}
    assert gauges.value("reconcile_age_seconds") == pytest.approx(6 * 3600, abs=60)
    assert gauges.value("unreconciled_connections") == 1


async def test_while_postgres_is_away_the_last_figures_stay(
    gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gauges.look()
    sampled = gauges.value("sampled_timestamp_seconds")

    async def away(*_: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(gauges.b.database, "fetch", away)
    with pytest.raises(Unavailable):
        await gauges.look()
    assert gauges.value("ledger_up") == 0
    assert gauges.value("sampled_timestamp_seconds") == sampled
    assert gauges.shown("tenants") == {"open": 3.0}


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "budgets": (timedelta(minutes=1), timedelta(days=1), 60, 5000, 10_000)
}


@pytest.mark.parametrize("name", SQL)
async def test_what_is_settled_is_not_read_each_time(gauges: Gauges, name: str) -> None:
    """A ledger grows for years; what is open in it does not."""
    tenant = gauges.b.tenants[0]
    await gauges.execute(
        """insert into document (connection_id, tenant_id, kind, lago_id, state, code)
           select 1, $1, 'invoice', gen_random_uuid(), case when n % 500 = 0 then 'failed' else 'synced' end,
                  case when n % 500 = 0 then 'name_taken' end
             from generate_series(1, 20000) n""",
        tenant,
    )
    await gauges.execute(
        """insert into finding (class, closed_at)
           select 'fallback_used', case when n % 500 <> 0 then now() end
             from generate_series(1, 20000) n"""
    )
    await gauges.execute(
        """insert into event (digest, outcome, topic, partition, "offset", appended_at)
           select sha256(n::text::bytea), 'merged', 't', 0, n, now() from generate_series(1, 20000) n"""
    )
    await gauges.execute(
        """insert into job (kind, args, result, ended_at)
           select 'reconcile', '{"connection": "acme"}', '{"exceptions": {}}', now()
             from generate_series(1, 20000)"""
    )
    await gauges.called(tenant, 20_000, timedelta(days=3))
    await gauges.execute("vacuum analyze")
    [row] = await gauges.b.database.fetch(
        f"explain (format json) {SQL[name]}", *ARGUMENTS.get(name, ())
    )
    read = set(_read_whole(json.loads(row[0])[0]["Plan"]))
    assert not read & {"document", "finding", "event", "request", "job"}


def _read_whole(plan: Mapping[str, Any]) -> list[str]:
    below = [table for child in plan.get("Plans", ()) for table in _read_whole(child)]
    return [*below, plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else below
