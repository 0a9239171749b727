"""Leaving: contacts that a customer has left, voided invoices that stay, credits that they had consumed and
money that is left out in, findings of them out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.failing import announce_documents, find
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.causes import VOID_WITH_MONEY, in_lago
from consumer.domain.documents import Planned, Stands, consumes
from consumer.domain.invoices import left_open
from consumer.domain.money import CENT, major
from consumer.domain.objects import Object
from consumer.ports import Sink

SQL = statements("customers")
INBOX = statements("inbox")


async def leave(conn: Conn, homes: Sequence[tuple[UUID, int | None]]) -> None:
    """Tell of the credit in the homes (customer, connection) that were left; None: he had none."""
    left = [(customer, connection) for customer, connection in homes if connection is not None]
    if left:
        rows = await conn.fetch(SQL["contacts_left"], *columns(left, 2))
        await tell_of_credit(conn, [row["id"] for row in rows])


async def tell_of_credit(conn: Conn, contacts: Sequence[int]) -> None:
    """A finding for each of these documents of contacts whose customer has credit there.

    It is what Lago says is left of the credit notes that Xero has, and what was paid beyond invoices;
    a later invoice elsewhere cannot have it allocated. What was told of the same contact before is closed.
    """
    if not contacts:
        return
    amounts: dict[int, dict[str, str]] = {}
    for row in await conn.fetch(SQL["credit_left"], list(contacts)):
        shown = str(_cents(row["cents"], row["currency"]))
        amounts.setdefault(row["contact"], {})[row["currency"]] = shown
    await conn.execute(SQL["close_credit_left"], list(contacts))
    await find(conn, [(id, None, "credit_left_behind", each) for id, each in amounts.items()])


async def tell_of_freed(conn: Conn, plans: Sequence[Planned]) -> None:
    """A finding for each credit that a voided invoice consumed and that Xero was never told of: in Xero it is
    open on its note, in Lago it is not (ACCOUNTING.md 4)."""
    rows = [
        (p.connection_id, p.kind, p.lago_id, p.part, p.target, str(_cents(p.amount_cents, p.currency)))
        for p in plans
        if consumes(p.kind, p.part) and p.hold == in_lago("voided") and p.stays is None
        and not p.optional and p.amount_cents and p.currency
    ]  # fmt: skip
    if rows:
        await conn.execute(INBOX["find_freed"], *columns(rows, 6))


async def tell_of_left_out(conn: Conn, ids: Sequence[int]) -> None:
    """A finding for each of these documents that is left out of Xero though Lago has the money: it was
    received on a voided invoice, or stays open on a credit note (ACCOUNTING.md 1)."""
    if not ids:
        return
    rows = await conn.fetch(INBOX["left_out"], ids)
    shown = [(row, _cents(row["amount_cents"], row["currency"])) for row in rows]
    await find(conn, [(row["id"], None, row["class"], {"amount": str(a)}) for row, a in shown])


def _cents(amount_cents: int | None, currency: str | None) -> Decimal:
    """In major units; with cents, unless that is not all of it."""
    amount = major(amount_cents or 0, currency or "")
    cents = amount.quantize(CENT)
    return cents if cents == amount else amount


async def tell_of_left(
    conn: Conn, left: Sequence[tuple[int, str | None, Stands, Object]], sinks: Sequence[Sink]
) -> None:
    """A finding each, of how it stood before; and a person is asked where something is open."""
    if not left:
        return
    await find(conn, [(id, None, (cause or "").partition("@")[0], {}) for id, cause, *_ in left])
    asked = [
        (id, left_open(of, draft=stood.draft))
        for id, cause, stood, of in left
        if cause == VOID_WITH_MONEY
    ]
    errors = [(id, error) for id, error in asked if error is not None]
    if errors:
        ids, what = zip(*errors, strict=True)
        await announce_documents(conn, ids, what, sinks)
