"""Auditing: payments and allocations whose outcome was once unknown in; what Xero has twice out."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from consumer.deliver.looking import LookUps
from consumer.deliver.reading import Postponed
from consumer.deliver.sending import count_fates
from consumer.domain.errors import Doubt, NotExecuted
from consumer.metrics import Metrics
from consumer.ports import Ledger

log = structlog.get_logger()


class Auditor:
    """Looks at requests once more, when nothing of them can arrive any more.

    Xero does not keep two equal payments apart: one whose answer was lost, sent again under the same key,
    may have been made twice if Xero was at both at the same time (xero.md 10).
    """

    def __init__(
        self,
        ledger: Ledger,
        lookups: LookUps,
        metrics: Metrics,
        on_work: Callable[[], None],
    ) -> None:
        self.ledger = ledger
        self.lookups = lookups
        self.metrics = metrics
        self.on_work = on_work

    async def run_once(self) -> int:
        """One that is due; returns whether there was one. What cannot be looked at now is due again when
        its claim has ended."""
        audit = await self.ledger.take_audit()
        if audit is None:
            return 0
        try:
            found = await self.lookups.all_of(audit)
        except (Postponed, NotExecuted, Doubt) as error:
            log.info("audit_postponed", request_id=str(audit.frozen.request_id), why=str(error))
            return 0
        fates = await self.ledger.audited(audit.frozen.request_id, found)
        count_fates(self.metrics, fates)
        if fates:
            self.on_work()
        return 1
