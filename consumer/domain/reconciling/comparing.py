"""Comparing: both sides of a connection and period in; every exception out, each act of a person's once.

What explains another is told alone: money on an invoice that a person settled is the invoice's exception,
a payment that a person entered anew is that of the payment it replaces, and a document whose currency
differs is not told to differ in its amounts as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from consumer.domain.explain import explain
from consumer.domain.matching import BY_HAND_WITHIN, Difference
from consumer.domain.reconciling import fields
from consumer.domain.reconciling.exceptions import Discrepancy
from consumer.domain.reconciling.fields import about, found, plain, shown_alone
from consumer.domain.reconciling.period import Period
from consumer.domain.reconciling.proposals import (
    PASSING,
    RETRY_ADOPTS,
    RETRY_PASSING,
    after,
)
from consumer.domain.reconciling.sides import ZERO, Entry, Shown, Sides
from consumer.domain.reconciling.totals import Settling
from consumer.domain.translate.locks import LOCK

Look = tuple[object, ...]
_MONEY = ("payment", "refund", "overpayment")


def compare(sides: Sides, period: Period) -> tuple[Discrepancy, ...]:
    """All exceptions, in the ledger's order; what only Xero has comes last.

    A document that was sent or removed while Xero was being read may differ for that alone: it is in
    flight then.
    """
    comparison = _Comparison(sides)
    exceptions: list[Discrepancy] = []
    for entry in sides.entries:
        told = list(comparison.of(entry))
        if entry.moved and any(one.name != "fallback" for one in told):
            told = [found("in_flight", entry, "It was sent while Xero was being read.")]
        exceptions += (replace(one, on=comparison.on(entry)) for one in told)
    return (*exceptions, *comparison.beyond_the_ledger(period))


class _Comparison:
    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.every = (*sides.entries, *sides.around)
        self.unknown = {
            key: one for key, one in sides.shown.items() if one.holder is None and not one.gone
        }
        self.explained: set[tuple[str, object]] = set()
        self.by_person: dict[UUID | None, list[Shown]] = {}
        for one in self.unknown.values():
            if one.kind == "payment" and one.number is None:
                self.by_person.setdefault(one.target_id, []).append(one)
        self.numbered: dict[Look, Shown] = {
            (one.kind, one.number.casefold()): one
            for one in self.unknown.values()
            if one.number and not _marked(one)
        }
        self.looks = self._looks()
        self.sending = any(one.state == "sending" for one in self.every)
        self.settling = Settling(sides)
        self.notes = {one.lago_id: one for one in self.every if one.kind == "credit_note"}
        self.numbers: dict[UUID | None, str | None] = {
            id: one.number
            for one in self.every
            if one.kind in ("invoice", "credit_note")
            for id in (one.lago_id, one.shown_as)
            if id is not None
        }
        self.compared = {one.id for one in sides.entries}
        here = [one for one in sides.entries if one.kind == "invoice" and one.in_xero]
        self.here = {one.xero_id for one in here}
        self.invoices_here = {one.lago_id for one in here}
        self.lost = {one.id for one in self.every if self._lost(one)}
        self.replaced = {
            one.id: self._replacement(one) for one in self.every if one.id in self.lost
        }

    def _looks(self) -> dict[Look, Entry]:
        """What stands in Xero of the ledger's documents, by what a copy of it would show too."""
        looks: dict[Look, Entry] = {}
        for entry in self.sides.entries:
            shown = self.sides.of(entry) if entry.in_xero else None
            if shown is not None and not shown.gone:
                looks.setdefault(
                    (shown.kind, shown.number) if _marked(shown) else _face(shown), entry
                )
        return looks

    def on(self, entry: Entry) -> str | None:
        """The number of what money or an allocation is on."""
        if entry.kind in ("invoice", "credit_note"):
            return None
        return self.numbers.get(entry.target) or self.numbers.get(entry.source)

    # ── A document of the ledger ──────────────────────────────────────────────────────────────────

    def of(self, entry: Entry) -> Iterator[Discrepancy]:
        """What is told of it."""
        held = (entry.cause or "").partition("@")[0] == LOCK or entry.code == "locked_period"
        if entry.state == "failed" and not held:
            yield self._failed(entry)
        elif entry.state in ("waiting", "ready", "sending", "failed"):
            told = found("locked" if held else "in_flight", entry, _explained(entry))
            if entry.state == "failed":
                told = replace(told, repair=f"{told.repair} {after(entry)}")
            yield told
        elif entry.in_xero:
            yield from self._posted(entry)
        elif entry.xero_id is not None and (shown := self.sides.of(entry)) and not shown.gone:
            cause = "The ledger has removed it, and Xero has it still."
            yield found("status", entry, cause, differences=_pair("status", "VOIDED", shown.status))

    def _failed(self, entry: Entry) -> Discrepancy:
        why = f"It failed as {entry.code}: {entry.said or ''}".rstrip(": ")
        again = f"{entry.hint or ''} {after(entry)}".lstrip()
        if entry.xero_id is not None:
            return found(
                "status", entry, why, repair=again, safety="needs_approval", since=entry.failed_at
            )
        told = found(
            "missing_in_xero", entry, why, repair=again, safety="needs_approval",
            since=entry.failed_at,
        )  # fmt: skip
        there = self.numbered.get((entry.kind, (entry.number or "").casefold()))
        if there is not None:
            self.explained.add((there.kind, there.xero_id))
            differences = fields.identity(entry, there, self.sides)
            told = replace(told, xero_id=there.xero_id, differences=differences)
            if not differences and there.status in ("AUTHORISED", "PAID"):
                return replace(told, repair=RETRY_ADOPTS, safety="automatic", action="retry")
        elif entry.code in PASSING:
            return replace(told, repair=RETRY_PASSING, safety="automatic", action="retry")
        return told

    def _posted(self, entry: Entry) -> Iterator[Discrepancy]:
        if entry.kind == "contact":
            return
        if entry.fallback is not None:
            yield replace(
                found("fallback", entry, "It lacked a mapping when it was posted."),
                amount=entry.fallback,
            )
        if entry.kind == "allocation":
            if not self._allocated(entry):
                cause = "Somebody has taken the allocation off the credit note."
                yield found("unallocated_credit", entry, cause)
            return
        shown = self.sides.of(entry)
        if entry.kind in _MONEY and entry.id in self.lost:
            yield self._lost_money(entry, shown)
        elif shown is None:
            yield found("missing_in_xero", entry, "Xero does not show it any more.")
        elif shown.gone:
            if entry.wanted:
                how = "voided" if shown.status == "VOIDED" else "deleted"
                yield found(
                    "status", entry, f"Somebody has {how} it in Xero.",
                    differences=_pair("status", "DRAFT" if entry.draft else "AUTHORISED", shown.status),
                )  # fmt: skip
        else:
            if entry.draft != (shown.status in fields.DRAFTS) and entry.kind not in _MONEY:
                cause = "Somebody has approved the draft in Xero."
                there = cause if entry.draft else "It is a draft in Xero."
                yield found(
                    "status", entry, there,
                    differences=_pair("status", entry.status, shown.status),
                )  # fmt: skip
            yield from fields.differing(entry, shown, self.sides)
            if entry.kind in ("invoice", "credit_note"):
                yield from self._settled(entry, shown)

    # ── Money ─────────────────────────────────────────────────────────────────────────────────────

    def _lost(self, entry: Entry) -> bool:
        if entry.kind not in _MONEY or not entry.in_xero or entry.state != "synced":
            return False
        shown = self.sides.of(entry)
        # Around the period Xero may not have been read: what is not seen there is taken for present.
        return shown.gone if shown is not None else entry.id in self.compared

    def _replacement(self, entry: Entry) -> Shown | None:
        """The payment that somebody entered in its place: as much on the same document, about then."""
        was = self.sides.of(entry)
        for one in self.by_person.get(was.target_id, ()) if was is not None else ():
            key = one.kind, one.xero_id
            near = one.dated and entry.dated and abs(one.dated - entry.dated) <= BY_HAND_WITHIN
            if near and key not in self.explained and one.total == entry.total:
                self.explained.add(key)
                return one
        return None

    def _lost_money(self, entry: Entry, shown: Shown | None) -> Discrepancy:
        status = shown.status if shown is not None else None
        gone = "Somebody has deleted the payment in Xero"
        theirs = self.replaced[entry.id]
        if theirs is None:
            differences = _pair("status", "AUTHORISED", status)
            return found("payment_missing", entry, f"{gone}.", differences=differences)
        differences = _pair("payment", entry.shown_as, theirs.xero_id)
        if theirs.account in self.sides.accounts:
            cause = f"{gone} and entered it anew: {theirs.xero_id}."
            return found("payment_missing", entry, cause, differences=differences)
        return found(
            "payment_account", entry,
            f"{gone} and entered it anew on account {theirs.account}: {theirs.xero_id}.",
            differences=(*_pair("account", self._accounts(), theirs.account), *differences),
        )  # fmt: skip

    def _accounts(self) -> str:
        return ", ".join(sorted(self.sides.accounts))

    def _allocated(self, entry: Entry) -> bool:
        """Whether the credit note still shows the allocation; also where the note was not read, or is
        told of itself."""
        note = self.notes.get(entry.source)
        shown = self.sides.of(note) if note is not None else None
        if shown is None or shown.gone:
            return True
        return any(one.xero_id == entry.xero_id for one in shown.allocations) or any(
            one.xero_id is None and one.amount == entry.total for one in shown.allocations
        )

    def _settled(self, entry: Entry, shown: Shown) -> Iterator[Discrepancy]:
        """Money and credit that the ledger knows nothing of."""
        by_person = [
            one
            for one in self.by_person.get(shown.xero_id, ())
            if (one.kind, one.xero_id) not in self.explained
        ]
        paid, credited = self.settling.paid_and_credited(entry)
        beyond = self._credit_beyond(entry, shown)
        if not by_person and beyond <= 0:
            return
        left = (shown.total or ZERO) - paid - credited
        differences = (
            *_pair("paid", plain(paid), plain(shown.paid)) * bool(by_person),
            *_pair("credited", plain(credited), plain(shown.credited)) * (beyond > 0),
        )
        if shown.due == 0 and left > 0:
            self.explained |= {(one.kind, one.xero_id) for one in by_person}
            yield found(
                "status", entry, "Somebody has settled it in Xero; Lago has it open.",
                differences=(*_pair("status", "AUTHORISED", shown.status), *differences),
            )  # fmt: skip
        elif beyond > 0:
            cause = f"Somebody has set credit against it in Xero: {plain(beyond)}."
            yield found("edited", entry, cause, differences=differences[-1:])

    def _credit_beyond(self, entry: Entry, shown: Shown) -> Decimal:
        """Credit on an invoice, or taken from a note, that is no allocation of ours."""
        ours = [one for one in self.settling.of(entry) if one.kind == "allocation"]
        standing = sum((one.total or ZERO for one in ours if self._allocated(one)), ZERO)
        if entry.kind == "invoice":
            return (shown.credited or ZERO) - standing
        # What a person set against an invoice that is compared too, is told there.
        elsewhere = (one.amount for one in shown.allocations if one.invoice_id in self.here)
        told = sum(elsewhere, ZERO) - sum(
            (
                one.total or ZERO
                for one in ours
                if one.target in self.invoices_here and self._allocated(one)
            ),
            ZERO,
        )
        return (shown.credited or ZERO) - standing - told

    # ── What only Xero has ────────────────────────────────────────────────────────────────────────

    def beyond_the_ledger(self, period: Period) -> Iterator[Discrepancy]:
        """Documents of the period on our customers, and payments on their invoices, that are no one's."""
        for key, one in self.unknown.items():
            if key in self.explained or one.dated not in period or not one.ours:
                continue
            if one.number and (one.kind, one.number.casefold()) in self.sides.unsent:
                continue  # the ledger's own document of that number says what it waits for
            if twin := self._twin(one):
                cause = f"It looks like document {twin.id}, {about(twin)}."
                yield shown_alone("duplicate", one, cause, self.numbers.get(one.target_id))
            elif not self._arriving(one):
                cause = "No document of Lago's asks for it."
                yield shown_alone("extra_in_xero", one, cause, self.numbers.get(one.target_id))

    def _twin(self, one: Shown) -> Entry | None:
        """The document of ours that it repeats: by our marker, or in contact, currency, day and total."""
        if _marked(one):
            return self.looks.get((one.kind, one.number))
        return self.looks.get(_face(one)) if one.kind != "payment" else None

    def _arriving(self, one: Shown) -> bool:
        """Whether it bears our marker while something of ours is on its way there."""
        return _marked(one) and self.sending


def _marked(one: Shown) -> bool:
    return one.kind in ("payment", "overpayment") and one.number is not None


def _face(one: Shown) -> Look:
    return one.kind, one.contact_id, one.currency, one.dated, one.total


def _pair(field: str, ours: object, theirs: object) -> tuple[Difference, ...]:
    return (Difference(field, plain(ours), plain(theirs)),)


def _explained(entry: Entry) -> str:
    return explain(
        entry.state, entry.cause, entry.code, entry.said, drift=entry.drift, draft=entry.draft
    )
