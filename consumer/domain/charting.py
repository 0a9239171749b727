"""Charts: Xero's JSON in, a Chart out."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from consumer.domain.chart import Account, Chart, Item, Organisation, TaxRate
from consumer.domain.elements import day_of

ENDPOINTS = ("Organisation", "Accounts", "Items", "TaxRates", "Currencies")
"""What a chart is read from, each by one call."""


# ── Xero's words ──────────────────────────────────────────────────────────────────────────────────


def _date(value: Any) -> Any:
    return day_of(value) or value or None


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
    can_apply_to_assets: bool = True
    can_apply_to_equity: bool = True
    can_apply_to_expenses: bool = True
    can_apply_to_liabilities: bool = True
    can_apply_to_revenue: bool = True

    def classes(self) -> frozenset[str]:
        """The classes of accounts that it suits (xero.md 5)."""
        suits = {
            "ASSET": self.can_apply_to_assets,
            "EQUITY": self.can_apply_to_equity,
            "EXPENSE": self.can_apply_to_expenses,
            "LIABILITY": self.can_apply_to_liabilities,
            "REVENUE": self.can_apply_to_revenue,
        }
        return frozenset(name for name, does in suits.items() if does)


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
                classes=t.classes(),
            )
            for t in read.tax_rates
            if t.tax_type
        },
        currencies=frozenset(c.code for c in read.currencies),
    )
