"""A make-believe Lago: choices in, webhooks as Lago would send them out, correct to the subunit.

It imports nothing of the consumer's, so that both cannot share a mistake.
"""

from consumer.sandbox.lago.activity_logs import ACTIVITIES, activity_log, log_record
from consumer.sandbox.lago.api import LagoApi, serve_api
from consumer.sandbox.lago.broken import (
    ambiguous_invoice,
    disagreeing,
    malformed_records,
    oversized_record,
    unmapped_invoice,
)
from consumer.sandbox.lago.catalogue import (
    REGIMES,
    TAXES,
    UNMAPPED,
    BillingEntity,
    Item,
    Organization,
    Regime,
    Tax,
)
from consumer.sandbox.lago.choices import Choices, RandomChoices
from consumer.sandbox.lago.credit_notes import (
    consuming,
    credit_note,
    credit_note_event,
    refund_failure_event,
)
from consumer.sandbox.lago.customers import customer, generate_customer, link, nested, updated
from consumer.sandbox.lago.drawn_invoices import CURRENCIES, INVOICE_TYPES, generate_invoice
from consumer.sandbox.lago.expected import Expected, ExpectedInvoice, cents
from consumer.sandbox.lago.fees import FeeFacts, Price
from consumer.sandbox.lago.invoices import InvoiceFacts, invoice
from consumer.sandbox.lago.messages import (
    Record,
    announcing_type,
    customer_event,
    encode,
    envelope,
    invoice_event,
    raw_record,
    record,
)
from consumer.sandbox.lago.payments import (
    payment,
    payment_event,
    payment_request,
    payment_request_event,
    receipt_event,
)
from consumer.sandbox.lago.story import demo_events
from consumer.sandbox.lago.totals import Money

__all__ = [
    "ACTIVITIES",
    "CURRENCIES",
    "INVOICE_TYPES",
    "REGIMES",
    "TAXES",
    "UNMAPPED",
    "BillingEntity",
    "Choices",
    "Expected",
    "ExpectedInvoice",
    "FeeFacts",
    "InvoiceFacts",
    "Item",
    "LagoApi",
    "Money",
    "Organization",
    "Price",
    "RandomChoices",
    "Record",
    "Regime",
    "Tax",
    "activity_log",
    "ambiguous_invoice",
    "announcing_type",
    "cents",
    "consuming",
    "credit_note",
    "credit_note_event",
    "customer",
    "customer_event",
    "demo_events",
    "disagreeing",
    "encode",
    "envelope",
    "generate_customer",
    "generate_invoice",
    "invoice",
    "invoice_event",
    "link",
    "log_record",
    "malformed_records",
    "nested",
    "oversized_record",
    "payment",
    "payment_event",
    "payment_request",
    "payment_request_event",
    "raw_record",
    "receipt_event",
    "record",
    "refund_failure_event",
    "serve_api",
    "unmapped_invoice",
    "updated",
]
