"""Objects: contributions of messages in, in any order; what Lago says now out.

An object is a set of facets. Each facet is taken whole from the message with the highest stamp, so
merging is a maximum per facet: commutative, associative and idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from pydantic_core import from_json, to_json

from schemas import lago

ObjectKind = Literal["customer", "invoice", "credit_note", "payment"]
Json = Any


class ObjectKey(NamedTuple):
    """What an object is known by."""

    kind: ObjectKind
    lago_id: UUID


LINKED_BY_HAND = "linked_by_hand"
"""The facet of a customer with the contacts that a person has named, ``{connection: ContactID}``. No
message tells it, so none replaces it."""
MOVED = "moved"
"""The facet of a customer whom a person has moved: see ``homes``."""

ERASED = "erased"
"""The key in a customer's content of which a person has taken out what is personal."""

FINAL = 2
"""The lowest rank of a content that a message about a finalized invoice told."""


class Stamp(NamedTuple):
    """Which of two messages says it: rank first, then Lago's second, Kafka's millisecond, digest.

    Lago's stamps are whole seconds, hence the tie-breakers (lago.md 7).
    """

    rank: int
    at: int = 0
    appended: int = 0
    digest: str = ""


class Facet(NamedTuple):
    """One part of an object and the stamp of the message that said it."""

    stamp: Stamp
    value: Json


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one message says about one object."""

    key: ObjectKey
    organization_id: UUID
    facets: Mapping[str, Facet]
    customer_id: UUID | None = None
    invoice_ids: tuple[UUID, ...] = ()
    """The invoices that a payment pays or a credit note corrects."""


class Told(Protocol):
    """Whatever has facets."""

    def value(self, facet: str, /) -> Json | None:
        """The facet's value, None where no message has said it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """An object's facets by themselves."""

    facets: Mapping[str, Facet]

    def value(self, facet: str) -> Json | None:
        """The facet's value, None where no message has said it."""
        found = self.facets.get(facet)
        return None if found is None else found.value


def as_of(news: Contribution, appended: int) -> Contribution:
    """``news`` as told at ``appended``, in Kafka's milliseconds; what has no stamp keeps none."""
    facets = {
        name: facet._replace(stamp=facet.stamp._replace(appended=appended))
        if facet.stamp.digest
        else facet
        for name, facet in news.facets.items()
    }
    return replace(news, facets=facets)


@dataclass(frozen=True, slots=True)
class Object:
    """What Lago says now about one customer, invoice, credit note or payment.

    ``connection_id`` is the home: a customer's new invoices go there, an invoice stays.
    ``event_id`` is the event that last changed it.
    """

    key: ObjectKey
    organization_id: UUID
    facets: Mapping[str, Facet] = field(default_factory=dict)
    customer_id: UUID | None = None
    connection_id: int | None = None
    first_seen: datetime | None = None
    event_id: int | None = None
    invoice_ids: tuple[UUID, ...] = ()

    def value(self, facet: str) -> Json | None:
        """The facet's value, None where no message has said it."""
        found = self.facets.get(facet)
        return None if found is None else found.value

    @property
    def erased(self) -> bool:
        """Whether it is a customer of whom a person has taken out what is personal, and Lago has told
        nothing newer since."""
        content = self.value("content")
        return self.key.kind == "customer" and content is not None and content.get(ERASED) is True

    @property
    def lacking(self) -> Literal["links", "credit"] | None:
        """What no message tells of it, and Lago's API may: a customer's links, or whether the credit
        that is left of a note was voided."""
        match self.key.kind:
            case "customer" if self.erased:
                return None
            case "customer" if "content" in self.facets and "links" not in self.facets:
                return "links"
            case "credit_note" if self.value("balance") and self.value("credit") == "available":
                return "credit"
        return None


def merge(known: Object | None, news: Contribution) -> Object:
    """``known`` with what ``news`` says better; the same instance if it says nothing better."""
    if known is None:
        return Object(
            news.key,
            news.organization_id,
            dict(news.facets),
            news.customer_id,
            invoice_ids=tuple(sorted(set(news.invoice_ids))),
        )
    better = {
        name: facet
        for name, facet in news.facets.items()
        if (old := known.facets.get(name)) is None or old.stamp < facet.stamp
    }
    customer_id = known.customer_id or news.customer_id
    invoice_ids = tuple(sorted({*known.invoice_ids, *news.invoice_ids}))
    if not better and (customer_id, invoice_ids) == (known.customer_id, known.invoice_ids):
        return known
    return replace(
        known,
        facets={**known.facets, **better},
        customer_id=customer_id,
        invoice_ids=invoice_ids,
    )


def merge_all(known: Object | None, news: Iterable[Contribution]) -> Object | None:
    """All of them."""
    for contribution in news:
        known = merge(known, contribution)
    return known


def customer_of(customer: Told) -> lago.Customer | None:
    """The customer's facts; None until a message told its content.

    Behind Lago's links come those that a person has set: the first that fits counts.
    """
    content = customer.value("content")
    if content is None:
        return None
    links = customer.value("links")
    by_hand = [
        {"type": "xero", "integration_code": code, "external_customer_id": contact}
        for code, contact in sorted((customer.value(LINKED_BY_HAND) or {}).items())
    ]
    if by_hand:
        links = [*(links or ()), *by_hand]
    return lago.Customer.model_validate({**content, "integration_customers": links})


def invoice_of(invoice: Told) -> lago.Invoice | None:
    """The invoice's facts; None while only messages without fees are known."""
    content = invoice.value("content")
    if content is None:
        return None
    return lago.Invoice.model_validate(
        {
            **_with_fee_taxes(invoice, content),
            "credits": invoice.value("credits") or [],  # a one-off's webhook shows no empty list
            "applied_taxes": invoice.value("applied_taxes"),
            "status": invoice.value("status"),
            "total_paid_amount_cents": invoice.value("paid"),
            "total_due_amount_cents": invoice.value("due"),
            "total_offsetted_credit_note_amount_cents": invoice.value("offset"),
        }
    )


def credit_note_of(note: Told) -> lago.CreditNote | None:
    """The credit note's facts; None until a message told its items."""
    content = note.value("content")
    if content is None:
        return None
    return lago.CreditNote.model_validate(
        {
            **_with_fee_taxes(note, content),
            "credit_status": note.value("credit"),
            "refund_status": note.value("refund"),
            "balance_amount_cents": note.value("balance"),
            "applied_taxes": note.value("applied_taxes"),
        }
    )


def _with_fee_taxes(told: Told, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content with the taxes of each fee, where a message told them."""
    taxes = told.value("fee_taxes")
    if not taxes:
        return content

    def taxed(fee: Mapping[str, Any]) -> Mapping[str, Any]:
        known = taxes.get(fee["lago_id"])
        return fee if known is None else {**fee, "applied_taxes": known}

    changed: dict[str, Any] = {**content}
    if content.get("fees"):
        changed["fees"] = [taxed(fee) for fee in content["fees"]]
    if content.get("items"):
        changed["items"] = [{**item, "fee": taxed(item["fee"])} for item in content["items"]]
    return changed


@dataclass(frozen=True, slots=True)
class Money:
    """A payment's facts; amounts in Lago subunits, ``amount_cents`` over all its invoices.

    ``type`` is ``manual`` or ``provider``. ``shares`` is what each invoice gets, None where no
    message proves it: Lago does not say how a payment is split.
    """

    amount_cents: int
    currency: str
    created_at: datetime | None
    invoice_ids: tuple[UUID, ...]
    reference: str | None
    status: str
    type: str | None = None
    shares: Mapping[UUID, int] | None = None

    @property
    def paid_at(self) -> datetime | date | None:
        """An instant; or a day, which a person named when he recorded the payment by hand.

        Lago takes that day as a date and tells it as its midnight in UTC (its API, ``paid_at``).
        """
        if self.created_at is None or self.type != "manual":
            return self.created_at
        at = self.created_at.astimezone(UTC)
        return at.date() if at.time() == time(0) else at


def money_of(payment: Told) -> Money | None:
    """The payment's facts; None while only its status is known."""
    content = payment.value("content")
    if content is None:
        return None
    created = content["created_at"]
    invoice_ids = tuple(UUID(id) for id in content["invoice_ids"])
    return Money(
        content["amount_cents"],
        content["currency"],
        datetime.fromisoformat(created) if created else None,
        invoice_ids,
        content["reference"],
        payment.value("status") or "pending",
        content.get("type"),
        _shares(payment, invoice_ids, content["amount_cents"]),
    )


def _shares(
    payment: Told, invoice_ids: tuple[UUID, ...], amount_cents: int
) -> Mapping[UUID, int] | None:
    """What each invoice gets, if that is known and makes up the payment."""
    if len(invoice_ids) == 1:
        return {invoice_ids[0]: amount_cents}
    shares = {UUID(id): cents for id, cents in (payment.value("shares") or {}).items()}
    fits = shares.keys() == set(invoice_ids) and sum(shares.values()) == amount_cents
    return shares if fits else None


def dump_facets(facets: Mapping[str, Facet]) -> str:
    """JSON for the ledger: ``{name: [[rank, at, appended, digest], value]}``."""
    return to_json({name: [facet.stamp, facet.value] for name, facet in facets.items()}).decode()


def load_facets(text: str | bytes) -> dict[str, Facet]:
    """The inverse of ``dump_facets``."""
    return {name: Facet(Stamp(*stamp), value) for name, (stamp, value) in from_json(text).items()}
