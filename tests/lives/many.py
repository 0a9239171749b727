"""Many lives: choices in; a life and how it reaches us, told to whoever reads of a failure, out."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, note

from consumer.sandbox.lago import Choices
from tests.lives.acts import draw_life
from tests.lives.delivery import Delivery, draw_delivery
from tests.lives.lago import Life

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def lives(usual: int) -> int:
    """How many are tried: ``LIVES`` says otherwise."""
    return int(os.environ.get("LIVES", usual))


def draw(source: Choices, *, consumes: bool = False) -> tuple[Life, Delivery]:
    """One of them; ``consumes``: as for ``draw_life``."""
    life = draw_life(source, consumes=consumes)
    delivery = draw_delivery(source, life.messages)
    for line in (*life.story, *delivery.story, f"faults {delivery.faults}"):
        note(line)
    return life, delivery
