"""Documents: what Lago asks for and where a document stands in, the state it belongs in out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from consumer.domain import causes
from consumer.domain.fingerprints import is_drafted
from consumer.domain.mapping import Connection
from consumer.domain.objects import ObjectKey, ObjectKind
from consumer.domain.operations import DocumentKind
from consumer.domain.refusals import ARCHIVED

State = Literal["waiting", "ready", "sending", "synced", "skipped", "failed"]

IMMUTABLE: frozenset[str] = frozenset(
    {"invoice", "credit_note", "allocation", "payment", "refund", "overpayment"}
)
"""Kinds that are never edited once posted, only voided; but a draft is not posted."""
DRAFTS = ("DRAFT", "SUBMITTED")
"""Xero's statuses of an invoice or a credit note that is not in the books yet."""

OFFSET = "offset"
"""The part of a document that allocates a credit note to the invoice it corrects."""
CLEARING = "clearing:"
"""Begins the parts of refunds that an invoice's consumed credit passes through the clearing account with;
the rest of the part is the credit's Lago id."""
_OBJECT: Mapping[DocumentKind, ObjectKind] = {
    "contact": "customer",
    "invoice": "invoice",
    "credit_note": "credit_note",
    "allocation": "credit_note",
    "payment": "payment",
    "refund": "credit_note",
    "overpayment": "payment",
}

_MADE_OF_INVOICES = {("allocation", ""), ("payment", "residual"), ("overpayment", "residual")}
"""Kinds and parts: what an invoice consumes and what was paid on it have ids of their own."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What Lago's facts ask for.

    ``wanted`` is the fingerprint of the facts that translation uses; None = must be absent. Then
    ``hold`` says why nothing is to be posted, ``waits`` that this will pass, and ``stays`` why what
    is posted already is left as it is.
    """

    kind: DocumentKind
    lago_id: UUID
    part: str = field(default="", kw_only=True)
    target: UUID | None = field(default=None, kw_only=True)
    """The invoice that a payment, its excess or an allocation is for, or whose credit a refund clears."""
    source: UUID | None = field(default=None, kw_only=True)
    """The credit note that an allocation or a refund takes from."""
    amount_cents: int | None = field(default=None, kw_only=True)
    """Of a payment, its excess, an allocation or a refund, in Lago's subunits."""
    customer_id: UUID | None
    connection_id: int | None
    tenant_id: UUID | None
    wanted: bytes | None
    hold: str | None = None
    waits: bool = False
    stays: str | None = None
    until: datetime | None = None
    xero_id: UUID | None = None
    """Known beforehand: the customer is linked to this contact."""
    leaves_linked: bool = False
    """Whether a contact that a person made stays as it is."""
    number: str | None = None
    currency: str | None = None
    dated: date | None = None
    findings: tuple[str, ...] = field(default=(), kw_only=True)
    """What people are to see of it, once each."""
    optional: bool = field(default=False, kw_only=True)
    """It only turns off what there may be: no row is made for it."""


@dataclass(frozen=True, slots=True)
class Stands:
    """Where a document stands in the ledger; ``status`` is Xero's."""

    state: State
    cause: str | None = None
    wanted: bytes | None = None
    synced: bytes | None = None
    xero_id: UUID | None = None
    status: str | None = None
    code: str | None = None
    """What it failed with."""
    linked: bool = False
    """Whether its contact is a person's: linked, or one that ours was merged into."""
    merged: tuple[UUID, ...] = ()
    """The contacts that were merged into it."""
    by_hand: bool = False
    """Whether a person's payment in Xero counts as it: there as if it had been sent, and never removed."""

    @property
    def draft(self) -> bool:
        """Whether Xero has it as a draft."""
        return self.xero_id is not None and self.status in DRAFTS

    @property
    def open(self) -> bool:
        """Whether it may still be edited: also where a person approved what is a draft in Lago."""
        return self.draft or (self.xero_id is not None and is_drafted(self.synced))


@dataclass(frozen=True, slots=True)
class Rest:
    """The state a document that is not being sent belongs in."""

    state: State
    cause: str | None = None
    until: datetime | None = None
    drift: bool = False


def consumes(kind: str, part: str) -> bool:
    """Whether a document is how an invoice has a credit that it consumes: an allocation or what clears
    its line."""
    return (kind, part) == ("allocation", "") or part.startswith(CLEARING)


def object_of(kind: DocumentKind, part: str, lago_id: UUID, target: UUID | None) -> ObjectKey:
    """The object that a document is made of: its news plan the document again."""
    of_invoice = (kind, part) in _MADE_OF_INVOICES or part.startswith(CLEARING)
    if of_invoice and target is not None:
        return ObjectKey("invoice", target)
    return ObjectKey(_OBJECT[kind], lago_id)


def before_start(connection: Connection, day: date | None) -> bool:
    """Whether a document of that date is older than what the connection follows."""
    return bool(connection.start_date and day and day < connection.start_date)


def as_linked(stands: Stands, planned: Planned) -> Stands:
    """With the contact that the customer is linked to instead of what we knew; as it is in Xero it is
    left until Lago changes it, or for good. A link to what was merged since is one to what it became.
    An erased customer's later documents go to it too, though nothing is sent to it."""
    if planned.wanted is None and planned.hold != causes.ERASED:
        return stands
    if planned.xero_id not in (None, stands.xero_id, *stands.merged):
        stands = replace(
            stands,
            xero_id=planned.xero_id,
            synced=stands.synced or b"" if planned.wanted is None else planned.wanted,
            cause=None,  # a person who has set it aside meant the other contact
            code=None,
            linked=True,
            merged=(),
        )
    if planned.leaves_linked and stands.linked and planned.wanted is not None:
        return replace(stands, synced=planned.wanted)
    return stands


def rest(kind: str, now: Stands, planned: Planned | None = None) -> Rest:
    """Where a document belongs that is not being sent.

    ``planned`` is None when nothing new was learnt of Lago (after a send): then ``now.wanted`` and
    ``now.cause`` speak for it.
    """
    wanted = now.wanted if planned is None else planned.wanted
    hold = now.cause if planned is None else planned.hold
    if planned is not None and wanted == now.wanted and causes.is_ignored(now.cause):
        return Rest(now.state, now.cause)  # until Lago asks for something else
    if wanted is None:
        posted = (now.xero_id is not None or now.by_hand) and now.synced is not None
        # A wait that has ended as a failure is over once there is nothing to wait for any more.
        stuck = posted and not causes.awaits_news(now.cause)
        as_before = now.wanted is None and (stuck or hold == now.cause)
        # The invoice lacks the credit, whatever keeps its note away by now.
        as_before |= causes.is_unplaced(now.cause) and hold not in causes.TAKEN_BACK
        if now.state == "failed" and planned is not None and as_before:
            return Rest("failed", now.cause)
        waits = planned is not None and planned.waits
        if not posted or (waits and now.open):
            until = planned.until if planned is not None else None
            return Rest("waiting" if waits else "skipped", hold, until)
        stays = hold if planned is None else planned.stays
        gone = stays is None or stays in causes.REMOVED
        if gone and now.by_hand:
            return Rest("skipped", hold)
        if gone or (now.draft and causes.ends_draft(stays)):
            return Rest("ready", hold)
        return Rest("synced", stays)
    # It is up to date in Xero, and yet of no use until somebody restores it.
    archived = (now.state, now.code) == ("failed", ARCHIVED) and kind == "contact"
    if archived and planned is not None and wanted in (now.synced, now.wanted):
        return Rest("failed", now.cause)
    # What is final in Lago and a draft in Xero is still to be approved.
    if wanted == now.synced and not (now.draft and not is_drafted(wanted)):
        by_hand = causes.PAID_BY_HAND if now.by_hand else None
        return Rest("synced", now.cause if now.cause in causes.NOTHING_SENT else by_hand)
    if now.by_hand:
        return Rest("synced", causes.PAID_BY_HAND, drift=True)
    if now.xero_id is not None and kind in IMMUTABLE and not now.open:
        return Rest("synced", drift=True)
    if now.state == "failed" and planned is not None and wanted == now.wanted:
        return Rest("failed", now.cause)
    return Rest("ready")
