"""The chart of a new organisation: the default one, or what a test asks for in Xero's own JSON."""

from __future__ import annotations

from decimal import Decimal

from consumer.sandbox.xero import reading
from consumer.sandbox.xero.answers import Json, guid
from consumer.sandbox.xero.books import Account, Books, Item, TaxRate

CLASSES = {
    "REVENUE": "REVENUE",
    "SALES": "REVENUE",
    "OTHERINCOME": "REVENUE",
    "BANK": "ASSET",
    "CURRENT": "ASSET",
    "FIXED": "ASSET",
    "INVENTORY": "ASSET",
    "PREPAYMENT": "ASSET",
    "CURRLIAB": "LIABILITY",
    "LIABILITY": "LIABILITY",
    "TERMLIAB": "LIABILITY",
    "EQUITY": "EQUITY",
    "EXPENSE": "EXPENSE",
    "OVERHEADS": "EXPENSE",
    "DIRECTCOSTS": "EXPENSE",
}
ALL_CLASSES = frozenset(CLASSES.values())

ACCOUNTS: tuple[Json, ...] = (
    {"Code": "200", "Name": "Sales", "Type": "REVENUE", "TaxType": "OUTPUT2"},
    {"Code": "260", "Name": "Other Revenue", "Type": "REVENUE", "TaxType": "OUTPUT2"},
    {"Code": "299", "Name": "Old Sales", "Type": "REVENUE", "Status": "ARCHIVED"},
    {"Code": "429", "Name": "General Expenses", "Type": "EXPENSE", "TaxType": "INPUT2"},
    {"Code": "610", "Name": "Accounts Receivable", "Type": "CURRENT", "SystemAccount": "DEBTORS"},
    {"Code": "820", "Name": "Sales Tax", "Type": "CURRLIAB", "SystemAccount": "GST"},
    {"Code": "825", "Name": "Prepaid Credits", "Type": "CURRLIAB"},
    {"Code": "860", "Name": "Rounding", "Type": "EXPENSE", "SystemAccount": "ROUNDING"},
    {"Code": "880", "Name": "Lago Payments", "Type": "CURRENT", "EnablePaymentsToAccount": True},
    {"Code": "090", "Name": "Business Account", "Type": "BANK"},
    {"Code": "881", "Name": "Bank EUR", "Type": "BANK", "CurrencyCode": "EUR"},
    {"Code": "890", "Name": "Lago Clearing", "Type": "CURRENT", "EnablePaymentsToAccount": True},
)
ITEMS: tuple[Json, ...] = (
    {"Code": "LAGO", "Name": "Lago fallback", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "SUB", "Name": "Subscription", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "MIN", "Name": "Minimum commitment", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "DISC", "Name": "Discount", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "PREPAID", "Name": "Prepaid credit", "SalesDetails": {"AccountCode": "825"}},
    {"Code": "GRANTED", "Name": "Granted credit", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "CN", "Name": "Credit note", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "STOR", "Name": "Storage", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "STOR-EU", "Name": "Storage in Europe", "SalesDetails": {"AccountCode": "260"}},
    {"Code": "SETUP", "Name": "Set-up", "SalesDetails": {"AccountCode": "260"}},
    {"Code": "SEATS", "Name": "Seats", "SalesDetails": {"AccountCode": "200"}},
    {"Code": "BARE", "Name": "Without an account", "SalesDetails": {}},
    {"Code": "WIDGET", "Name": "Kept in stock", "IsTrackedAsInventory": True},
)
_SALES = ["ASSET", "EQUITY", "LIABILITY", "REVENUE"]
TAX_RATES: tuple[Json, ...] = (
    {"TaxType": "OUTPUT2", "Name": "20% on Income", "EffectiveRate": 20, "AppliesTo": _SALES},
    {"TaxType": "OUTPUT15", "Name": "15% on Income", "EffectiveRate": 15, "AppliesTo": _SALES},
    {"TaxType": "RROUTPUT", "Name": "5% on Income", "EffectiveRate": 5, "AppliesTo": _SALES},
    {"TaxType": "ZERORATED", "Name": "Zero Rated Income", "EffectiveRate": 0},
    {"TaxType": "NONE", "Name": "No Tax", "EffectiveRate": 0},
    {
        "TaxType": "INPUT2",
        "Name": "20% on Expenses",
        "EffectiveRate": 20,
        "AppliesTo": ["ASSET", "EQUITY", "EXPENSE", "LIABILITY"],
    },
    {"TaxType": "TAX001", "Name": "Old 17.5%", "EffectiveRate": 17.5, "Status": "DELETED"},
)


def fill(books: Books, chart: Json, at: int) -> None:
    """Set up accounts, items and tax rates; a section that ``chart`` gives replaces the default."""
    accounts = reading.objects(chart, "accounts")
    for one in ACCOUNTS if accounts is None else accounts:
        account = _account(one, at)
        books.accounts[account.code] = account
    items = reading.objects(chart, "items")
    for one in ITEMS if items is None else items:
        item = _item(one, at)
        books.items[item.code] = item
    rates = reading.objects(chart, "tax_rates")
    for one in TAX_RATES if rates is None else rates:
        rate = _tax_rate(one)
        books.tax_rates[rate.tax_type] = rate


def edit(books: Books, asked: Json, at: int) -> None:
    """Add or replace what ``asked`` names, as a person does in Xero; items may also go."""
    for one in reading.objects(asked, "accounts") or ():
        known = books.accounts.get(one["Code"])
        kept = {"AccountID": known.account_id} if known else {}
        books.accounts[one["Code"]] = _account({**one, **kept}, at)
    for one in reading.objects(asked, "items") or ():
        found = books.items.get(one["Code"])
        kept = {"ItemID": found.item_id} if found else {}
        books.items[one["Code"]] = _item({**one, **kept}, at)
    for one in reading.objects(asked, "tax_rates") or ():
        rate = _tax_rate(one)
        books.tax_rates[rate.tax_type] = rate
    for code in asked.get("gone", ()):
        del books.items[code]
    books.organisation.currencies = tuple(
        dict.fromkeys([*books.organisation.currencies, *asked.get("currencies", ())])
    )


def _account(one: Json, at: int) -> Account:
    kind = one.get("Type", "REVENUE")
    return Account(
        account_id=one.get("AccountID") or guid(),
        code=one["Code"],
        name=one.get("Name") or one["Code"],
        type=kind,
        account_class=one.get("Class") or CLASSES.get(kind, "REVENUE"),
        tax_type=one.get("TaxType", "NONE"),
        updated=at,
        status=one.get("Status", "ACTIVE"),
        system_account=one.get("SystemAccount", ""),
        enable_payments=one.get("EnablePaymentsToAccount", False),
        currency_code=one.get("CurrencyCode", ""),
    )


def _item(one: Json, at: int) -> Item:
    sales = one.get("SalesDetails", {})
    return Item(
        item_id=one.get("ItemID") or guid(),
        code=one["Code"],
        name=one.get("Name") or one["Code"],
        description=one.get("Description") or one.get("Name") or one["Code"],
        updated=at,
        unit_price=reading.decimal(sales, "UnitPrice"),
        account_code=sales.get("AccountCode", ""),
        tax_type=sales.get("TaxType", ""),
        tracked=one.get("IsTrackedAsInventory", False),
    )


def _tax_rate(one: Json) -> TaxRate:
    applies = one.get("AppliesTo")
    return TaxRate(
        tax_type=one["TaxType"],
        name=one.get("Name") or one["TaxType"],
        rate=Decimal(str(one.get("EffectiveRate", 0))),
        status=one.get("Status", "ACTIVE"),
        applies=ALL_CLASSES if applies is None else frozenset(applies),
    )
