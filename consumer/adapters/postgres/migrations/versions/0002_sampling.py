"""Indexes that sampling counts on."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    run_file(Path(__file__).with_suffix(".sql"))
