"""Xero's words about a refused element in, our stable code, what follows and a hint out.

The texts are Xero's as seen in its documentation, recordings and SDK issues. They may change:
patterns are loose, and what matches none is ``refused_other`` with the words kept for a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Next = Literal["fail", "look", "rename", "wait"]

MAX_SAID = 1000
"""Characters kept of Xero's words about one element."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a text means. ``pattern`` is searched in the text, case ignored."""

    code: str
    pattern: re.Pattern[str]
    hint: str
    next: Next


def _rule(code: str, pattern: str, hint: str, follows: Next = "fail") -> Rule:
    return Rule(code, re.compile(pattern, re.IGNORECASE | re.DOTALL), hint, follows)


# The order decides between several texts of one element. A taken number comes first, for the
# element may be ours and saved already; a name clash comes last, for another name helps nothing
# while something else is wrong.
RULES: tuple[Rule, ...] = (
    _rule(
        "number_taken",
        r"(invoice|credit note) # must be unique",
        "Another document in Xero has this number: rename that one in Xero, or give the connection "
        "a number_prefix.",
        "look",
    ),
    _rule(
        "contact_number_taken",
        r"contact number .*already assigned",
        "Another contact in Xero carries this customer's Lago id as its contact number: clear it "
        "there, or link the customer to that contact in Lago.",
        "look",
    ),
    _rule(
        "organisation_offline",
        r"organisation is (currently )?offline|xero api is (currently|temporarily)",
        "Nothing to do: it is tried again when Xero is back.",
        "wait",
    ),
    _rule(
        "locked_period",
        r"(period|end of year) lock date|accounts are locked",
        "Move the lock date in Xero behind the document's date and retry the document.",
    ),
    _rule(
        "plan_limit",
        r"reached the limit of invoices",
        "The organisation's Xero plan allows no further approved invoices: upgrade it in Xero.",
    ),
    _rule(
        "currency_not_subscribed",
        r"not subscribed to currency",
        "Add the currency in the organisation's Xero settings, then retry the document.",
    ),
    _rule(
        "contact_archived",
        r"archived contact|contact (is|has been) archived",
        "Restore the contact in Xero and retry, or link the customer to another contact: in Lago, or "
        "with lago-xero link.",
    ),
    _rule(
        "contact_missing",
        r"contact must be specified|contact could not be found|contact .*does not exist",
        "The customer's contact is gone from Xero: link the customer to an existing contact.",
    ),
    _rule(
        "contact_name_invalid",
        r"contact name (cannot|can not|must not|is (required|not valid|invalid))",
        "Correct the customer's name in Lago: no edge or double spaces, no angle brackets.",
    ),
    _rule(
        "email_invalid",
        r"e-?mail address .*valid|invalid e-?mail",
        "Correct the customer's e-mail address in Lago.",
    ),
    _rule(
        "address_invalid",
        r"country can only contain|(address|phone)type is not valid",
        "Correct the customer's address in Lago.",
    ),
    _rule(
        "account_number_taken",
        r"account number already exists",
        "Another contact in Xero has this account number: change it there.",
    ),
    _rule(
        "account_missing",
        r"account code must be specified",
        "Name an account in the mapping, or give its item a sales account in Xero.",
    ),
    _rule(
        "account_archived",
        r"account code .*(archived|deleted)",
        "Map another account, or restore this one in Xero's chart of accounts.",
    ),
    _rule(
        "tax_type_invalid",
        r"taxtype code .*cannot be used|tax ?type .*(not valid|invalid)",
        "Map a tax rate that Xero allows with this account, or change the account.",
    ),
    _rule(
        "tax_amount_invalid",
        r"tax amount .*(must be zero|does not match)",
        "The mapped tax rate in Xero differs from Lago's: map the tax to a rate that fits.",
    ),
    _rule(
        "account_invalid",
        r"account code .*not a valid|account must be valid",
        "Map an account code that sales invoices of this organisation may use.",
    ),
    _rule(
        "tax_type_invalid",
        r"tax rate must be valid",
        "Map a tax rate that is active in Xero.",
    ),
    _rule(
        "item_invalid",
        r"item code .*(not valid|invalid|not found|does not exist)",
        "Map an item that exists in Xero, or create it there.",
    ),
    _rule(
        "discount_invalid",
        r"discount rate .*invalid|discount must not be greater|discounts cannot",
        "Compare the document's coupons with its fees in Lago and report this with its number.",
    ),
    _rule(
        "line_total_mismatch",
        r"line total .*does not match",
        "Xero calculates a line differently: report this with the document's number.",
    ),
    _rule(
        "document_total_mismatch",
        r"document total (does not equal|cannot be negative)",
        "Xero adds the lines up differently: report this with the document's number.",
    ),
    _rule(
        "void_with_money",
        r"status voided cannot be applied",
        "Remove the payments and credits from the invoice in Xero, or leave it.",
    ),
    _rule(
        "has_money",
        r"cannot be edited as it has a payment",
        "Remove the payments and credits from the document in Xero, then retry it.",
    ),
    _rule(
        "status_invalid",
        r"not of valid status for (creation|modification)",
        "Look at the document in Xero: its status there does not allow this change.",
    ),
    _rule(
        "lines_missing",
        r"line items? must be specified",
        "The document has nothing to bill: check its fees in Lago.",
    ),
    _rule(
        "date_invalid",
        r"date field must be specified|duedate cannot be before",
        "Check the document's dates in Lago.",
    ),
    _rule(
        "document_incomplete",
        r"(invoice|credit note) type must be specified|description must be specified",
        "Xero misses a field: report this with the document's number.",
    ),
    _rule(
        "number_invalid",
        r"invoicenumber can only contain",
        "Xero takes printable ASCII in numbers only: change the numbering in Lago.",
    ),
    _rule(
        "url_invalid",
        r"url must (be|not contain)",
        "Xero refuses the link to the document: report this with its number.",
    ),
    _rule(
        "text_too_long",
        r"maximum length|cannot be longer than|is too long",
        "Shorten the text in Lago.",
    ),
    _rule(
        "document_not_open",
        r"only be made against authorised|must be authorised to be allocated",
        "Look at the document in Xero: it is paid, voided or not approved there. A payment of the same "
        "amount and week that was entered by hand would count as this one; remove what is in its place, "
        "then retry.",
    ),
    _rule(
        "payment_exceeds_open",
        r"payment amount exceeds",
        "The document in Xero has less open than Lago tells: compare the payments and credits on "
        "it, remove what was entered by hand, then retry.",
    ),
    _rule(
        "payment_account_invalid",
        r"account type is invalid for making a payment|account's currency must be|bank ?account must be",
        "Map a payment account that is a bank account, or one that takes payments, in the "
        "document's currency or the base currency.",
    ),
    _rule(
        "allocation_exceeds_open",
        r"cannot be allocated as amount is greater|allocate to has already been paid",
        "The invoice or the credit note in Xero has less open than Lago tells: compare what is "
        "paid and allocated there, remove what was entered by hand, then retry.",
    ),
    _rule(
        "allocation_contact_differs",
        r"must have the same contact",
        "Invoice and credit note are on two contacts in Xero: put both on one there, then retry.",
    ),
    _rule(
        "amount_invalid",
        r"amount must be greater than zero",
        "Xero takes no such amount: report this with the document's number.",
    ),
    _rule(
        "document_missing",
        r"(invoice|credit note|payment) could not be found|against a document that exists",
        "The document is gone from Xero, or another organisation has it: look for it there.",
    ),
    _rule(
        "contact_name_taken",
        r"contact name .*already assigned",
        "Another active contact in Xero has this name: rename one, or link the customer in Lago.",
        "rename",
    ),
)
OTHER = _rule(
    "refused_other",
    r"",
    "Read what Xero says, correct the cause in Lago or Xero, then retry the document.",
)
OF_THE_ROOM = frozenset(
    ("document_not_open", "payment_exceeds_open", "allocation_exceeds_open", "void_with_money")
)
"""Codes of what has no room on its invoice or credit note, as a void has none while there is anything
on its invoice; something taken off there makes some."""
ARCHIVED = "contact_archived"
"""The contact may have been merged into another."""
OF_THE_CONTACT = frozenset(("contact_missing", ARCHIVED))
"""Codes of what another contact, or the same one mended, may end."""
PAID_ALREADY = frozenset(("document_not_open", "payment_exceeds_open"))
"""Codes of a payment whose document has not that much open: somebody may have entered it by hand."""
OF_THE_CHART = frozenset(
    {
        "account_archived",
        "account_invalid",
        "account_missing",
        "currency_not_subscribed",
        "item_invalid",
        "payment_account_invalid",
        "tax_amount_invalid",
        "tax_type_invalid",
    }
)
"""Refusals that another mapping, or a change in Xero's chart, may end."""

_NAME_CLASH = re.compile(r"(contact name ).*( is already assigned)", re.IGNORECASE | re.DOTALL)
_EMAIL = re.compile(r"[^\s@\"'<>,;]+@[^\s@\"'<>,;]+")
_QUOTED = re.compile(
    r"""(?P<of>\b(?:code|rate|path|taxtype)\ )?
        (?: (?P<single>(?<!\w)['‘].+?['’](?!\w))  # no apostrophes
          | "[^"]*" | “[^”]*” | «[^»]*» )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""What tells of the chart or of a field (Account code '200') is no personal data."""
_CONVERTED = re.compile(r"(convert string to \w+: ).*?(\. Path|$)", re.IGNORECASE | re.DOTALL)


def hint_of(code: str) -> str:
    """What to do about a refusal of that code."""
    return next(rule.hint for rule in RULES if rule.code == code)


def decide(messages: Iterable[str]) -> Rule:
    """The rule of the decisive text; ``refused_other`` if none is known."""
    texts = list(messages)
    for rule in RULES:
        if any(rule.pattern.search(text) for text in texts):
            return rule
    return OTHER


def redact(text: str, personal: Sequence[str] = ()) -> str:
    """The text without personal data, for logs and topics.

    Gone are names, e-mail addresses, quoted input but codes, and every string of ``personal`` where
    it stands as a word, in any case.
    """
    text = _NAME_CLASH.sub(r"\1…\2", text)
    for value in sorted(set(personal), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text, flags=re.IGNORECASE)
    text = _EMAIL.sub("…", text)
    text = _CONVERTED.sub(r"\1…\2", text)
    return _QUOTED.sub(_mask, text)


def _mask(quoted: re.Match[str]) -> str:
    of, whole = quoted["of"] or "", quoted[0]
    if of and quoted["single"]:
        return whole
    return f"{of}{whole[len(of)]}…{whole[-1]}"


def words(messages: Iterable[str], personal: Sequence[str] = ()) -> str:
    """All of them in one line of at most ``MAX_SAID`` printable characters, redacted."""
    kept = dict.fromkeys(redact(message, personal) for message in messages)
    printable = ("".join(c if c.isprintable() else " " for c in text) for text in kept)
    said = "; ".join(" ".join(text.split()) for text in printable)
    return said if len(said) <= MAX_SAID else said[: MAX_SAID - 1] + "…"
