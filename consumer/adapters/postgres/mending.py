"""Mending: what changed in the configuration in, the documents that it may help released out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.mapping import Connection
from consumer.domain.redrawing import Mended
from consumer.domain.refusals import OF_THE_CHART, PAID_ALREADY

SQL = statements("mending")
CONNECTIONS = statements("connections")
INBOX = statements("inbox")

AGAIN = "again:"
"""Begins the releases of what Xero refused with a code: ``again:connection|tenant:<id>:<code>``."""

ANEW = "anew:"
"""Begins the releases of ready payments, ``anew:<connection>``, whose policy for them has changed."""


async def raise_revision(conn: Conn) -> None:
    """Pods load the configuration anew."""
    await conn.execute(CONNECTIONS["raise_revision"])


async def release_all(
    conn: Conn,
    connections: Sequence[Connection],
    *,
    remapped: Sequence[int] = (),
    redrawn: Sequence[UUID] = (),
    overpaying: Sequence[int] = (),
) -> None:
    """All that these connections' documents wait or failed for, what Xero refused for its mapping in
    connections that were ``remapped`` and tenants whose chart was ``redrawn``, and what it refused as
    too much, or is about to be sent as a whole, in those that post such money as overpayments now."""
    codes = [connection.code for connection in connections]
    organizations = list({connection.organization_id for connection in connections})
    await conn.execute(SQL["release_causes"], codes, organizations)
    await _try_again(conn, sorted(OF_THE_CHART), remapped, redrawn)
    await _try_again(conn, sorted(PAID_ALREADY), overpaying, ())
    await conn.execute(INBOX["release"], [f"{ANEW}{id}" for id in overpaying])


async def release_mended(conn: Conn, tenant_id: UUID, by: Mended) -> None:
    """Only what a change in the tenant's chart may have mended: nobody has asked for a retry."""
    if by.causes:
        await conn.execute(SQL["release_kinds"], tenant_id, sorted(by.causes))
    await _try_again(conn, sorted(by.refusals), (), [tenant_id])


async def _try_again(
    conn: Conn, codes: Sequence[str], connections: Sequence[int], tenants: Sequence[UUID]
) -> None:
    """However many were refused: a release of each code finds them page by page."""
    await conn.execute(SQL["try_again"], codes, list(connections), list(tenants))
