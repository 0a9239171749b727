"""JSON of Xero's in; its figures, texts, messages and what it tells about a person out."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

_PERSONAL = (
    *("Name", "FirstName", "LastName", "EmailAddress", "PhoneNumber", "TaxNumber", "AttentionTo"),
    *(f"AddressLine{number}" for number in range(1, 5)),
)
_SHORTEST_PERSONAL = 2
"""A single letter tells of nobody; redacting it would make the text unreadable."""
_MARKER = re.compile(r"(?:^|\s)(Lago [0-9a-f]{16})\s*$")
_DIGITS = 15
"""Digits before the point that a figure of Xero's can have."""
_PLACES = 30
"""Digits after it; a text like 1e-999999999 would fill the memory when it is shown."""

_DATE = re.compile(r"/Date\((-?\d{1,18})(?:[+-]\d{4})?\)/")
_EPOCH = date(1970, 1, 1)


def parse(body: bytes) -> Mapping[str, object]:
    """The JSON object of a body, numbers with a point as Decimal; empty if it is none."""
    try:
        value = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation):
        return {}
    return value if isinstance(value, dict) else {}


def amount(value: object) -> Decimal | None:
    """A figure in major units, never by way of float; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or not -_PLACES <= exponent <= _DIGITS:
        return None
    return number if abs(number) < 10**_DIGITS else None


def day_of(value: object) -> date | None:
    """The day of ``/Date(1735603200000+0000)/``, midnight UTC of a calendar date (xero.md 5)."""
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        return _EPOCH + timedelta(milliseconds=int(match[1])) if match else None
    except OverflowError:
        return None


def listed(document: Mapping[str, object], name: str) -> list[object]:
    """The list of that name; empty if there is none."""
    value = document.get(name)
    return value if isinstance(value, list) else []


def text_of(value: object) -> str | None:
    """A text that can be stored: no NUL, no lone surrogate."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def marker_of(element: Mapping[str, object]) -> str | None:
    """Our marker at the end of an element's Reference, or of its only line's Description."""
    lines = [line for line in listed(element, "LineItems") if isinstance(line, Mapping)]
    texts = [element.get("Reference"), *(line.get("Description") for line in lines[:1])]
    found = (marker_in(text) for text in texts if isinstance(text, str))
    return next((one for one in found if one is not None), None)


def marker_in(text: str | None) -> str | None:
    """Our marker at the end of a text; None where it bears none: a person wrote it."""
    found = _MARKER.search(text or "")
    return found[1] if found else None


def messages_of(element: Mapping[str, object], name: str) -> list[str]:
    """The messages of every list of that name, the element's own first, then its parts'."""
    return [
        text
        for part in _parts(element)
        for entry in listed(part, name)
        if isinstance(entry, Mapping) and (text := text_of(entry.get("Message")))
    ]


def personal_of(element: Mapping[str, object]) -> list[str]:
    """What the element tells about a person, so that it can be kept out of texts."""
    found = (text_of(part.get(name)) for part in _parts(element) for name in _PERSONAL)
    return [text for text in found if text and len(text) >= _SHORTEST_PERSONAL]


def _parts(element: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The object and all objects inside it, outermost first; no recursion, depth is not ours."""
    found: list[Mapping[str, object]] = []
    queue: deque[object] = deque([element])
    while queue:
        value = queue.popleft()
        if isinstance(value, Mapping):
            found.append(value)
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)
    return found
