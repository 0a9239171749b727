"""Whatever happens to a customer in Lago: as long as nobody edits Xero's books, all sides tie out.

``LIVES=2000 pytest tests/integration/test_reconciled_lives.py`` tries so many.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, note, settings

from consumer.adapters.lago_api import HttpLagoApi
from consumer.sandbox.lago import Choices, LagoApi, serve_api
from tests.integration.reconciling import Desk, human
from tests.lives.delivery import Delivery
from tests.lives.lago import ORGANIZATION, REGIMES, Life
from tests.lives.many import SLOW, draw, lives
from tests.lives.short import batch, prompt
from tests.lives.stage import Stage
from tests.strategies import choices

pytestmark = pytest.mark.usefixtures("quiet")


@dataclass
class Line:
    """Lago's API as the service reaches it, and what it shows."""

    lago: LagoApi
    api: HttpLagoApi

    def shows(self, life: Life) -> None:
        """What Lago has of this life in the end, also what no message told."""
        for things in self.lago.objects.values():
            things.clear()
        self.lago.add("customer", life.customer)
        self.lago.add("invoice", *(bill.said for bill in life.bills))
        self.lago.add("credit_note", *(one.said for one in life.notes))
        for paid in life.payments:
            status = "succeeded" if paid.stands else "failed"
            self.lago.add("payment", {**paid.said, "payment_status": status})


@pytest.fixture(scope="module")
async def line() -> AsyncIterator[Line]:
    lago = LagoApi(ORGANIZATION)
    async with serve_api(lago) as url:
        api = HttpLagoApi(url, lago.key)
        yield Line(lago, api)
        await api.close()


@given(source=choices())
@settings(
    max_examples=lives(60),
    suppress_health_check=SLOW,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
async def test_a_life_without_edits_has_no_exception(
    theatre: Stage, line: Line, source: Choices
) -> None:
    life, delivery = draw(source)
    line.shows(life)
    await theatre.live(delivery)
    theatre.accounting.faults = {}  # they were for what was sent
    found = await Desk(theatre, line.api).run()
    assert found.lago.why is None
    for one in human(found):
        note(f"{one}")
    assert human(found) == []
    for total in found.totals:
        note(f"{total}")
    assert [total for total in found.totals if not total.agrees] == []


async def test_a_draft_that_stays_because_money_is_on_what_was_voided_was_edited_by_nobody(
    theatre: Stage,
) -> None:
    """Its due date is the draft's; Lago's is the voided invoice's, which was never sent."""
    life = prompt()
    bill = life.bill("subscription", REGIMES[0], draft=True)
    life.pay(bill, 100, "provider")
    life.pass_time(60)
    life.void(bill)
    customer, drafted, drafted_again, created, paid, voided = life.messages
    told = [[customer, drafted], [voided], [created], [drafted_again], [paid]]
    await theatre.live(Delivery(tuple(map(batch, told)), {}, ()))
    [draft] = theatre.xero.invoices.values()
    assert draft.status == "DRAFT"
    assert str(draft.due_date) != bill.said["payment_due_date"]
    found = await Desk(theatre).run()
    assert human(found) == []
    assert [total for total in found.totals if not total.agrees] == []
