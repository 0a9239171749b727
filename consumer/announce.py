"""Announcing: failures from the outbox in, dead-letter records and webhook posts out.

At least once: a notice is done only after its acknowledgement, so that a crash in between repeats
it; ``lago_xero.notice`` and a failure's ``id`` tell a repetition. What cannot be announced steps
aside for a while and the rest goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import structlog

from consumer.domain.errors import Throttled
from consumer.metrics import Metrics
from consumer.ports import Message, MessageTooLarge, Notice, Outbox, Publisher, Sink, Webhook
from schemas.error_event import (
    MAX_FAILURES,
    CustomerError,
    DocumentRef,
    Failure,
    FailurePost,
    ProviderError,
)

log = structlog.get_logger(__name__)

BACK_OFF: dict[Sink, tuple[float, ...]] = {
    "dead_letter": (1, 5, 15, 60, 300),
    "webhook": (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000),
}
"""Seconds after the first, second, … failed attempt; the last is repeated for ever."""
SLOW = 3
"""Where the webhook's schedule starts for a receiver that refuses everything."""
MAX_SPLITS = 12
"""Further posts of one run to find the failure that a receiver does not take."""
BOUND = 1_000
"""Characters of a text that go out."""

CONNECT = "__connect.errors."
OURS = "lago_xero."
EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
"""Xero's words may quote one; errors.py promises that none goes out."""
UNSENT = frozenset({"x-lago-signature"})
"""A JSON web token there carries the whole body once more."""


class Announcer:
    """Tells failures on the dead-letter topic and, where there is one, the webhook.

    ``jitter`` gives numbers in [0, 1); ``lease`` (seconds) hides claimed notices from other pods.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        webhook: Webhook | None,
        metrics: Metrics,
        dead_letter_topic: str,
        *,
        jitter: Callable[[], float],
        version: str = "0",
        limit: int = 100,
        lease: float = 120.0,
        interval: float = 1.0,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._webhook = webhook
        self._metrics = metrics
        self._topic = dead_letter_topic
        self._jitter = jitter
        self._version = version
        self._limit = limit
        self._lease = lease
        self._interval = interval
        self._wake: dict[Sink, asyncio.Event] = {
            "dead_letter": asyncio.Event(),
            "webhook": asyncio.Event(),
        }
        self._refused = False

    def wake(self) -> None:
        """There may be something to announce."""
        for event in self._wake.values():
            event.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Announce until ``stop``; the two sinks do not wait for one another."""
        async with asyncio.TaskGroup() as sinks:
            for sink in self._wake:
                sinks.create_task(self._loop(sink, stop))

    async def _loop(self, sink: Sink, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake[sink].clear()
                try:
                    more = await self.run_once(sink) >= self._limit
                except Exception as error:  # noqa: BLE001 (Postgres is away; leases end by time)
                    log.warning("announcing_failed", sink=sink, error=type(error).__name__)
                    more = False
                if not more:
                    woken = asyncio.create_task(self._wake[sink].wait())
                    await asyncio.wait(
                        {woken, stopping},
                        timeout=self._interval,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    woken.cancel()
        finally:
            stopping.cancel()

    async def run_once(self, sink: Sink) -> int:
        """Announce what is due on one sink; returns how many notices were claimed."""
        until = asyncio.get_running_loop().time() + self._lease / 2
        notices = await self._outbox.claim(sink, self._limit, self._lease)
        if sink == "dead_letter":
            await self._dead_letter(notices)
        else:
            await self._post_all(notices, until)
        return len(notices)

    async def _settle(
        self, sink: Sink, done: Sequence[Notice], failed: Sequence[tuple[Notice, str]], least: int
    ) -> None:
        if done:
            await self._outbox.done([notice.id for notice in done])
            self._metrics.announced.labels(sink, "sent").inc(len(done))
        if failed:
            schedule = BACK_OFF[sink]
            stretch = 0.9 + 0.2 * self._jitter()  # one draw: what failed together returns together
            await self._outbox.later(
                [
                    (
                        notice.id,
                        schedule[min(max(notice.attempts, least), len(schedule) - 1)] * stretch,
                        why[:BOUND],
                    )
                    for notice, why in failed
                ]
            )
            self._metrics.announced.labels(sink, "failed").inc(len(failed))

    # ── Dead-letter topic ─────────────────────────────────────────────────────────────────────────

    async def _dead_letter(self, notices: Sequence[Notice]) -> None:
        recordless = [notice.id for notice in notices if notice.topic is None]
        if recordless:  # a parked authorisation: the webhook tells it
            await self._outbox.done(recordless)
        left = [notice for notice in notices if notice.topic is not None]
        done: list[Notice] = []
        failed: list[tuple[Notice, str]] = []
        for shrink in (_whole, _without_value, _bare):
            messages = [shrink(dead_letter(n, self._topic, self._version), n) for n in left]
            outcomes = await self._publisher.publish(messages) if messages else []
            pairs = list(zip(left, outcomes, strict=True))
            done += [notice for notice, outcome in pairs if outcome is None]
            left = [notice for notice, outcome in pairs if isinstance(outcome, MessageTooLarge)]
            failed += [
                (notice, f"{type(outcome).__name__}: {outcome}")
                for notice, outcome in pairs
                if outcome is not None and not isinstance(outcome, MessageTooLarge)
            ]
        failed += [(notice, "too large for the topic even without its value") for notice in left]
        if failed:
            log.warning("dead_letter_failed", notices=len(failed), error=failed[0][1])
        await self._settle("dead_letter", done, failed, 0)

    # ── Webhook ───────────────────────────────────────────────────────────────────────────────────

    async def _post_all(self, notices: Sequence[Notice], until: float) -> None:
        if self._webhook is None:
            if notices:
                await self._outbox.done([notice.id for notice in notices])
            return
        splits = MAX_SPLITS
        waiting = [list(group) for group in grouped(notices)]
        while waiting:
            group = waiting.pop(0)
            if asyncio.get_running_loop().time() > until:
                return  # the rest is claimed again when the lease ends
            try:
                body = failure_post(group).body()
            except ValueError as error:  # one of them cannot be said in the schema
                if len(group) == 1:
                    await self._settle("webhook", [], [(group[0], type(error).__name__)], 0)
                else:
                    waiting[:0] = [[notice] for notice in group]
                continue
            try:
                await self._webhook.post(message_id(group), body)
            except Throttled as error:
                if error.code == "webhook_content" and len(group) > 1 and splits > 0:
                    splits -= 2
                    half = len(group) // 2
                    waiting[:0] = [group[:half], group[half:]]
                    continue
                unsent = group
                if error.code == "webhook_unavailable":  # no use trying the others now
                    unsent = [notice for each in [group, *waiting] for notice in each]
                    waiting = []
                self._say(error)
                least = 0 if error.code == "webhook_unavailable" else SLOW
                await self._settle("webhook", [], [(n, error.sentence) for n in unsent], least)
                continue
            if self._refused:
                self._refused = False
                log.info("webhook_taken_again")
            await self._settle("webhook", group, [], 0)

    def _say(self, error: Throttled) -> None:
        """Log the first of a row of failures only."""
        if not self._refused:
            self._refused = True
            log.warning("webhook_not_taken", code=error.code, reason=error.sentence)


def dead_letter(notice: Notice, topic: str, version: str) -> Message:
    """The record as received, with what went wrong in its headers.

    ``__connect.errors.*`` as Kafka Connect writes them, so that tools for those read ours too, and
    our own. Headers that an earlier dead letter gave the record are replaced.
    """
    kept = [
        (name, value or b"")
        for name, value in notice.headers
        if name.lower() not in UNSENT and not name.startswith((CONNECT, OURS))
    ]
    failed_at = notice.created_at.isoformat()
    facts: dict[str, object] = {
        f"{CONNECT}topic": notice.topic,
        f"{CONNECT}partition": notice.partition,
        f"{CONNECT}offset": notice.offset,
        f"{CONNECT}connector.name": "lago-xero",
        f"{CONNECT}stage": "TASK_PUT" if notice.document_id is not None else "VALUE_CONVERTER",
        f"{CONNECT}exception.class.name": notice.error_class,
        f"{CONNECT}exception.message": said(notice.sentence),
        f"{OURS}notice": notice.id,
        f"{OURS}code": notice.code,
        f"{OURS}class": notice.error_class,
        f"{OURS}hint": said(notice.hint) or None,
        f"{OURS}kind": notice.document_kind,
        f"{OURS}document": notice.lago_id,
        f"{OURS}number": notice.number,
        f"{OURS}organization": notice.organization_id,
        f"{OURS}connection": notice.connection_code,
        f"{OURS}attempts": notice.failing_attempts,
        # A notice is one failure; another failure of the same document is another notice.
        f"{OURS}first_failed_at": failed_at,
        f"{OURS}last_failed_at": failed_at,
        f"{OURS}event_key": notice.event_key,
        f"{OURS}version": version,
    }
    added = [(name, _text(value)) for name, value in facts.items() if value is not None]
    return Message(topic, notice.key, notice.value, (*kept, *added))


def said(text: str) -> str:
    """A sentence as it goes out: bounded, without e-mail addresses."""
    return EMAIL.sub("…@…", text)[:BOUND]


def _text(value: object) -> bytes:
    return str(value)[:BOUND].encode("utf-8", "replace")


def _whole(message: Message, notice: Notice) -> Message:
    return message


def _without_value(message: Message, notice: Notice) -> Message:
    value = notice.value or b""
    kept = f"ledger event {notice.event_key}" if notice.event_key else "ledger"
    about: dict[str, object] = {
        f"{OURS}value.size": len(value),
        f"{OURS}value.sha256": hashlib.sha256(value).hexdigest(),
        f"{OURS}value.kept": kept,
    }
    added = tuple((name, _text(fact)) for name, fact in about.items())
    return Message(message.topic, message.key, b"", (*message.headers, *added))


def _bare(message: Message, notice: Notice) -> Message:
    """Without the original headers too: a header can be as large as a value."""
    small = _without_value(message, notice)
    ours = tuple(h for h in small.headers if h[0].startswith((CONNECT, OURS)))
    return Message(small.topic, small.key, small.value, ours)


def grouped(notices: Iterable[Notice]) -> list[list[Notice]]:
    """Groups of one post each: one connection, same number of attempts, oldest first.

    What failed together is so posted again together, and keeps its message id.
    """
    groups: dict[tuple[str | None, int], list[Notice]] = defaultdict(list)
    for notice in sorted(notices, key=lambda n: n.id):
        groups[notice.connection_code, notice.attempts].append(notice)
    return [
        group[start : start + MAX_FAILURES]
        for group in groups.values()
        for start in range(0, len(group), MAX_FAILURES)
    ]


def message_id(group: Sequence[Notice]) -> str:
    """The same for the same failures, whenever they are posted."""
    names = ",".join(f"{notice.id}:{notice.created_at.timestamp()}" for notice in group)
    return "msg_" + hashlib.sha256(names.encode()).hexdigest()[:32]


def failure_post(group: Sequence[Notice]) -> FailurePost:
    """The body of one post. Raises ValueError where a notice does not fit the schema."""
    return FailurePost(
        timestamp=max(notice.created_at for notice in group),
        connection_code=group[0].connection_code,
        connection_name=group[0].connection_name,
        failures=tuple(_failure(notice) for notice in group),
    )


def _failure(notice: Notice) -> Failure:
    document = None
    if notice.document_kind is not None and notice.lago_id is not None:
        document = DocumentRef(
            kind=notice.document_kind, lago_id=notice.lago_id, number=notice.number
        )
    return Failure(
        id=message_id([notice]).replace("msg_", "failure_"),
        organization_id=notice.organization_id,
        accounting_provider_customer_error=CustomerError(
            lago_customer_id=notice.customer_id,
            external_customer_id=notice.external_customer_id,
            accounting_provider_code=notice.connection_code,
            provider_error=ProviderError(message=said(notice.sentence), error_code=notice.code),
        ),
        document=document,
        hint=said(notice.hint),
        attempts=notice.failing_attempts,
        event_key=notice.event_key,
        failed_at=notice.created_at,
    )
