"""Leaving: contacts that a customer has no longer in, findings of the credit that stays with them out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic_core import to_json

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.money import CENT, major

SQL = statements("customers")
LEDGER = statements("ledger")


async def leave(conn: Conn, homes: Sequence[tuple[UUID, int | None]]) -> None:
    """Tell of the credit in the homes (customer, connection) that were left; None: he had none."""
    left = [(customer, connection) for customer, connection in homes if connection is not None]
    if left:
        rows = await conn.fetch(SQL["contacts_left"], *columns(left, 2))
        await tell_of_credit(conn, [row["id"] for row in rows])


async def tell_of_credit(conn: Conn, contacts: Sequence[int]) -> None:
    """A finding for each of these documents of contacts whose customer has credit there.

    It is what Lago says is left of the credit notes that Xero has; a later invoice elsewhere cannot
    have it allocated. What was told of the same contact before is closed.
    """
    if not contacts:
        return
    amounts: dict[int, dict[str, str]] = {}
    for row in await conn.fetch(SQL["credit_left"], list(contacts)):
        amount = major(row["cents"], row["currency"])
        cents = amount.quantize(CENT)
        shown = str(cents if cents == amount else amount)
        amounts.setdefault(row["contact"], {})[row["currency"]] = shown
    await conn.execute(SQL["close_credit_left"], list(contacts))
    if amounts:
        found = [
            (id, None, "credit_left_behind", to_json(each).decode()) for id, each in amounts.items()
        ]
        await conn.execute(LEDGER["find"], *columns(found, 4))
