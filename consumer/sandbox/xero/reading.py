"""A request body in, its elements and typed fields out; what cannot be read is Xero's error 14."""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from consumer.sandbox.xero.answers import (
    ZERO_GUID,
    ApiError,
    Json,
    nothing_processed,
    post_data_invalid,
)

_JSON_DATE = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")


def unreadable(detail: str) -> ApiError:
    """The whole request is refused, without a word about its elements."""
    return ApiError(post_data_invalid(detail))


def _no_constant(name: str) -> Decimal:
    raise ValueError(f"{name} is not a number")


def document(body: bytes) -> Json:
    """The JSON object of a body."""
    try:
        value = json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise unreadable(f" {error}") from None
    if not isinstance(value, dict):
        raise unreadable(" an object was expected")
    return value


def count(body: Json) -> int:
    """How many elements a body carries."""
    for value in body.values():
        if len(body) == 1 and isinstance(value, list):
            return len(value)
    return 1 if body else 0


def elements(body: Json, collection: str, kind: str, known: frozenset[str]) -> list[Json]:
    """The elements of ``{"Invoices": […]}``, of one bare object, or error 17."""
    if collection in body:
        value = body[collection]
        found = [value] if isinstance(value, dict) else value
    else:
        found = [body] if known & body.keys() else None
    if not found:
        raise ApiError(nothing_processed(kind))
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise unreadable(f" {collection} must hold objects")
    return found


def text(element: Mapping[str, object], name: str) -> str | None:
    """A text field; null is as good as absent."""
    value = element.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        raise unreadable(f" {name} must be text")
    return str(value)


def decimal(element: Mapping[str, object], name: str) -> Decimal | None:
    """A number, also in quotes, of at most 13 digits before the point."""
    value = element.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise unreadable(f" {name} must be a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise unreadable(f" Could not convert string to decimal: {value}. Path '{name}'") from None
    if not number.is_finite() or abs(number) >= 10**13:
        raise unreadable(f" {name} is out of range")
    return number


def date(element: Mapping[str, object], name: str) -> datetime.date | None:
    """A calendar date: ``2026-01-31``, with a time behind it, or ``/Date(ms)/``."""
    value = text(element, name)
    if not value:
        return None
    match = _JSON_DATE.match(value)
    try:
        if match:
            at = int(match.group(1)) / 1000
            return datetime.datetime.fromtimestamp(at, datetime.UTC).date()
        return datetime.datetime.fromisoformat(value).date()
    except (ValueError, OverflowError):
        raise unreadable(f" Could not convert string to DateTime: {value}. Path '{name}'") from None


def identity(element: Mapping[str, object], name: str) -> str | None:
    """A GUID in lower case; the zero GUID is as good as absent."""
    value = text(element, name)
    if not value:
        return None
    try:
        found = str(uuid.UUID(value))
    except ValueError:
        raise unreadable(f' Error converting value "{value}" to type System.Guid') from None
    return None if found == ZERO_GUID else found


def flag(element: Mapping[str, object], name: str) -> bool | None:
    """A boolean, also in quotes."""
    value = element.get(name)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise unreadable(f" {name} must be true or false")


def objects(element: Mapping[str, object], name: str) -> list[Json] | None:
    """A list of objects."""
    value = element.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise unreadable(f" {name} must be a list of objects")
    return value


def one_of(*words: str) -> Callable[[Mapping[str, object], str], str | None]:
    """A reader of an enumeration."""

    def read(element: Mapping[str, object], name: str) -> str | None:
        value = text(element, name)
        if value and value not in words:
            raise unreadable(f" Error converting value \"{value}\". Path '{name}'")
        return value

    return read


Shape = Mapping[str, object]
"""A field's reader by its name; a shape for a nested object, a list of one for several."""


def check(element: Json, shape: Shape) -> None:
    """Read every field once, so that unreadable input is found before anything is saved."""
    for name in element:
        how = shape.get(name)
        if isinstance(how, list):
            for one in objects(element, name) or ():
                check(one, how[0])
        elif isinstance(how, dict):
            if nested := single(element, name):
                check(nested, how)
        elif callable(how):
            how(element, name)


def single(element: Mapping[str, object], name: str) -> Json | None:
    """A nested object."""
    value = element.get(name)
    if value is not None and not isinstance(value, dict):
        raise unreadable(f" {name} must be an object")
    return value
