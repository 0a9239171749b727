"""How often what failed was tried again for the same reason."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    run_file(Path(__file__).with_suffix(".sql"))
