"""Two charts of one Xero organisation in; what changed, for people, and what may wait no longer out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from consumer.domain.chart import Chart, Organisation
from consumer.domain.mapping import LINE_KINDS, TAX_KINDS
from consumer.domain.money import major_text
from consumer.domain.translate.locks import LOCK

_OF_ACCOUNTS = frozenset(
    {"account_archived", "account_invalid", "account_missing", "payment_account_invalid"}
)
_OF_TAX_RATES = frozenset({"tax_type_invalid", "tax_amount_invalid"})


@dataclass(frozen=True, slots=True)
class Mended:
    """What a change may have mended: kinds of causes, and codes of Xero's refusals."""

    causes: frozenset[str] = frozenset()
    refusals: frozenset[str] = frozenset()


def mended(old: Chart, new: Chart) -> Mended:
    """What need not wait any longer, or is to be tried again, because of what changed.

    Only by part: which document waits for which account is found out by trying.
    """
    causes: set[str] = set()
    refusals: set[str] = set()
    if _locks(old.organisation) != _locks(new.organisation):
        causes.add(LOCK)
    if old.accounts != new.accounts:
        causes |= LINE_KINDS
        refusals |= _OF_ACCOUNTS
    if old.items != new.items:
        causes |= LINE_KINDS | TAX_KINDS
        refusals |= {"item_invalid", *_OF_ACCOUNTS}
    if old.tax_rates != new.tax_rates:
        causes |= TAX_KINDS
        refusals |= _OF_TAX_RATES
    if old.currencies != new.currencies:
        refusals.add("currency_not_subscribed")
    return Mended(frozenset(causes), frozenset(refusals))


def _locks(of: Organisation) -> tuple[object, object]:
    return of.period_lock_date, of.end_of_year_lock_date


# ── For people ────────────────────────────────────────────────────────────────────────────────────


def changes(old: Chart, new: Chart) -> tuple[str, ...]:
    """A line for each account, item, tax rate, currency and fact of the organisation that changed."""
    return tuple(_changes(old, new))


def _changes(old: Chart, new: Chart) -> Iterator[str]:
    for field in fields(Organisation):
        before, after = (getattr(chart.organisation, field.name) for chart in (old, new))
        if before != after:
            yield f"~ {field.name}: {_shown(before)} → {_shown(after)}"
    yield from _section("account", old.accounts, new.accounts)
    yield from _section("item", old.items, new.items)
    yield from _section("tax type", old.tax_rates, new.tax_rates)
    yield from (f"- currency {code}" for code in sorted(old.currencies - new.currencies))
    yield from (f"+ currency {code}" for code in sorted(new.currencies - old.currencies))


def _section(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for code in sorted({*old, *new}):
        if code not in new:
            yield f"- {name} {code}"
        elif code not in old:
            yield f"+ {name} {code}"
        elif old[code] != new[code]:
            before, after = asdict(old[code]), asdict(new[code])
            parts = (
                f"{part} {_shown(before[part])} → {_shown(after[part])}"
                for part in before
                if before[part] != after[part]
            )
            yield f"~ {name} {code}: {', '.join(parts)}"


def _shown(value: Any) -> str:
    match value:
        case None | "":
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case frozenset():
            return "[" + ", ".join(sorted(value)) + "]"
    return major_text(value) if hasattr(value, "normalize") else str(value)
