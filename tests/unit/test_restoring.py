"""What ``restored`` prints of the group's offsets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from consumer.adapters.kafka.rewinding import Rewound
from consumer.adapters.postgres.restoring import Marked
from consumer.cli import restoring


def test_a_group_that_never_committed_has_no_empty_cells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def restored(*_: object, **__: object) -> tuple[Marked, list[Rewound]]:
        rewound = [Rewound("lago.webhooks", 0, None, None), Rewound("lago.webhooks", 1, 7, 0)]
        return Marked(1, 0), rewound

    monkeypatch.setattr(restoring, "_restored", restored)
    restoring.restored(datetime(2026, 10, 1, tzinfo=UTC).isoformat(), dry_run=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if "lago.webhooks" in line]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    assert [row[2:] for row in cells] == [["none", "first record"], ["7", "0"]]
