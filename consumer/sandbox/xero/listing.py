"""Candidates in, a list answer out: filtered, ordered, paged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from consumer.sandbox.xero import filters
from consumer.sandbox.xero.answers import Answer, ApiError, Json, envelope, query_invalid
from consumer.sandbox.xero.batches import Kind
from consumer.sandbox.xero.call import Call

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


class Stamped(Protocol):
    """Anything with a time of its last change in milliseconds."""

    updated: int


One = TypeVar("One", bound=Stamped)


def csv(call: Call, name: str) -> frozenset[str] | None:
    """A comma-separated parameter; None if it is absent."""
    value = call.query.get(name)
    return None if value is None else frozenset(part for part in value.split(",") if part)


def truth(call: Call, name: str) -> bool:
    """A boolean parameter."""
    return call.query.get(name, "").lower() == "true"


def _whole(call: Call, name: str, default: int, top: int | None = None) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < 1 or (top and int(text) > top):
        raise ApiError(query_invalid(f"{name} is not valid: {text}"))
    return int(text)


def answer(
    call: Call,
    kind: Kind,
    found: Iterable[One],
    show: Callable[[One], Json],
    show_for_filter: Callable[[One], Json],
    fields: frozenset[str],
) -> Answer:
    """The list asked for; elements come by UpdatedDateUTC unless ``order`` says otherwise."""
    since = filters.modified_since(call.if_modified_since)
    test = filters.where(call.query.get("where"), kind.singular, fields)
    order = filters.order(call.query.get("order"), kind.singular, fields)
    kept = [one for one in found if since is None or one.updated >= since]
    if test is not None:
        kept = [one for one in kept if test(show_for_filter(one))]
    kept.sort(key=lambda one: one.updated)
    if order is not None and order[0] != "UpdatedDateUTC":
        kept.sort(key=lambda one: str(show_for_filter(one).get(order[0], "")), reverse=order[1])
    elif order is not None and order[1]:
        kept.reverse()
    if "page" not in call.query:
        return envelope(call.at, kind.collection, [show(one) for one in kept])
    page = _whole(call, "page", 1)
    size = _whole(call, "pagesize", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    pagination = {
        "page": page,
        "pageSize": size,
        "pageCount": -(-len(kept) // size),
        "itemCount": len(kept),
    }
    shown = [show(one) for one in kept[(page - 1) * size : page * size]]
    return envelope(call.at, kind.collection, shown, pagination=pagination)
