"""The name in the audit, also where the operating system knows none."""

from __future__ import annotations

import getpass
import os

import pytest

from consumer.cli.person import person


def test_the_users_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert person() == "ann"


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_the_number_of_a_user_without_a_name(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def unknown() -> str:
        raise error("uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert person() == f"uid {os.getuid()}"
