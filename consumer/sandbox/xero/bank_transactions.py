"""A bank transaction element in, a saved overpayment or Xero's complaints about it out.

Only money received beyond any invoice is simulated: RECEIVE-OVERPAYMENT. It stays as the contact's
credit until somebody allocates or refunds it, which is done in Xero itself.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from consumer.sandbox.xero import contacts, invoices, reading, rendering
from consumer.sandbox.xero.answers import Json, guid
from consumer.sandbox.xero.arithmetic import ZERO, cents
from consumer.sandbox.xero.batches import Kind, Outcome, refusal
from consumer.sandbox.xero.books import Account, BankTransaction
from consumer.sandbox.xero.call import Call
from consumer.sandbox.xero.lines import MAX_DESCRIPTION
from consumer.sandbox.xero.lines import SHAPE as LINE_SHAPE

RECEIVED = "RECEIVE-OVERPAYMENT"
_ACCOUNT: reading.Shape = {"AccountID": reading.identity, "Code": reading.text}
SHAPE: reading.Shape = {
    "BankTransactionID": reading.identity,
    **dict.fromkeys(("Type", "Reference", "Status", "CurrencyCode", "Url"), reading.text),
    "Contact": contacts.SHAPE,
    "BankAccount": _ACCOUNT,
    "Date": reading.date,
    "LineAmountTypes": reading.one_of("Exclusive", "Inclusive", "NoTax"),
    "CurrencyRate": reading.decimal,
    "IsReconciled": reading.flag,
    "LineItems": [LINE_SHAPE],
}
KIND = Kind(
    "BankTransactions",
    "BankTransaction",
    "BankTransactionID",
    "HasValidationErrors",
    frozenset(SHAPE),
    SHAPE,
)
OVERPAYMENTS = Kind(
    "Overpayments", "Overpayment", "OverpaymentID", "HasValidationErrors", frozenset(), {}
)
FIELDS = frozenset(
    {"BankTransactionID", "Type", "Status", "Date", "Reference", "Contact", "UpdatedDateUTC"}
)
NO_BANK_ACCOUNT = "The bank account must be a valid account of type BANK."
NOT_FOR_MODIFICATION = "Bank Transaction not of valid status for modification"


def put(call: Call, element: Json) -> Outcome:
    """Create, whether or not the same was created before."""
    account = _account(call, reading.single(element, "BankAccount"))
    contact, errors = contacts.resolve(call, reading.single(element, "Contact"))
    errors += _wrong(call, element, account)
    lines, amount = _lines(call, element, errors)
    if errors or account is None or contact is None:
        return refusal(KIND, element, None, errors)
    organisation = call.books.organisation
    reference = reading.text(element, "Reference") or ""
    one = BankTransaction(
        guid(),
        overpayment_id=guid(),
        account_id=account.account_id,
        contact_id=contact.contact_id,
        date=reading.date(element, "Date") or organisation.today(call.at),
        amount=amount,
        currency_code=reading.text(element, "CurrencyCode") or organisation.base_currency,
        description=lines,
        reference=reference if call.settings.overpayment_keeps_reference else "",
        updated=call.at,
    )
    call.books.bank_transactions[one.transaction_id] = one
    return Outcome(rendering.bank_transaction(call.books, one))


def post(call: Call, element: Json) -> Outcome:
    """Delete by id; without an id, create."""
    id = reading.identity(element, "BankTransactionID")
    if id is None:
        return put(call, element)
    stored = call.books.bank_transactions[id]
    shown = rendering.bank_transaction(call.books, stored)
    if reading.text(element, "Status") != "DELETED" or stored.status != "AUTHORISED":
        return refusal(KIND, element, shown, [NOT_FOR_MODIFICATION])
    if locked := invoices.lock_complaint(call.books, stored.date):
        return refusal(KIND, element, shown, [locked])
    status = call.settings.deleted_overpayment_status
    gone = replace(stored, status=status, updated=call.at)
    call.books.bank_transactions[id] = gone
    return Outcome(rendering.bank_transaction(call.books, gone))


def _wrong(call: Call, element: Json, account: Account | None) -> list[str]:
    errors = []
    organisation = call.books.organisation
    if reading.text(element, "Type") != RECEIVED:
        errors.append("The Bank Transaction Type is not simulated; only RECEIVE-OVERPAYMENT is.")
    currency = reading.text(element, "CurrencyCode") or organisation.base_currency
    if currency not in organisation.currencies:
        errors.append(f"Organisation is not subscribed to currency {currency}")
    if account is None or account.type != "BANK" or account.status != "ACTIVE":
        errors.append(NO_BANK_ACCOUNT)
    elif account.currency_code not in ("", currency, organisation.base_currency):
        errors.append("The account's currency must be the document's or the base currency.")
    if reading.text(element, "LineAmountTypes") not in (None, "NoTax"):
        errors.append("Overpayments have no tax: LineAmountTypes must be NoTax.")
    if locked := invoices.lock_complaint(call.books, reading.date(element, "Date")):
        errors.append(locked)
    return errors


def _lines(call: Call, element: Json, errors: list[str]) -> tuple[str, Decimal]:
    """The one line's description and amount; what is wrong with it goes to ``errors``."""
    sent = reading.objects(element, "LineItems") or []
    if len(sent) != 1:
        errors.append("One line item must be specified")
        return "", ZERO
    [line] = sent
    amount = cents(reading.decimal(line, "LineAmount") or ZERO)
    description = reading.text(line, "Description") or ""
    if amount <= 0:
        errors.append("The line Amount must be greater than zero.")
    if not 0 < len(description) <= MAX_DESCRIPTION:
        errors.append("Description must be specified")
    code = reading.text(line, "AccountCode")
    account = call.books.accounts.get(code or "")
    if code and (account is None or account.system_account != "DEBTORS"):
        errors.append(f"Account code '{code}' is not a valid code for this document.")
    return description, amount


def _account(call: Call, named: Json | None) -> Account | None:
    if named is None:
        return None
    code, account_id = reading.text(named, "Code"), reading.identity(named, "AccountID")
    for account in call.books.accounts.values():
        if account.account_id == account_id or (code and account.code == code):
            return account
    return None
