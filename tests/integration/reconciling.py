"""A desk on a stage: whoever reconciles, and the accountant who edits Xero's books meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from consumer.adapters.postgres.holdings import PostgresHoldings
from consumer.adapters.postgres.reconciling import PostgresMirror
from consumer.adapters.postgres.spare import SpareBudget
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.domain.reconciling import Discrepancy, ListedKind, MirrorKind, Period
from consumer.ports.reconciling import LagoLists, Subject
from consumer.reconcile import Lago, LagoReader, Reader, Reconcile, Reconciled
from consumer.sandbox.xero import accountant
from consumer.sandbox.xero.call import Call
from tests.lives.stage import Stage

Json = dict[str, Any]
EVER = Period(date(2020, 1, 1), date(2030, 12, 31))


class Watcher:
    """Who watches, and remembers."""

    def __init__(self) -> None:
        self.pages: list[tuple[MirrorKind, int, int]] = []
        self.waited: list[float] = []
        self.listed: list[tuple[ListedKind, int, int]] = []

    def read(self, kind: MirrorKind, page: int, pages: int) -> None:
        self.pages.append((kind, page, pages))

    def waits(self, seconds: float) -> None:
        self.waited.append(seconds)

    def lists(self, kind: ListedKind, page: int, pages: int) -> None:
        self.listed.append((kind, page, pages))

    def waits_for_lago(self, seconds: float) -> None:
        self.waited.append(seconds)


@dataclass
class Desk:
    """Reconciles the stage's connection; with Lago where its API is given."""

    stage: Stage
    api: LagoLists | None = None
    period: Period = EVER
    limits: Limits = field(default_factory=lambda: Limits(1_000_000, 1_000_000, 5))
    watcher: Watcher = field(default_factory=Watcher)

    @property
    def mirror(self) -> PostgresMirror:
        return PostgresMirror(self.stage.books.database)

    async def subject(self) -> Subject:
        found = await self.mirror.subject("acme")
        assert found is not None
        return found

    @property
    def lago(self) -> Lago | None:
        if self.api is None:
            return None
        b = self.stage.books
        reader = LagoReader(self.api, Clocks(), self.watcher, _at_once)
        return Lago(reader, PostgresHoldings(b.database), b.inbox, _now)

    async def run(self, *, full: bool = False, repair: bool = False) -> Reconciled:
        """Once, as a new process does it."""
        reader = Reader(
            self.stage.accounting,
            SpareBudget(self.stage.books.database, self.limits, Clocks()),
            self.stage._token,
            Clocks(),
            self.watcher,
        )
        reconcile = Reconcile(self.mirror, reader, _now, self.lago)
        who = "ann" if repair else None
        return await reconcile.run(await self.subject(), self.period, full=full, repair=who)

    async def told(self, **how: Any) -> list[tuple[str, str]]:
        """Classes and kinds of the exceptions, but for what the fallback item took."""
        return told(await self.run(**how))

    def edit(self, what: accountant.Edit, **order: Any) -> Json:
        """By an accountant, in Xero."""
        world = self.stage.world
        call = Call("POST", (), {"unitdp": "4"}, self.stage.xero, world.settings, world.at())
        outcome = what(call, order)
        assert not outcome.errors, outcome.errors
        return outcome.shown

    async def value(self, query: str, *args: Any) -> Any:
        return (await self.stage.books.database.fetch(query, *args))[0][0]

    async def first_seen(self, name: str) -> list[tuple[UUID | None, datetime, datetime | None]]:
        rows = await self.stage.books.database.fetch(
            "select xero_id, first_seen, closed_at from finding where class = $1 order by id",
            f"reconcile_{name}",
        )
        return [(row["xero_id"], row["first_seen"], row["closed_at"]) for row in rows]


def _now() -> datetime:
    return datetime.now(UTC)


async def _at_once(seconds: float) -> None:
    """Nobody waits in a test."""


def human(found: Reconciled) -> list[Discrepancy]:
    """The exceptions, but for what the fallback item took."""
    return [one for one in found.exceptions if one.name != "fallback"]


def told(found: Reconciled) -> list[tuple[str, str]]:
    return sorted((one.name, one.kind) for one in human(found))
