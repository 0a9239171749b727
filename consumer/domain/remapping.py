"""One mapping by its path and words in; the connection with it, in the file's form or checked, out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from consumer.domain.chart import Chart
from consumer.domain.fitting import misfits
from consumer.domain.mapping import (
    ACCOUNT_KINDS,
    BY_CURRENCY,
    SECTIONS,
    TAX_KINDS,
    Connection,
    MappingKey,
    MappingKind,
    Target,
)
from consumer.domain.wishes import mappings_of
from schemas.connections import parse_mappings
from schemas.mistakes import Mistake, Mistakes

_KINDS: Mapping[str, MappingKind] = {
    SECTIONS.get(kind, kind): kind for kind in get_args(MappingKind)
}
"""Kinds by their keys in the file."""
_KEYED = frozenset({*SECTIONS, *BY_CURRENCY})
_PARTS = ("item", "account", "tax_type")
_OF_ENTITY = re.compile(rf"entities\.(.+?)\.((?:{'|'.join(_KINDS)})(?:\..+)?)")


def parse_path(path: str) -> MappingKey:
    """``taxes.vat_20``, ``entities.acme-eu.coupon``, ``payment_account.EUR``; also with ``mappings.``.

    Raises:
        Mistakes: it names no mapping.
    """
    inner, entity = path.removeprefix("mappings."), ""
    if match := _OF_ENTITY.fullmatch(inner):
        entity, inner = match[1], match[2]
    section, _, key = inner.partition(".")
    kind = _KINDS.get(section)
    if kind is None:
        close = difflib.get_close_matches(section, _KINDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(_KINDS)}"
        raise Mistakes([Mistake(path, "is no mapping", hint)])
    if kind in SECTIONS and not key:
        raise Mistakes([Mistake(path, "names no code", f"write {section}.CODE with Lago's code")])
    if kind not in _KEYED and key:
        raise Mistakes([Mistake(path, "is no mapping", f"{section} has no parts")])
    return MappingKey(entity, kind, "" if kind in BY_CURRENCY and key == "default" else key)


def parse_words(key: MappingKey, words: Sequence[str]) -> Target:
    """``item=SUB account=200``, or the bare code of a tax type or a payment account.

    Raises:
        Mistakes: they say something else.
    """
    bare = "tax_type" if key.kind in TAX_KINDS else "account" if key.kind in ACCOUNT_KINDS else None
    known = (bare,) if bare else _PARTS
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and bare:
            name, value = bare, word
        if name not in known or name in found or not value:
            usage = "the code alone" if bare else "item=CODE, account=CODE and tax_type=CODE"
            raise Mistakes([Mistake(key.path, f"cannot be {word!r}", f"say {usage}")])
        found[name] = value
    return Target(**found)


def remapped(
    connection: Connection, key: MappingKey, target: Target | None, chart: Chart | None
) -> Connection:
    """The connection with this mapping, or without it.

    Checked as ``apply`` checks it; only what fits worse than before is a mistake, so that several broken
    mappings can be mended one by one.

    Raises:
        Mistakes: the file could not say it, or Xero would refuse it.
    """
    mappings = dict(connection.mappings)
    if target is None and key.kind == "clearing_account" and connection.clears:
        hint = "set the policy consumed_credits: allocate first, or map another account"
        raise Mistakes([Mistake(key.path, "is what consumed credits pass through", hint)])
    if target is None:
        del mappings[key]
    else:
        mappings[key] = target
    wanted = replace(connection, mappings=mappings)
    checked = replace(wanted, mappings=dict(mappings_of(parse_mappings(exported(wanted)))))
    if chart is not None:
        known = set(misfits(connection, chart))
        new = [m for m in misfits(checked, chart) if m not in known]
        if new:
            raise Mistakes([Mistake(m.path, m.said, m.hint) for m in new])
    return checked


# ── The file's form ───────────────────────────────────────────────────────────────────────────────


def exported(connection: Connection) -> dict[str, Any]:
    """What stands under ``mappings`` in a connections file that asks for the connection."""
    made: dict[str, Any] = {}
    for key, target in connection.entries():
        scope = made
        if key.entity:
            scope = made.setdefault("entities", {}).setdefault(key.entity, {})
        section = SECTIONS.get(key.kind, key.kind)
        if key.kind in BY_CURRENCY:
            scope.setdefault(section, {})[key.key or "default"] = target.account
        elif key.kind in SECTIONS:
            scope.setdefault(section, {})[key.key] = _value(key, target)
        else:
            scope[section] = _value(key, target)
    for section in BY_CURRENCY:
        accounts = made.get(section, {})
        if list(accounts) == ["default"]:
            made[section] = accounts["default"]
    order = [*_KINDS, "entities"]
    return {name: made[name] for name in sorted(made, key=order.index)}


def _value(key: MappingKey, target: Target) -> Any:
    if key.kind in TAX_KINDS:
        return target.tax_type
    if key.kind in ACCOUNT_KINDS:
        return target.account
    parts = {name: getattr(target, name) for name in _PARTS}
    return {name: code for name, code in parts.items() if code is not None}
