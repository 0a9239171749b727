"""The checked-in JSON Schemas are those of the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import export


def test_nothing_drifted() -> None:
    assert export.drift() == [], "run `make schemas`"


def test_drift_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "FOLDER", tmp_path)
    assert export.main([]) == 0
    assert export.main(["--check"]) == 0
    (tmp_path / "webhook_failures.json").write_text("{}")
    (tmp_path / "lago_webhook.json").unlink()
    (tmp_path / "left_over.json").write_text("{}")
    assert export.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "lago_webhook.json, left_over.json, webhook_failures.json" in said
    assert export.main([]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(export.schemas())
    assert export.main(["--wrong"]) == 2
