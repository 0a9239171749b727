"""Connections with their mappings and charts: stored by apply and connect, loaded by pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from consumer.adapters.postgres.authorisations import opened, sealable
from consumer.adapters.postgres.configuration import Snapshot
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements
from consumer.domain.causes import PLANNING
from consumer.domain.chart import Account, Chart, Item, Organisation, TaxRate
from consumer.domain.errors import Halt
from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.refusals import OF_THE_CHART
from consumer.ports import Stored, TokenSet, Wish

SQL = statements("connections")
AUTHORISATIONS = statements("authorisations")
RETRYING = statements("retrying")

_SETTINGS = (
    "customers",
    "default",
    "billing_entities",
    "start_date",
    "sync_invoices",
    "sync_credit_notes",
    "sync_payments",
    "number_prefix",
    "zero_invoices",
    "voids",
    "residual_payments",
    "lookup",
    "locked_period",
)
_CONNECTION = TypeAdapter(Connection)
_ORGANISATION = TypeAdapter(Organisation)
_KINDS: Mapping[str, TypeAdapter[Any]] = {
    "account": TypeAdapter(Account),
    "item": TypeAdapter(Item),
    "tax_rate": TypeAdapter(TaxRate),
}


async def load_snapshot(conn: Conn) -> Snapshot:
    """All connections and charts; part of the caller's transaction."""
    mappings: dict[int, dict[MappingKey, Target]] = {}
    for row in await conn.fetch(SQL["mappings"]):
        key = MappingKey(row["entity"], row["kind"], row["key"])
        target = Target(row["item"], row["account"], row["tax_type"])
        mappings.setdefault(row["connection_id"], {})[key] = target
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
        for row in await conn.fetch(SQL["connections"])
    }
    return Snapshot(connections, await _charts(conn))


async def _charts(conn: Conn) -> dict[UUID, Chart]:
    parts: dict[UUID, dict[str, dict[str, Any]]] = {}
    for row in await conn.fetch(SQL["charts"]):
        kinds = parts.setdefault(row["tenant_id"], {})
        facts = from_json(row["facts"])
        known = _KINDS.get(row["kind"])
        fact = known.validate_python(facts) if known is not None else facts
        kinds.setdefault(row["kind"], {})[row["code"]] = fact
    organisations = {
        row["id"]: _ORGANISATION.validate_json(row["organisation"])
        for row in await conn.fetch(SQL["organisations"])
    }
    return {
        tenant_id: Chart(
            organisation=organisations.get(tenant_id, Organisation()),
            accounts=kinds.get("account", {}),
            items=kinds.get("item", {}),
            tax_rates=kinds.get("tax_rate", {}),
            currencies=frozenset(kinds.get("currency", {})),
        )
        for tenant_id, kinds in parts.items()
    }


class PostgresConnections:
    """Implements ``Connections``."""

    def __init__(
        self,
        database: Database,
        encrypt: Callable[[bytes], bytes],
        decrypt: Callable[[bytes], bytes],
    ) -> None:
        self.database = database
        self.encrypt = encrypt
        self.decrypt = decrypt

    async def stored(self) -> Mapping[str, Stored]:
        """All connections by code, with their clients and secrets in clear."""

        async def work(conn: Conn) -> Mapping[str, Stored]:
            snapshot = await load_snapshot(conn)
            clients = {
                row["client_id"]: row for row in await conn.fetch(AUTHORISATIONS["authorisations"])
            }
            stored = {}
            for row in await conn.fetch(SQL["connections"]):
                connection = snapshot.connections[row["id"]]
                client = opened(clients[row["client_id"]], self._decrypt_if_possible)
                stored[connection.code] = Stored(
                    connection,
                    row["client_id"],
                    client.client_secret,
                    row["parked"],
                    snapshot.charts.get(connection.tenant_id),
                    client if client.consent is not None else None,
                )
            return stored

        return await self.database.run(work)

    def _decrypt_if_possible(self, stored: bytes) -> bytes:
        """Nothing if its key is lost, for then applying or connecting again is what mends it."""
        try:
            return self.decrypt(stored)
        except Halt:
            return b""

    async def store(
        self,
        wishes: Sequence[Wish],
        who: str,
        changes: Sequence[str],
        tokens: TokenSet | None = None,
    ) -> None:
        """All or nothing; everything that the change may mend is released with it."""
        await self.database.run(
            lambda c: self._store(c, wishes, who, changes, tokens), configuring=True
        )

    async def _store(
        self,
        conn: Conn,
        wishes: Sequence[Wish],
        who: str,
        changes: Sequence[str],
        tokens: TokenSet | None,
    ) -> None:
        authorisations = set()
        snapshot = await load_snapshot(conn)
        before = {c.code: c for c in snapshot.connections.values()}
        remapped, redrawn = [], []
        for wish in wishes:
            asked = wish.connection
            authorisation_id = await conn.fetchval(
                AUTHORISATIONS["put_authorisation"],
                wish.client_id,
                "consent" if wish.consent else "custom",
                self.encrypt(wish.secret.encode()),
                wish.authorised,
            )
            authorisations.add(authorisation_id)
            await self._store_tenant(conn, wish, authorisation_id)
            settings = {name: getattr(asked, name) for name in _SETTINGS}
            settings["billing_entities"] = sorted(asked.billing_entities)
            connection_id = await conn.fetchval(
                SQL["put_connection"],
                asked.organization_id,
                asked.code,
                asked.name,
                asked.tenant_id,
                to_json(settings).decode(),
            )
            known = before.get(asked.code)
            if known is not None and known.tenant_id != asked.tenant_id:
                await self._move(conn, connection_id, known.tenant_id, asked.tenant_id)
            old = known.mappings if known is not None else {}
            await self._store_mappings(conn, connection_id, old, asked.mappings, who)
            if asked.mappings != old:
                remapped.append(connection_id)
            if wish.chart is not None:
                await self._store_chart(conn, asked.tenant_id, wish.chart)
                if wish.chart != snapshot.charts.get(asked.tenant_id):
                    redrawn.append(asked.tenant_id)
        if tokens is not None:
            [authorisation_id] = authorisations
            sealed = self.encrypt(sealable(tokens))
            good_for = timedelta(seconds=tokens.good_for)
            await conn.execute(AUTHORISATIONS["put_tokens"], authorisation_id, sealed, good_for)
        await conn.execute(SQL["wake_authorisations"], list(authorisations))
        revision = await conn.fetchval(SQL["raise_revision"])
        codes = [wish.connection.code for wish in wishes]
        organizations = list({wish.connection.organization_id for wish in wishes})
        await conn.execute(SQL["release_causes"], codes, organizations)
        rows = await conn.fetch(SQL["refused"], sorted(OF_THE_CHART), remapped, redrawn)
        refused = [row["id"] for row in rows]
        await conn.execute(RETRYING["plan_again"], refused, f"{PLANNING}apply:{revision}")
        action = "apply" if tokens is None else "connect"
        said = "\n".join(changes)[:10_000]
        await conn.execute(SQL["audit"], who, action, ", ".join(codes), said)

    async def _store_tenant(self, conn: Conn, wish: Wish, authorisation_id: int) -> None:
        tenant_id = wish.connection.tenant_id
        if wish.chart is None:
            await conn.execute(SQL["put_parked_tenant"], tenant_id, authorisation_id)
            return
        organisation = to_json(asdict(wish.chart.organisation)).decode()
        await conn.execute(SQL["put_tenant"], tenant_id, authorisation_id, organisation)

    async def _move(self, conn: Conn, connection_id: int, old: UUID, new: UUID) -> None:
        """From the stand-in to the tenant that was chosen; nothing was ever sent to a stand-in."""
        await conn.execute(SQL["move_documents"], connection_id, old, new)
        await conn.execute(SQL["forget_tenant"], old)

    async def park(self, code: str, who: str) -> None:
        """Nothing more is sent to the connection's tenant."""

        async def work(conn: Conn) -> None:
            await conn.execute(SQL["disconnect_tenant"], code)
            await conn.execute(SQL["audit"], who, "disconnect", code, "")

        await self.database.run(work, configuring=True)

    async def forget_tokens(self, code: str) -> bool:
        """Those behind the connection, unless another tenant of theirs is not disconnected."""

        async def work(conn: Conn) -> bool:
            return await conn.fetchval(AUTHORISATIONS["forget_tokens"], code) is not None

        return await self.database.run(work, configuring=True)

    async def _store_mappings(
        self,
        conn: Conn,
        connection_id: int,
        old: Mapping[MappingKey, Target],
        new: Mapping[MappingKey, Target],
        who: str,
    ) -> None:
        gone = [key for key, target in old.items() if new.get(key) != target]
        made = [(key, target) for key, target in new.items() if old.get(key) != target]
        if gone:
            columns = zip(*((k.entity, k.kind, k.key) for k in gone), strict=True)
            await conn.execute(SQL["unset_mappings"], connection_id, *map(list, columns))
        if made:
            rows = [(k.entity, k.kind, k.key, t.item, t.account, t.tax_type) for k, t in made]
            columns = zip(*rows, strict=True)
            await conn.execute(SQL["set_mappings"], connection_id, who, *map(list, columns))

    async def _store_chart(self, conn: Conn, tenant_id: UUID, chart: Chart) -> None:
        rows = [
            *(("account", code, to_json(asdict(a)).decode()) for code, a in chart.accounts.items()),
            *(("item", code, to_json(asdict(i)).decode()) for code, i in chart.items.items()),
            *(
                ("tax_rate", code, to_json(asdict(t)).decode())
                for code, t in chart.tax_rates.items()
            ),
            *(("currency", code, "{}") for code in sorted(chart.currencies)),
        ]
        kinds, codes, facts = ([row[i] for row in rows] for i in range(3))
        await conn.execute(SQL["put_chart"], tenant_id, kinds, codes, facts)
        await conn.execute(SQL["gone_from_chart"], tenant_id, kinds, codes)
