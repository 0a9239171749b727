"""Mending: what changed in the configuration in, the documents that it may help released out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.causes import PLANNING
from consumer.domain.mapping import Connection
from consumer.domain.redrawing import Mended
from consumer.domain.refusals import OF_THE_CHART

SQL = statements("mending")
CONNECTIONS = statements("connections")
RETRYING = statements("retrying")


async def raise_revision(conn: Conn) -> int:
    """Pods load the configuration anew; the new revision."""
    return int(await conn.fetchval(CONNECTIONS["raise_revision"]))


async def release_all(
    conn: Conn,
    connections: Sequence[Connection],
    revision: int,
    *,
    remapped: Sequence[int] = (),
    redrawn: Sequence[UUID] = (),
) -> None:
    """All that these connections' documents wait or failed for, and what Xero refused for its mapping
    in connections that were ``remapped`` and tenants whose chart was ``redrawn``."""
    codes = [connection.code for connection in connections]
    organizations = list({connection.organization_id for connection in connections})
    await conn.execute(SQL["release_causes"], codes, organizations)
    await _try_again(conn, sorted(OF_THE_CHART), revision, remapped, redrawn)


async def release_mended(conn: Conn, tenant_id: UUID, by: Mended, revision: int) -> None:
    """Only what a change in the tenant's chart may have mended: nobody has asked for a retry."""
    if by.causes:
        await conn.execute(SQL["release_kinds"], tenant_id, sorted(by.causes))
    await _try_again(conn, sorted(by.refusals), revision, (), [tenant_id])


async def _try_again(
    conn: Conn,
    codes: Sequence[str],
    revision: int,
    connections: Sequence[int],
    tenants: Sequence[UUID],
) -> None:
    rows = await conn.fetch(SQL["refused"], codes, list(connections), list(tenants))
    refused = [row["id"] for row in rows]
    await conn.execute(RETRYING["plan_again"], refused, f"{PLANNING}apply:{revision}")
