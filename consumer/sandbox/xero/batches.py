"""Elements of a write in, one answer out, by the rules of ``summarizeErrors``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consumer.sandbox.xero.answers import ZERO_GUID, Answer, Json, envelope, validation
from consumer.sandbox.xero.call import Call
from consumer.sandbox.xero.reading import Shape


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one element. ``errors`` empty: it is saved. ``shown`` is its echo."""

    shown: Json
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A collection of the API: its names, and the fields by which a bare object is known."""

    collection: str
    singular: str
    id_field: str
    error_flag: str
    known: frozenset[str]
    shape: Shape


Write = Callable[[Call, Json], Outcome]


def refusal(kind: Kind, sent: Json, stored: Json | None, errors: list[str]) -> Outcome:
    """A refused element: what was sent over what is stored, with the zero GUID if nothing is."""
    known = ZERO_GUID if stored is None else stored[kind.id_field]
    return Outcome({**(stored or {}), **sent, kind.id_field: known}, tuple(dict.fromkeys(errors)))


def answer(call: Call, kind: Kind, outcomes: list[Outcome], *, by_id: bool = False) -> Answer:
    """200 with every element in order, or 400 with the failed ones though the others are saved."""
    summarize = call.summarize_errors
    if by_id and not call.settings.by_id_honours_summarize_errors:
        summarize = True
    failed = [one for one in outcomes if one.errors]
    if summarize and failed:
        return validation([_marked(kind, one, status=False) for one in failed])
    return envelope(
        call.at, kind.collection, [_marked(kind, one, status=not summarize) for one in outcomes]
    )


def _marked(kind: Kind, outcome: Outcome, *, status: bool) -> Json:
    shown = {**outcome.shown, kind.error_flag: bool(outcome.errors)}
    if outcome.errors:
        shown["ValidationErrors"] = [{"Message": message} for message in outcome.errors]
    if outcome.warnings:
        shown["Warnings"] = [{"Message": message} for message in outcome.warnings]
    if status:
        word = "ERROR" if outcome.errors else "WARNING" if outcome.warnings else "OK"
        shown["StatusAttributeString"] = word
    return shown
