"""A connection and its tenant's chart in, the mappings that Xero would refuse or tax otherwise out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from consumer.domain.chart import CLASSES, Chart, TaxRate
from consumer.domain.mapping import (
    BY_CURRENCY,
    TAX_KINDS,
    Connection,
    MappingKey,
    MappingKind,
    Target,
)
from consumer.domain.money import major_text
from schemas.mistakes import Mistake

_BALANCE_SHEET: tuple[MappingKind, ...] = (
    "prepaid_credit",
    "prepaid_granted_credit",
    "credit_note",
    "clearing_account",
)
"""Kinds whose lines always bear ``outside_tax`` (ACCOUNTING.md 3)."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One mapping, or its ``part``, that does not fit Xero's chart or, of taxes, Lago's rate.

    ``chart_broke_mapping`` is what Xero would refuse; ``tax_rate_differs`` is posted as Lago says,
    with a tax amount that is not Xero's own.
    """

    key: MappingKey
    part: str
    said: str
    hint: str
    code: Literal["chart_broke_mapping", "tax_rate_differs"] = "chart_broke_mapping"

    @property
    def path(self) -> str:
        """Where it stands in the connections file, below the connection."""
        return self.key.path + self.part


def check(connection: Connection, chart: Chart, path: str) -> tuple[Mistake, ...]:
    """Every mapping of the connection that Xero would refuse, by its path below ``path``."""
    return tuple(Mistake(f"{path}.{m.path}", m.said, m.hint) for m in misfits(connection, chart))


def misfits(connection: Connection, chart: Chart) -> tuple[Misfit, ...]:
    """Every mapping of the connection that Xero would refuse."""
    return tuple(
        Misfit(key, *wrong)
        for key, target in connection.entries()
        for wrong in _wrong(connection, key, target, chart)
    )


def rate_misfits(
    connection: Connection, chart: Chart, rates: Mapping[str, Decimal]
) -> tuple[Misfit, ...]:
    """Every mapped tax whose rate in Xero is not Lago's.

    Args:
        rates: what Lago's newest invoices say of its tax codes, in percent; others are not judged.
    """
    return tuple(_rate_misfits(connection, chart, rates))


def _rate_misfits(
    connection: Connection, chart: Chart, rates: Mapping[str, Decimal]
) -> Iterator[Misfit]:
    for key, target in connection.entries():
        codes = key.key.split("+")
        known = chart.tax_rates.get(target.tax_type or "")
        if key.kind != "tax" or known is None or not all(code in rates for code in codes):
            continue
        rate = sum((rates[code] for code in codes), Decimal(0))
        if known.effective_rate != rate:
            xeros, lagos = major_text(known.effective_rate), major_text(rate)
            yield Misfit(
                key,
                "",
                f"tax type {known.tax_type!r} has {xeros} %, Lago's {key.key} has {lagos} %",
                "map a tax type with Lago's rate, or correct the rate in Xero or in Lago",
                "tax_rate_differs",
            )


# ── One mapping ───────────────────────────────────────────────────────────────────────────────────

_Wrong = Iterator[tuple[str, str, str]]
_HERE = "codes are those of this Xero organisation: add it there, or use another"


def _wrong(connection: Connection, key: MappingKey, target: Target, chart: Chart) -> _Wrong:
    if key.kind in BY_CURRENCY:
        yield from _wrong_payment_account(connection, key, target.account or "", chart)
        return
    if key.kind == "clearing_account":
        yield from _wrong_clearing_account(target.account or "", chart)
        return
    if target.item is not None:
        yield from _wrong_item(target.item, target.account, chart)
    account = account_of(target, chart)
    if account is not None:
        yield from _wrong_account(key, account, chart, named=target.account is not None)
    if target.tax_type is not None:
        classes = _classes(connection, key, account, chart)
        yield from _wrong_tax_type(key, target.tax_type, classes, chart)


def account_of(target: Target, chart: Chart) -> str | None:
    """The account that its lines are posted to: its own, else its item's sales account."""
    if target.account is not None or target.item is None:
        return target.account
    item = chart.items.get(target.item)
    return None if item is None or item.tracked else item.sales_account


def _wrong_item(code: str, account: str | None, chart: Chart) -> _Wrong:
    item = chart.items.get(code)
    if item is None:
        yield ".item", f"Xero has no item {code!r}", _HERE
    elif item.tracked:
        yield (
            ".item",
            f"item {code!r} is tracked as inventory",
            "billing would move stock; use an item that Xero does not track",
        )
    elif account is None and item.sales_account is None:
        yield (
            "",
            f"neither the mapping nor item {code!r} gives an account",
            "add an account here, or a sales account to the item in Xero",
        )


def _wrong_account(key: MappingKey, code: str, chart: Chart, *, named: bool) -> _Wrong:
    part = ".account" if named else ".item"
    what = f"account {code!r}" if named else f"account {code!r}, the item's sales account,"
    account = chart.accounts.get(code)
    if account is None:
        yield part, f"{what} is not in Xero", _HERE
    elif not account.active:
        yield part, f"{what} is archived", "restore it in Xero or use another"
    elif account.type == "BANK":
        yield part, f"{what} is a bank account", "Xero takes none on an invoice line"
    elif key.kind == "prepaid_credit" and account.account_class != "LIABILITY":
        yield (
            part,
            f"{what} is of class {account.account_class or 'unknown'}",
            "prepaid credit is money owed to customers: use a liability account",
        )


def _classes(
    connection: Connection, key: MappingKey, account: str | None, chart: Chart
) -> dict[str, str]:
    """The classes of the accounts on whose lines a tax type will surely stand, with what they are."""
    if key.kind == "outside_tax":
        of_kinds = {
            _class(account_of(target, chart), chart): f"the account of {one.kind}"
            for one, target in connection.entries()
            if one.kind in _BALANCE_SHEET and one.entity == key.entity
        }
        return {name: what for name, what in of_kinds.items() if name in CLASSES}
    if key.kind in TAX_KINDS:
        return {"REVENUE": "revenue"}
    name = _class(account, chart)
    return {name: f"account {account!r}"} if name in CLASSES else {"REVENUE": "revenue"}


def _class(account: str | None, chart: Chart) -> str:
    found = chart.accounts.get(account or "")
    return "" if found is None else found.account_class


def _wrong_tax_type(
    key: MappingKey, tax_type: str, classes: Mapping[str, str], chart: Chart
) -> _Wrong:
    part = "" if key.kind in TAX_KINDS else ".tax_type"
    rate = chart.tax_rates.get(tax_type)
    if rate is None:
        yield part, f"Xero has no tax type {tax_type!r}", _HERE
    elif not rate.active:
        yield part, f"tax type {tax_type!r} is deleted in Xero", "use an active one"
    elif unsuited := _unsuited(rate, classes):
        said = f"tax type {tax_type!r} cannot be used for {classes[unsuited]}"
        yield part, said, f"use one that Xero allows for accounts of class {unsuited}"
    elif key.kind in ("no_tax", "outside_tax") and rate.effective_rate:
        yield (
            part,
            f"tax type {tax_type!r} has {major_text(rate.effective_rate)} %",
            "lines without tax need a tax type of 0 %",
        )


def _unsuited(rate: TaxRate, classes: Mapping[str, str]) -> str | None:
    return min(set(classes) - rate.classes, default=None)


def _wrong_payment_account(
    connection: Connection, key: MappingKey, code: str, chart: Chart
) -> _Wrong:
    base = chart.organisation.base_currency
    account = chart.accounts.get(code)
    if key.key and chart.currencies and key.key not in chart.currencies:
        yield "", f"the Xero organisation has no currency {key.key}", "add it in Xero first"
    if account is None:
        yield "", f"Xero has no account {code!r}", _HERE
    elif not account.active:
        yield "", f"account {code!r} is archived", "restore it in Xero or use another"
    elif account.type != "BANK" and not account.takes_payments:
        yield (
            "",
            f"account {code!r} takes no payments",
            "use a bank account, or enable payments to this account in Xero",
        )
    elif account.type != "BANK" and connection.overpays and key.kind == "payment_account":
        yield (
            "",
            f"account {code!r} is no bank account",
            "Xero keeps overpayments on bank accounts only: use one, or policies: {excess: fail}",
        )
    elif account.currency not in (None, base, key.key or base):
        # A bank account takes payments in its own currency or the base currency (xero.md 11).
        yield (
            "",
            f"account {code!r} is in {account.currency}",
            f"payments in {key.key or 'other currencies'} need one in {key.key or base}"
            + (f" or {base}" if key.key else f"; name this one under {account.currency}"),
        )


def _wrong_clearing_account(code: str, chart: Chart) -> _Wrong:
    """It stands on invoice lines, and credit notes are refunded from it."""
    account = chart.accounts.get(code)
    if account is None:
        yield "", f"Xero has no account {code!r}", _HERE
    elif not account.active:
        yield "", f"account {code!r} is archived", "restore it in Xero or use another"
    elif account.type == "BANK":
        yield "", f"account {code!r} is a bank account", "Xero takes none on an invoice line"
    elif not account.takes_payments:
        yield (
            "",
            f"account {code!r} takes no payments",
            "enable payments to this account in Xero: credit notes are refunded from it",
        )
    elif account.account_class not in ("ASSET", "LIABILITY"):
        yield (
            "",
            f"account {code!r} is of class {account.account_class or 'unknown'}",
            "what passes through it is neither revenue nor cost: use an asset or a liability account",
        )
