"""Refunds that have to succeed first are asked of Lago's API."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Widen the index of what may be asked for."""
    run_file(Path(__file__).with_suffix(".sql"))
