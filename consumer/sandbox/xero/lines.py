"""A line element in, a stored line with its amounts and Xero's complaints about it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from consumer.sandbox.xero import arithmetic, reading
from consumer.sandbox.xero.answers import Json, guid
from consumer.sandbox.xero.arithmetic import ZERO, Figures, Rules
from consumer.sandbox.xero.books import Books, Line
from consumer.sandbox.xero.settings import SimulatorSettings

_FIGURES = ("Quantity", "UnitAmount", "LineAmount", "DiscountRate", "DiscountAmount")
_PRICED = (*_FIGURES, "ItemCode")
SHAPE: reading.Shape = {
    "LineItemID": reading.identity,
    **dict.fromkeys(("Description", "ItemCode", "AccountCode", "TaxType"), reading.text),
    **dict.fromkeys((*_FIGURES, "TaxAmount"), reading.decimal),
    "Tracking": [{}],
}
MAX_DESCRIPTION = 4000
MAX_TRACKING = 2


@dataclass(frozen=True, slots=True)
class Terms:
    """What a line must know of its document. ``approved``: SUBMITTED or AUTHORISED."""

    books: Books
    settings: SimulatorSettings
    rules: Rules
    approved: bool
    line_amount_types: str


def build(terms: Terms, element: Json, stored: Line | None) -> tuple[Line, list[str]]:
    """The line an element makes, over the stored one if it names its LineItemID."""
    line = Line(guid()) if stored is None else replace(stored)
    errors = _texts(terms, line, element)
    sent = {name: reading.decimal(element, name) for name in _FIGURES}
    if stored is not None and stored.priced and any(sent.values()):
        sent["Quantity"] = stored.quantity if sent["Quantity"] is None else sent["Quantity"]
        sent["UnitAmount"] = (
            stored.unit_amount if sent["UnitAmount"] is None else sent["UnitAmount"]
        )
    repriced = stored is None or any(value is not None for value in sent.values())
    if stored is None and not any(element.get(name) not in (None, "") for name in _PRICED):
        return line, errors
    line.priced = True
    item = terms.books.items.get(line.item_code)
    if sent["UnitAmount"] is None and sent["LineAmount"] is None and item and stored is None:
        sent["UnitAmount"] = item.unit_price
    if repriced:
        errors += _price(terms, line, sent)
    errors += _account(terms, line)
    given = reading.decimal(element, "TaxAmount")
    if given is not None or repriced or "TaxType" in element:
        errors += _tax(terms, line, given)
    return line, errors


def _texts(terms: Terms, line: Line, element: Json) -> list[str]:
    errors = []
    for name, attribute in (
        ("Description", "description"),
        ("ItemCode", "item_code"),
        ("AccountCode", "account_code"),
        ("TaxType", "tax_type"),
    ):
        if (value := reading.text(element, name)) is not None:
            setattr(line, attribute, value)
    if line.item_code:
        item = terms.books.items.get(line.item_code)
        if item is None:
            errors.append(f"Item code '{line.item_code}' is not valid")
        else:
            line.description = line.description or item.description
            line.account_code = line.account_code or item.account_code
            line.tax_type = line.tax_type or item.tax_type
    if len(line.description) > MAX_DESCRIPTION:
        errors.append(f"Description cannot be longer than {MAX_DESCRIPTION} characters.")
    if terms.approved and not line.description:
        errors.append("Description must be specified.")
    tracking = reading.objects(element, "Tracking")
    if tracking is not None:
        line.tracking = tracking
        if len(tracking) > MAX_TRACKING:
            errors.append("A line item can have a maximum of 2 tracking categories.")
    return errors


def _price(terms: Terms, line: Line, sent: dict[str, Decimal | None]) -> list[str]:
    figures = Figures(
        sent["Quantity"],
        sent["UnitAmount"],
        sent["LineAmount"],
        sent["DiscountRate"],
        sent["DiscountAmount"],
    )
    priced = arithmetic.price(figures, terms.rules)
    line.quantity, line.unit_amount = priced.quantity, priced.unit_amount
    line.line_amount = priced.line_amount
    line.discount_rate, line.discount_amount = priced.discount_rate, priced.discount_amount
    errors = list(priced.complaints)
    choice = terms.settings.zero_line_refused
    explicit = sent["LineAmount"] is not None
    nothing = line.line_amount == 0 and line.quantity != 0 and not line.discount_amount
    if terms.approved and nothing and (choice == "always" or (choice == "explicit" and explicit)):
        errors += ["Account must be valid.", "Tax rate must be valid."]
    return errors


def _account(terms: Terms, line: Line) -> list[str]:
    if not line.account_code:
        return ["Account code must be specified"] if terms.approved else []
    code = line.account_code
    account = terms.books.accounts.get(code)
    if (
        account is None
        or account.type == "BANK"
        or account.system_account
        in (
            "DEBTORS",
            "CREDITORS",
        )
    ):
        return [f"Account code '{code}' is not a valid code for this document."]
    if account.status != "ACTIVE":
        return [
            f"Account code '{code}' has been archived, or has been deleted. "
            "Each line item must reference a valid account."
        ]
    if terms.line_amount_types == "NoTax":
        line.tax_type = "NONE"
    line.tax_type = line.tax_type or account.tax_type
    if not line.tax_type:
        return ["Tax rate must be valid."] if terms.approved else []
    rate = terms.books.tax_rates.get(line.tax_type)
    usable = rate and rate.status == "ACTIVE" and account.account_class in rate.applies
    if not usable:
        return [f"The TaxType code '{line.tax_type}' cannot be used with account code '{code}'."]
    return []


def _tax(terms: Terms, line: Line, given: Decimal | None) -> list[str]:
    known = terms.books.tax_rates.get(line.tax_type)
    rate = known.rate if known else ZERO
    computed = arithmetic.tax(line.line_amount, rate, terms.line_amount_types)
    line.tax_amount = computed
    if given is None or terms.line_amount_types == "NoTax":
        return []
    line.tax_amount = arithmetic.cents(given)
    if known and not rate and given and terms.settings.tax_on_zero_rate_refused:
        return [f"The tax amount must be zero for the TaxType code '{line.tax_type}'."]
    tolerance = terms.settings.tax_amount_tolerance
    if tolerance is not None and abs(line.tax_amount - computed) > Decimal(str(tolerance)):
        return [f"The tax amount {given:.2f} does not match the expected tax amount {computed:.2f}"]
    return []
