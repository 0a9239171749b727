"""Whatever happens to a customer in Lago: as long as nobody edits Xero's books, both sides tie out.

``LIVES=2000 pytest tests/integration/test_reconciled_lives.py`` tries so many.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, note, settings

from consumer.sandbox.lago import Choices
from tests.integration.reconciling import Desk, human
from tests.lives.many import SLOW, draw, lives
from tests.lives.stage import Stage
from tests.strategies import choices

pytestmark = pytest.mark.usefixtures("quiet")


@given(source=choices())
@settings(
    max_examples=lives(60),
    suppress_health_check=SLOW,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
async def test_a_life_without_edits_has_no_exception(theatre: Stage, source: Choices) -> None:
    _, delivery = draw(source)
    await theatre.live(delivery)
    theatre.accounting.faults = {}  # they were for what was sent
    found = await Desk(theatre).run()
    for one in human(found):
        note(f"{one}")
    assert human(found) == []
    for total in found.totals:
        note(f"{total}")
    assert [total for total in found.totals if not total.agrees] == []
