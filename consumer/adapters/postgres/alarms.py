"""Alarms: a connection and its chart in; findings, and announcements, of the mappings that do not fit out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.chart import Chart
from consumer.domain.fitting import Misfit, misfits, rate_misfits
from consumer.domain.mapping import Connection
from consumer.ports import Alarm, Sink

SQL = statements("alarms")

CLASSES = ["chart_broke_mapping", "tax_rate_differs"]
SAMPLE = 500
"""Invoices whose tax rates are looked at."""


async def latest_rates(conn: Conn, connection_id: int) -> Mapping[str, Decimal]:
    """Lago's rates in percent by tax code, as the newest of a sample of invoices has them."""
    rows = await conn.fetch(SQL["rates"], connection_id, SAMPLE)
    return {row["code"]: row["rate"] for row in rows}


async def judge(
    conn: Conn, connection: Connection, chart: Chart, sinks: Sequence[Sink] = ()
) -> tuple[Alarm, ...]:
    """Open a finding for each mapping that does not fit, once, and close those that fit again.

    New ones are announced on ``sinks`` (the webhook: no record is at fault) and returned.
    """
    await conn.execute(SQL["hold"], connection.id)
    rates = await latest_rates(conn, connection.id)
    found = {
        (misfit.code, misfit.path, misfit.said): misfit
        for misfit in (*misfits(connection, chart), *rate_misfits(connection, chart, rates))
    }
    rows = await conn.fetch(SQL["open"], connection.id, CLASSES)
    known = {(row["class"], row["path"], row["said"]): row["id"] for row in rows}
    gone = [id for key, id in known.items() if key not in found]
    new = [misfit for key, misfit in found.items() if key not in known]
    if gone:
        await conn.execute(SQL["close"], gone)
    if new:
        rows_of = [(m.code, m.path, m.said, m.hint) for m in new]
        await conn.execute(SQL["raise"], connection.id, *columns(rows_of, 4))
    alarms = tuple(_alarm(connection, misfit) for misfit in new)
    if alarms and "webhook" in sinks:
        notices = [(a.code, a.sentence, a.hint) for a in alarms]
        await conn.execute(SQL["announce"], connection.id, *columns(notices, 3))
    return alarms


def _alarm(connection: Connection, misfit: Misfit) -> Alarm:
    return Alarm(
        misfit.code,
        f"{connection.code}.{misfit.path}: {misfit.said}.",
        f"{misfit.hint[0].upper()}{misfit.hint[1:]}; then chart refresh, mappings set or apply.",
    )
