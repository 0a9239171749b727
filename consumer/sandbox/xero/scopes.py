"""Scopes: what a token was granted and a call in, whether Xero lets it pass out (xero.md 1)."""

from __future__ import annotations

_COVERED_BY = {
    "Invoices": ("accounting.invoices",),
    "CreditNotes": ("accounting.invoices",),
    "Items": ("accounting.invoices", "accounting.settings"),
    "Payments": ("accounting.payments",),
    "Overpayments": ("accounting.payments",),
    "BankTransactions": ("accounting.banktransactions",),
    "Contacts": ("accounting.contacts",),
    "Organisation": ("accounting.settings",),
    "Accounts": ("accounting.settings",),
    "TaxRates": ("accounting.settings",),
    "Currencies": ("accounting.settings",),
}
_GRANULAR = {scope for scopes in _COVERED_BY.values() for scope in scopes} | {
    "accounting.manualjournals",
}
KNOWN = frozenset(
    {"openid", "profile", "email", "offline_access"}
    | _GRANULAR
    | {f"{scope}.read" for scope in _GRANULAR}
)
"""Of an app created since March 2026: the broad scopes are gone."""


def permitted(scope: str, method: str, collection: str) -> bool:
    """Whether a token of these scopes may make such a call; unknown collections end elsewhere."""
    held = set(scope.split())
    covered_by = _COVERED_BY.get(collection)
    if covered_by is None:
        return True
    return any(one in held or (method == "GET" and f"{one}.read" in held) for one in covered_by)
