"""Lago against the ledger: a connection and a period in, what the ledger lacks of Lago out; and taken in.

What Lago's API answers counts as a message about the object, merged and planned as those from Kafka are.
A Lago that does not answer takes nothing from the rest of the run: it is told why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from consumer.domain.reconciling import Discrepancy, Entry, Period
from consumer.domain.reconciling.listed import SUCCEEDED
from consumer.ports import Answer, Inbox, Incoming, Question, Unanswered, Unstorable
from consumer.ports.reconciling import Holdings, Subject
from consumer.reconcile.comparing_lago import Comparison
from consumer.reconcile.reading_lago import LagoReader, read


@dataclass(frozen=True, slots=True)
class LagoCompared:
    """What came of comparing with Lago; ``why`` it was not, or, where it had ``begun``, not all of it.

    ``unverified`` counts the ledger's documents that no list showed and that were not asked for singly.
    """

    why: str | None = None
    exceptions: tuple[Discrepancy, ...] = ()
    calls: int = 0
    unverified: int = 0
    begun: bool = False

    @property
    def told(self) -> str:
        """In a sentence."""
        if self.why is None:
            return f"compared with the ledger, {self.calls} calls."
        return f"{'not all compared' if self.begun else 'not compared'}: {self.why}"


NOT_CONFIGURED = LagoCompared("LAGO_XERO_LAGO_API_URL and LAGO_XERO_LAGO_API_KEY are not set.")


class Lago:
    """Lago's API, beside the ledger that it is compared with."""

    def __init__(
        self,
        reader: LagoReader,
        holdings: Holdings,
        inbox: Inbox,
        now: Callable[[], datetime],
    ) -> None:
        self.reader = reader
        self.holdings = holdings
        self.inbox = inbox
        self.now = now
        self._organization: UUID | None = None

    async def compare(
        self, subject: Subject, period: Period, entries: Sequence[Entry]
    ) -> LagoCompared:
        """All that Lago dates in the period, and the ledger's ``entries`` that Lago does not show."""
        connections = await self.holdings.connections()
        here = next((one for one in connections if one.id == subject.connection_id), None)
        if here is None:
            return LagoCompared(f"{subject.code} has been retired meanwhile.")
        comparison = Comparison(
            self.reader, self.holdings, self.now, here, connections, period, entries
        )
        why = None
        try:
            self._organization = await self.reader.asked(self.reader.api.organization)
            if self._organization != here.organization_id:
                return LagoCompared(
                    f"The key of Lago's API belongs to another organization than {here.code} has.",
                    calls=self.reader.calls,
                )
            await comparison.run()
        except Unanswered as error:
            why = error.sentence
        found = tuple(comparison.told())
        calls, begun = self.reader.calls, comparison.begun
        return LagoCompared(why, found, calls, comparison.unverified, begun)

    async def take_in(self, one: Discrepancy) -> None:
        """What Lago says of it now; of an invoice also what was paid on it.

        Raises:
            Unanswered: Lago does not say.
        """
        assert one.lago_id is not None
        assert self._organization is not None
        questions: list[Question] = []
        if one.kind in ("invoice", "credit_note"):
            questions.append(
                Question("invoice" if one.kind == "invoice" else "credit_note", one.lago_id)
            )
        payable = one.lago_id if one.kind == "invoice" else one.invoice_id
        if one.kind in ("invoice", "payment") and payable is not None:
            questions.append(Question("payments", payable))
        batch: dict[bytes, Incoming] = {}
        for question in questions:
            at = int(self.now().timestamp() * 1000)
            for answer in await self.reader.asked(self.reader.api.ask, question):
                incoming = answer.incoming(self._organization, at)
                if incoming.event is not None and _says(answer, one.lago_id):
                    batch[incoming.digest] = incoming
        if batch:
            try:
                await self.inbox.ingest(list(batch.values()))
            except Unstorable as error:
                raise Unanswered("unreadable", f"It cannot be stored ({error}).") from error


def _says(answer: Answer, asked_for: UUID) -> bool:
    """Lago lists payments that never came too: they say nothing, but of one that the ledger has for money."""
    if answer.kind != "payment":
        return True
    told = read("payment", answer.object)
    return told.status == SUCCEEDED or (told.counts and told.lago_id == asked_for)
