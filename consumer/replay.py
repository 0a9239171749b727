"""Replay: a range of a topic in once more; what it would change, has changed, or what the ledger lacks out.

Nothing is told to the consumer group, and no offset is committed. What is taken in goes through ingest as
it did at first, as of its own Kafka timestamp: a message that is known changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta

from consumer.adapters.postgres.replaying import Changed, PostgresReplaying, Standing
from consumer.adapters.scratch import Scratch
from consumer.domain.events import Event, Ignored, decode
from consumer.domain.objects import Contribution, Object, merge
from consumer.domain.operations import operation_of
from consumer.domain.replays import (
    Chooser,
    Fate,
    Ref,
    Survey,
    Verified,
    as_told,
    concerned,
    knows_more,
    lacks,
)
from consumer.ingest import Intake, digest_of
from consumer.ports import EPOCH, Passage, Record, Rereading, Span, Unavailable

PAGE = 50
"""Objects of one trial: their rows are locked while it lasts."""
AWAY = 6
"""So often a batch is tried while Postgres is away."""
RETRY = 1.0


@dataclass(frozen=True, slots=True)
class _Sorted:
    record: Record
    digest: bytes
    fate: Fate
    event: Event | None = None


class Replay:
    """One replay.

    Args:
        chooser: which messages are meant.
        progress: told how many offsets have been passed by.
        most: documents of one call to Xero.
    """

    def __init__(
        self,
        rereading: Rereading,
        ledger: PostgresReplaying,
        chooser: Chooser,
        *,
        stop: asyncio.Event,
        progress: Callable[[int], None] = lambda passed: None,
        most: int = 50,
        page: int = PAGE,
    ) -> None:
        self.rereading = rereading
        self.ledger = ledger
        self.chooser = chooser
        self.stop = stop
        self.progress = progress
        self.most = most
        self.page = page

    async def survey(self, topic: str, spans: Mapping[int, Span]) -> Survey | None:
        """What would change; nothing does. None if it was stopped."""
        survey, scratch = Survey(), Scratch()
        try:
            async with aclosing(self._passages(topic, spans)) as passages:
                async for passage in passages:
                    for one in await self._sort(passage.records):
                        fate = one.fate
                        if fate in ("new", "decodable") and not scratch.first(one.digest):
                            fate = "known"  # the second time in the range
                        elif one.event is not None and fate in ("new", "decodable"):
                            says = await self._merge_into(scratch, one.event)
                            fate = fate if says or fate == "decodable" else "without_effect"
                        survey.counts[fate] += 1
            if self.stop.is_set():
                return None
            changed: dict[tuple[object, ...], Changed] = {}
            for page in scratch.pages(self.page):
                if self.stop.is_set():
                    return None
                for document in await self._try(list(map(as_told, page)), survey.unplanned):
                    changed[document.identity] = document
            survey.documents.update(one.kind for one in changed.values())
            survey.calls.update(_calls(changed.values(), self.most))
            return survey
        finally:
            scratch.close()

    async def verify(self, topic: str, spans: Mapping[int, Span]) -> Verified | None:
        """What the ledger lacks of what the range told; nothing changes. None if it was stopped."""
        verified, scratch = Verified(), Scratch()
        try:
            async with aclosing(self._passages(topic, spans)) as passages:
                async for passage in passages:
                    for one in await self._sort(passage.records, decode_known=True):
                        verified.counts[one.fate] += 1
                        if one.fate in ("new", "decodable"):
                            scratch.first(one.digest)
                        for told in one.event.contributions if one.event else ():
                            known = scratch.get([told.key]).get(told.key)
                            scratch.put([merge(known, told)])
            for page in scratch.pages(self.page):
                if self.stop.is_set():
                    return None
                await self._compare(page, scratch, verified)
            return None if self.stop.is_set() else verified
        finally:
            scratch.close()

    async def apply(
        self, job: int, intake: Intake, topic: str, spans: Mapping[int, Span], counts: Counter[str]
    ) -> bool:
        """Take in what is not known; whether all of it was. ``counts`` goes on from where it stands.

        Killed at any moment, it goes on where the job says: what was taken in since is known then.
        """
        positions = {n: span.start for n, span in spans.items()}
        async with aclosing(self._passages(topic, spans)) as passages:
            async for passage in passages:
                found = await self._sort(passage.records)
                fates = Counter[str](one.fate for one in found)
                dead = [one for one in found if one.fate == "dead"]
                standing = await self.ledger.standing({one.digest for one in dead})
                news = [
                    one.record
                    for one in found
                    if one.fate in ("new", "decodable")
                    or (one.fate == "dead" and one.digest not in standing)
                ]
                refused = await intake.store_all(news, _again) - (len(dead) - len(standing))
                if refused > 0:  # decodable, and yet not to be stored
                    fates["new"] -= refused
                    fates["dead"] += refused
                counts.update(fates)
                positions.update(passage.read_to)
                await self.ledger.advance(job, positions, counts)
        if self.stop.is_set():
            return False
        await self.ledger.end(job)
        return True

    async def _passages(
        self, topic: str, spans: Mapping[int, Span]
    ) -> AsyncGenerator[Passage, None]:
        """Until the end or the stop."""
        passed = 0
        async with aclosing(self.rereading.read(topic, spans)) as passages:
            async for passage in passages:
                yield passage
                now = sum(at - spans[n].start for n, at in passage.read_to.items())
                self.progress(now - passed)
                passed = now
                if self.stop.is_set():
                    return

    async def _sort(
        self, records: Sequence[Record], *, decode_known: bool = False
    ) -> Sequence[_Sorted]:
        """What each record is; events as of when Kafka first got them."""
        digests = [(record, digest_of(record)) for record in records]
        standing = await self.ledger.standing({digest for _, digest in digests})
        everything = self.chooser.choice.is_all
        found = [
            _Sorted(record, digest, "known")
            if everything and not decode_known and _is_known(standing.get(digest))
            else _read(record, digest, standing.get(digest), unread_too=everything)
            for record, digest in digests
        ]
        if everything:
            return found
        keys = {key for one in found if one.event is not None for key in concerned(one.event)}
        places = await self.ledger.places(keys) if keys else {}
        return [
            one
            if one.event is None or self.chooser.means(one.event, places)
            else replace(one, fate="left_out", event=None)
            for one in found
        ]

    async def _merge_into(self, scratch: Scratch, event: Event) -> bool:
        """Whether it says anything that neither the ledger nor the range before it did."""
        keys = {told.key for told in event.contributions}
        there = scratch.get(keys)
        there |= await self.ledger.objects(keys - there.keys()) if keys - there.keys() else {}
        says = False
        for told in event.contributions:
            before = there.get(told.key)
            there[told.key] = merged = merge(before, told)
            says = says or merged is not before
        scratch.put(there.values())
        return says

    async def _compare(self, page: Sequence[Object], scratch: Scratch, to: Verified) -> None:
        known = await self.ledger.objects({one.key for one in page})
        lacking = set()
        for told in page:
            there = known.get(told.key)
            to.objects += 1
            to.in_part += knows_more(told, there)
            names = lacks(told, there)
            if not names:
                continue
            lacking.add(told.key.lago_id)
            stamps = [told.facets[name].stamp.digest for name in names]
            new = any(digest and scratch.has_seen(digest) for digest in stamps)
            lost = any(digest and not scratch.has_seen(digest) for digest in stamps) or not new
            ref = Ref(told.key.kind, str(told.key.lago_id), tuple(names))
            (to.lost if lost else to.not_taken_in).append(ref)
        for document in await self._try(list(map(as_told, page)), to.unplanned):
            _, kind, lago_id, part, target = document.identity
            if not {lago_id, target} & lacking:  # else that is why
                to.differing.append(Ref(kind, document.number or str(lago_id), (part,)))

    async def _try(self, told: Sequence[Contribution], unplanned: list[Ref]) -> Sequence[Changed]:
        """A trial; what planning stumbles over is found by halving."""
        try:
            return await self.ledger.trial(told)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one object must not hide what the others do
            if len(told) == 1:
                key = told[0].key
                unplanned.append(Ref(key.kind, str(key.lago_id), (type(error).__name__,)))
                return ()
            half = len(told) // 2
            first = await self._try(told[:half], unplanned)
            return [*first, *await self._try(told[half:], unplanned)]


async def _again(away: int) -> bool:
    if away < AWAY:
        await asyncio.sleep(RETRY)
    return away < AWAY


def _is_known(standing: Standing | None) -> bool:
    return standing is not None and not standing.dead


def _read(record: Record, digest: bytes, standing: Standing | None, *, unread_too: bool) -> _Sorted:
    """``unread_too``: what cannot be read is meant as well; a filter cannot tell whose it is."""
    appended = record.appended
    if standing is not None:
        appended = (standing.appended_at - EPOCH) // timedelta(milliseconds=1)
    try:
        event = decode(record.value, appended=appended, digest=digest.hex())
    except Exception:  # noqa: BLE001 - ingest says what is wrong with it
        return _Sorted(record, digest, "dead" if unread_too else "left_out")
    if isinstance(event, Ignored):
        return _Sorted(record, digest, "ignored")
    fate: Fate = "new" if standing is None else "decodable" if standing.dead else "known"
    return _Sorted(record, digest, fate, event)


def _calls(changed: Iterable[Changed], most: int) -> Counter[str]:
    """Full calls, by kind: what is sent together is of one tenant, one kind and one step."""
    together = Counter((one.tenant_id, one.kind, one.step) for one in changed if one.sent)
    calls = Counter[str]()
    for (_, kind, step), documents in together.items():
        calls[kind] += -(-documents // min(operation_of(kind, step).most, most))
    return calls
