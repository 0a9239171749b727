"""The sandbox's env file: settings in, what a shell that sources it has out."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from consumer.sandbox.up import connections_beside, write_env_file


def test_a_shell_reads_what_was_written(tmp_path: Path) -> None:
    value = "postgresql://u:p$w'd &;@host/db?options=-c a#b"
    path = tmp_path / "sandbox.env"
    write_env_file(path, {"URL": value, "PLAIN": "127.0.0.1:9092"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PLAIN=127.0.0.1:9092\n" in path.read_text()
    shown = subprocess.run(
        ["sh", "-c", f'. {path}; printf %s "$URL"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == value


def test_the_connections_file_is_beside() -> None:
    assert connections_beside(Path("a/sandbox.env")) == Path("a/sandbox.connections.yaml")
    assert connections_beside(Path(".env")) == Path(".env.connections.yaml")
