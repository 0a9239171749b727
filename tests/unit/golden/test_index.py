"""The index of rules: every rule names golden cases or tests that exist, and every case is a rule's."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from schemas.strict_yaml import load
from tests.unit.golden.test_golden import CASES, HERE

TESTS = HERE.parents[1]
INDEX: dict[str, list[dict[str, list[str]]]] = yaml.safe_load((HERE / "rules.yaml").read_text())
NAMED = [
    (section, name)
    for section, rules in INDEX.items()
    for rule in rules
    for names in rule.values()
    for name in names
]


def test_the_sections_are_those_of_accounting() -> None:
    assert list(INDEX) == ["1", "2", "3", "4", "5", "6", "7"]


def test_every_case_is_a_rules_of_its_section_and_every_rule_has_what_it_names() -> None:
    cases = {path.stem for path in CASES}
    assert {name for _, name in NAMED if "::" not in name} == cases
    assert {name for section, name in NAMED if name.startswith(f"{section}-")} == cases


def test_every_test_that_is_named_exists() -> None:
    named = {name for _, name in NAMED if "::" in name}
    assert [name for name in sorted(named) if not _exists(*name.split("::"))] == []


def test_every_rule_is_held_by_something_and_every_file_is_a_case() -> None:
    assert all(len(rule) == 1 and all(rule.values()) for rules in INDEX.values() for rule in rules)
    assert sorted((HERE / "cases").iterdir()) == CASES


def test_no_key_stands_twice() -> None:
    for path in HERE.rglob("*.yaml"):
        load(path.read_text())  # YAML itself would let the last one win


def _exists(path: str, name: str) -> bool:
    file: Path = TESTS / path
    return file.is_file() and re.search(rf"def {name}\(", file.read_text()) is not None
