"""Checks of Postgres and what is stored there: a database in, what is not as it has to be out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.sql import statements
from consumer.app import must_be_migrated
from consumer.cli.doctor.findings import Finding, ok, problem, warning
from consumer.cli.mappings import gaps_of
from consumer.cli.output import many
from consumer.domain.errors import Halt

SQL = statements("examining")

OLDEST, ALL_GUARDS = 15, 17
SKEW = 5.0
"""Seconds between two clocks that nothing minds."""


async def version(db: Database) -> Sequence[Finding]:
    """Is Postgres new enough?"""
    [row] = await db.fetch(SQL["version"])
    major = row["version"] // 10_000
    if major < OLDEST:
        said = f"PostgreSQL {major} is too old."
        return [problem("database", said, f"Upgrade to {ALL_GUARDS}, at least to {OLDEST}.")]
    if major < ALL_GUARDS:
        said = f"PostgreSQL {major} cannot end the whole transaction of a paused client."
        return [warning("database", said, f"Upgrade to {ALL_GUARDS} when you can.")]
    return [ok("database", f"PostgreSQL {major} answers.")]


async def migrations(db: Database) -> Sequence[Finding]:
    """Is the schema this version's? Raises Halt if not."""
    await must_be_migrated(db)
    return [ok("migrations", "The schema is this version's.")]


async def keys(db: Database, renewed: Callable[[bytes], bytes | None]) -> Sequence[Finding]:
    """Does every stored secret open, and with the first key?"""
    lost, old, seen = [], 0, 0
    for row in await db.fetch(SQL["secrets"]):
        for sealed in (row["secret"], row["tokens"]):
            if sealed is None:
                continue
            seen += 1
            try:
                old += renewed(sealed) is not None
            except Halt:
                lost.append(row["client_id"])
    found = []
    if lost:
        said = f"None of the encryption keys opens the secrets of {', '.join(sorted(set(lost)))}."
        fix = "Add the key that encrypted them to LAGO_XERO_ENCRYPTION_KEYS; or apply and connect."
        found.append(problem("keys", said, fix))
    if old:
        said = f"An older key encrypts {old} of {many(seen, 'secret')}."
        found.append(warning("keys", said, "Run lago-xero rekey before you take it away."))
    return found or [ok("keys", f"The first key opens whatever is stored: {many(seen, 'secret')}.")]


async def clock(db: Database) -> Sequence[Finding]:
    """Does Postgres' clock agree with ours?"""
    before = datetime.now(UTC)
    [row] = await db.fetch(SQL["now"])
    return [apart("Postgres'", row["now"], before, datetime.now(UTC))]


def apart(whose: str, told: datetime, before: datetime, after: datetime) -> Finding:
    """A clock that was read between two instants of ours."""
    seconds = max((before - told).total_seconds(), (told - after).total_seconds(), 0.0)
    if seconds <= SKEW:
        return ok("clock", f"{whose} clock agrees with ours.")
    said = f"{whose} clock and ours are {seconds:.0f} s apart."
    return warning("clock", said, "Set both by NTP: deadlines and look-ups go by them.")


async def connections(db: Database) -> Sequence[Finding]:
    """Is there any, and does each send?"""
    rows = await db.fetch(SQL["connections"])
    if not rows:
        return [problem("connections", "There is no connection.", "lago-xero apply stores them.")]
    found = []
    for row in rows:
        code = row["code"]
        if row["paused_at"] is not None:
            fix = f"lago-xero resume {code}, when it is time."
            found.append(warning("connections", f"{code} is paused by a person.", fix))
        if row["blocked_why"] in ("forbidden", "unauthorised", "disconnected"):
            fix = f"lago-xero connect {code}, or correct the client and apply."
            said = f"{code} is parked ({row['blocked_why']})."
            found.append(problem("connections", said, fix))
        if row["scope_missing"]:
            said = f"{many(row['scope_missing'], 'document')} of {code} cannot go out for want of a scope."
            fix = "Grant it: connect again, or add it to the custom connection and apply."
            found.append(problem("scopes", said, fix))
    return found or [ok("connections", f"{many(len(rows), 'connection')} can send.")]


async def charts(db: Database, every: float) -> Sequence[Finding]:
    """Was each chart read lately, and do the mappings fit it?"""
    found: list[Finding] = []
    rows = await db.fetch(SQL["charts"], timedelta(seconds=2 * every))
    for row in rows:
        if row["old"]:
            said = f"The chart behind {row['codes']} was last read {row['read_at'] or 'never'}."
            found.append(warning("charts", said, "lago-xero chart refresh tells what is wrong."))
    for row in await db.fetch(SQL["alarms"]):
        said = f"{row['code']}.{row['path']}: {row['said']}."
        found.append(problem("charts", said, row["hint"] or "lago-xero mappings list shows it."))
    return found or [ok("charts", f"{many(len(rows), 'chart')} read lately, and the mappings fit.")]


async def coverage(db: Database) -> Sequence[Finding]:
    """Has everything that was billed a mapping of its own?"""
    found: list[Finding] = []
    for row in await db.fetch(SQL["connections"]):
        code = row["code"]
        paths = {gap["path"] for gap in await gaps_of(db, code)}  # each in any number of currencies
        taxes = [path for path in paths if path.startswith("taxes.")]
        if paths:
            said = f"{code}: what was billed lacks {many(len(paths), 'mapping')} of its own"
            said += f" ({len(taxes)} for taxes)." if taxes else "."
            found.append(warning("coverage", said, f"lago-xero mappings coverage {code}"))
    return found or [ok("coverage", "All that was billed has a mapping of its own.")]
