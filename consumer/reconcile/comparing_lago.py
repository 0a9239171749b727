"""Comparing Lago's lists with the ledger: a connection and a period in, the exceptions out.

Each page is compared with the ledger's objects as they are then, and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal
from uuid import UUID

from consumer.domain.contacts import is_partner
from consumer.domain.contributions import Telling, of_customer
from consumer.domain.documents import before_start
from consumer.domain.homes import choose_home
from consumer.domain.mapping import Connection
from consumer.domain.objects import Object, customer_of, invoice_of, merge
from consumer.domain.reconciling import (
    LISTED,
    Discrepancy,
    Entry,
    Held,
    Listed,
    ListedKind,
    Period,
    behind,
    in_residuals,
    unknown_to_lago,
)
from consumer.domain.reconciling.proposals import ERASED
from consumer.ports import Question, Unanswered
from consumer.ports.reconciling import Holdings
from consumer.reconcile.reading_lago import LagoReader, read

LOOKUPS = 60
"""Documents that no list of Lago's shows and that are asked for singly in one run."""


class Comparison:
    """One connection and period against Lago's lists; ``unverified`` counts what was not asked for singly."""

    def __init__(
        self,
        reader: LagoReader,
        holdings: Holdings,
        now: Callable[[], datetime],
        here: Connection,
        connections: Sequence[Connection],
        period: Period,
        entries: Sequence[Entry],
    ) -> None:
        self.reader = reader
        self.holdings = holdings
        self.now = now
        self.here = here
        self.connections = [
            one for one in connections if one.organization_id == here.organization_id
        ]
        self.period = replace(period, first=max(period.first, here.start_date or period.first))
        self.synced = {
            "invoice": here.sync_invoices,
            "credit_note": here.sync_credit_notes,
            "payment": here.sync_payments,
        }
        self.unseen: dict[tuple[str, UUID], Entry] = {
            (one.kind, one.lago_id): one for one in entries
            if one.kind in ("invoice", "credit_note") and one.lago_id is not None and one.part == ""
            and one.wanted and not one.draft and self.synced[one.kind]
        }  # fmt: skip
        self.found: dict[tuple[object, ...], Discrepancy] = {}
        self.homes: dict[UUID, int | None] = {}
        self.missing: set[UUID] = set()
        self.explained: dict[UUID, dict[UUID, int]] = {}
        """The payments that residuals were posted for, by invoice."""
        self.paying: set[UUID] = set()
        """Invoices a payment on which is told."""
        self.unverified = 0
        self.begun = False
        self.unreadable: dict[str, None] = {}
        """Sentences about objects that cannot be read, each once; the rest is compared."""

    async def run(self) -> None:
        """Read all lists, and ask for what none of them shows.

        Raises:
            Unanswered: Lago does not answer, or something of its answers cannot be read; what was found is
                told.
        """
        if self.period.last < self.period.first:
            return
        for kind in LISTED:
            if self.synced[kind]:
                await self._list(kind)
        await self._look_up()
        if self.unreadable:
            first, more = next(iter(self.unreadable)), len(self.unreadable) - 1
            also = f" Nor can {more} more." if more else ""
            raise Unanswered("unreadable", first + also)

    def told(self) -> Iterable[Discrepancy]:
        """What was found; what was paid on an invoice is told by the payment, where that is told; where
        payments are not synced it is no business of the connection's."""
        for one in self.found.values():
            only_paid = [each.field for each in one.differences] == ["paid"]
            told_else = one.lago_id in self.paying or not self.synced["payment"]
            if not (one.kind == "invoice" and only_paid and told_else):
                yield one

    async def _list(self, kind: ListedKind) -> None:
        """All its pages; of payments, which Lago filters by no day, those that may have one of the period."""
        number: int | None = 1
        before: set[str] = set()
        while number is not None:
            at = self.now()
            page = await self.reader.asked(self.reader.api.page, kind, self.period, number)
            self.reader.progress.lists(kind, number, page.pages)
            shown = list(self._readable(kind, page.objects))
            ids = {str(one.get("lago_id")) for one in page.objects}
            if ids <= before and page.following is not None:
                said = f"Lago's API does not go on in its list of {kind.replace('_', ' ')}s."
                raise Unanswered("unreadable", said)
            before = ids
            await self._compare(kind, shown, at)
            self.begun = True
            past = kind == "payment" and _newest_first(shown) and self._all_before(shown)
            number = None if past else page.following

    def _readable(self, kind: ListedKind, objects: Iterable[Mapping[str, Any]]) -> Iterator[Listed]:
        for one in objects:
            try:
                yield read(kind, one)
            except Unanswered as error:
                self.unreadable[error.sentence] = None

    def _all_before(self, shown: Sequence[Listed]) -> bool:
        days = [one.dated for one in shown if one.dated is not None]
        return bool(days) and max(days) < self.period.first

    async def _look_up(self) -> None:
        """What no list showed is asked for singly: pages move while they are read, and dates differ."""
        lacking = list(self.unseen.values())
        self.unverified = max(0, len(lacking) - LOOKUPS)
        for entry in lacking[:LOOKUPS]:
            assert entry.lago_id is not None
            kind: Literal["invoice", "credit_note"] = (
                "invoice" if entry.kind == "invoice" else "credit_note"
            )
            question = Question(kind, entry.lago_id)
            at = self.now()
            try:
                [answer] = await self.reader.asked(self.reader.api.ask, question)
            except Unanswered as error:
                if error.why != "missing":
                    raise
                self._tell(unknown_to_lago(entry))
                continue
            shown = list(self._readable(kind, [answer.object]))
            await self._compare(kind, shown, at, everywhen=True)

    async def _compare(
        self, kind: ListedKind, shown: Sequence[Listed], at: datetime, *, everywhen: bool = False
    ) -> None:
        for one in shown:
            self.unseen.pop((kind, one.lago_id), None)
        shown = [one for one in shown if one.counts and (everywhen or one.dated in self.period)]
        held = await self.holdings.held(kind, {one.lago_id for one in shown})
        of = {id for one in shown for id in one.invoice_ids}
        invoices = held if kind == "invoice" else await self.holdings.held("invoice", of)
        payments = await self.holdings.paying(held) if kind == "invoice" else []
        for one in shown:
            known = held.get(one.lago_id)
            if not await self._belongs(one, known, invoices):
                continue
            paying = (each for each in payments if one.lago_id in each.invoice_ids)
            told = behind(one, known, at, paying)
            if told is None or self._in_residuals(told, one, invoices):
                continue
            if told.action is not None and await self._erased(one, known, invoices):
                told = replace(told, repair=ERASED, safety="needs_approval", action=None)
            self._tell(told)

    async def _erased(self, one: Listed, known: Held | None, invoices: Mapping[UUID, Held]) -> bool:
        """Whether a person has erased the customer's data, which taking in would bring back."""
        of = [known.object] if known is not None else []
        of += [invoices[id].object for id in one.invoice_ids if id in invoices]
        ids = {one.customer_id, *(each.customer_id for each in of)} - {None}
        customers = await self.holdings.held("customer", [id for id in ids if id is not None])
        return any(each.object.erased for each in customers.values())

    def _tell(self, one: Discrepancy) -> None:
        self.found[one.key] = one
        if one.kind == "invoice" and one.name == "missing_in_ledger" and one.lago_id is not None:
            self.missing.add(one.lago_id)
        if one.kind == "payment" and one.invoice_id is not None:
            self.paying.add(one.invoice_id)

    async def _belongs(
        self, one: Listed, known: Held | None, invoices: Mapping[UUID, Held]
    ) -> bool:
        """Whether it is this connection's business: notes and payments follow their invoices."""
        if one.kind != "invoice":
            return any(self._holds(id, invoices.get(id)) for id in one.invoice_ids)
        if known is not None and known.object.connection_id is not None:
            return known.object.connection_id == self.here.id
        return await self._home(one) == self.here.id

    def _holds(self, id: UUID, invoice: Held | None) -> bool:
        """Whether the invoice is here; one that the ledger does not know is told of itself."""
        if id in self.missing:
            return True
        if invoice is None or invoice.object.connection_id != self.here.id:
            return False
        facts = invoice_of(invoice.object)
        return not before_start(self.here, facts.issuing_date if facts is not None else None)

    async def _home(self, one: Listed) -> int | None:
        """Where his customer is at home, or would be; nowhere for what is billed for others."""
        if one.customer is None:
            return None
        id = one.customer.lago_id
        if id not in self.homes:
            customer = await self._customer(one)
            now = self.now()
            home = choose_home(customer, self.connections, now=now, patience=timedelta(0))
            self.homes[id] = None if is_partner(customer_of(customer)) else home.connection_id
        return self.homes[id]

    async def _customer(self, one: Listed) -> Object:
        """As the ledger knows him, else as Lago does, where his links may decide."""
        assert one.customer is not None
        id, organization_id = one.customer.lago_id, self.here.organization_id
        held = (await self.holdings.held("customer", [id])).get(id)
        if held is not None and held.object.facets:
            return held.object
        if len(self.connections) > 1 or self.here.customers == "linked":
            question = Question("customer", id, external_id=one.customer.external_id)
            try:
                [answer] = await self.reader.asked(self.reader.api.ask, question)
            except Unanswered as error:
                if error.why != "missing":
                    raise
            else:
                event = answer.incoming(organization_id, 0).event
                if event is not None:
                    return merge(None, event.contributions[-1])
        return merge(None, of_customer(Telling(organization_id, 0, ""), one.customer, {}))

    def _in_residuals(self, told: Discrepancy, one: Listed, invoices: Mapping[UUID, Held]) -> bool:
        """Whether the ledger has a payment's money already, as what nobody had told the payment of."""
        if told.name != "missing_in_ledger" or one.kind != "payment" or len(one.invoice_ids) != 1:
            return False
        [id] = one.invoice_ids
        if id not in invoices or one.total is None:
            return False
        free = in_residuals(
            invoices[id].object, posts=self.here.posts_residuals, made_at=one.changed_at
        )
        others = self.explained.setdefault(id, {})
        others.pop(one.lago_id, None)
        if one.total > free - sum(others.values()):
            return False
        others[one.lago_id] = one.total
        return True


def _newest_first(shown: Sequence[Listed]) -> bool:
    """Whether the page is ordered as Lago's are: no day on a later one is after its last."""
    at = [one.changed_at for one in shown if one.changed_at is not None]
    return all(newer >= older for newer, older in pairwise(at))
