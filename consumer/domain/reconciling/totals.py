"""Control totals: both sides in; count and sums by kind, currency and status out, and what is on neither yet.

A status is what money and removals make of a document, by the same rule on both sides: VOIDED, DRAFT, else
PAID where nothing is left of it, else AUTHORISED. Payments, refunds and overpayments are AUTHORISED while
they stand; what is deleted counts on neither side. Nothing is outstanding on what is voided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from consumer.domain.answers import GONE
from consumer.domain.documents import DRAFTS, State
from consumer.domain.reconciling.period import Period
from consumer.domain.reconciling.sides import ZERO, Entry, Shown, Sides, mirror_kind

Figures = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Count, net, tax, gross, paid, credited, outstanding."""
_NOTHING: Figures = (0, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Total:
    """The same sums on both sides; refunds are payments on credit notes, as in Xero."""

    kind: str
    currency: str
    status: str
    ledger: Figures
    xero: Figures

    @property
    def agrees(self) -> bool:
        """Whether all of them are equal."""
        return self.ledger == self.xero


def control_totals(sides: Sides, period: Period) -> tuple[Total, ...]:
    """By kind, currency and status, in this order; what is dated in the period on each side."""
    ledger = _added(_ledger(sides, period))
    xero = _added(_xero(sides, period))
    return tuple(
        Total(*key, ledger.get(key, _NOTHING), xero.get(key, _NOTHING))
        for key in sorted(ledger.keys() | xero.keys())
    )


@dataclass(frozen=True, slots=True)
class ToCome:
    """What Lago asks for and Xero does not have yet; ``gross`` as far as Lago tells it."""

    kind: str
    currency: str
    state: State
    count: int
    gross: Decimal


def to_come(sides: Sides, period: Period) -> tuple[ToCome, ...]:
    """By kind, currency and state, in this order; what is dated in the period or has no date."""
    sums: dict[tuple[str, str, State], tuple[int, Decimal]] = {}
    for entry in sides.entries:
        kind = mirror_kind(entry.kind)
        if kind is None or not entry.to_come or not (entry.dated is None or entry.dated in period):
            continue
        key = kind, entry.currency or "", entry.state
        count, gross = sums.get(key, (0, ZERO))
        sums[key] = count + 1, gross + (entry.asked or ZERO)
    return tuple(ToCome(*key, *sums[key]) for key in sorted(sums))


class Settling:
    """What the ledger has on invoices and takes from credit notes, of both sides' documents."""

    def __init__(self, sides: Sides) -> None:
        self._on: dict[tuple[str, UUID | None], list[Entry]] = {}
        for entry in (*sides.entries, *sides.around):
            if not entry.in_xero:
                continue
            if entry.kind in ("payment", "allocation"):
                self._on.setdefault(("invoice", entry.target), []).append(entry)
            if entry.kind in ("refund", "allocation"):
                self._on.setdefault(("credit_note", entry.source), []).append(entry)

    def of(self, entry: Entry) -> Sequence[Entry]:
        """An invoice's payments and allocations, a credit note's refunds and allocations."""
        return self._on.get((entry.kind, entry.lago_id), ())

    def paid_and_credited(self, entry: Entry) -> tuple[Decimal, Decimal]:
        """Payments or refunds, and allocations."""
        paid = credited = ZERO
        for one in self.of(entry):
            if one.kind == "allocation":
                credited += one.total or ZERO
            else:
                paid += one.total or ZERO
        return paid, credited


def _added(rows: Iterable[tuple[Key, Figures]]) -> dict[Key, Figures]:
    sums: dict[Key, Figures] = {}
    for key, more in rows:
        n, *amounts = sums.get(key, _NOTHING)
        sums[key] = (n + more[0], *(a + b for a, b in zip(amounts, more[1:], strict=True)))  # type: ignore[assignment]
    return sums


def _ledger(sides: Sides, period: Period) -> Iterator[tuple[Key, Figures]]:
    settling = Settling(sides)
    for entry in sides.entries:
        kind = mirror_kind(entry.kind)
        removed = entry.xero_id is not None and not entry.posted and entry.status in GONE
        if kind is None or entry.dated not in period or not (entry.in_xero or removed):
            continue
        if kind not in ("invoice", "credit_note"):
            if not removed:
                yield (kind, entry.currency or "", "AUTHORISED"), _sum(entry.total)
            continue
        if entry.status == "DELETED":
            continue
        paid, credited = (ZERO, ZERO) if removed else settling.paid_and_credited(entry)
        status = "VOIDED" if removed else entry.status if entry.draft else None
        yield _document(kind, entry, paid, credited, status)


def _xero(sides: Sides, period: Period) -> Iterator[tuple[Key, Figures]]:
    for shown in sides.shown.values():
        known = shown.ours or shown.holder is not None
        if shown.dated not in period or not known or shown.status == "DELETED":
            continue
        if shown.kind not in ("invoice", "credit_note"):
            if not shown.gone:
                yield (shown.kind, shown.currency or "", "AUTHORISED"), _sum(shown.total)
            continue
        fixed = shown.status if shown.gone or shown.status in DRAFTS else None
        paid, credited = (
            (ZERO, ZERO) if shown.gone else (shown.paid or ZERO, shown.credited or ZERO)
        )
        yield _document(shown.kind, shown, paid, credited, fixed)


def _document(
    kind: str, of: Entry | Shown, paid: Decimal, credited: Decimal, status: str | None
) -> tuple[Key, Figures]:
    total = of.total or ZERO
    left = ZERO if status == "VOIDED" else total - paid - credited
    status = status or ("PAID" if left == 0 else "AUTHORISED")
    key = kind, of.currency or "", status
    return key, (1, of.net or ZERO, of.tax or ZERO, total, paid, credited, left)


def _sum(total: Decimal | None) -> Figures:
    return 1, ZERO, ZERO, total or ZERO, ZERO, ZERO, ZERO
