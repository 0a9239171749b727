"""Merging: any order, any repetition, the same object (DESIGN, *Merge*; ACCOUNTING 2)."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.documents import fingerprint
from consumer.domain.events import Event, decode
from consumer.domain.objects import (
    Contribution,
    ObjectKey,
    dump_facets,
    invoice_of,
    load_facets,
    merge_all,
)
from consumer.sandbox.lago import encode, invoice_event
from tests.strategies import invoices

ORGANIZATION = "1a901a90-1a90-4a90-9a90-1a901a901a90"
KINDS = (
    "invoice.created",
    "invoice.voided",
    "invoice.payment_status_updated",
    "invoice.payment_overdue",
    "invoice.generated",
)


def said(invoice: dict[str, Any], kind: str, at: int, appended: int) -> tuple[Contribution, ...]:
    """What a webhook of that kind says, sent ``at`` seconds into a minute."""
    told = {**invoice, "updated_at": f"2026-05-01T12:00:{at:02}Z"}
    value = encode(invoice_event(told, ORGANIZATION, kind))
    event = decode(value, appended=appended, digest=f"{hash(value) & 0xFFFF:04x}")
    assert isinstance(event, Event)
    return event.contributions


@given(invoices(), st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), min_size=1, max_size=6),
       st.randoms(use_true_random=False))  # fmt: skip
def test_any_order_and_repetition_gives_the_same_object(
    invoice: dict[str, Any], messages: list[tuple[str, int]], random: Any
) -> None:
    key = ObjectKey("invoice", UUID(invoice["lago_id"]))
    told = [
        contribution
        for position, (kind, at) in enumerate(messages)
        for contribution in said(invoice, kind, at, position)
        if contribution.key == key
    ]
    shuffled = [*told, *told[:2]]
    random.shuffle(shuffled)
    one, other = merge_all(None, told), merge_all(None, shuffled)
    assert one is not None
    assert other is not None
    assert one.facets == other.facets
    assert load_facets(dump_facets(one.facets)) == one.facets


@given(invoices())
def test_a_late_created_never_unvoids(invoice: dict[str, Any]) -> None:
    voided = {**invoice, "status": "voided"}
    created = said(invoice, "invoice.created", 50, 2)[-1]
    void = said(voided, "invoice.voided", 10, 1)[-1]
    merged = merge_all(None, [void, created])
    assert merged is not None
    assert merged.value("status") == "voided"


@given(invoices())
def test_a_poorer_message_keeps_content_credits_and_taxes(invoice: dict[str, Any]) -> None:
    rich = said(invoice, "invoice.created", 1, 1)[-1]
    poor = said(invoice, "invoice.payment_status_updated", 30, 2)[-1]
    assert "content" not in poor.facets
    before, after = merge_all(None, [rich]), merge_all(None, [rich, poor])
    assert before is not None
    assert after is not None
    for facet in ("content", "credits", "applied_taxes"):
        assert before.value(facet) == after.value(facet)


@given(invoices())
def test_fees_that_do_not_sum_never_replace_those_that_do(invoice: dict[str, Any]) -> None:
    good = said(invoice, "invoice.created", 1, 1)[-1]
    wrong = {**invoice, "fees_amount_cents": invoice["fees_amount_cents"] + 1}
    bad = said(wrong, "invoice.created", 40, 2)[-1]
    merged = merge_all(None, [good, bad])
    assert merged is not None
    content = merged.value("content")
    assert content is not None
    assert content["fees_amount_cents"] == invoice["fees_amount_cents"]


@given(invoices(), st.randoms(use_true_random=False))
def test_fingerprints_ignore_order_and_payment_but_see_every_amount(
    invoice: dict[str, Any], random: Any
) -> None:
    def print_of(facts: dict[str, Any]) -> bytes:
        merged = merge_all(None, [said(facts, "invoice.created", 1, 1)[-1]])
        assert merged is not None
        read = invoice_of(merged)
        assert read is not None
        return fingerprint(read)

    shuffled = json.loads(json.dumps(invoice))
    random.shuffle(shuffled["fees"])
    shuffled |= {"payment_status": "succeeded", "total_due_amount_cents": 0}
    assert print_of(shuffled) == print_of(invoice)
    assert print_of(
        {**invoice, "taxes_amount_cents": invoice["taxes_amount_cents"] + 1}
    ) != print_of(invoice)
    assert print_of({**invoice, "number": "X-1"}) != print_of(invoice)
