"""A request for a new organisation in, its books out; and the endpoints that only read settings."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

from consumer.sandbox.xero import chart, filters, reading
from consumer.sandbox.xero.answers import Answer, ApiError, Json, envelope, guid, not_found, stamp
from consumer.sandbox.xero.answers import calendar_date as shown_date
from consumer.sandbox.xero.books import Account, Books, Item, Organisation, TaxRate
from consumer.sandbox.xero.call import Call

ZONES = {
    "UTC": "UTC",
    "NEWZEALANDSTANDARDTIME": "Pacific/Auckland",
    "AUSEASTERNSTANDARDTIME": "Australia/Sydney",
    "GMTSTANDARDTIME": "Europe/London",
    "WEUROPESTANDARDTIME": "Europe/Berlin",
    "ROMANCESTANDARDTIME": "Europe/Paris",
    "EASTERNSTANDARDTIME": "America/New_York",
    "PACIFICSTANDARDTIME": "America/Los_Angeles",
    "TOKYOSTANDARDTIME": "Asia/Tokyo",
}
HOME_ZONES = {
    "NZ": "NEWZEALANDSTANDARDTIME",
    "AU": "AUSEASTERNSTANDARDTIME",
    "GB": "GMTSTANDARDTIME",
    "DE": "WEUROPESTANDARDTIME",
    "FR": "ROMANCESTANDARDTIME",
    "US": "EASTERNSTANDARDTIME",
    "JP": "TOKYOSTANDARDTIME",
}


def open_books(request: Json, at: int) -> Books:
    """Books with a chart. ValueError, KeyError: the request makes no organisation."""
    tenant_id = reading.identity(request, "tenant_id") or guid()
    base = reading.text(request, "base_currency") or "NZD"
    country = reading.text(request, "country_code") or "NZ"
    timezone = reading.text(request, "timezone") or HOME_ZONES.get(country, "UTC")
    zone = ZONES.get(timezone, timezone)
    ZoneInfo(zone)
    organisation = Organisation(
        tenant_id=tenant_id,
        name=reading.text(request, "name") or f"Demo Company ({country})",
        country_code=country,
        base_currency=base,
        currencies=tuple(dict.fromkeys([base, *request.get("currencies", ())])),
        timezone=next((name for name, iana in ZONES.items() if iana == zone), timezone),
        zone=zone,
        short_code=_short_code(tenant_id),
        created=at,
        period_lock_date=reading.date(request, "period_lock_date"),
        end_of_year_lock_date=reading.date(request, "end_of_year_lock_date"),
    )
    books = Books(organisation)
    chart.fill(books, reading.single(request, "chart") or {}, at)
    return books


def _short_code(tenant_id: str) -> str:
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefgh"
    rest, code = zlib.crc32(tenant_id.encode()), ""
    for _ in range(5):
        rest, digit = divmod(rest, len(alphabet))
        code += alphabet[digit]
    return "!" + code


def organisation(one: Organisation) -> Json:
    """The Organisation element."""
    shown: Json = {
        "OrganisationID": one.tenant_id,
        "Name": one.name,
        "LegalName": one.name,
        "PaysTax": True,
        "Version": one.country_code if one.country_code in ("AU", "NZ", "UK", "US") else "GLOBAL",
        "OrganisationType": "COMPANY",
        "BaseCurrency": one.base_currency,
        "CountryCode": one.country_code,
        "IsDemoCompany": True,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 3,
        "CreatedDateUTC": stamp(one.created),
        "Timezone": one.timezone,
        "OrganisationEntityType": "COMPANY",
        "ShortCode": one.short_code,
        "Class": "DEMO",
        "Edition": "BUSINESS",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }
    for name, day in (
        ("PeriodLockDate", one.period_lock_date),
        ("EndOfYearLockDate", one.end_of_year_lock_date),
    ):
        if day is not None:
            shown[name] = shown_date(day)
    return shown


def account(one: Account) -> Json:
    """The Account element."""
    shown: Json = {
        "AccountID": one.account_id,
        "Code": one.code,
        "Name": one.name,
        "Status": one.status,
        "Type": one.type,
        "TaxType": one.tax_type,
        "Class": one.account_class,
        "EnablePaymentsToAccount": one.enable_payments,
        "ShowInExpenseClaims": False,
        "BankAccountType": "BANK" if one.type == "BANK" else "",
        "HasAttachments": False,
        "AddToWatchlist": False,
        "UpdatedDateUTC": stamp(one.updated),
    }
    if one.system_account:
        shown["SystemAccount"] = one.system_account
    if one.type == "BANK":
        shown["BankAccountNumber"] = f"00-{one.code}"
        shown["CurrencyCode"] = one.currency_code
    return shown


def item(one: Item) -> Json:
    """The Item element."""
    sales: Json = {}
    for name, value in (("AccountCode", one.account_code), ("TaxType", one.tax_type)):
        if value:
            sales[name] = value
    if one.unit_price is not None:
        sales["UnitPrice"] = one.unit_price
    return {
        "ItemID": one.item_id,
        "Code": one.code,
        "Name": one.name,
        "Description": one.description,
        "UpdatedDateUTC": stamp(one.updated),
        "PurchaseDetails": {},
        "SalesDetails": sales,
        "IsTrackedAsInventory": one.tracked,
        "IsSold": True,
        "IsPurchased": False,
    }


def tax_rate(one: TaxRate) -> Json:
    """The TaxRate element."""
    component = {"Name": one.name, "Rate": one.rate, "IsCompound": False, "IsNonRecoverable": False}
    return {
        "Name": one.name,
        "TaxType": one.tax_type,
        "ReportTaxType": one.tax_type,
        "Status": one.status,
        "CanApplyToAssets": "ASSET" in one.applies,
        "CanApplyToEquity": "EQUITY" in one.applies,
        "CanApplyToExpenses": "EXPENSE" in one.applies,
        "CanApplyToLiabilities": "LIABILITY" in one.applies,
        "CanApplyToRevenue": "REVENUE" in one.applies,
        "DisplayTaxRate": one.rate.quantize(Decimal("0.0001")),
        "EffectiveRate": one.rate.quantize(Decimal("0.0001")),
        "TaxComponents": [component],
    }


def _actions(_: Books) -> list[Json]:
    names = ("CreateApprovedInvoice", "CreateDraftInvoice", "UseMulticurrency")
    return [{"Name": name, "Status": "ALLOWED"} for name in names]


_LISTS: dict[str, tuple[str, Callable[[Books], list[Json]]]] = {
    "Organisation": ("Organisations", lambda books: [organisation(books.organisation)]),
    "Organisation/Actions": ("Actions", _actions),
    "Currencies": (
        "Currencies",
        lambda books: [{"Code": one, "Description": one} for one in books.organisation.currencies],
    ),
    "Accounts": ("Accounts", lambda books: [account(one) for one in books.accounts.values()]),
    "Items": ("Items", lambda books: [item(one) for one in books.items.values()]),
    "TaxRates": ("TaxRates", lambda books: [tax_rate(one) for one in books.tax_rates.values()]),
}
_KEYS = {"Accounts": ("AccountID", "Code"), "Items": ("ItemID", "Code"), "TaxRates": ("TaxType",)}


def respond(call: Call) -> Answer | None:
    """A list of settings, or one of them; None if the path means something else."""
    if listed := _LISTS.get("/".join(call.path)):
        return envelope(call.at, listed[0], _matching(call, listed[0], listed[1](call.books)))
    if len(call.path) == 2 and call.path[0] in _KEYS:
        collection, show = _LISTS[call.path[0]]
        wanted = call.path[1].lower()
        for one in show(call.books):
            if any(one[key].lower() == wanted for key in _KEYS[collection]):
                return envelope(call.at, collection, [one])
        raise ApiError(not_found())
    return None


def _matching(call: Call, collection: str, elements: list[Json]) -> list[Json]:
    if not elements:
        return elements
    fields = frozenset(name for element in elements for name in element)
    test = filters.where(call.query.get("where"), collection.removesuffix("s"), fields)
    since = filters.modified_since(call.if_modified_since)

    def recent(element: Json) -> bool:
        updated = str(element.get("UpdatedDateUTC", ""))
        if since is None or not updated:
            return True
        return int(updated[6 : updated.index("+")]) >= since

    return [one for one in elements if recent(one) and (test is None or test(one))]


def lock(books: Books, period: datetime.date | None, year_end: datetime.date | None) -> None:
    """Set both lock dates; None unlocks."""
    books.organisation.period_lock_date = period
    books.organisation.end_of_year_lock_date = year_end
