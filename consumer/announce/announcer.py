"""Announcing: failures from the outbox in, dead-letter records and webhook posts out.

At least once: a notice is done only after its acknowledgement, so that a crash in between repeats
it; ``lago_xero.notice`` and a failure's ``id`` tell a repetition. What cannot be announced steps
aside for a while and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from consumer.announce.dead_letter import bare, dead_letter, whole, without_value
from consumer.announce.post import failure_post, grouped, message_id
from consumer.announce.wording import BOUND
from consumer.domain.errors import Throttled
from consumer.metrics import Metrics
from consumer.ports import MessageTooLarge, Notice, Outbox, Publisher, Sink, Webhook
from consumer.stopping import either

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
        while not stop.is_set():
            self._wake[sink].clear()
            try:
                more = await self.run_once(sink) >= self._limit
            except Exception as error:  # noqa: BLE001 (Postgres is away; leases end by time)
                log.warning("announcing_failed", sink=sink, error=type(error).__name__)
                more = False
            if not more:
                await either(self._wake[sink], stop, self._interval)

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
        for shrink in (whole, without_value, bare):
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
