"""Charts: Xero's JSON in, a Chart out; a connection and its chart in, what does not fit out."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from consumer.domain.chart import Account, Chart, Item, Organisation, TaxRate
from consumer.domain.mapping import Connection, MappingKey, Target
from schemas.connections import Mistake

ENDPOINTS = ("Organisation", "Accounts", "Items", "TaxRates", "Currencies")
"""What a chart is read from, each by one call."""


# ── Xero's words ──────────────────────────────────────────────────────────────────────────────────


def _date(value: Any) -> Any:
    """``/Date(1735603200000+0000)/``: midnight UTC of a calendar date (xero.md 5)."""
    match = re.fullmatch(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/", value) if value else None
    if match is None:
        return value or None
    return datetime.date(1970, 1, 1) + datetime.timedelta(milliseconds=int(match[1]))


_Date = Annotated[datetime.date | None, BeforeValidator(_date)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Element(BaseModel):
    """Absent, null and empty mean the same to Xero."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_pascal)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: part for name, part in value.items() if part is not None}
        return value


class _Organisation(_Element):
    name: str = ""
    country_code: str = ""
    base_currency: str = ""
    timezone: str = ""
    short_code: str = ""
    period_lock_date: _Date = None
    end_of_year_lock_date: _Date = None


class _Account(_Element):
    code: str = ""
    type: str = ""
    class_: str = Field(default="", alias="Class")
    status: str = "ACTIVE"
    enable_payments_to_account: bool = False
    currency_code: str | None = None


class _SalesDetails(_Element):
    account_code: str | None = None
    tax_type: str | None = None


class _Item(_Element):
    code: str
    is_tracked_as_inventory: bool = False
    sales_details: _SalesDetails = _SalesDetails()


class _TaxRate(_Element):
    tax_type: str = ""
    status: str = "ACTIVE"
    effective_rate: Decimal = Decimal(0)
    can_apply_to_revenue: bool = True


class _Currency(_Element):
    code: str


class _Settings(_Element):
    organisations: tuple[_Organisation, ...] = Field(min_length=1)
    accounts: tuple[_Account, ...]
    items: tuple[_Item, ...]
    tax_rates: tuple[_TaxRate, ...]
    currencies: tuple[_Currency, ...]


class UnreadableChart(ValueError):
    """An answer that is not what the Accounting API documents; names the field."""


def read_chart(bodies: Mapping[str, bytes]) -> Chart:
    """The chart from the answers of ``ENDPOINTS``.

    Accounts and tax rates without a code cannot be named by a mapping and are left out. TaxRates
    also lists deleted rates: they stay, inactive.

    Raises:
        UnreadableChart: an answer is not JSON of the documented shape.
    """
    parts: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        try:
            body = _Body.model_validate_json(bodies[endpoint])
        except ValidationError:
            raise UnreadableChart(f"{endpoint}: the answer is not a JSON object") from None
        parts |= body.model_extra or {}
    try:
        read = _Settings.model_validate(parts)
    except ValidationError as error:
        at = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        raise UnreadableChart(f"{at}: not as documented") from None
    ours = read.organisations[0]
    return Chart(
        organisation=Organisation(
            name=ours.name,
            country=ours.country_code,
            base_currency=ours.base_currency,
            timezone=ours.timezone,
            short_code=ours.short_code,
            period_lock_date=ours.period_lock_date,
            end_of_year_lock_date=ours.end_of_year_lock_date,
        ),
        accounts={
            a.code: Account(
                code=a.code,
                type=a.type,
                account_class=a.class_,
                active=a.status == "ACTIVE",
                takes_payments=a.enable_payments_to_account,
                currency=a.currency_code or None,
            )
            for a in read.accounts
            if a.code
        },
        items={
            i.code: Item(
                code=i.code,
                sales_account=i.sales_details.account_code or None,
                sales_tax_type=i.sales_details.tax_type or None,
                tracked=i.is_tracked_as_inventory,
            )
            for i in read.items
        },
        tax_rates={
            t.tax_type: TaxRate(
                tax_type=t.tax_type,
                effective_rate=t.effective_rate,
                active=t.status == "ACTIVE",
                for_revenue=t.can_apply_to_revenue,
            )
            for t in read.tax_rates
            if t.tax_type
        },
        currencies=frozenset(c.code for c in read.currencies),
    )


# ── Does a connection fit? ────────────────────────────────────────────────────────────────────────


def check(connection: Connection, chart: Chart, path: str) -> tuple[Mistake, ...]:
    """Every mapping of the connection that Xero would refuse, by its path below ``path``."""
    return tuple(
        Mistake(f"{path}.{key.path}{part}", said, hint)
        for key, target in connection.entries()
        for part, said, hint in _wrong(key, target, chart)
    )


_Wrong = Iterator[tuple[str, str, str]]
_HERE = "codes are those of this Xero organisation; run apply again after adding one there"


def _wrong(key: MappingKey, target: Target, chart: Chart) -> _Wrong:
    if key.kind in ("payment_account", "refund_account"):
        yield from _wrong_payment_account(key, target.account or "", chart)
        return
    account = target.account
    if target.item is not None:
        item = chart.items.get(target.item)
        if item is None:
            yield ".item", f"Xero has no item {target.item!r}", _HERE
        elif item.tracked:
            yield (
                ".item",
                f"item {target.item!r} is tracked as inventory",
                "billing would move stock; use an item that Xero does not track",
            )
        elif account is None:
            account = item.sales_account
            if account is None:
                yield (
                    "",
                    f"neither the mapping nor item {target.item!r} gives an account",
                    "add an account here, or a sales account to the item in Xero",
                )
    if account is not None:
        yield from _wrong_account(key, account, chart, named=target.account is not None)
    if target.tax_type is not None:
        yield from _wrong_tax_type(key, target.tax_type, chart)


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


def _wrong_tax_type(key: MappingKey, tax_type: str, chart: Chart) -> _Wrong:
    plain = key.kind in ("tax", "no_tax", "outside_tax", "provider_tax")
    part = "" if plain else ".tax_type"
    rate = chart.tax_rates.get(tax_type)
    if rate is None:
        yield part, f"Xero has no tax type {tax_type!r}", _HERE
    elif not rate.active:
        yield part, f"tax type {tax_type!r} is deleted in Xero", "use an active one"
    elif not rate.for_revenue:
        yield part, f"tax type {tax_type!r} cannot be used for revenue", "use a sales tax type"
    elif key.kind in ("no_tax", "outside_tax") and rate.effective_rate:
        yield (
            part,
            f"tax type {tax_type!r} has {rate.effective_rate.normalize():f} %",
            "lines without tax need a tax type of 0 %",
        )


def _wrong_payment_account(key: MappingKey, code: str, chart: Chart) -> _Wrong:
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
    elif account.currency not in (None, base, key.key or base):
        # A bank account takes payments in its own currency or the base currency (xero.md 11).
        yield (
            "",
            f"account {code!r} is in {account.currency}",
            f"payments in {key.key or 'other currencies'} need one in {key.key or base}"
            + (f" or {base}" if key.key else f"; name this one under {account.currency}"),
        )
