"""The checked-in JSON Schemas are those of the models, and say what a real validator needs to know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from consumer.announce import dead_letter as letters
from consumer.announce.post import failure_post
from consumer.domain.errors import Undecodable
from consumer.domain.events import Event, decode
from consumer.ports import Notice
from consumer.sandbox.lago import (
    RandomChoices,
    customer_event,
    demo_events,
    envelope,
    generate_customer,
    generate_invoice,
    invoice_event,
    malformed_records,
)
from schemas import export
from tests.lives.acts import draw_life
from tests.schemas import VALIDATORS, Witness, header_texts, mistakes

Json = dict[str, Any]
ORGANIZATION = "1a901a90-1a90-1a90-1a90-1a901a901a90"


def test_nothing_drifted() -> None:
    assert export.generated().drift() == [], "run `make schemas`"


def test_drift_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "FOLDER", tmp_path)
    assert export.generated().main([]) == 0
    assert export.generated().main(["--check"]) == 0
    (tmp_path / "webhook_failures.json").write_text("{}")
    (tmp_path / "lago_webhook.json").unlink()
    (tmp_path / "left_over.json").write_text("{}")
    assert export.generated().main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "lago_webhook.json, left_over.json, webhook_failures.json" in said
    assert export.generated().main([]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(export.schemas())
    assert export.generated().main(["--wrong"]) == 2


@pytest.mark.parametrize("name", VALIDATORS)
def test_each_is_a_schema_of_known_words(name: str) -> None:
    """A validator ignores words that it does not know: a bound in one of those would bind nobody."""
    schema = json.loads((export.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    known = set(VALIDATORS[name].VALIDATORS) | {
        *("$schema", "$id", "$defs", "title", "description", "default"),
        *("contentMediaType", "examples"),
    }
    assert set(_words(schema)) <= known


def _words(schema: Any) -> list[str]:
    """The keywords of a schema and of those within it; names of properties are none."""
    if isinstance(schema, list):
        return [word for one in schema for word in _words(one)]
    if not isinstance(schema, dict):
        return []
    words = list(schema)
    for word, value in schema.items():
        if word in ("properties", "$defs"):
            words += [inner for one in value.values() for inner in _words(one)]
        elif word not in ("default", "enum", "const", "required"):
            words += _words(value)
    return words


# ── What is read ──────────────────────────────────────────────────────────────────────────────────


def told(message: Json) -> Event:
    decoded = decode(json.dumps(message).encode(), appended=1, digest="d")
    assert isinstance(decoded, Event)
    return decoded


def test_all_that_lago_tells_is_what_they_say(witness: Witness) -> None:
    """Each message that is read is compared by the fixture; all that we read is among them."""
    before = witness.seen.copy()
    for record in _demo():
        decode(record, appended=1, digest="d")
    for seed in range(60):
        for message in draw_life(RandomChoices(Random(seed))).messages:
            decode(message.record.value, appended=1, digest="d")
    for rare in _rare():
        told(rare)
    assert set(witness.seen - before) == set(export.READ)


def _demo() -> Iterator[bytes]:
    for seed in (2026, 1, 2):
        records, _ = demo_events(seed)
        yield from (one.value for one in records if not one.note.startswith("malformed:"))


def _rare() -> Iterator[Json]:
    """What neither the demo nor a life tells of."""
    choices = RandomChoices(Random(3))
    invoice = generate_invoice(choices)
    state = {"lago_payable_id": invoice["lago_id"], "payable_type": "Invoice"}
    shown = {**state, "lago_id": choices.uuid()}
    yield envelope("payment.requires_action", "payment", ORGANIZATION, shown)
    lost = {"invoice": invoice, "provider_error": {"reason": "fraudulent"}}
    yield envelope("invoice.payment_dispute_lost", "payment_dispute_lost", ORGANIZATION, lost)
    failure = {"lago_credit_note_id": choices.uuid(), "provider_error": {}}
    yield envelope("credit_note.refund_failure", "refund_error", ORGANIZATION, failure)


UNTOLD = frozenset({"malformed:units_absurd", "malformed:date_impossible"})
"""A number of too many digits, and a day that no calendar has: not what a schema can refuse."""


@pytest.mark.parametrize("of", ["customer", "invoice"])
def test_what_is_refused_for_its_fields_is_refused_by_them(of: str) -> None:
    choices = RandomChoices(Random(5))
    if of == "customer":
        message = customer_event(generate_customer(choices), ORGANIZATION)
    else:
        message = invoice_event(generate_invoice(choices), ORGANIZATION, "invoice.created")
    refused = 0
    for record in malformed_records(message):
        if record.note in UNTOLD:
            continue
        try:
            decode(record.value, appended=1, digest="d")
        except Undecodable as error:
            if error.code not in ("missing_field", "wrong_type"):
                continue
        else:
            continue
        bad = json.loads(record.value)
        payload = bad.get(bad.get("object_type"), {})
        assert mistakes("lago_webhook", bad) or mistakes(f"lago_{of}", payload), record.note
        refused += 1
    assert refused >= 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lago_customer", {}, "'lago_id' is a required property"),
        ("lago_payment", {"lago_id": ORGANIZATION, "amount_cents": True}, "True is not valid"),
        ("lago_payment", {"lago_id": ORGANIZATION, "amount_cents": -1}, "-1 is not valid"),
        ("lago_invoice", {"lago_id": ORGANIZATION, "fees": {}}, "{} is not valid"),
        ("lago_refund_failure", {"lago_credit_note_id": 7}, "7 is not of type 'string'"),
    ],
)
def test_what_they_refuse(name: str, value: Json, said: str) -> None:
    assert any(said in mistake for mistake in mistakes(name, value))


# ── What is written ───────────────────────────────────────────────────────────────────────────────

FULL = Notice(
    id=5,
    sink="dead_letter",
    error_class="Unmapped",
    code="tax_unmapped",
    sentence="The tax vat_20 has no mapping.",
    hint="Map it.",
    created_at=datetime(2026, 5, 1, 12, tzinfo=UTC),
    attempts=0,
    failing_attempts=2,
    event_key="ab" * 32,
    document_id=7,
    document_kind="invoice",
    lago_id=UUID(int=1),
    number="INV-1",
    organization_id=UUID(int=2),
    connection_code="acme",
    connection_name="Acme",
    customer_id=UUID(int=3),
    external_customer_id="cust-1",
    topic="lago.webhooks",
    partition=3,
    offset=42,
    key=b"k",
    value=b"{}",
    headers=(("X-Lago-Unique-Key", b"k"), ("lago_xero.old", b"an earlier one"), ("null", None)),
)
NOTICES = {
    "of a document": FULL,
    "of a message": replace(FULL, document_id=None, document_kind=None, lago_id=None, number=None),
    "long": replace(FULL, sentence="é" * 5000, hint="x" * 5000),
    "with milliseconds": replace(FULL, created_at=datetime(2026, 5, 1, 12, 0, 0, 7, UTC)),
    "pruned": replace(FULL, pruned=True, key=None, value=None, headers=()),
    "of nothing but a failure": Notice(9, "dead_letter", "Undecodable", "empty", "It is empty.", "",
                                       datetime(2026, 5, 1, tzinfo=UTC), 0),
}  # fmt: skip


@pytest.mark.parametrize("how", [letters.whole, letters.without_value, letters.bare])
@pytest.mark.parametrize("name", NOTICES)
def test_a_dead_letters_headers_are_what_they_say(name: str, how: Any, witness: Witness) -> None:
    notice, before = NOTICES[name], witness.seen["dead_letter_headers"]
    message = how(letters.dead_letter(notice, "dlq", "1.0"), notice)
    assert mistakes("dead_letter_headers", header_texts(message.headers)) == []
    assert witness.seen["dead_letter_headers"] > before  # the fixture has seen it as well


def test_every_header_of_theirs_is_written_somewhere() -> None:
    written = set()
    for notice in NOTICES.values():
        made = letters.dead_letter(notice, "dlq", "1.0")
        written |= {name for name, _ in letters.without_value(made, notice).headers}
    schema = json.loads((export.FOLDER / "dead_letter_headers.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]) <= written


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lago_xero.code": None}, "'lago_xero.code' is a required property"),
        ({"lago_xero.attempts": "two"}, "'two' does not match"),
        ({"lago_xero.new": "?"}, "'lago_xero.new' is not valid"),
        ({"__connect.errors.stage": "LATER"}, "'LATER' is not one of"),
        ({"lago_xero.hint": "x" * 1001}, "is too long"),
    ],
)
def test_what_headers_they_refuse(change: dict[str, str | None], said: str) -> None:
    texts = {**header_texts(letters.dead_letter(FULL, "dlq", "1.0").headers), **change}
    wrong = {name: text for name, text in texts.items() if text is not None}
    assert any(said in mistake for mistake in mistakes("dead_letter_headers", wrong))


@pytest.mark.parametrize("name", NOTICES)
def test_a_post_is_what_they_say(name: str, witness: Witness) -> None:
    before = witness.seen["webhook_failures"]
    post = json.loads(failure_post([NOTICES[name], FULL]).body())
    assert mistakes("webhook_failures", post) == []
    assert witness.seen["webhook_failures"] == before + 1
    [failure, _] = post["failures"]
    assert mistakes("webhook_failures", {**post, "failures": []})
    assert mistakes("webhook_failures", {**post, "failures": [{**failure, "more": 1}]})
