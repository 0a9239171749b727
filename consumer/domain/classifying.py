"""Classifying: a reply of Xero's and the elements sent in, what it means out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from consumer.domain import refusals
from consumer.domain.answers import (
    Answered,
    Element,
    InDoubt,
    NotDone,
    Refusal,
    Reply,
    Saved,
    Verdict,
)
from consumer.domain.elements import (
    amount,
    day_of,
    listed,
    marker_of,
    messages_of,
    parse,
    personal_of,
    text_of,
)
from consumer.domain.operations import DocumentKind
from consumer.domain.pairing import ID, paired, surplus, target, uuid

SCOPE_MISSING = "scope_missing"
GRANTED_APART: frozenset[DocumentKind] = frozenset({"overpayment"})
"""Kinds with a scope of their own, without which all others go on."""
_SCOPE_MISSING = Refusal(
    SCOPE_MISSING,
    "What our client was let in for at Xero does not cover bank transactions.",
    "Where people consent, run lago-xero connect once more for a connection of this client; else add "
    "accounting.banktransactions to the client in Xero and run apply. The document follows by itself.",
)

_COLLECTION: Mapping[DocumentKind, str] = {
    "contact": "Contacts",
    "invoice": "Invoices",
    "credit_note": "CreditNotes",
    "allocation": "Allocations",
    "payment": "Payments",
    "refund": "Payments",
    "overpayment": "BankTransactions",
}
_FLAG: Mapping[DocumentKind, str] = {
    "contact": "HasValidationErrors",
    "invoice": "HasErrors",
    "credit_note": "HasErrors",
    "allocation": "HasValidationErrors",
    "payment": "HasValidationErrors",
    "refund": "HasValidationErrors",
    "overpayment": "HasValidationErrors",
}
_NO_OUTCOME = frozenset({408, 409, 425, 499})
"""4xx that say nothing about the elements: timeouts, and a key whose first call is in flight."""
_LOOKED_AT: Mapping[DocumentKind, frozenset[str]] = {
    "contact": frozenset((refusals.ARCHIVED,)),
    "invoice": frozenset((refusals.ARCHIVED,)),
    "credit_note": frozenset((refusals.ARCHIVED,)),
    "overpayment": frozenset((refusals.ARCHIVED,)),
    "payment": refusals.PAID_ALREADY,
    "refund": refusals.PAID_ALREADY,
}
"""Codes beside those of taken numbers that are not the last word on a document."""
_KEY_REUSED = re.compile(r"idempotency key.*different request", re.IGNORECASE | re.DOTALL)
_LACKS_SCOPE = re.compile(rb'"detail"\s*:\s*"AuthorizationUnsuccessful"', re.IGNORECASE)
"""As against AuthenticationUnsuccessful (xero.md 1)."""
_OFFLINE = re.compile(r"The (?:Organisation|Xero API) is [a-z ]{1,80}")


def classify(reply: Reply, kind: DocumentKind, sent: Sequence[Mapping[str, object]]) -> Verdict:
    """What a complete answer to a write of these elements means. Never raises.

    Xero answers 200 even when every element failed (``summarizeErrors=false``). A 400 names its
    failures only, and by default the others are saved all the same: it is an answer only if it
    names them all.
    """
    if refused := not_done(reply):
        if refused.why == "scope" and kind in GRANTED_APART:
            return Answered(tuple(_SCOPE_MISSING for _ in sent))
        return refused
    if 200 <= reply.status < 300:
        document = parse(reply.body)
        elements = listed(document, _COLLECTION[kind])
        if not elements and document.get("IsDeleted") is True:
            elements = [document]  # an allocation's deletion answers with it alone
        return _answered(elements, kind, sent, strict=False)
    if not 400 <= reply.status < 500 or reply.status in _NO_OUTCOME:
        return _no_outcome(reply)
    document = parse(reply.body)
    elements = listed(document, "Elements")
    if elements:
        verdict = _answered(elements, kind, sent, strict=True)
        if isinstance(verdict, Answered):
            return verdict
    message = text_of(document.get("Message")) or ""
    said = refusals.words([message], [text for one in sent for text in personal_of(one)])
    if _KEY_REUSED.search(message):
        return InDoubt("key_reused", said=said)
    return InDoubt(f"whole_{reply.status}", batch_refused=True, said=said)


def not_done(reply: Reply) -> NotDone | None:
    """What 401, 403 and 429 mean; None for any other status."""
    if reply.status == 401:
        return NotDone("scope" if _LACKS_SCOPE.search(reply.body[:2000]) else "unauthorised")
    if reply.status == 403:
        return NotDone("forbidden")
    if reply.status == 429:
        return NotDone("throttled", reply.limits.retry_after, reply.limits.problem)
    return None


def _no_outcome(reply: Reply) -> InDoubt:
    known = _OFFLINE.search(reply.body[:1000].decode("utf-8", "replace"))
    return InDoubt(f"status_{reply.status}", said=known[0].strip() if known else "")


def _answered(
    elements: list[object],
    kind: DocumentKind,
    sent: Sequence[Mapping[str, object]],
    *,
    strict: bool,
) -> Verdict:
    """``strict``: in a 400 an element without status and complaint is no success."""
    answered = [element for element in elements if isinstance(element, Mapping)]
    if len(answered) > len(sent):
        found = (saved(element, kind) for element in surplus(sent, answered, kind))
        return InDoubt("surplus", surplus=tuple(one.xero_id for one in found if one is not None))
    if len(answered) != len(sent):
        return InDoubt("unreadable")
    ordered = paired(sent, answered, kind)
    if ordered is None:
        return InDoubt("disordered")
    fates = [
        _fate(element, kind, personal_of(asked), strict=strict)
        for asked, element in zip(sent, ordered, strict=True)
    ]
    known = [fate for fate in fates if fate is not None]
    unclear = strict and all(isinstance(fate, Saved) for fate in known)
    if unclear or len(known) != len(sent):
        return InDoubt("unreadable")
    return Answered(tuple(known))


def _fate(
    element: Mapping[str, object], kind: DocumentKind, personal: Sequence[str], *, strict: bool
) -> Element | None:
    """Saved is a real id without ERROR (WARNING is success); None: it cannot be told.

    ``personal``: what was sent about a person.
    """
    status = element.get("StatusAttributeString")
    complaints = messages_of(element, "ValidationErrors")
    if status not in ("OK", "WARNING", "ERROR"):
        failed = element.get(_FLAG[kind]) is True or bool(complaints)
        if strict and not failed:
            return None
        status = "ERROR" if failed else "OK"
    keeps = saved(element, kind)
    if status != "ERROR" and keeps is not None:
        return keeps
    if status != "ERROR" and not text_of(element.get(ID[kind])):
        return None
    rule = refusals.decide(complaints)
    said = refusals.words(complaints, [*personal, *personal_of(element)])
    looked: frozenset[str] = _LOOKED_AT.get(kind, frozenset())
    return Refusal(rule.code, said, rule.hint, "look" if rule.code in looked else rule.next)


def saved(element: Mapping[str, object], kind: DocumentKind) -> Saved | None:
    """An element of Xero's as it is kept there; None without an id, or with the zero GUID."""
    xero_id = uuid(element.get(ID[kind]) or element.get(ID[kind].replace("ID", "Id")))
    if xero_id is None:
        return None
    warnings = tuple(
        refusals.words([text], personal_of(element)) for text in messages_of(element, "Warnings")
    )
    if kind == "contact":
        return Saved(
            xero_id=xero_id,
            number=text_of(element.get("ContactNumber")),
            status=text_of(element.get("ContactStatus")),
            merged_to=uuid(element.get("MergedToContactID")),
            warnings=warnings,
        )
    if kind == "allocation":
        return Saved(
            xero_id=xero_id,
            status="DELETED" if element.get("IsDeleted") is True else None,
            target_id=target(element),
            total=amount(element.get("Amount")),
            warnings=warnings,
        )
    if kind in ("payment", "refund"):
        return Saved(
            xero_id=xero_id,
            number=text_of(element.get("Reference")),
            status=text_of(element.get("Status")),
            target_id=target(element),
            dated=day_of(element.get("Date")),
            total=amount(element.get("Amount")),
            warnings=warnings,
        )
    contact = element.get("Contact")
    contact_id = uuid(contact.get("ContactID")) if isinstance(contact, Mapping) else None
    if kind == "overpayment":
        return Saved(
            xero_id=xero_id,
            number=marker_of(element),
            status=text_of(element.get("Status")),
            contact_id=contact_id,
            currency=text_of(element.get("CurrencyCode")),
            dated=day_of(element.get("Date")),
            total=amount(element.get("Total")),
            warnings=warnings,
        )
    return Saved(
        xero_id=xero_id,
        number=text_of(element.get("InvoiceNumber") or element.get("CreditNoteNumber")),
        status=text_of(element.get("Status")),
        contact_id=contact_id,
        currency=text_of(element.get("CurrencyCode")),
        net=amount(element.get("SubTotal")),
        tax=amount(element.get("TotalTax")),
        total=amount(element.get("Total")),
        due=amount(element.get("AmountDue" if kind == "invoice" else "RemainingCredit")),
        warnings=warnings,
    )
