"""The day that money had before a lock date moved it."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    run_file(Path(__file__).with_suffix(".sql"))
