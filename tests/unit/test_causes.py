"""Causes: spelt alike in SQL and in code, and each with words for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from uuid import UUID

import pytest

from consumer.domain import causes
from consumer.domain.explain import explain

ID = UUID(int=7)
BUILT = [
    causes.home(ID),
    causes.content(ID),
    causes.invoice_unknown(ID),
    causes.split_unknown(ID),
    causes.residual(ID),
    causes.room(ID),
    causes.paused("acme"),
    causes.ignored(7),
    causes.in_lago("draft"),
    causes.switched_off("payments", "acme"),
    causes.before_start("acme"),
    causes.policy("zero", "acme"),
    causes.policy("voids", "acme"),
    causes.policy("residual", "acme"),
    *(value for name, value in vars(causes).items() if name.isupper() and isinstance(value, str)),
    *causes.TAKEN_BACK,
]


def _in_sql() -> Iterator[str]:
    """``doc:``, ``home:`` and what else statements spell of causes."""
    for file in files("consumer.adapters.postgres").joinpath("sql").iterdir():
        yield from re.findall(r"'([a-z_]+:)%?'", file.read_text())


@pytest.mark.parametrize("cause", sorted(BUILT))
def test_each_cause_has_words(cause: str) -> None:
    state = "synced" if cause in causes.NOTHING_SENT else "waiting"
    assert "lacks the mapping" not in explain(state, cause)


def test_statements_spell_causes_as_planning_does() -> None:
    spelt = set(_in_sql())
    assert spelt >= {causes.DOCUMENT, causes.PLANNING, causes.home(ID).removesuffix(str(ID))}
    known = {cause.partition(":")[0] + ":" for cause in BUILT}
    assert spelt <= known | {
        "unplaced:",
        "uncleared:",
        "clearing:",
        "again:",
        "connection:",
        "tenant:",
        "event:",
    }
