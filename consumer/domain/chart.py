"""A Xero organisation's settings as we know them: the accounts, items and tax rates to post to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

CLASSES = frozenset({"ASSET", "EQUITY", "EXPENSE", "LIABILITY", "REVENUE"})
"""Xero's classes of accounts."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account; ``type`` and ``account_class`` are Xero's words (BANK, REVENUE, …)."""

    code: str
    type: str
    account_class: str = ""
    active: bool = True
    takes_payments: bool = False
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One item; its sales account and sales tax type are used where a mapping names none."""

    code: str
    sales_account: str | None = None
    sales_tax_type: str | None = None
    tracked: bool = False


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One tax rate; ``effective_rate`` in percent, ``classes`` those of accounts that it suits."""

    tax_type: str
    effective_rate: Decimal
    active: bool = True
    classes: frozenset[str] = CLASSES


@dataclass(frozen=True, slots=True)
class Organisation:
    """Facts of the organisation itself."""

    name: str = ""
    country: str = ""
    base_currency: str = ""
    timezone: str = ""
    short_code: str = ""
    period_lock_date: date | None = None
    end_of_year_lock_date: date | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it, keyed by code."""

    organisation: Organisation = field(default_factory=Organisation)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    items: Mapping[str, Item] = field(default_factory=dict)
    tax_rates: Mapping[str, TaxRate] = field(default_factory=dict)
    currencies: frozenset[str] = frozenset()
