"""Whatever happens to a customer in Lago, and however we hear of it: Xero has his balance.

``LIVES=5000 pytest tests/integration/test_lives.py`` tries so many.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from consumer.sandbox.lago import Choices
from tests.lives.acts import draw_life
from tests.lives.balance import balance
from tests.lives.delivery import draw_delivery
from tests.lives.stage import Stage
from tests.strategies import choices

LIVES = int(os.environ.get("LIVES", "200"))
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """A story is read more easily without its log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@given(source=choices())
@settings(max_examples=LIVES, suppress_health_check=SLOW)
async def test_the_balance_is_lagos_after_any_life(theatre: Stage, source: Choices) -> None:
    life = draw_life(source)
    delivery = draw_delivery(source, life.messages)
    for line in (*life.story, *delivery.story, f"faults {delivery.faults}"):
        note(line)
    await theatre.live(delivery)
    result = await balance(theatre, life)
    for exception in result.exceptions:
        note(f"named: {exception}")
    assert result.differences == []


@given(source=choices(), switches=st.booleans())
@settings(max_examples=LIVES, suppress_health_check=SLOW)
async def test_the_clearing_account_nets_to_zero_and_the_balance_is_lagos(
    theatre: Stage, source: Choices, switches: bool
) -> None:
    """By policy all consumed credits pass through it, or those of some invoices: the policy changes."""
    life = draw_life(source, consumes=True)
    delivery = draw_delivery(source, life.messages)
    lines = ["negative_line" for _ in delivery.batches]
    drawn = [source.choose(("negative_line", "allocate")) for _ in delivery.batches]
    policies = drawn if switches else lines
    for line in (*life.story, *delivery.story, f"faults {delivery.faults}", f"{policies}"):
        note(line)
    await theatre.live(delivery, policies)
    result = await balance(theatre, life, None if switches else True)
    await theatre.consume("allocate")
    for exception in result.exceptions:
        note(f"named: {exception}")
    assert result.differences == []
