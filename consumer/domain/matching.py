"""Matching: a frozen element and what Xero keeps in; the one that it made, or none, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from consumer.domain.answers import GONE, Saved
from consumer.domain.elements import amount, listed, marker_in, marker_of, parse
from consumer.domain.pairing import target, uuid

_APPROVED = ("AUTHORISED", "PAID")
_CENT = Decimal("0.01")
BY_HAND_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that disagrees: ids, codes and figures, never personal data."""

    field: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The number is taken in Xero by a document that is not the frozen one."""

    xero_id: UUID
    differences: tuple[Difference, ...]

    @property
    def sentence(self) -> str:
        """Both sides in plain words."""
        if [one.field for one in self.differences] == ["number"]:
            [number] = self.differences
            return (
                "Xero has another document whose number differs only in upper and lower case: "
                f"{number.theirs}, not {number.ours}."
            )
        parts = (f"{one.field} {one.theirs}, not {one.ours}" for one in self.differences)
        return f"The document with this number in Xero has {'; '.join(parts)}."


def match_removed(xero_id: UUID | None, found: Iterable[Saved]) -> Saved | None:
    """The document of that id if it is voided or deleted by now."""
    gone = (one for one in found if one.status in GONE)
    return next((one for one in gone if one.xero_id == xero_id), None)


def match_numbered(frozen: bytes, found: Iterable[Saved]) -> Saved | Mismatch | None:
    """The invoice or credit note that the frozen element made: number, contact, currency, totals.

    ``frozen`` is the element's JSON as sent. Nothing of that number: None. A voided or deleted
    holder of the number is a mismatch: Xero gives the number to nobody else. So is one whose number
    is the same but for its case, for Xero looks numbers up without regard to it.
    """
    sent = parse(frozen)
    number = str(sent.get("InvoiceNumber") or sent.get("CreditNoteNumber") or "").strip()
    alike = [
        one
        for one in found
        if number and (one.number or "").strip().casefold() == number.casefold()
    ]
    same = [one for one in alike if (one.number or "").strip() == number]
    if alike and not same:
        case = Difference("number", number, alike[0].number or "")
        return Mismatch(alike[0].xero_id, (case,))
    best: Mismatch | None = None
    for one in same:
        differences = _differences(sent, one)
        if not differences:
            return one
        if best is None or one.status not in GONE:
            best = Mismatch(one.xero_id, differences)
    return best


def match_draft(frozen: bytes, xero_id: UUID | None, found: Iterable[Saved]) -> Saved | str | None:
    """The document of that id if it is in the books as the frozen element would have it, or as gone;
    else what has become of the draft, None while it is one. What was to be voided is void, or None.

    ``frozen`` is the element's JSON: all of it, or a status alone.
    """
    sent = parse(frozen)
    one = next((one for one in found if one.xero_id == xero_id), None)
    if sent.get("Status") == "VOIDED":
        return one if one is not None and one.status in GONE else None
    if one is None:
        return "Xero does not have the draft any more."
    if sent.get("Status") in GONE:
        removed = one.status in GONE
        return one if removed else _approved("") if one.status in _APPROVED else None
    if one.status in GONE:
        return f"Somebody has deleted the draft in Xero: it is {one.status} there."
    if one.status not in _APPROVED:
        return None
    number = str(sent.get("InvoiceNumber") or sent.get("CreditNoteNumber") or "").strip()
    differences = list(_differences(sent, one))
    if (one.number or "").strip() != number:
        differences.insert(0, Difference("number", number, one.number or "nothing"))
    if not differences:
        return one
    parts = (f"{each.field} {each.theirs}, not {each.ours}" for each in differences)
    return _approved(f" with {'; '.join(parts)}")


def _approved(how: str) -> str:
    return f"Somebody has approved the draft in Xero{how}."


def match_contact(contact_number: str, found: Iterable[Saved]) -> Saved | None:
    """The contact of that ContactNumber; its status may be ARCHIVED, see ``merged_to`` then."""
    wanted = contact_number.casefold()
    same = [one for one in found if (one.number or "").casefold() == wanted]
    return next((one for one in same if one.status != "ARCHIVED"), same[0] if same else None)


def match_allocations(frozen: bytes, found: Iterable[Saved]) -> list[Saved]:
    """Those that the frozen element may have made: to the same invoice, of the same amount."""
    sent = parse(frozen)
    on, total = target(sent), amount(sent.get("Amount"))
    return [one for one in found if on is not None and (one.target_id, one.total) == (on, total)]


def match_payments(frozen: bytes, found: Iterable[Saved]) -> list[Saved]:
    """Those that the frozen element has made, by the marker at the end of its Reference: what a person
    wrote before it Xero may keep otherwise, and one that was overlooked would be made twice.

    The amount and the document must agree as well; one that was deleted is none.
    """
    sent = parse(frozen)
    on, marker = target(sent), marker_of(sent)
    same = (marker, on, amount(sent.get("Amount")))
    return [
        one
        for one in found
        if None not in (on, marker)
        and (marker_in(one.number), one.target_id, one.total) == same
        and one.status not in GONE
    ]


def match_marked(frozen: bytes, found: Iterable[Saved]) -> list[Saved]:
    """Those that bear the frozen element's marker, whatever their amount: no two documents share one."""
    marker = marker_of(parse(frozen))
    return [
        one
        for one in found
        if marker is not None and marker_in(one.number) == marker and one.status not in GONE
    ]


def match_by_hand(
    frozen: bytes, found: Iterable[Saved], own_day: date | None = None
) -> list[Saved]:
    """The payments on the frozen element's document that somebody may have entered in its place, the
    nearest in time first: of the same amount, and ``_entered``.

    Args:
        own_day: Lago's, where a lock date had it sent with another.
    """
    sent = parse(frozen)
    same = (target(sent), amount(sent.get("Amount")))
    near = _entered(sent, own_day, found)
    return [one for one in near if one.target_id and (one.target_id, one.total) == same]


def match_overpayments_by_hand(
    frozen: bytes, found: Iterable[Saved], own_day: date | None = None
) -> tuple[list[Saved], list[Saved]]:
    """The customer's overpayments in the frozen element's currency that are ``_entered``, the nearest in
    time first: those of its amount, and others, which may have its money in them.

    Args:
        own_day: as for ``match_by_hand``.
    """
    sent = parse(frozen)
    contact = sent.get("Contact")
    whose = uuid(contact.get("ContactID")) if isinstance(contact, Mapping) else None
    same = (whose, sent.get("CurrencyCode"))
    near = [
        one
        for one in _entered(sent, own_day, found)
        if one.contact_id and (one.contact_id, one.currency) == same
    ]
    total = _line_total(sent)
    return [one for one in near if one.total == total], [one for one in near if one.total != total]


def _entered(
    sent: Mapping[str, object], own_day: date | None, found: Iterable[Saved]
) -> list[Saved]:
    """What a person entered, so without our marker, within seven days of the element's date or its own
    day, the nearest first (ACCOUNTING.md 6)."""
    days = {date.fromisoformat(str(sent.get("Date"))), own_day} - {None}
    apart = {
        one: min(abs(one.dated - day) for day in days if day is not None)
        for one in found
        if one.dated is not None and one.status not in GONE and marker_in(one.number) is None
    }
    near = [one for one, between in apart.items() if between <= BY_HAND_WITHIN]
    return sorted(near, key=lambda one: apart[one])


def match_overpayments(frozen: bytes, found: Iterable[Saved]) -> list[Saved]:
    """The overpayments that the frozen element made, by its marker; as for payments, but on whatever
    contact: a person who merges the customer's moves them onto another.
    """
    sent = parse(frozen)
    marker = marker_of(sent)
    same = (marker, sent.get("CurrencyCode"), _line_total(sent))
    return [
        one
        for one in found
        if (one.number, one.currency, one.total) == same
        and marker is not None
        and one.status not in GONE
    ]


def _line_total(sent: Mapping[str, object]) -> Decimal:
    lines = [line for line in listed(sent, "LineItems") if isinstance(line, Mapping)]
    return sum((amount(line.get("LineAmount")) or Decimal(0) for line in lines), Decimal(0))


def _differences(sent: Mapping[str, object], one: Saved) -> tuple[Difference, ...]:
    contact = sent.get("Contact")
    contact_id = contact.get("ContactID") if isinstance(contact, Mapping) else None
    net, tax = _totals(sent)
    sides: tuple[tuple[str, object, object], ...] = (
        ("contact", str(contact_id).lower(), one.contact_id and str(one.contact_id)),
        ("currency", sent.get("CurrencyCode"), one.currency),
        ("net", net, one.net),
        ("tax", tax, one.tax),
        ("total", net + tax, one.total),
    )
    found = [Difference(name, plain(a), plain(b)) for name, a, b in sides if a != b]
    if one.status in GONE:
        found.append(Difference("status", plain(sent.get("Status")), plain(one.status)))
    return tuple(found)


def plain(value: object) -> str:
    """As people read it: amounts with two decimals at least."""
    if isinstance(value, Decimal):
        cents = value.quantize(_CENT)
        return f"{cents if cents == value else value:f}"
    return "nothing" if value is None else str(value)


def _totals(sent: Mapping[str, object]) -> tuple[Decimal, Decimal]:
    """Net and tax of the frozen lines as Xero adds them up: each line to the cent, then the sum."""
    lines = sent.get("LineItems")
    priced = (
        [line for line in lines if isinstance(line, Mapping)] if isinstance(lines, list) else []
    )
    tax = sum((amount(line.get("TaxAmount")) or Decimal(0) for line in priced), Decimal(0))
    return sum((_net(line) for line in priced), Decimal(0)), tax


def _net(line: Mapping[str, object]) -> Decimal:
    given = amount(line.get("LineAmount"))
    if given is not None:
        return given
    quantity, price, discount = (
        amount(line.get(name)) or Decimal(0)
        for name in ("Quantity", "UnitAmount", "DiscountAmount")
    )
    return (quantity * price - discount).quantize(_CENT, ROUND_HALF_UP)
