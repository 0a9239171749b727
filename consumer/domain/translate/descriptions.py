"""A fee and what its line cannot say in figures in, the line's description out.

Lines of text: what it is (display name, filter, groups), the add-on's own description, units and
price where the figures do not show them, the period, what was billed before (lago.md 3.4).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal

from consumer.domain.money import major_text
from schemas import lago

MAX_DESCRIPTION = 4000
"""Xero's limit for a line's description."""

_TYPE_NAMES = {
    "add_on": "Add-on",
    "charge": "Usage",
    "commitment": "Minimum commitment",
    "credit": "Prepaid credits",
    "fixed_charge": "Fixed charge",
    "product": "Product",
    "subscription": "Subscription",
}


def clip(text: str, limit: int) -> str:
    """``text`` cut to ``limit`` UTF-16 units (.NET counts so), the cut shown by an ellipsis."""
    if _length(text) <= limit:
        return text
    kept = text
    while _length(kept) > limit - 1:
        kept = kept[: len(kept) - max(1, (_length(kept) - limit + 1) // 2)]
    return kept + "…"


def _length(text: str) -> int:
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def plain(text: str | None) -> str:
    """One line: control characters and runs of white space become single spaces."""
    if text is None:
        return ""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    return " ".join(kept.split())


def fee_title(fee: lago.Fee) -> str:
    """The display name, then the filter's, then the groups, as Lago joins them."""
    item = fee.item
    names = (fee.invoice_display_name, item.invoice_display_name, item.name, item.code)
    name = next((text for text in map(plain, names) if text), "")
    default = _TYPE_NAMES.get(item.type, plain(item.type)) or "Fee"
    groups = (item.grouped_by or {}).values()
    parts = [
        name or default,
        plain(item.filter_invoice_display_name),
        *(plain(str(value)) for value in groups if value is not None),
    ]
    return " • ".join(dict.fromkeys(part for part in parts if part))


def fee_description(
    fee: lago.Fee, *, currency: str, figures: bool, billed_before: str | None = None
) -> str:
    """The whole description, 1 to 4000 characters.

    Args:
        figures: whether units and price are written out because quantity × price is not the line.
        billed_before: the invoice's progressive billing credit in major units, on lines it lowers.
    """
    return clip("\n".join(_lines(fee, currency, figures, billed_before)), MAX_DESCRIPTION)


def _lines(fee: lago.Fee, currency: str, figures: bool, billed_before: str | None) -> Iterator[str]:
    yield fee_title(fee)
    if fee.item.type in ("add_on", "credit") and (own := plain(fee.description)):
        yield own
    if figures and fee.units is not None:
        price = fee.precise_unit_amount
        unit_price = "" if price is None else f" × {major_text(price)} {currency}"
        yield f"Units: {major_text(fee.units)}{unit_price}"
    if period := _period(fee):
        yield period
    if billed_before is not None:
        yield f"Less usage already billed ({billed_before} {currency} on this invoice)"


def _period(fee: lago.Fee) -> str:
    """The days that the fee covers, where both ends are whole days in UTC.

    Other instants are days in the customer's timezone, which the fee does not tell.
    """
    first, last = _day(fee.from_date, time(0)), _day(fee.to_date, time(23, 59, 59))
    return f"{first} – {last}" if first and last and first <= last else ""


def _day(value: datetime | date | None, edge: time) -> date | None:
    if not isinstance(value, datetime):
        return value
    instant = value if value.tzinfo is None else value.astimezone(UTC)
    return instant.date() if instant.time().replace(microsecond=0) in (time(0), edge) else None


def amount_text(amount: Decimal) -> str:
    """An amount of money with two decimals."""
    return f"{amount:.2f}"
