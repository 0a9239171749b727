"""A payment of one invoice or a refund of a credit note in; the Xero payment out.

Its Reference ends in a marker by which it is found again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from consumer.domain.chart import Chart
from consumer.domain.errors import Inconsistent, Refused, Unmapped
from consumer.domain.mapping import Connection, MappingKey, MappingKind, mapping_cause
from consumer.domain.translate.descriptions import clip, plain
from consumer.domain.translate.portions import NOTHING, left_of, next_portion, payable
from consumer.domain.translate.timezones import local_date
from consumer.domain.translate.types import Portion, Posted
from schemas import lago, xero

_OWN = 200
"""Characters of a person's own reference that are kept before the marker."""
_MARK = 16
"""Hexadecimal digits of a marker: 64 bits, which no two payments of an organisation share."""


def payment_marker(lago_id: UUID, target: UUID, part: str = "") -> str:
    """What a payment's Reference ends in: its identity in few characters, as the length that Xero
    takes there is not known (xero.md 10)."""
    identity = lago_id.bytes + target.bytes + part.encode()
    digest = hashlib.blake2b(identity, digest_size=_MARK // 2)
    return f"Lago {digest.hexdigest()}"


def refund_marker(lago_id: UUID) -> str:
    """The same for the refund of the credit note ``lago_id``."""
    return payment_marker(lago_id, lago_id)


def translate_payment(
    *,
    lago_id: UUID,
    target: UUID,
    amount_cents: int,
    currency: str,
    invoice_currency: str | None,
    paid_at: datetime | date | None,
    reference: str | None,
    connection: Connection,
    chart: Chart,
    invoice_id: UUID,
    posted: Posted = NOTHING,
) -> xero.Payment:
    """The payment to create on an invoice (ACCOUNTING.md 6).

    Args:
        lago_id, target: Lago's ids of the payment and the invoice; its identity.
        amount_cents: what this invoice gets, in Lago's subunits.
        paid_at: an instant, or the day itself.
        invoice_id: the invoice in Xero.
        posted: what settled the invoice already.

    Raises:
        Inconsistent: it has no date.
        Refused: another currency than its invoice's.
        BelowCent: there is nothing to send.
        Unmapped: no payment account.
    """
    if paid_at is None:
        raise Inconsistent("lago_header_missing", "The payment has no date.", "Send it again.")
    if invoice_currency is not None and currency != invoice_currency:
        raise Refused(
            "payment_currency",
            f"The payment is in {currency}, its invoice in {invoice_currency}.",
            "Record it in Xero by hand; Lago should not have taken it.",
        )
    amount = payable(next_portion(amount_cents, currency, posted))
    return xero.Payment(
        invoice=xero.InvoiceRef(invoice_id=invoice_id),
        account=account_of(connection, ("payment_account",), currency),
        date=local_date(paid_at, chart),
        amount=amount,
        reference=marked(reference, payment_marker(lago_id, target)),
    )


def translate_refund(
    note: lago.CreditNote,
    *,
    amount_cents: int,
    connection: Connection,
    credit_note_id: UUID,
    note_total: Decimal | None = None,
    taken: Posted = NOTHING,
) -> xero.Payment:
    """The payment that gives money back on a credit note (ACCOUNTING.md 5), on its issuing date.

    Args:
        amount_cents: what is paid back, in Lago's subunits.
        credit_note_id: the credit note in Xero.
        note_total: the credit note's in Xero.
        taken: what was taken from the credit note already.

    Raises:
        Inconsistent: the note has no date, or Lago gives more than its total.
        BelowCent: there is nothing to send.
        Unmapped: neither a refund nor a payment account.
    """
    if note.issuing_date is None:
        raise Inconsistent("lago_header_missing", "The credit note has no date.", "Send it again.")
    currency = note.currency or ""
    left = left_of(note_total, amount_cents, currency, taken)
    number = connection.number_prefix + note.number if note.number else None
    return xero.Payment(
        credit_note=xero.CreditNoteRef(credit_note_id=credit_note_id),
        account=account_of(connection, ("refund_account", "payment_account"), currency),
        date=note.issuing_date,
        amount=payable(next_portion(amount_cents, currency, taken, left)),
        reference=marked(number, refund_marker(note.lago_id)),
    )


def translate_clearing(
    note: lago.CreditNote,
    *,
    credit_id: UUID,
    amount_cents: int,
    line: Decimal,
    day: date,
    connection: Connection,
    credit_note_id: UUID,
    note_total: Decimal | None = None,
    taken: Posted = NOTHING,
) -> xero.Payment:
    """The refund that clears the line which an invoice has for a credit that it consumes (ACCOUNTING.md 3).

    It is of the line's amount, to the cent, so that the clearing account nets to zero; less only where the
    note has no cent more to give.

    Args:
        credit_id: the credit's Lago id; with the note's it is the refund's identity.
        amount_cents: the credit in Lago's subunits.
        line: what the invoice in Xero has of it.
        day: when both are there.
        credit_note_id, note_total, taken: as for a refund.

    Raises:
        Inconsistent: Lago gives more than the note's total.
        BelowCent: there is nothing to send.
        Unmapped: no clearing account.
    """
    left = left_of(note_total, amount_cents, note.currency or "", taken)
    cents = int(line * 100) if left is None else min(int(line * 100), left)
    number = connection.number_prefix + note.number if note.number else None
    return xero.Payment(
        credit_note=xero.CreditNoteRef(credit_note_id=credit_note_id),
        account=account_of(connection, ("clearing_account",), ""),
        date=day,
        amount=payable(Portion(Decimal(cents).scaleb(-2), cents)),
        reference=marked(number, payment_marker(note.lago_id, credit_id)),
    )


def marked(own: str | None, marker: str) -> str:
    """What people know it by, then the marker."""
    text = clip(plain(own), _OWN)
    return f"{text} · {marker}" if text else marker


def account_of(
    connection: Connection, kinds: Sequence[MappingKind], currency: str
) -> xero.AccountRef:
    """The first of ``kinds`` that is mapped, for the currency before the default."""
    for kind in kinds:
        for key in (currency, ""):
            target = connection.mappings.get(MappingKey("", kind, key))
            if target is not None and target.account:
                return xero.AccountRef(code=target.account)
    raise Unmapped(
        "payment_account_unmapped",
        "No account is mapped for payments.",
        f"Map {kinds[-1]} to an account of Xero's that takes payments.",
        mapping_cause(kinds[-1]),
    )
