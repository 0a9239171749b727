"""One organisation's books: accounts, items, tax rates, contacts and invoices, with their indexes.

Only this module changes the indexes. Everything is synchronous, so that an element is saved or not.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from consumer.sandbox.xero.answers import ZERO_GUID, Json
from consumer.sandbox.xero.arithmetic import ZERO


@dataclass(slots=True)
class Organisation:
    """Who the books belong to; ``zone`` is the IANA name behind ``timezone``."""

    tenant_id: str
    name: str
    country_code: str
    base_currency: str
    currencies: tuple[str, ...]
    timezone: str
    zone: str
    short_code: str
    created: int
    period_lock_date: datetime.date | None = None
    end_of_year_lock_date: datetime.date | None = None

    def today(self, at: int) -> datetime.date:
        """The calendar date here at an instant in milliseconds."""
        return datetime.datetime.fromtimestamp(at / 1000, ZoneInfo(self.zone)).date()


@dataclass(slots=True)
class Account:
    """An account of the chart."""

    account_id: str
    code: str
    name: str
    type: str
    account_class: str
    tax_type: str
    updated: int
    status: str = "ACTIVE"
    system_account: str = ""
    enable_payments: bool = False
    currency_code: str = ""


@dataclass(slots=True)
class Item:
    """A product or service."""

    item_id: str
    code: str
    name: str
    description: str
    updated: int
    unit_price: Decimal | None = None
    account_code: str = ""
    tax_type: str = ""
    tracked: bool = False


@dataclass(slots=True)
class TaxRate:
    """A tax type; ``rate`` in per cent; ``applies`` names account classes."""

    tax_type: str
    name: str
    rate: Decimal
    status: str = "ACTIVE"
    applies: frozenset[str] = frozenset({"ASSET", "EQUITY", "EXPENSE", "LIABILITY", "REVENUE"})


@dataclass(slots=True)
class Contact:
    """A customer or supplier; ``texts`` holds the plain text fields by Xero's names."""

    contact_id: str = ZERO_GUID
    status: str = "ACTIVE"
    texts: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, dict[str, str]] = field(default_factory=dict)
    phones: dict[str, dict[str, str]] = field(default_factory=dict)
    persons: list[Json] = field(default_factory=list)
    is_customer: bool = False
    is_supplier: bool = False
    merged_to: str | None = None
    updated: int = 0

    @property
    def name(self) -> str:
        """The contact's name."""
        return self.texts.get("Name", "")


@dataclass(slots=True)
class Line:
    """A line of a document; ``priced`` is False for a line that is only a description."""

    line_id: str
    description: str = ""
    priced: bool = False
    quantity: Decimal = ZERO
    unit_amount: Decimal = ZERO
    line_amount: Decimal = ZERO
    tax_amount: Decimal = ZERO
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None
    item_code: str = ""
    account_code: str = ""
    tax_type: str = ""
    tracking: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Invoice:
    """A sales invoice or a bill. Amounts in its own currency."""

    invoice_id: str = ZERO_GUID
    type: str = ""
    number: str = ""
    contact_id: str = ZERO_GUID
    reference: str = ""
    url: str = ""
    date: datetime.date | None = None
    due_date: datetime.date | None = None
    status: str = "DRAFT"
    line_amount_types: str = "Exclusive"
    currency_code: str = ""
    currency_rate: Decimal = Decimal(1)
    branding_theme_id: str = ""
    lines: list[Line] = field(default_factory=list)
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_paid: Decimal = ZERO
    amount_credited: Decimal = ZERO
    payments: list[Json] = field(default_factory=list)
    sent_to_contact: bool = False
    fully_paid_on: datetime.date | None = None
    updated: int = 0

    @property
    def amount_due(self) -> Decimal:
        """What is left to pay; a voided invoice keeps it, as Xero shows."""
        return self.total - self.amount_paid - self.amount_credited

    @property
    def has_money(self) -> bool:
        """Whether payments or credits are attached."""
        return bool(self.payments) or self.amount_paid > 0 or self.amount_credited > 0


@dataclass(slots=True)
class CreditNote:
    """A credit note to a customer; what is allocated and refunded lowers what remains."""

    credit_note_id: str
    number: str = ""
    contact_id: str = ZERO_GUID
    reference: str = ""
    date: datetime.date | None = None
    status: str = "DRAFT"
    currency_code: str = ""
    lines: list[Line] = field(default_factory=list)
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_paid: Decimal = ZERO
    allocations: list[Json] = field(default_factory=list)
    updated: int = 0

    @property
    def remaining(self) -> Decimal:
        """RemainingCredit."""
        return self.total - self.amount_paid - sum((a["Amount"] for a in self.allocations), ZERO)


@dataclass(slots=True)
class Payment:
    """Money on an invoice, or a refund on a credit note."""

    payment_id: str
    invoice_id: str
    credit_note_id: str
    account_id: str
    date: datetime.date
    amount: Decimal
    currency_code: str
    reference: str = ""
    status: str = "AUTHORISED"
    updated: int = 0


@dataclass(slots=True)
class BankTransaction:
    """Money received beyond any invoice; ``overpayment_id`` names it as the contact's credit."""

    transaction_id: str
    overpayment_id: str
    account_id: str
    contact_id: str
    date: datetime.date
    amount: Decimal
    currency_code: str
    description: str
    reference: str = ""
    status: str = "AUTHORISED"
    updated: int = 0

    @property
    def remaining(self) -> Decimal:
        """RemainingCredit."""
        return self.amount if self.status == "AUTHORISED" else ZERO


def folded(name: str) -> str:
    """A contact's name as compared: without case, accents and surplus spaces."""
    decomposed = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(plain.casefold().split())


class Books:
    """The state of one tenant."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation
        self.accounts: dict[str, Account] = {}
        self.items: dict[str, Item] = {}
        self.tax_rates: dict[str, TaxRate] = {}
        self.contacts: dict[str, Contact] = {}
        self.invoices: dict[str, Invoice] = {}
        self.credit_notes: dict[str, CreditNote] = {}
        self.payments: dict[str, Payment] = {}
        self.bank_transactions: dict[str, BankTransaction] = {}
        self._names: dict[str, str] = {}
        self._contact_numbers: dict[str, str] = {}
        self._account_numbers: dict[str, str] = {}
        self._sales_numbers: dict[str, list[str]] = {}
        self._last_number = 0

    def keep_contact(self, contact: Contact) -> None:
        """Save a contact; the last one saved under a key holds it."""
        before = self.contacts.get(contact.contact_id)
        if before is not None:
            self._forget(self._names, folded(before.name), before.contact_id)
            for name, index in self._numbers():
                self._forget(index, before.texts.get(name, "").casefold(), before.contact_id)
        self.contacts[contact.contact_id] = contact
        if contact.status == "ACTIVE":
            self._names[folded(contact.name)] = contact.contact_id
        for name, index in self._numbers():
            if number := contact.texts.get(name):
                index[number.casefold()] = contact.contact_id

    def _numbers(self) -> Iterator[tuple[str, dict[str, str]]]:
        yield "ContactNumber", self._contact_numbers
        yield "AccountNumber", self._account_numbers

    @staticmethod
    def _forget(index: dict[str, str], key: str, holder: str) -> None:
        if index.get(key) == holder:
            del index[key]

    def contact_by_name(self, name: str) -> Contact | None:
        """The active contact of that name."""
        return self._contact(self._names.get(folded(name)))

    def contact_by_number(self, number: str) -> Contact | None:
        """The contact of that ContactNumber, archived ones too."""
        return self._contact(self._contact_numbers.get(number.casefold()))

    def contact_by_account_number(self, number: str) -> Contact | None:
        """The contact of that AccountNumber, archived ones too."""
        return self._contact(self._account_numbers.get(number.casefold()))

    def _contact(self, contact_id: str | None) -> Contact | None:
        return None if contact_id is None else self.contacts[contact_id]

    def keep_invoice(self, invoice: Invoice) -> None:
        """Save an invoice; a sales number stays taken whatever becomes of its invoice."""
        before = self.invoices.get(invoice.invoice_id)
        if before is not None and before.type == "ACCREC":
            self._sales_numbers[before.number.casefold()].remove(before.invoice_id)
        self.invoices[invoice.invoice_id] = invoice
        if invoice.type == "ACCREC":
            holders = self._sales_numbers.setdefault(invoice.number.casefold(), [])
            holders.append(invoice.invoice_id)

    def sales_invoices(self, number: str) -> list[Invoice]:
        """The sales invoices that hold a number: one, but where a switch lets it be used again."""
        return [self.invoices[one] for one in self._sales_numbers.get(number.casefold(), ())]

    def next_sales_number(self) -> str:
        """A free number for an invoice that came without one."""
        while True:
            self._last_number += 1
            number = f"INV-{self._last_number:04d}"
            if not self.sales_invoices(number):
                return number
