"""No message's content gets into a sentence, a log or an announcement, however it is malformed.

Only the record itself, which goes to the dead-letter topic untouched, holds it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from structlog.testing import capture_logs

from consumer.announce.dead_letter import bare, dead_letter, whole, without_value
from consumer.announce.post import failure_post
from consumer.ingest import Ingest
from consumer.metrics import Metrics
from consumer.ports import Notice, Record
from consumer.sandbox.lago import (
    RandomChoices,
    customer_event,
    encode,
    envelope,
    generate_customer,
    generate_invoice,
    invoice_event,
)
from schemas import lago
from tests.fakes.inbox import FakeInbox
from tests.fakes.source import FakeSource, Log

ORGANIZATION = "1a901a90-1a90-4a90-9a90-1a901a901a90"
CANARY = ("kanari", "vogel")
MAIL, NAME = "kanari@vogel.example", "Kanari Vogel"
CHOICES = RandomChoices(Random(5))
CUSTOMER = {**generate_customer(CHOICES, linked=True), "name": NAME, "email": MAIL}
INVOICE = {
    **generate_invoice(CHOICES, invoice_type="one_off", version=4, payments=False),
    "customer": CUSTOMER,
}
PAYMENT = {
    "lago_id": ORGANIZATION,
    "amount_cents": 5,
    "amount_currency": "EUR",
    "invoice_ids": [ORGANIZATION],
    "created_at": "2026-05-01T00:00:00Z",
    "reference": NAME,
}
MESSAGES = {
    "customer": customer_event(CUSTOMER, ORGANIZATION),
    "invoice": invoice_event(INVOICE, ORGANIZATION),
    "payment": envelope("payment.succeeded", "payment", ORGANIZATION, PAYMENT),
    "activity": {
        "activity_type": "invoice.created",
        "organization_id": ORGANIZATION,
        "activity_object": INVOICE,
    },
}
JUNK = [
    MAIL, NAME, f"{NAME}\0", [MAIL], {MAIL: NAME}, {"name": NAME, "email": [MAIL]}, f"2026-13-{NAME}",
    f"{ORGANIZATION[:20]}{MAIL}", f"1e{MAIL}", {f"{MAIL}\0": 1}, {MAIL: [f"{NAME}\0"]},
    {MAIL.replace("@", "\u202e"): "\0"},
]  # fmt: skip


def places(part: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a message, but of equal parts of a list the first only."""
    first = range(len(part[:1])) if isinstance(part, list) else ()
    for name in part if isinstance(part, dict) else first:
        yield (*at, name)
        yield from places(part[name], (*at, name))


def malformed(message: dict[str, Any]) -> Iterator[bytes]:
    for *path, last in places(message):
        for junk in JUNK:
            changed = copy.deepcopy(message)
            part: Any = changed
            for name in path:
                part = part[name]
            part[last] = junk
            yield encode(changed)
        if isinstance(last, str):
            part[MAIL] = part.pop(last)
            yield encode(changed)
    good = encode(message)
    at = good.index(NAME.encode())
    yield good[:at]
    yield good[: at + 5]
    yield good[: at + len(NAME)] + b"\n" + good[at:]
    yield good.replace(NAME.encode(), NAME.encode() + b"\xff")
    yield good.replace(NAME.encode(), NAME.encode() + b"\\ud800")
    yield good.replace(b'"' + NAME.encode(), NAME.encode())
    yield good.replace(NAME.encode(), NAME.encode() * 2_000_000)
    yield NAME.encode()


def announced(record: Record, error: Any) -> Iterator[str]:
    """All that goes out of a dead record, but for the record."""
    notice = Notice(
        1, "webhook", type(error).__name__, error.code, error.sentence, error.hint,
        datetime(2026, 5, 1, tzinfo=UTC), 0, topic=record.topic, partition=0, offset=record.offset,
        key=record.key, value=record.value, headers=record.headers,
    )  # fmt: skip
    yield failure_post([notice]).body().decode()
    for shrink in (whole, without_value, bare):
        yield repr(shrink(dead_letter(notice, "dlq", "1"), notice).headers)


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("fault", [None, KeyError(NAME), ValueError(MAIL)], ids=repr)
async def test_nothing_of_it_gets_out(kind: str, fault: Exception | None) -> None:
    values = list(malformed(MESSAGES[kind])) if fault is None else [encode(MESSAGES[kind])]
    inbox = FakeInbox(poison=lambda incoming: fault)
    log = Log()
    ingest = Ingest(FakeSource(log), inbox, Metrics(CollectorRegistry()), lambda: None)
    with capture_logs() as logged:
        await ingest.store([log.append(value) for value in values])
    dead = [incoming for incoming in inbox.stored.values() if incoming.error]
    assert len(dead) > len(values) / 20, "most places take any text, but many do not"
    out = [*map(repr, logged)]
    for incoming in dead:
        assert incoming.error is not None
        out += [repr(incoming.error), incoming.error.sentence, incoming.error.hint]
        out += announced(incoming.record, incoming.error)
    leaks = sorted({text for text in out for word in CANARY if word in text.lower()}, key=len)
    assert leaks[:3] == []


@pytest.mark.parametrize("model", [lago.Customer, lago.Invoice, lago.Envelope, lago.Payment])
def test_an_error_of_a_model_does_not_quote(model: type[lago.LagoModel]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({"lago_id": MAIL, "organization_id": NAME, "email": [MAIL]})
    assert "input_value" not in str(refused.value)
    assert not any(word in repr(refused.value).lower() for word in CANARY)
