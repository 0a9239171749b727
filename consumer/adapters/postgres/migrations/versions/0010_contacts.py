"""Which contact each document is on."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """A customer may have another by then."""
    run_file(Path(__file__).with_suffix(".sql"))
