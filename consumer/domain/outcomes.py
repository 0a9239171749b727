"""Outcomes: a document of a request as the ledger has it, what may become of it, and our own refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from consumer.domain import causes
from consumer.domain.answers import Refusal, Saved
from consumer.domain.classifying import SCOPE_MISSING
from consumer.domain.contacts import linked_contact
from consumer.domain.documents import Rest, Stands
from consumer.domain.operations import DocumentKind
from consumer.domain.refusals import (
    ARCHIVED,
    OF_THE_CONTACT,
    OF_THE_ROOM,
    PAID_ALREADY,
    hint_of,
)
from schemas import lago

SHOWN = 5
"""What is named of things in Xero in one sentence at most."""


@dataclass(frozen=True, slots=True)
class Member:
    """One document of an open request, as the ledger has it by now.

    ``sent`` is the fingerprint that was frozen, ``expected`` the totals that Xero must answer.
    """

    position: int
    document_id: int
    kind: DocumentKind
    sent: bytes | None
    stands: Stands
    attempts: int = 0
    batch_limit: int | None = None
    suffix: str = ""
    appended_at: datetime | None = None
    expected: Mapping[str, Decimal | None] = field(default_factory=dict)
    customer: lago.Customer | None = None
    """Of a contact."""
    connection_code: str = ""
    room: UUID | None = None
    """The Lago id of the invoice or the credit note that it takes from; an invoice's own."""
    clears: bool = False
    """Whether it is a refund that clears a line of an invoice."""
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What translation noticed, by class of finding."""
    refused: Refusal | None = None
    """What Xero refused it with, if it is looked up since."""
    contact: int | None = None
    """The document of its customer's contact, of an invoice, a credit note or an overpayment."""
    invoices_contact: UUID | None = None
    """The contact of the invoice that a credit note corrects, if the customer has left it since."""
    left_behind: bool = False
    """Whether it was sent to a contact that the customer has left."""
    leaves_linked: bool = False
    """Whether a contact that a person made stays as it is."""

    @property
    def link(self) -> UUID | None:
        """The contact that the customer is linked to by now, if it is another one than we know."""
        if self.customer is None:
            return None
        linked = linked_contact(self.customer, self.connection_code)
        return None if linked in (self.stands.xero_id, *self.stands.merged) else linked

    def is_looked_up(self, refusal: Refusal) -> bool:
        """Not a removal; and of what we may edit nobody else can have the number."""
        return self.sent is not None and (refusal.code == ARCHIVED or not self.stands.open)


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that Xero has, or has no more: what the ledger keeps of the answer."""

    member: Member
    xero_id: UUID | None
    synced: bytes | None
    rest: Rest
    answer: Saved
    by_hand: UUID | None = None
    """The money that a person entered in its place."""
    linked: bool = False
    """Whether the contact turns out to be a person's."""
    merged: tuple[UUID, ...] = ()
    """The contacts that were merged into it."""

    @property
    def leaves_credit(self) -> bool:
        """Whether it may be credit on a contact that the customer has left."""
        member = self.member
        return member.kind == "credit_note" and member.sent is not None and member.left_behind


@dataclass(frozen=True, slots=True)
class Unsent:
    """A document that is certainly not in Xero: where it belongs and when it is tried again."""

    member: Member
    rest: Rest
    delay: float
    batch_limit: int | None
    suffix: str
    attempts: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that Xero refused."""

    member: Member
    refusal: Refusal

    @property
    def cause(self) -> str | None:
        """What lets it be sent again by itself; None: nothing does."""
        member, code = self.member, self.refusal.code
        if code == SCOPE_MISSING:
            return causes.scope(member.connection_code)
        if code in OF_THE_ROOM and member.room is not None:
            return causes.room(member.room)
        if code in OF_THE_CONTACT and member.contact is not None and not member.invoices_contact:
            return causes.document(member.contact)
        return None

    @property
    def exceeds(self) -> bool:
        """Whether it is a payment of more than its invoice has open in Xero."""
        member, code = self.member, self.refusal.code
        return member.kind == "payment" and member.sent is not None and code in PAID_ALREADY

    @property
    def useless(self) -> bool:
        """Whether it is a contact to which nothing can be sent any more."""
        return (self.member.kind, self.refusal.code) == ("contact", ARCHIVED)


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that people must see; ``refusal`` is None where a finding is all."""

    member: Member
    xero_id: UUID
    finding: str
    facts: Mapping[str, Any]
    refusal: Refusal | None = None


def claimed(member: Member, answer: Saved, holder: int) -> Refusal:
    """Two documents in one: the second fails, naming both."""
    return Refusal(
        "identity_claimed",
        f"Document {holder} already holds Xero's {answer.xero_id}; "
        f"document {member.document_id} claims it too.",
        "Two Lago documents meet in one Xero document: correct the numbering, then retry.",
    )


def differing(member: Member, answer: Saved) -> tuple[Refusal, Mapping[str, Any]] | None:
    """What is told and recorded where Xero's totals are not those that were sent; None: they are."""
    theirs = {"net": answer.net, "tax": answer.tax, "total": answer.total}
    pairs = {
        name: (ours, theirs[name])
        for name, ours in member.expected.items()
        if ours is not None and theirs[name] is not None and ours != theirs[name]
    }
    if not pairs:
        return None
    differences = ", ".join(f"{name} {b} instead of {a}" for name, (a, b) in pairs.items())
    refusal = Refusal(
        "totals_differ",
        f"Xero saved the document with {differences}.",
        "Compare both documents; correct the one in Xero by hand or report a translation fault.",
    )
    return refusal, {name: [str(a), str(b)] for name, (a, b) in pairs.items()}


def changed_in_xero(sentence: str) -> Refusal:
    """Somebody was faster: the draft is none any more, or not ours to change."""
    return Refusal(
        "draft_changed_in_xero",
        sentence,
        "Nothing is forced. Compare Lago's invoice with Xero and correct Xero by hand: void what is "
        "wrong there, or enter what is missing. What is paid in Lago is to be entered too.",
    )


def excess_unclear(member: Member, others: Sequence[Saved]) -> Refusal:
    """Somebody has entered overpayments of other amounts, which may have this money in them."""
    shown = ", ".join(f"{one.total:.2f} ({one.xero_id})" for one in others[:SHOWN])
    amount = member.expected.get("total")
    return Refusal(
        "excess_unclear",
        f"In the same days somebody has entered overpayments of this customer by hand: {shown}. Whether the "
        f"{amount} that Lago received beyond the invoice is in them cannot be told.",
        f"See that Xero has an overpayment of exactly {amount} of this customer, entered by hand within a "
        "week of the payment and apart from other money, then retry: it counts as this one.",
    )


def taken(sentence: str) -> Refusal:
    """The document's number belongs to something else in Xero."""
    return Refusal(
        "number_taken",
        sentence,
        "Compare both; correct the one in Xero or give the connection a number_prefix.",
    )


def invoices_archived(refused: Refusal | None) -> Refusal:
    """A credit note goes where its invoice is, and that contact is archived."""
    said = refused.said if refused is not None else "The contact is archived."
    return Refusal(
        ARCHIVED,
        f"{said.rstrip('.')}: the one that the corrected invoice is on, which the customer has left.",
        "Restore that contact in Xero, or merge it there into the one in use, then retry.",
    )


def archived() -> Refusal:
    """The customer's contact is archived, and not merged into another."""
    return Refusal(
        ARCHIVED, "The contact with the customer's Lago id is archived.", hint_of(ARCHIVED)
    )
