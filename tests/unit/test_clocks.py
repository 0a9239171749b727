"""Clocks: one scale for those with a name and for delays without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consumer.domain.clocks import Clocks


def test_a_delay_without_a_clock_has_the_scale_of_the_others() -> None:
    eager = replace(Clocks(), look_for_work=0.1).scaled(0.5).scaled(0.5)
    assert eager.stretched(8.0) == 2.0
    assert eager.look_for_work == pytest.approx(0.025)


def test_tries_become_rarer_down_to_a_limit() -> None:
    clocks = Clocks().scaled(2)
    waits = [clocks.backoff(n) for n in range(10)]
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800]
    assert clocks.backoff(5, most=60.0) == 120
    assert clocks.backoff(30_000) == 1800
