"""Whatever happens to a customer in Lago: as long as nobody edits Xero's books, both sides tie out.

``LIVES=2000 pytest tests/integration/test_reconciled_lives.py`` tries so many.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, note, settings

from consumer.sandbox.lago import Choices
from tests.integration.reconciling import Desk, human
from tests.lives.acts import draw_life
from tests.lives.delivery import draw_delivery
from tests.lives.stage import Stage
from tests.strategies import choices

LIVES = int(os.environ.get("LIVES", "60"))
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@given(source=choices())
@settings(
    max_examples=LIVES,
    deadline=None,
    suppress_health_check=SLOW,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
async def test_a_life_without_edits_has_no_exception(theatre: Stage, source: Choices) -> None:
    life = draw_life(source)
    delivery = draw_delivery(source, life.messages)
    for line in (*life.story, *delivery.story, f"faults {delivery.faults}"):
        note(line)
    await theatre.live(delivery)
    theatre.accounting.faults = {}  # they were for what was sent
    found = await Desk(theatre).run()
    for one in human(found):
        note(f"{one}")
    assert human(found) == []
    for total in found.totals:
        note(f"{total}")
    assert [total for total in found.totals if not total.agrees] == []
