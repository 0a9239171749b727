"""The page of error codes: every code that the code uses is on it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.codes import Codes
from deploy.errors import known, page, parts

CODES = Codes()
HANDED_ON = {"adapters/postgres/members.py"}
"""Reads a refusal's code from the ledger again."""
CLASSES = {
    "Lago's figures or messages do not go together": {"Inconsistent"},
    "A mapping is missing": {"Unmapped"},
    "Xero would refuse it": {"Refused"},
    "Xero has refused it": {"_rule", "Refusal", "Refused", "Inconsistent", "Doubt"},
    "Announced, and nothing has failed": {"Refusal", "Alarm", "Doubt", "InDoubt"},
    "A record cannot be read": {"Undecodable"},
    "Xero does not let us in": {"Unauthorised"},
    "Tried again by itself": {"NotExecuted", "Throttled", "_rule", "_not_taken"},
    "The outcome of a request is unknown": {"Doubt", "InDoubt"},
    "A chart cannot be read": {"Halt"},
    "The service stops": {"Halt", "TooManyRejects"},
}


def below(folder: Path, text: str) -> Codes:
    (folder / "one.py").write_text(text)
    return Codes(folder)


def test_every_code_that_is_used_is_described() -> None:
    told = known()
    lacking = [
        u for u in CODES.uses if u.kind != "Halt" and not any(u.means(code) for code in told)
    ]
    assert lacking == []


def test_every_code_that_is_described_is_used() -> None:
    assert [code for code in known() if not any(use.means(code) for use in CODES.uses)] == []


def test_what_happens_next_is_what_the_class_says() -> None:
    for part in parts():
        for code in part.codes:
            kinds = {use.kind for use in CODES.uses if use.means(code)}
            assert kinds <= CLASSES[part.title], code


def test_codes_that_are_made_elsewhere_are_seen() -> None:
    assert {place.partition(":")[0] for place in CODES.unread} == HANDED_ON


@pytest.mark.parametrize(
    "text",
    [
        "raise Inconsistent('brand_new', 'Told.', 'Do.')",
        "NEW = 'brand_new'\nraise errors.Refused(NEW, 'Told.')",
        "_rule('brand_new', r'text', 'Do.')",
        "raise Unauthorised('unauthorised' if known else 'brand_new', 'Told.')",
        "class New:\n    code: Literal['brand_new', 'other']",
    ],
)
def test_a_new_code_is_found(tmp_path: Path, text: str) -> None:
    assert "brand_new" in {use.code for use in below(tmp_path, text).uses}


@pytest.mark.parametrize("text", ["Refused(made_of(it), 'Told.')", "Refusal(code='brand_new')"])
def test_a_code_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    assert below(tmp_path, text).unread == ("one.py:1",)


def test_a_hint_that_is_none_must_be_said(tmp_path: Path) -> None:
    uses = [use for use in CODES.uses if use.code != "not_json"]
    with pytest.raises(ValueError, match="not_json"):
        page([*uses, *below(tmp_path, "raise Undecodable('not_json', 'Told.')").uses])
