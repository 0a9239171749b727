"""Authorisations: secrets and tokens at rest in, in clear out; who may renew them, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements
from consumer.domain.errors import Halt
from consumer.ports import Authorisation, Consent, TokenSet

SQL = statements("authorisations")

PAGE = 100
"""Rows that one transaction of ``rekey`` holds."""


def opened(row: asyncpg.Record, decrypt: Callable[[bytes], bytes]) -> Authorisation:
    """A row in clear; tokens that decrypt to nothing count as none."""
    sealed = row["tokens"] or b""
    consent = None
    if row["kind"] == "consent":
        clear = decrypt(sealed) if sealed else b""
        parts = from_json(clear) if clear else {}
        consent = Consent(
            row["generation"],
            parts.get("access_token", ""),
            parts.get("refresh_token", ""),
            parts.get("life", 0.0),
            row["good_for"] or 0.0 if clear else 0.0,
        )
    secret = decrypt(row["secret"]).decode()
    stored = row["secret"] + sealed
    return Authorisation(row["id"], row["client_id"], secret, stored, consent, row["overpays"])


def sealable(tokens: TokenSet) -> bytes:
    """What is encrypted of a token set."""
    return to_json(
        {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "life": tokens.life,
        }
    )


class PostgresAuthorisations:
    """Implements ``Authorisations``; every clock is the database's."""

    def __init__(
        self,
        database: Database,
        encrypt: Callable[[bytes], bytes],
        decrypt: Callable[[bytes], bytes],
    ) -> None:
        self.database = database
        self.encrypt = encrypt
        self.decrypt = decrypt

    async def get(self, id: int) -> Authorisation:
        """The client of that id."""
        [row] = await self.database.fetch(SQL["authorisation"], id)
        return opened(row, self.decrypt)

    async def claim(self, id: int, generation: int, lease: float) -> bool:
        """The right to renew that generation, for ``lease`` seconds."""
        return await self._one("claim_renewal", id, generation, timedelta(seconds=lease))

    async def unclaim(self, id: int, generation: int, *, done: bool) -> None:
        """Give it up; not ``done``: it ends now, but stays as a sign that it was begun."""
        await self._one("unclaim_renewal", id, generation, done)

    async def save(self, id: int, generation: int, tokens: TokenSet) -> bool:
        """Replace that generation, unless another replaced it."""
        sealed = self.encrypt(sealable(tokens))
        return await self._one(
            "save_tokens", id, generation, sealed, timedelta(seconds=tokens.good_for)
        )

    async def resting(self, idle: float, limit: int) -> Sequence[tuple[UUID, int]]:
        """(a tenant, authorisation) of those that wait for a renewal."""
        rows = await self.database.fetch(SQL["resting"], timedelta(seconds=idle), limit)
        return [(row["tenant_id"], row["id"]) for row in rows]

    async def _one(self, name: str, *args: object) -> bool:
        async def work(conn: Conn) -> bool:
            return await conn.fetchval(SQL[name], *args) is not None

        return await self.database.run(work)


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """How many secrets and token sets were looked at, encrypted anew, and not readable at all."""

    seen: int = 0
    changed: int = 0
    lost: int = 0


async def rekey(
    database: Database, renewed: Callable[[bytes], bytes | None], page: int = PAGE
) -> Rekeyed:
    """Encrypt everything with the first key, a page a transaction; again it changes nothing.

    ``renewed`` gives other bytes, or None where the first key encrypted them; Halt: no key fits.
    """
    total = Rekeyed()
    after = 0

    async def work(conn: Conn) -> tuple[int, Rekeyed]:
        return await _rekey_page(conn, renewed, after, page)

    while True:
        after, done = await database.run(work)
        total = Rekeyed(
            total.seen + done.seen, total.changed + done.changed, total.lost + done.lost
        )
        if not done.seen:
            return total


async def _rekey_page(
    conn: Conn, renewed: Callable[[bytes], bytes | None], after: int, page: int
) -> tuple[int, Rekeyed]:
    seen = changed = lost = 0
    for row in await conn.fetch(SQL["secrets_page"], after, page):
        after = row["id"]
        kept: list[bytes | None] = []
        before = changed
        for sealed in (row["secret"], row["tokens"]):
            new = None
            if sealed is not None:
                seen += 1
                try:
                    new = renewed(sealed)
                except Halt:
                    lost += 1
            changed += new is not None
            kept.append(sealed if new is None else new)
        if changed > before:
            await conn.execute(SQL["put_secrets"], row["id"], *kept)
    return after, Rekeyed(seen, changed, lost)
