"""Periods: what a person writes in, the first and the last day out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """From ``first`` to ``last``, both included."""

    first: date
    last: date

    def __contains__(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


def parse_period(text: str, today: date) -> Period:
    """``2026-10``, ``previous`` (the month before today's) or ``2026-10-01..2026-10-31``.

    Raises:
        ValueError: it is none of these, or ends before it begins.
    """
    if text == "previous":
        last = today.replace(day=1) - timedelta(days=1)
        return Period(last.replace(day=1), last)
    if month := _MONTH.fullmatch(text):
        first = date(int(month[1]), int(month[2]), 1)
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        return Period(first, following - timedelta(days=1))
    begin, dots, end = text.partition("..")
    if not dots:
        raise ValueError(f"{text!r} is not a month, previous, or FROM..TO")
    period = Period(date.fromisoformat(begin), date.fromisoformat(end))
    if period.last < period.first:
        raise ValueError(f"{text} ends before it begins")
    return period
