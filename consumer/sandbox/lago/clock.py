"""Lago's spelling of time: days and seconds of 2026 in, ISO texts out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from consumer.sandbox.lago.choices import Choices

_START = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS = 330


def instant(choices: Choices) -> datetime:
    """Some whole second of 2026, leaving room for payment terms within the year."""
    return _START + timedelta(
        days=choices.integer(0, _DAYS), seconds=choices.integer(0, 24 * 60 * 60 - 1)
    )


def iso(at: datetime) -> str:
    """As Lago writes datetimes: UTC, whole seconds, a Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(stamp: str, seconds: int) -> str:
    """A datetime in Lago's spelling, moved by whole seconds."""
    return iso(datetime.fromisoformat(stamp) + timedelta(seconds=seconds))
