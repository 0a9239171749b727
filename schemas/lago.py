"""Lago's objects as they arrive in webhooks and activity logs: JSON in, tolerant frozen models out.

Only what the service uses is modelled; other keys are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.lago_values import (
    Cents,
    Day,
    Moment,
    Number,
    OrFalse,
    OrZero,
    Sum,
    SumOrZero,
    Text,
    Version,
    or_else,
)


class LagoModel(BaseModel):
    """A tolerant, frozen part of a Lago message."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, coerce_numbers_to_str=True
    )


class Address(LagoModel):
    """A billing or shipping address."""

    address_line1: Text | None = None
    address_line2: Text | None = None
    city: Text | None = None
    zipcode: Text | None = None
    state: Text | None = None
    country: Text | None = None


class IntegrationCustomer(LagoModel):
    """A customer's link to an account with another system; ours have type ``xero``."""

    lago_id: Text | None = None
    type: Text | None = None
    integration_code: Text | None = None
    external_customer_id: Text | None = None
    sync_with_provider: bool | None = None


class Customer(Address):
    """A Lago customer. ``integration_customers`` is absent in most nested customers."""

    lago_id: UUID
    external_id: Text | None = None
    billing_entity_code: Text | None = None
    account_type: Text | None = None
    name: Text | None = None
    firstname: Text | None = None
    lastname: Text | None = None
    legal_name: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    tax_identification_number: Text | None = None
    currency: Text | None = None
    shipping_address: Address | None = None
    integration_customers: tuple[IntegrationCustomer, ...] | None = None
    updated_at: Moment | None = None


class FeeItem(LagoModel):
    """What a fee is for; ``type`` selects the mapping (lago.md, fee item types)."""

    type: Text
    code: Text | None = None
    name: Text | None = None
    description: Text | None = None
    invoice_display_name: Text | None = None
    filter_invoice_display_name: Text | None = None
    lago_item_id: UUID | None = None
    item_type: Text | None = None
    grouped_by: dict[str, Any] | None = None


class FeeTax(LagoModel):
    """A tax applied to one fee; only the Lago API carries it, webhooks do not."""

    tax_code: Text | None = None
    tax_rate: Number | None = None
    amount_cents: Cents | None = None


class Fee(LagoModel):
    """One line of an invoice."""

    lago_id: UUID
    item: FeeItem
    amount_cents: Cents
    sub_total_excluding_taxes_amount_cents: Cents | None = None
    taxes_amount_cents: OrZero = 0
    taxes_precise_amount: Number | None = None
    taxes_rate: Number | None = None
    units: Number | None = None
    precise_unit_amount: Number | None = None
    precise_coupons_amount_cents: Number | None = None
    description: Text | None = None
    invoice_display_name: Text | None = None
    from_date: Moment | Day | None = None
    to_date: Moment | Day | None = None
    created_at: Moment | None = None
    applied_taxes: tuple[FeeTax, ...] | None = None


class AppliedTax(LagoModel):
    """One tax of an invoice or a credit note and what it was applied to, net of discounts.

    ``lago_tax_id`` is null where a tax provider (Anrok, Avalara) computed it. An invoice says what
    it taxes in ``fees_amount_cents``, a credit note in ``base_amount_cents``.
    """

    lago_tax_id: UUID | None = None
    tax_code: Text | None = None
    tax_name: Text | None = None
    tax_rate: Number | None = None
    amount_cents: Cents | None = None
    fees_amount_cents: Cents | None = None
    base_amount_cents: Cents | None = None


class CreditItem(LagoModel):
    """What a credit came from: ``coupon``, ``credit_note`` or ``invoice`` (progressive billing)."""

    lago_item_id: UUID | None = None
    type: Text | None = None
    code: Text | None = None
    name: Text | None = None


class Credit(LagoModel):
    """One credit consumed by an invoice."""

    lago_id: UUID
    amount_cents: Sum
    before_taxes: bool | None = None
    item: CreditItem | None = None


class Invoice(LagoModel):
    """An invoice. ``fees``, ``credits`` and ``applied_taxes`` are None if the message lacks them.

    The amounts are None only in messages too poor to define content.
    """

    lago_id: UUID
    number: Text | None = None
    billing_entity_code: Text | None = None
    purchase_order_number: Text | None = None
    invoice_type: Text | None = None
    version_number: Version = 4
    status: Text | None = None
    payment_status: Text | None = None
    self_billed: OrFalse = False
    currency: Text | None = None
    issuing_date: Day | None = None
    payment_due_date: Day | None = None
    web_url: Text | None = None
    fees_amount_cents: Cents | None = None
    taxes_amount_cents: Cents | None = None
    coupons_amount_cents: OrZero = 0
    progressive_billing_credit_amount_cents: OrZero = 0
    credit_notes_amount_cents: OrZero = 0
    prepaid_credit_amount_cents: OrZero = 0
    prepaid_granted_credit_amount_cents: Cents | None = None
    prepaid_purchased_credit_amount_cents: Cents | None = None
    sub_total_excluding_taxes_amount_cents: Cents | None = None
    sub_total_including_taxes_amount_cents: Cents | None = None
    total_amount_cents: Cents | None = None
    total_due_amount_cents: Cents | None = None
    total_paid_amount_cents: Cents | None = None
    total_offsetted_credit_note_amount_cents: Cents | None = None
    fees: tuple[Fee, ...] | None = None
    credits: tuple[Credit, ...] | None = None
    applied_taxes: tuple[AppliedTax, ...] | None = None
    customer: Customer | None = None
    payment_dispute_lost_at: Moment | None = None
    voided_at: Moment | None = None
    updated_at: Moment | None = None
    created_at: Moment | None = None


class PaymentDisputeLost(LagoModel):
    """A webhook about a chargeback: the invoice stays as it is, the money went back."""

    invoice: Invoice


class CreditNoteItem(LagoModel):
    """What a credit note gives back of one fee, before taxes; ``fee`` is the whole fee."""

    lago_id: UUID
    amount_cents: Cents
    precise_amount_cents: Number | None = None
    fee: Fee


class CreditNote(LagoModel):
    """A credit note. Its status is in no message: what is told of is finalized (lago.md 1).

    ``credit_amount_cents`` stays for later invoices, ``refund_amount_cents`` is paid back and
    ``offset_amount_cents`` lowers what its own invoice has open.
    """

    lago_id: UUID
    number: Text | None = None
    billing_entity_code: Text | None = None
    lago_invoice_id: UUID | None = None
    invoice_number: Text | None = None
    purchase_order_number: Text | None = None
    issuing_date: Day | None = None
    credit_status: Text | None = None
    refund_status: Text | None = None
    reason: Text | None = None
    description: Text | None = None
    currency: Text | None = None
    total_amount_cents: Cents | None = None
    taxes_amount_cents: Cents | None = None
    sub_total_excluding_taxes_amount_cents: Cents | None = None
    balance_amount_cents: Cents | None = None
    credit_amount_cents: SumOrZero = 0
    refund_amount_cents: SumOrZero = 0
    offset_amount_cents: SumOrZero = 0
    coupons_adjustment_amount_cents: OrZero = 0
    taxes_rate: Number | None = None
    self_billed: OrFalse = False
    items: tuple[CreditNoteItem, ...] | None = None
    applied_taxes: tuple[AppliedTax, ...] | None = None
    customer: Customer | None = None
    updated_at: Moment | None = None
    created_at: Moment | None = None


class Payment(LagoModel):
    """Money received. With several invoices Lago does not say how it is split among them."""

    lago_id: UUID
    lago_customer_id: UUID | None = None
    invoice_ids: Annotated[tuple[UUID, ...], or_else((), tuple[UUID, ...])] = ()
    lago_payable_id: UUID | None = None
    payable_type: Text | None = None
    amount_cents: Sum
    amount_currency: Text
    payment_status: Text | None = None
    type: Text | None = None
    reference: Text | None = None
    created_at: Moment | None = None


class PaymentState(LagoModel):
    """``payment.requires_action``: how a payment goes, without its amount.

    Lago names what is to be paid there, and not always the payment.
    """

    lago_id: UUID | None = None
    lago_customer_id: UUID | None = None
    lago_payable_id: UUID | None = None
    payable_type: Text | None = None
    payment_status: Text | None = None


class PaymentReceipt(LagoModel):
    """A receipt: only the payment in it says anything to us."""

    payment: Payment


class PaymentRequest(LagoModel):
    """A dunning request over invoices; succeeded, it paid what each of them had open.

    ``invoices`` is None if the message lacks them, as in activity logs.
    """

    lago_id: UUID
    amount_cents: Sum
    amount_currency: Text
    payment_status: Text | None = None
    customer: Customer | None = None
    invoices: tuple[Invoice, ...] | None = None
    created_at: Moment | None = None


class RefundFailure(LagoModel):
    """``credit_note.refund_failure``: the provider could not pay a credit note's refund."""

    lago_credit_note_id: UUID


class Envelope(LagoModel):
    """The outer part of a webhook; the object stands under the key named by ``object_type``."""

    webhook_type: Text = Field(min_length=1)
    object_type: Text = Field(min_length=1)
    organization_id: UUID


class ActivityLog(LagoModel):
    """The outer part of a message of ``activity_logs``; its object stands in ``activity_object``."""

    activity_type: Text = Field(min_length=1)
    organization_id: UUID
