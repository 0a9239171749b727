"""Connections with their mappings and charts: stored by apply and connect, loaded by pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from pydantic_core import to_json

from consumer.adapters.postgres.alarms import judge, latest_rates
from consumer.adapters.postgres.authorisations import opened, sealable
from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.mending import raise_revision, release_all
from consumer.adapters.postgres.snapshots import (
    load_snapshot,
    store_chart,
    store_mappings,
    stored_mappings,
)
from consumer.adapters.postgres.sql import statements
from consumer.domain.consent import stand_in
from consumer.domain.errors import Halt
from consumer.domain.mapping import Connection
from consumer.ports import Stored, TokenSet, Wish

SQL = statements("connections")
AUTHORISATIONS = statements("authorisations")

_COLUMNS = frozenset({"id", "code", "organization_id", "tenant_id", "name", "mappings"})
"""What has a column, or rows, of its own."""
_SETTINGS = tuple(f.name for f in fields(Connection) if f.name not in _COLUMNS)


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
            for row in await conn.fetch(SQL["connections"], None):
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

    async def rates(self, codes: Sequence[str]) -> Mapping[str, Mapping[str, Decimal]]:
        """Lago's tax rates by connection and tax code."""

        async def work(conn: Conn) -> Mapping[str, Mapping[str, Decimal]]:
            rows = await conn.fetch(SQL["connections"], None)
            known = {row["code"]: row["id"] for row in rows if row["code"] in codes}
            return {code: await latest_rates(conn, id) for code, id in known.items()}

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
        remapped, redrawn, overpaying, kept = [], [], [], []
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
            known = before.get(asked.code)
            had = known.tenant_id if known is not None else await _retired_from(conn, asked)
            connection_id = await conn.fetchval(
                SQL["put_connection"],
                asked.organization_id,
                asked.code,
                asked.name,
                asked.tenant_id,
                to_json(settings).decode(),
            )
            if known is not None and had not in (asked.tenant_id, stand_in(asked.code)):
                raise Halt(
                    "changed_meanwhile",
                    f"Somebody has connected {asked.code} to another tenant meanwhile.",
                    "Nothing was stored: run it again.",
                )
            if had is not None and had != asked.tenant_id:
                await self._move(conn, connection_id, had, asked.tenant_id)
            # One that was retired keeps its mappings until it is applied again.
            old = (
                known.mappings if known is not None else await stored_mappings(conn, connection_id)
            )
            await store_mappings(conn, connection_id, old, asked.mappings, who)
            kept.append((replace(asked, id=connection_id), wish.chart))
            if asked.mappings != old:
                remapped.append(connection_id)
            if asked.overpays and known is not None and not known.overpays:
                overpaying.append(connection_id)
            if wish.chart is not None:
                await store_chart(conn, asked.tenant_id, wish.chart)
                if wish.chart != snapshot.charts.get(asked.tenant_id):
                    redrawn.append(asked.tenant_id)
        if tokens is not None:
            [authorisation_id] = authorisations
            sealed = self.encrypt(sealable(tokens))
            good_for = timedelta(seconds=tokens.good_for)
            await conn.execute(AUTHORISATIONS["put_tokens"], authorisation_id, sealed, good_for)
        await conn.execute(SQL["wake_authorisations"], list(authorisations))
        await raise_revision(conn)
        connections = [connection for connection, _ in kept]
        await release_all(
            conn, connections, remapped=remapped, redrawn=redrawn, overpaying=overpaying
        )
        for connection, chart in kept:
            if chart is not None:
                await judge(conn, connection, chart)  # whoever applies is told by apply
        codes = [connection.code for connection in connections]
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


async def _retired_from(conn: Conn, asked: Connection) -> UUID | None:
    """The tenant of a connection that was retired under this code, None if none was. It comes back to its
    own tenant and organization, or not at all."""
    had = await conn.fetchrow(SQL["retired"], asked.code)
    if had is None:
        return None
    tenant_id: UUID = had["tenant_id"]
    if tenant_id not in (asked.tenant_id, stand_in(asked.code)):
        raise Halt(
            "tenant_differs",
            f"{asked.code} belongs to tenant {tenant_id}.",
            "Its documents are there: give the new connection another code.",
        )
    if had["organization_id"] != asked.organization_id:
        raise Halt(
            "organization_differs",
            f"{asked.code} follows Lago's organization {had['organization_id']}.",
            "Its documents come from there: give the new connection another code.",
        )
    return tenant_id
