"""The configuration as rows: snapshots of connections, mappings and charts out; mappings and charts in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from consumer.adapters.postgres.configuration import Snapshot
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.chart import Account, Chart, Item, Organisation, TaxRate
from consumer.domain.mapping import Connection, MappingKey, Target

CONNECTIONS = statements("connections")
MAPPINGS = statements("mappings")
CHARTS = statements("charts")

_CONNECTION = TypeAdapter(Connection)
_ORGANISATION = TypeAdapter(Organisation)
_KINDS: Mapping[str, TypeAdapter[Any]] = {
    "account": TypeAdapter(Account),
    "item": TypeAdapter(Item),
    "tax_rate": TypeAdapter(TaxRate),
}


async def load_snapshot(conn: Conn, tenant_id: UUID | None = None) -> Snapshot:
    """All connections and charts, or one tenant's; part of the caller's transaction."""
    mappings: dict[int, dict[MappingKey, Target]] = {}
    for row in await conn.fetch(MAPPINGS["mappings"], tenant_id):
        key, target = _mapping(row)
        mappings.setdefault(row["connection_id"], {})[key] = target
    rows = await conn.fetch(CONNECTIONS["connections"], tenant_id)
    connections = {
        row["id"]: _CONNECTION.validate_python(
            {
                "id": row["id"],
                "code": row["code"],
                "organization_id": row["organization_id"],
                "tenant_id": row["tenant_id"],
                "name": row["name"],
                **from_json(row["settings"]),
                "mappings": mappings.get(row["id"], {}),
            }
        )
        for row in rows
    }
    tenants: dict[int, set[UUID]] = {}
    for row in rows:
        tenants.setdefault(row["authorisation_id"], set()).add(row["tenant_id"])
    paused = frozenset(row["id"] for row in rows if row["paused"])
    return Snapshot(connections, await _charts(conn, tenant_id), tenants, paused)


async def _charts(conn: Conn, tenant_id: UUID | None) -> dict[UUID, Chart]:
    parts: dict[UUID, dict[str, dict[str, Any]]] = {}
    for row in await conn.fetch(CHARTS["charts"], tenant_id):
        kinds = parts.setdefault(row["tenant_id"], {})
        facts = from_json(row["facts"])
        known = _KINDS.get(row["kind"])
        fact = known.validate_python(facts) if known is not None else facts
        kinds.setdefault(row["kind"], {})[row["code"]] = fact
    organisations = {
        row["id"]: _ORGANISATION.validate_json(row["organisation"])
        for row in await conn.fetch(CHARTS["organisations"], tenant_id)
    }
    return {
        id: Chart(
            organisation=organisations.get(id, Organisation()),
            accounts=kinds.get("account", {}),
            items=kinds.get("item", {}),
            tax_rates=kinds.get("tax_rate", {}),
            currencies=frozenset(kinds.get("currency", {})),
        )
        for id, kinds in parts.items()
    }


async def stored_mappings(conn: Conn, connection_id: int) -> Mapping[MappingKey, Target]:
    """The current mappings of one connection, in use or not."""
    return dict(map(_mapping, await conn.fetch(MAPPINGS["mappings_of"], connection_id)))


def _mapping(row: asyncpg.Record) -> tuple[MappingKey, Target]:
    target = Target(row["item"], row["account"], row["tax_type"])
    return MappingKey(row["entity"], row["kind"], row["key"]), target


async def store_mappings(
    conn: Conn,
    connection_id: int,
    old: Mapping[MappingKey, Target],
    new: Mapping[MappingKey, Target],
    who: str,
) -> None:
    """Make ``old`` into ``new``; what was there stays as history."""
    gone = [key for key, target in old.items() if new.get(key) != target]
    made = [(key, target) for key, target in new.items() if old.get(key) != target]
    if gone:
        rows = [(k.entity, k.kind, k.key) for k in gone]
        await conn.execute(MAPPINGS["unset_mappings"], connection_id, *columns(rows, 3))
    if made:
        set_ = [(k.entity, k.kind, k.key, t.item, t.account, t.tax_type) for k, t in made]
        await conn.execute(MAPPINGS["set_mappings"], connection_id, who, *columns(set_, 6))


async def store_chart(conn: Conn, tenant_id: UUID, chart: Chart) -> None:
    """Keep the chart's parts; what is no longer in it is marked as gone."""
    rows = [
        *(("account", code, _json(one)) for code, one in chart.accounts.items()),
        *(("item", code, _json(one)) for code, one in chart.items.items()),
        *(("tax_rate", code, _json(one)) for code, one in chart.tax_rates.items()),
        *(("currency", code, "{}") for code in sorted(chart.currencies)),
    ]
    kinds, codes, facts = columns(rows, 3)
    await conn.execute(CHARTS["put_chart"], tenant_id, kinds, codes, facts)
    await conn.execute(CHARTS["gone_from_chart"], tenant_id, kinds, codes)


def _json(part: Account | Item | TaxRate) -> str:
    return to_json(asdict(part)).decode()
