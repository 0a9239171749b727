"""Applying the connections file: settings and a path in; checked, stored, and the diff out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumer.apply import Applied
    from consumer.config import Settings
    from schemas.connections import File


async def apply_file(settings: Settings, path: Path, who: str, *, dry_run: bool) -> Applied:
    """Apply a connections file; ``who`` is for the audit.

    Raises:
        Mistakes: what is wrong with the file, all at once.
        ConsumerError: Xero or the settings do not allow it now.
    """
    from consumer.adapters.postgres.budget import PostgresBudget
    from consumer.adapters.postgres.connections import PostgresConnections
    from consumer.adapters.xero import XeroAccounting, open_client
    from consumer.app import (
        authorisations_of,
        limits_of,
        must_be_migrated,
        open_database,
        xero_tokens,
    )
    from consumer.apply import Apply

    file, secrets = _asked(path)
    vault = settings.vault()
    async with open_database(settings) as db, open_client() as client:
        await must_be_migrated(db)
        use_case = Apply(
            PostgresConnections(db, vault.encrypt, vault.decrypt),
            XeroAccounting(client, settings.xero_api_url),
            xero_tokens(settings, client, authorisations_of(settings, db)),
            PostgresBudget(db, limits_of(settings), settings.clocks()),
        )
        return await use_case.run(file, secrets, who, dry_run=dry_run)


def _asked(path: Path) -> tuple[File, list[str]]:
    from consumer.apply import read_secrets
    from schemas.connections import parse
    from schemas.mistakes import Mistake, Mistakes

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Mistakes([Mistake(str(path), "is not UTF-8 text")]) from None
    file = parse(text)
    return file, read_secrets(file, path.parent)
