"""What commands print for people."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from consumer.cli.output import print_table


def test_a_table_has_instants_to_the_second_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 11, 28, 4, 51, 18, 591474, timezone(timedelta(hours=13)))
    print_table([{"path": "coupon", "set_at": at, "problem": None}], ("path", "set_at", "problem"))
    assert "│ coupon │ 2026-11-27 15:51:18Z │         │" in capsys.readouterr().out


def test_a_text_of_lagos_does_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"number": "A\x1b[31m\x9b2J\u202eB\u00a0C"}], ("number",))
    assert "│ A\ufffd[31m\ufffd2J\ufffdB\u00a0C │" in capsys.readouterr().out
