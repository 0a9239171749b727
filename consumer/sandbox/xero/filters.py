"""The ``where`` and ``order`` parameters in, a test and a sorting of shown elements out.

Supported: terms ``Field op value`` joined by AND (or ``&&``); ``==``, ``!=``, ``<``, ``<=``, ``>``,
``>=``; values "text", number, true, false, Guid("…"), DateTime(y, m, d).
"""

from __future__ import annotations

import datetime
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from consumer.sandbox.xero.answers import ApiError, Json, calendar_date, query_invalid

_TERM = re.compile(
    r"""^\s*(?P<field>[A-Za-z][\w.]*)\s*(?P<op>==|!=|<=|>=|=|<|>)\s*
        (?:"(?P<text>(?:[^"\\]|\\.)*)"
          |(?:Guid|guid)\("(?P<guid>[^"]*)"\)
          |DateTime\((?P<date>\d+\s*,\s*\d+\s*,\s*\d+)\)
          |(?P<number>-?\d+(?:\.\d+)?)
          |(?P<flag>true|false))\s*$""",
    re.VERBOSE,
)
_JOIN = re.compile(r'(?:\s+AND\s+|\s*&&\s*)(?=(?:[^"]*"[^"]*")*[^"]*$)', re.IGNORECASE)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Test = Callable[[Json], bool]


def _look(element: Json, path: list[str]) -> Any:
    value: Any = element
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _days(value: object) -> int | None:
    match = re.match(r"^/Date\((-?\d+)", value) if isinstance(value, str) else None
    return int(match.group(1)) if match else None


def _term(term: str, kind: str, fields: frozenset[str]) -> Test:
    match = _TERM.match(term)
    if match is None:
        raise ApiError(query_invalid(f"Syntax error in '{term}'"))
    path = match["field"].split(".")
    if path[0] not in fields:
        message = f"No property or field '{path[0]}' exists in type '{kind}'"
        raise ApiError(query_invalid(message))
    compare = _OPERATORS[match["op"]]
    wanted: object
    read: Callable[[Any], Any] = lambda value: value  # noqa: E731
    if match["text"] is not None:
        wanted = re.sub(r"\\(.)", r"\1", match["text"]).casefold()
        read = lambda value: str(value or "").casefold()  # noqa: E731
    elif match["guid"] is not None:
        wanted = match["guid"].lower()
    elif match["date"] is not None:
        try:
            day = datetime.date(*(int(part) for part in match["date"].split(",")))
        except ValueError as error:
            raise ApiError(query_invalid(str(error))) from None
        wanted = _days(calendar_date(day))
        read = _days
    elif match["number"] is not None:
        wanted = Decimal(match["number"])
    else:
        wanted = match["flag"] == "true"

    def test(element: Json) -> bool:
        value = read(_look(element, path))
        try:
            return value is not None and compare(value, wanted)
        except TypeError:
            return False

    return test


def where(text: str | None, kind: str, fields: frozenset[str]) -> Test | None:
    """A test of shown elements; an unreadable one is Xero's error 16."""
    if not text:
        return None
    tests = [_term(term, kind, fields) for term in _JOIN.split(text)]
    return lambda element: all(test(element) for test in tests)


def order(text: str | None, kind: str, fields: frozenset[str]) -> tuple[str, bool] | None:
    """The field to sort by and whether downwards."""
    if not text:
        return None
    match = re.match(r"^\s*(\w+)(?:\s+(asc|desc))?\s*$", text, re.IGNORECASE)
    if match is None or match[1] not in fields:
        raise ApiError(query_invalid(f"No property or field '{text}' exists in type '{kind}'"))
    return match[1], (match[2] or "").lower() == "desc"


def modified_since(header: str | None) -> int | None:
    """If-Modified-Since in milliseconds: seconds count, UTC is meant."""
    if not header:
        return None
    for parse in (datetime.datetime.fromisoformat, _http_date):
        try:
            moment = parse(header.strip())
        except ValueError:
            continue
        moment = moment.replace(tzinfo=moment.tzinfo or datetime.UTC, microsecond=0)
        return int(moment.timestamp() * 1000)
    raise ApiError(query_invalid(f"If-Modified-Since '{header}' is not a date"))


def _http_date(value: str) -> datetime.datetime:
    return datetime.datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT")  # noqa: DTZ007
