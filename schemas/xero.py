"""What is written to Xero: strict models in, JSON of the Accounting API out.

Fields left None are not sent (Xero keeps what it has); an empty string clears a contact's field.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_pascal


def _number(value: Decimal) -> float:
    """A JSON number whose digits are exactly the decimal's; refused beyond 15 significant digits.

    Every decimal of up to 15 digits survives the way through a binary double unchanged.
    """
    if len(value.normalize().as_tuple().digits) > 15:
        raise ValueError(f"{value} has more digits than a JSON number carries safely")
    return float(value)


Amount = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=4),
    PlainSerializer(_number, return_type=float, when_used="json"),
]
"""Major units; two decimals for money, four for quantities and unit amounts."""


class XeroModel(BaseModel):
    """A strict, frozen part of a request body."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_pascal, populate_by_name=True
    )

    def body(self) -> bytes:
        """The element's JSON, without the fields that are None."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class ContactRef(XeroModel):
    """A contact by id only: any other field would update the contact."""

    contact_id: UUID = Field(alias="ContactID")


class LineItem(XeroModel):
    """One line. Quantity and UnitAmount ≤ 4 decimals (``unitdp=4``), other amounts 2."""

    description: str = Field(min_length=1, max_length=4000)
    quantity: Amount
    unit_amount: Amount
    line_amount: Amount | None = None
    discount_amount: Amount | None = None
    item_code: str | None = Field(default=None, max_length=30)
    account_code: str = Field(max_length=10)
    tax_type: str
    tax_amount: Amount


class Invoice(XeroModel):
    """A sales invoice to create, or a draft to replace where ``invoice_id`` is set."""

    invoice_id: UUID | None = Field(default=None, alias="InvoiceID")
    type: Literal["ACCREC"] = "ACCREC"
    contact: ContactRef
    invoice_number: str = Field(min_length=1, max_length=255)
    reference: str | None = Field(default=None, max_length=255)
    url: str | None = None
    date: datetime.date
    due_date: datetime.date
    line_amount_types: Literal["Exclusive"] = "Exclusive"
    currency_code: str = Field(pattern=r"^[A-Z]{3}$")
    status: Literal["AUTHORISED", "DRAFT"] = "AUTHORISED"
    line_items: tuple[LineItem, ...] = Field(min_length=1)


class CreditNote(XeroModel):
    """A credit note to create, or a draft to replace where ``credit_note_id`` is set. It has no due
    date, and its lines no discounts."""

    credit_note_id: UUID | None = Field(default=None, alias="CreditNoteID")
    type: Literal["ACCRECCREDIT"] = "ACCRECCREDIT"
    contact: ContactRef
    credit_note_number: str = Field(min_length=1, max_length=255)
    reference: str | None = Field(default=None, max_length=255)
    date: datetime.date
    line_amount_types: Literal["Exclusive"] = "Exclusive"
    currency_code: str = Field(pattern=r"^[A-Z]{3}$")
    status: Literal["AUTHORISED", "DRAFT"] = "AUTHORISED"
    line_items: tuple[LineItem, ...] = Field(min_length=1)


class InvoiceRef(XeroModel):
    """An invoice by id."""

    invoice_id: UUID = Field(alias="InvoiceID")


class CreditNoteRef(XeroModel):
    """A credit note by id."""

    credit_note_id: UUID = Field(alias="CreditNoteID")


class AccountRef(XeroModel):
    """An account by code."""

    code: str = Field(min_length=1, max_length=10)


class Allocation(XeroModel):
    """Part of a credit note set against an invoice of the same contact."""

    invoice: InvoiceRef
    amount: Amount = Field(gt=0)
    date: datetime.date


class Payment(XeroModel):
    """Money on an invoice, or a cash refund on a credit note; created or deleted, never edited."""

    invoice: InvoiceRef | None = None
    credit_note: CreditNoteRef | None = None
    account: AccountRef
    date: datetime.date
    amount: Amount = Field(gt=0)
    reference: str = Field(min_length=1, max_length=255)


class OverpaymentLine(XeroModel):
    """The one line of an overpayment; Xero puts it on accounts receivable."""

    description: str = Field(min_length=1, max_length=4000)
    line_amount: Amount = Field(gt=0)


class Overpayment(XeroModel):
    """Money beyond any invoice, kept for a customer: a bank transaction."""

    type: Literal["RECEIVE-OVERPAYMENT"] = "RECEIVE-OVERPAYMENT"
    contact: ContactRef
    bank_account: AccountRef
    date: datetime.date
    line_amount_types: Literal["NoTax"] = "NoTax"
    currency_code: str = Field(pattern=r"^[A-Z]{3}$")
    reference: str = Field(min_length=1, max_length=255)
    line_items: tuple[OverpaymentLine] = Field(min_length=1)


class PaymentDeletion(XeroModel):
    """Takes a payment back; its id is in the path."""

    status: Literal["DELETED"] = "DELETED"


class StatusChange(XeroModel):
    """A document by id and its new status; the lines of a posted one are never sent back."""

    invoice_id: UUID | None = Field(default=None, alias="InvoiceID")
    credit_note_id: UUID | None = Field(default=None, alias="CreditNoteID")
    status: Literal["VOIDED", "DELETED"]


AddressType = Literal["POBOX", "STREET"]


class Address(XeroModel):
    """POBOX from the billing address, STREET from the shipping address."""

    address_type: AddressType
    address_line1: str = Field(default="", max_length=500, alias="AddressLine1")
    address_line2: str = Field(default="", max_length=500, alias="AddressLine2")
    city: str = Field(default="", max_length=255)
    region: str = Field(default="", max_length=255)
    postal_code: str = Field(default="", max_length=50)
    country: str = Field(default="", max_length=50)


class Phone(XeroModel):
    """One telephone number."""

    phone_type: Literal["DEFAULT"] = "DEFAULT"
    phone_number: str = Field(default="", max_length=50)


class Contact(XeroModel):
    """A customer to create, or to update where ``contact_id`` is set."""

    contact_id: UUID | None = Field(default=None, alias="ContactID")
    contact_number: str | None = Field(default=None, max_length=50)
    name: str = Field(min_length=1, max_length=255)
    first_name: str | None = Field(default=None, max_length=255)
    last_name: str | None = Field(default=None, max_length=255)
    email_address: str | None = Field(default=None, max_length=255)
    tax_number: str | None = Field(default=None, max_length=50)
    addresses: tuple[Address, ...] = ()
    phones: tuple[Phone, ...] = ()
