"""Time zones: Xero's name of an organisation's zone in, the zone out.

Xero writes Windows' names in capitals without blanks, dots and hyphens (its OpenAPI file,
``TimeZone``): ``NEWZEALANDSTANDARDTIME``, ``CENTRALSTANDARDTIME(MEXICO)``, ``UTC+12``, ``UTC02``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import win_tz

from consumer.domain.chart import Chart
from consumer.domain.translate.types import Note

_WITHDRAWN = {
    "Kamchatka Standard Time": "Asia/Kamchatka",
    "Mid-Atlantic Standard Time": "Etc/GMT+2",
}
"""Names that Xero still has and Windows no longer."""


def zone_of(name: str) -> ZoneInfo | None:
    """None for a name that is unknown: UTC must do then."""
    try:
        return ZoneInfo(_names().get(_letters(name), name)) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        return None


def local_date(at: datetime | date, chart: Chart) -> date:
    """The calendar day in the Xero organisation's zone; an instant without an offset is UTC.

    A day is itself in every zone.
    """
    if not isinstance(at, datetime):
        return at
    instant = at if at.tzinfo else at.replace(tzinfo=UTC)
    return instant.astimezone(zone_of(chart.organisation.timezone) or UTC).date()


def zone_notes(chart: Chart) -> tuple[Note, ...]:
    """That dates are UTC's because the organisation's zone is not known."""
    name = chart.organisation.timezone
    return () if zone_of(name) is not None else (Note("timezone_unknown", name or "none"),)


@cache
def _names() -> Mapping[str, str]:
    return {_letters(name): zone for name, zone in {**_WITHDRAWN, **win_tz}.items()}


def _letters(name: str) -> str:
    """What is left of a name whoever writes it; no two zones differ in signs alone."""
    return "".join(filter(str.isalnum, name)).upper()
