"""Credit notes: a note, the invoice it corrects and those that consume it in; its documents out.

ACCOUNTING.md 5. A note has up to three parts: *offset* lowers what its own invoice has open, *credit*
stays until later invoices consume it, *refund* is paid back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from consumer.domain import causes
from consumer.domain.documents import CLEARING, OFFSET, Planned, before_start
from consumer.domain.fingerprints import digest, fingerprint
from consumer.domain.mapping import Connection
from consumer.domain.objects import Object, credit_note_of
from consumer.domain.operations import DocumentKind
from schemas import lago


def plan_credit_note(
    note: Object,
    invoice: Object | None,
    connections: Mapping[int, Connection],
    *,
    partners: bool = False,
) -> list[Planned]:
    """The note itself, its offset and its refund, in the connection of the invoice it corrects;
    ``partners``: its customer is a partner."""
    facts = credit_note_of(note)
    home = invoice.connection_id if invoice is not None else None
    connection = connections.get(home) if home is not None else None
    hold, waits = _why_not(note, facts, invoice, connection)
    if partners:
        hold, waits = causes.PARTNER, False
    number = facts.number if facts else None
    document = Planned(
        kind="credit_note",
        lago_id=note.key.lago_id,
        customer_id=invoice.customer_id if invoice is not None else note.customer_id,
        connection_id=None if connection is None else connection.id,
        tenant_id=None if connection is None else connection.tenant_id,
        wanted=fingerprint(facts) if facts is not None and hold is None else None,
        hold=hold,
        waits=waits,
        stays=None if hold == causes.CREDIT_VOIDED else hold,
        number=f"{connection.number_prefix if connection else ''}{number}" if number else None,
        currency=facts.currency if facts else None,
        dated=facts.issuing_date if facts else None,
        findings=("credit_voided",) if hold is None and _voided(facts) else (),
    )
    if facts is None:
        return [document]
    return [document, *_parts(document, facts, connection)]


def _parts(
    document: Planned, facts: lago.CreditNote, connection: Connection | None
) -> Iterator[Planned]:
    """Offset and refund; what a note does not have is no document."""
    if facts.offset_amount_cents and facts.lago_invoice_id is not None:
        yield part_of(
            document,
            kind="allocation",
            lago_id=document.lago_id,
            part=OFFSET,
            source=document.lago_id,
            target=facts.lago_invoice_id,
            amount_cents=facts.offset_amount_cents,
        )
    if facts.refund_amount_cents:
        failed = causes.REFUND_FAILED if facts.refund_status == "failed" else None
        pending, waits = (None if facts.refund_status else causes.REFUND_NOT_BEGUN), False
        unsure = facts.refund_status == "pending"
        if unsure and connection is not None and connection.refunds == "when_succeeded":
            pending, waits = causes.policy("refunds", connection.code), True
        yield part_of(
            document,
            kind="refund",
            lago_id=document.lago_id,
            source=document.lago_id,
            amount_cents=facts.refund_amount_cents,
            hold=failed or pending,
            waits=waits,
            stays=pending,
        )


def part_of(
    document: Planned,
    *,
    kind: DocumentKind,
    lago_id: UUID,
    amount_cents: int,
    part: str = "",
    source: UUID | None = None,
    target: UUID | None = None,
    hold: str | None = None,
    waits: bool = False,
    stays: str | None = None,
    findings: tuple[str, ...] = (),
    optional: bool = False,
) -> Planned:
    """A document that rests on another: wanted only while that one is."""
    if document.wanted is None:
        hold, waits, stays = document.hold, document.waits, document.stays
    facts = [kind, part, str(source), str(target), amount_cents, document.currency]
    return Planned(
        kind=kind,
        lago_id=lago_id,
        part=part,
        source=source,
        target=target,
        amount_cents=amount_cents,
        customer_id=document.customer_id,
        connection_id=document.connection_id,
        tenant_id=document.tenant_id,
        wanted=digest(facts) if hold is None else None,
        hold=hold,
        waits=waits,
        stays=stays,
        currency=document.currency,
        dated=document.dated,
        findings=findings,
        optional=optional,
    )


@dataclass(frozen=True, slots=True)
class Placed:
    """How an invoice, as Xero was asked for it, has the credits that it consumes: left to allocations, as
    lines on the clearing account, or (all others) as plain lines. It stays so."""

    allocated: frozenset[UUID] = frozenset()
    cleared: frozenset[UUID] = frozenset()


def consumed(invoice: Object) -> dict[UUID, lago.Credit]:
    """The notes' ids that an invoice consumes, and how much of each; none while it has no content."""
    told = invoice.value("credits") if invoice.value("content") is not None else None
    return {
        credit.item.lago_item_id: credit
        for credit in map(lago.Credit.model_validate, told or ())
        if credit.item is not None
        and credit.item.type == "credit_note"
        and credit.item.lago_item_id is not None
    }


def plan_allocations(
    document: Planned,
    invoice: Object,
    notes: Mapping[UUID, Object],
    invoices: Mapping[UUID, Object],
    connection: Connection | None,
    placed: Placed | None = None,
    there: Collection[tuple[UUID, int]] = (),
) -> list[Planned]:
    """What the invoice consumes of notes: wanted where Xero has the note or will have it.

    Each credit has an allocation or, by policy, a refund that clears its line. The rest are negative
    lines of an invoice that is still to be sent.

    Args:
        document: the invoice's own.
        placed: as Xero was asked for the invoice; None while it was not.
        there: the notes that Xero has or may have, by id and connection.
    """
    if connection is None or invoice.value("status") == "draft":
        return []
    if document.hold in causes.TAKEN_BACK and document.stays is not None:
        document = replace(document, wanted=b"")  # what stays keeps its credits
    plans = []
    for note_id, credit in consumed(invoice).items():
        hold = _never(notes.get(note_id), invoices, connection, there)
        id = credit.lago_id
        if placed is None:
            otherwise = causes.policy("consumed_credits", connection.code)
            allocation, clearing = not connection.clears, connection.clears
        else:
            allocation, clearing = id in placed.allocated, id in placed.cleared
            otherwise = causes.ALLOCATED if allocation else causes.DEDUCTED
        ways: tuple[tuple[DocumentKind, UUID, str, bool], ...] = (
            ("allocation", id, "", allocation),
            ("refund", note_id, f"{CLEARING}{id}", clearing),
        )
        for kind, lago_id, part, chosen in ways:
            why = hold if chosen else otherwise
            plans.append(
                part_of(
                    document,
                    kind=kind,
                    lago_id=lago_id,
                    part=part,
                    source=note_id,
                    target=invoice.key.lago_id,
                    amount_cents=credit.amount_cents,
                    hold=why,
                    stays=why,
                    findings=("inter_entity",) if why == causes.ELSEWHERE else (),
                    optional=not chosen,
                )
            )
    return plans


def _never(
    note: Object | None,
    invoices: Mapping[UUID, Object],
    connection: Connection,
    there: Collection[tuple[UUID, int]],
) -> str | None:
    """Why a note will not be in this connection's Xero organisation, as far as is known. One that is there
    stays, whatever a switch or a date says since: as a line too, its credit would be given twice."""
    if note is not None and (note.key.lago_id, connection.id) in there:
        return None
    if not connection.sync_credit_notes:
        return causes.switched_off("credit_notes", connection.code)
    if note is None:
        return None
    corrected = invoices.get(note.invoice_ids[0]) if note.invoice_ids else None
    if corrected is not None and corrected.connection_id not in (None, connection.id):
        return causes.ELSEWHERE
    hold, waits = _why_not(note, credit_note_of(note), corrected, connection)
    # What an invoice consumes was used before Lago voided the rest: it stays allocated if Xero has the note,
    # and is left out with it if not.
    return None if waits or hold == causes.CREDIT_VOIDED else hold


def _voided(facts: lago.CreditNote | None) -> bool:
    """Whether Lago took back what is left of the credit. A note of nothing else is none any more; what was
    offset or refunded stays, and with it the note (ACCOUNTING.md 5)."""
    return facts is not None and facts.credit_status == "voided"


def _why_not(
    note: Object,
    facts: lago.CreditNote | None,
    invoice: Object | None,
    connection: Connection | None,
) -> tuple[str | None, bool]:
    """Why the note is not to be posted, and whether that will pass."""
    if facts is None:
        return causes.content(note.key.lago_id), True
    if facts.self_billed:
        return causes.SELF_BILLED, False
    if _voided(facts) and not facts.offset_amount_cents and not facts.refund_amount_cents:
        return causes.CREDIT_VOIDED, False
    if invoice is None:
        return causes.invoice_unknown(facts.lago_invoice_id), True
    if connection is None:
        return causes.nowhere(invoice.key.lago_id, invoice.customer_id), True
    if not connection.sync_credit_notes:
        return causes.switched_off("credit_notes", connection.code), False
    if before_start(connection, facts.issuing_date):
        return causes.before_start(connection.code), False
    return None, False
