"""A mirror of Xero's books, by which they are reconciled."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Create it."""
    run_file(Path(__file__).with_suffix(".sql"))
