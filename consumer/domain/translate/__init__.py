"""Pure translation: Lago facts, a connection and a chart in; the Xero payload out."""

from consumer.domain.translate.allocation import translate_allocation
from consumer.domain.translate.contact import name_key, name_suffix, translate_contact
from consumer.domain.translate.credit_note import translate_credit_note
from consumer.domain.translate.invoice import translate_invoice
from consumer.domain.translate.overpayment import overpayment_marker, translate_overpayment
from consumer.domain.translate.payment import (
    payment_marker,
    refund_marker,
    translate_clearing,
    translate_payment,
    translate_refund,
)
from consumer.domain.translate.portions import next_portion, split_payment
from consumer.domain.translate.timezones import local_date, zone_notes
from consumer.domain.translate.totals import check_totals
from consumer.domain.translate.types import (
    Note,
    Portion,
    Posted,
    Totals,
    TranslatedCreditNote,
    TranslatedInvoice,
)

__all__ = [
    "Note",
    "Portion",
    "Posted",
    "Totals",
    "TranslatedCreditNote",
    "TranslatedInvoice",
    "check_totals",
    "local_date",
    "name_key",
    "name_suffix",
    "next_portion",
    "overpayment_marker",
    "payment_marker",
    "refund_marker",
    "split_payment",
    "translate_allocation",
    "translate_clearing",
    "translate_contact",
    "translate_credit_note",
    "translate_invoice",
    "translate_overpayment",
    "translate_payment",
    "translate_refund",
    "zone_notes",
]
