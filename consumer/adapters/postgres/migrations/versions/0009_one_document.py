"""What is neither money nor an allocation has one document in a connection."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Say so."""
    run_file(Path(__file__).with_suffix(".sql"))
