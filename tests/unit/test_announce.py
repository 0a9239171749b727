"""Announcing, on fakes: what goes out, what is repeated, and who steps aside."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from consumer.announce import BACK_OFF, Announcer
from consumer.announce.dead_letter import dead_letter
from consumer.announce.post import message_id
from consumer.domain.errors import Throttled
from consumer.metrics import Metrics
from consumer.ports import Message, Notice, Sink
from tests.fakes.outbox import FakeOutbox
from tests.fakes.publisher import FakePublisher

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
ORGANIZATION = UUID("1a901a90-1a90-1a90-1a90-1a901a901a90")
LAGO_ID = UUID("2b2b2b2b-0000-4000-8000-000000000001")
CUSTOMER = UUID("3c3c3c3c-0000-4000-8000-000000000001")


def notice(id: int, sink: Sink = "dead_letter", **facts: Any) -> Notice:
    base = Notice(
        id=id,
        sink=sink,
        error_class="Unmapped",
        code="unmapped_tax",
        sentence="The tax vat_20 has no mapping.",
        hint="Map it.",
        created_at=AT,
        attempts=0,
        failing_attempts=2,
        event_key="ab" * 32,
        document_id=7,
        document_kind="invoice",
        lago_id=LAGO_ID,
        number="INV-1",
        organization_id=ORGANIZATION,
        connection_code="acme",
        connection_name="Acme",
        customer_id=CUSTOMER,
        external_customer_id="cust-1",
        topic="lago.webhooks",
        partition=3,
        offset=42,
        key=b"\xfe",
        value=b'{"a": 1}',
        headers=(("X-Lago-Unique-Key", b"k"), ("x-lago-SIGNATURE", b"jwt")),
    )
    return replace(base, **facts)


class FakeWebhook:
    """Keeps what it took; ``refuse`` decides about each post's failures."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.tried: list[str] = []
        self.code = ""
        self.bad: set[str] = set()

    async def post(self, message_id: str, body: bytes) -> None:
        self.tried.append(message_id)
        content = json.loads(body)
        if self.code:
            raise Throttled(self.code, "The webhook was not taken: status 503.")
        documents = [f["document"] for f in content["failures"] if f["document"]]
        if self.bad & {document["number"] for document in documents}:
            raise Throttled("webhook_content", "The webhook was not taken: status 422.")
        self.posts.append((message_id, content))

    def numbers(self) -> list[list[str]]:
        return [[f["document"]["number"] for f in body["failures"]] for _, body in self.posts]


class World:
    def __init__(self, *notices: Notice, webhook: bool = True, **options: Any) -> None:
        self.outbox = FakeOutbox(*notices)
        self.publisher = FakePublisher()
        self.webhook = FakeWebhook()
        self.metrics = Metrics()
        self.announcer = Announcer(
            self.outbox,
            self.publisher,
            self.webhook if webhook else None,
            self.metrics,
            "dlq",
            jitter=lambda: 0.5,
            version="1.2",
            **options,
        )

    def counted(self, sink: Sink, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "lago_xero_announcements_total", {"sink": sink, "outcome": outcome}
        )


def headers(message: Message) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers}


async def test_a_dead_letter_is_the_record_with_its_story() -> None:
    world = World(notice(1))
    assert await world.announcer.run_once("dead_letter") == 1
    [message] = world.publisher.published
    assert (message.topic, message.key, message.value) == ("dlq", b"\xfe", b'{"a": 1}')
    assert headers(message) == {
        "X-Lago-Unique-Key": "k",
        "__connect.errors.topic": "lago.webhooks",
        "__connect.errors.partition": "3",
        "__connect.errors.offset": "42",
        "__connect.errors.connector.name": "lago-xero",
        "__connect.errors.stage": "TASK_PUT",
        "__connect.errors.exception.class.name": "Unmapped",
        "__connect.errors.exception.message": "The tax vat_20 has no mapping.",
        "lago_xero.notice": "1",
        "lago_xero.code": "unmapped_tax",
        "lago_xero.class": "Unmapped",
        "lago_xero.hint": "Map it.",
        "lago_xero.kind": "invoice",
        "lago_xero.document": str(LAGO_ID),
        "lago_xero.number": "INV-1",
        "lago_xero.organization": str(ORGANIZATION),
        "lago_xero.connection": "acme",
        "lago_xero.attempts": "2",
        "lago_xero.first_failed_at": "2026-01-02T03:04:05.678000+00:00",
        "lago_xero.last_failed_at": "2026-01-02T03:04:05.678000+00:00",
        "lago_xero.event_key": "ab" * 32,
        "lago_xero.version": "1.2",
    }
    assert world.outbox.finished == [1]
    assert world.counted("dead_letter", "sent") == 1


def test_an_undecodable_record_says_so_in_connect_terms() -> None:
    dead = notice(1, document_id=None, document_kind=None, lago_id=None, number=None)
    said = headers(dead_letter(dead, "dlq", "0"))
    assert said["__connect.errors.stage"] == "VALUE_CONVERTER"
    assert "lago_xero.document" not in said


def test_what_goes_out_is_bounded_and_names_no_address() -> None:
    said = headers(dead_letter(notice(1, sentence="to a.b@c.example " + "x" * 5000), "dlq", "0"))
    assert said["__connect.errors.exception.message"].startswith("to …@… xxx")
    assert len(said["__connect.errors.exception.message"]) == 1000


def test_an_earlier_dead_letters_headers_are_replaced() -> None:
    again = notice(1, headers=(("lago_xero.code", b"old"), ("kept", None)))
    message = dead_letter(again, "dlq", "0")
    assert [v for n, v in message.headers if n == "lago_xero.code"] == [b"unmapped_tax"]
    assert ("kept", b"") in message.headers


async def test_too_large_goes_without_its_value() -> None:
    value = b"x" * 5_000
    world = World(notice(1, value=value), notice(2))
    world.publisher.limit = 2_000
    await world.announcer.run_once("dead_letter")
    small, large = world.publisher.published
    assert small.value == b'{"a": 1}'
    assert (large.key, large.value) == (b"\xfe", b"")
    said = headers(large)
    assert said["lago_xero.value.size"] == "5000"
    assert said["lago_xero.value.sha256"] == hashlib.sha256(value).hexdigest()
    assert said["lago_xero.value.kept"] == "ledger event " + "ab" * 32
    assert said["X-Lago-Unique-Key"] == "k"
    assert sorted(world.outbox.finished) == [1, 2]


async def test_too_large_headers_go_too() -> None:
    world = World(notice(1, headers=(("huge", b"x" * 5_000),)))
    world.publisher.limit = 2_000
    await world.announcer.run_once("dead_letter")
    [message] = world.publisher.published
    assert "huge" not in headers(message)
    assert headers(message)["lago_xero.code"] == "unmapped_tax"


async def test_one_that_never_fits_steps_aside() -> None:
    world = World(notice(1, key=b"x" * 5_000), notice(2))
    world.publisher.limit = 2_000
    await world.announcer.run_once("dead_letter")
    assert world.outbox.finished == [2]
    assert world.outbox.errors[1] == "too large for the topic even without its value"
    assert world.outbox.due[1] == pytest.approx(BACK_OFF["dead_letter"][0])
    assert world.counted("dead_letter", "failed") == 1


async def test_nothing_is_done_before_its_acknowledgement() -> None:
    world = World(notice(1))
    world.publisher.away = True
    for delay in (*BACK_OFF["dead_letter"], BACK_OFF["dead_letter"][-1]):
        assert await world.announcer.run_once("dead_letter") == 1
        assert world.outbox.due[1] - world.outbox.now == pytest.approx(delay)
        assert await world.announcer.run_once("dead_letter") == 0
        world.outbox.now = world.outbox.due[1]
    world.publisher.away = False
    await world.announcer.run_once("dead_letter")
    assert world.outbox.finished == [1]


async def test_without_a_record_only_the_webhook_is_told() -> None:
    parked: dict[str, Any] = {
        "topic": None,
        "partition": None,
        "offset": None,
        "key": None,
        "value": None,
    }
    world = World(notice(1, **parked), notice(2, "webhook", **parked, document_kind=None))
    await world.announcer.run_once("dead_letter")
    await world.announcer.run_once("webhook")
    assert world.publisher.published == []
    [(_, body)] = world.webhook.posts
    assert body["failures"][0]["document"] is None
    assert sorted(world.outbox.finished) == [1, 2]


async def test_a_post_has_lagos_shape_plus_document_and_hint() -> None:
    world = World(notice(1, "webhook"))
    await world.announcer.run_once("webhook")
    [(id, body)] = world.webhook.posts
    assert id.startswith("msg_")
    failure_id = body["failures"][0].pop("id")
    assert failure_id.startswith("failure_")
    assert body == {
        "type": "lago_xero.failures",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "connection_code": "acme",
        "connection_name": "Acme",
        "failures": [
            {
                "webhook_type": "customer.accounting_provider_error",
                "object_type": "accounting_provider_customer_error",
                "organization_id": str(ORGANIZATION),
                "accounting_provider_customer_error": {
                    "lago_customer_id": str(CUSTOMER),
                    "external_customer_id": "cust-1",
                    "accounting_provider": "xero",
                    "accounting_provider_code": "acme",
                    "provider_error": {
                        "message": "The tax vat_20 has no mapping.",
                        "error_code": "unmapped_tax",
                    },
                },
                "document": {"kind": "invoice", "lago_id": str(LAGO_ID), "number": "INV-1"},
                "hint": "Map it.",
                "attempts": 2,
                "event_key": "ab" * 32,
                "failed_at": "2026-01-02T03:04:05.678Z",
            }
        ],
    }


async def test_a_post_lists_up_to_100_of_one_connection() -> None:
    ours = [notice(i, "webhook", number=f"A{i}") for i in range(150)]
    others = [notice(i, "webhook", number=f"B{i}", connection_code=None) for i in range(150, 170)]
    world = World(*ours, *others, limit=500)
    assert await world.announcer.run_once("webhook") == 170
    assert [len(n) for n in world.webhook.numbers()] == [100, 50, 20]
    assert [body["connection_code"] for _, body in world.webhook.posts] == ["acme", "acme", None]
    assert len({id for id, _ in world.webhook.posts}) == 3
    assert len(world.outbox.finished) == 170


async def test_a_repeated_post_keeps_its_id_and_bytes() -> None:
    world = World(notice(1, "webhook"), notice(2, "webhook"))
    world.webhook.code = "webhook_unavailable"
    await world.announcer.run_once("webhook")
    world.outbox.now = world.outbox.due[1]
    late = notice(3, "webhook", number="late", created_at=AT + timedelta(hours=1))
    world.outbox.open[3], world.outbox.due[3] = late, 0.0
    world.webhook.code = ""
    await world.announcer.run_once("webhook")
    assert world.webhook.tried[0] == message_id([notice(1), notice(2)])
    assert sorted(id for id, _ in world.webhook.posts) == sorted(
        [world.webhook.tried[0], message_id([late])]
    )


async def test_an_absent_receiver_is_tried_once_a_run_and_logged_once() -> None:
    world = World(notice(1, "webhook"), notice(2, "webhook", connection_code="other"))
    world.webhook.code = "webhook_unavailable"
    with capture_logs() as logs:
        for delay in (*BACK_OFF["webhook"], BACK_OFF["webhook"][-1]):
            await world.announcer.run_once("webhook")
            for id in (1, 2):
                assert world.outbox.due[id] - world.outbox.now == pytest.approx(delay)
            world.outbox.now = world.outbox.due[1]
    assert len(world.webhook.tried) == len(BACK_OFF["webhook"]) + 1
    assert [line["event"] for line in logs] == ["webhook_not_taken"]
    world.webhook.code = ""
    with capture_logs() as logs:
        await world.announcer.run_once("webhook")
    assert [line["event"] for line in logs] == ["webhook_taken_again"]
    assert sorted(world.outbox.finished) == [1, 2]


async def test_a_receiver_that_refuses_is_tried_slowly_and_nothing_is_lost() -> None:
    world = World(notice(1, "webhook"))
    world.webhook.code = "webhook_refused"
    await world.announcer.run_once("webhook")
    assert world.outbox.due[1] == pytest.approx(7_200)
    world.outbox.now = world.outbox.due[1]
    world.webhook.code = ""
    await world.announcer.run_once("webhook")
    assert world.outbox.finished == [1]


async def test_a_failure_that_the_receiver_cannot_take_steps_aside() -> None:
    world = World(*(notice(i, "webhook", number=f"N{i}") for i in range(100)))
    world.webhook.bad = {"N37"}
    await world.announcer.run_once("webhook")
    assert set(world.outbox.open) == {37}
    assert len(world.webhook.tried) <= 2 * 7 + 1


async def test_looking_for_a_bad_failure_has_an_end() -> None:
    world = World(*(notice(i, "webhook", number=f"N{i}") for i in range(100)))
    world.webhook.bad = {f"N{i}" for i in range(100)}
    await world.announcer.run_once("webhook")
    assert len(world.webhook.tried) <= 1 + 12
    assert len(world.outbox.errors) == 100


async def test_a_notice_that_does_not_fit_the_schema_steps_aside() -> None:
    world = World(notice(1, "webhook", code="x" * 2_000), notice(2, "webhook", number="good"))
    await world.announcer.run_once("webhook")
    assert world.webhook.numbers() == [["good"]]
    assert set(world.outbox.errors) == {1}


async def test_without_a_webhook_its_notices_are_done_silently() -> None:
    world = World(notice(1, "webhook"), webhook=False)
    await world.announcer.run_once("webhook")
    assert world.outbox.finished == [1]
    assert world.counted("webhook", "sent") == 0


async def test_the_loop_wakes_survives_and_stops() -> None:
    world = World(interval=3_600.0)
    stop = asyncio.Event()
    running = asyncio.create_task(world.announcer.run(stop))
    async with asyncio.timeout(10):
        world.outbox.away = True
        with capture_logs() as logs:
            world.announcer.wake()
            while not logs:
                await asyncio.sleep(0)
        world.outbox.away = False
        world.outbox.open[1], world.outbox.due[1] = notice(1), 0.0
        world.announcer.wake()
        while not world.outbox.finished:
            await asyncio.sleep(0)
        stop.set()
        await running
    assert len(world.publisher.published) == 1
