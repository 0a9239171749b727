"""What is looked up after a database was restored from a backup."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    run_file(Path(__file__).with_suffix(".sql"))
