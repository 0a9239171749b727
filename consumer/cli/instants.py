"""Instants: what a person types in, a time out."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(text: str) -> datetime:
    """An ISO 8601 day or time; in UTC where it names no offset. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
