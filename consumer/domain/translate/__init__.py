"""Pure translation: Lago facts, a connection and a chart in; the Xero payload out."""

from consumer.domain.translate.contact import name_key, name_suffix, translate_contact
from consumer.domain.translate.invoice import translate_invoice
from consumer.domain.translate.totals import check_totals
from consumer.domain.translate.types import Note, Totals, TranslatedInvoice

__all__ = [
    "Note",
    "Totals",
    "TranslatedInvoice",
    "check_totals",
    "name_key",
    "name_suffix",
    "translate_contact",
    "translate_invoice",
]
