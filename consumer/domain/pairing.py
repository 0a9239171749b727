"""Pairing: what was sent and what was answered in, each answer beside its element out.

Xero answers in request order (xero.md 3). Where an answer names a document by id or number, that is
compared all the same: an id beside the wrong document would void or pay another customer's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from consumer.domain.elements import marker_of
from consumer.domain.operations import DocumentKind

Element = Mapping[str, object]

ID: Mapping[DocumentKind, str] = {
    "contact": "ContactID",
    "invoice": "InvoiceID",
    "credit_note": "CreditNoteID",
    "allocation": "AllocationID",
    "payment": "PaymentID",
    "refund": "PaymentID",
    "overpayment": "BankTransactionID",
}
_NUMBER: Mapping[DocumentKind, str] = {
    "contact": "ContactNumber",
    "invoice": "InvoiceNumber",
    "credit_note": "CreditNoteNumber",
}


def paired(
    sent: Sequence[Element], answered: Sequence[Element], kind: DocumentKind
) -> Sequence[Element] | None:
    """The answers in the order of as many sent elements; None if they cannot be told apart."""
    if all(_agree(one, other, kind) for one, other in zip(sent, answered, strict=True)):
        return answered
    found = [[other for other in answered if _named(one, other, kind)] for one in sent]
    if any(len(others) != 1 for others in found):
        return None
    ordered = [other for [other] in found]
    return ordered if len({id(other) for other in ordered}) == len(sent) else None


def surplus(
    sent: Sequence[Element], answered: Sequence[Element], kind: DocumentKind
) -> list[Element]:
    """The answers that belong to no sent element, in their order."""
    left = list(answered)
    for one in sent:
        mine = next((other for other in left if _named(one, other, kind)), None)
        if mine is not None:
            left.remove(mine)
    return left


def uuid(value: object) -> UUID | None:
    """None for the zero GUID too, which Xero writes where it has none."""
    try:
        found = UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.int else None


def target(element: Element) -> UUID | None:
    """The invoice or credit note that a payment or an allocation is on."""
    for name, id_field in (("Invoice", "InvoiceID"), ("CreditNote", "CreditNoteID")):
        named = element.get(name)
        if isinstance(named, Mapping) and (found := uuid(named.get(id_field))):
            return found
    return None


def _agree(sent: Element, answered: Element, kind: DocumentKind) -> bool:
    """Whether nothing that both name differs; ids outweigh numbers."""
    ids, names = _both(sent, answered, kind)
    if None not in ids:
        return ids[0] == ids[1]
    return None in names or names[0] == names[1]


def _named(sent: Element, answered: Element, kind: DocumentKind) -> bool:
    """Whether both name the same."""
    ids, names = _both(sent, answered, kind)
    one, other = names if None in ids else ids
    return one is not None and one == other


def _both(
    sent: Element, answered: Element, kind: DocumentKind
) -> tuple[list[object], list[object]]:
    ids: list[object] = [uuid(one.get(ID[kind])) for one in (sent, answered)]
    return ids, _names(sent, answered, kind)


def _names(sent: Element, answered: Element, kind: DocumentKind) -> list[object]:
    """The numbers, however they are spaced; of what has none our markers if both bear one, for several
    payments may be on one document, else the documents that they are on."""
    if kind in _NUMBER:
        return [_spaced(one.get(_NUMBER[kind])) for one in (sent, answered)]
    markers = [marker_of(sent), marker_of(answered)]
    return [*markers] if None not in markers else [target(sent), target(answered)]


def _spaced(number: object) -> str | None:
    return " ".join(number.split()) or None if isinstance(number, str) else None
