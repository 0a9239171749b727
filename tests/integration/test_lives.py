"""Whatever happens to a customer in Lago, and however we hear of it: Xero has his balance.

``LIVES=5000 pytest tests/integration/test_lives.py`` tries so many.
"""

from __future__ import annotations

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from consumer.sandbox.lago import Choices
from tests.lives.balance import balance
from tests.lives.many import SLOW, draw, lives
from tests.lives.stage import Stage
from tests.strategies import choices

LIVES = lives(200)
pytestmark = pytest.mark.usefixtures("quiet")


@given(source=choices())
@settings(max_examples=LIVES, suppress_health_check=SLOW)
async def test_the_balance_is_lagos_after_any_life(theatre: Stage, source: Choices) -> None:
    life, delivery = draw(source)
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
    life, delivery = draw(source, consumes=True)
    lines = ["negative_line" for _ in delivery.batches]
    drawn = [source.choose(("negative_line", "allocate")) for _ in delivery.batches]
    policies = drawn if switches else lines
    note(f"{policies}")
    await theatre.live(delivery, policies)
    result = await balance(theatre, life, None if switches else True)
    await theatre.consume("allocate")
    for exception in result.exceptions:
        note(f"named: {exception}")
    assert result.differences == []
