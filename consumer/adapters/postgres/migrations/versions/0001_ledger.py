"""The ledger's tables."""

from pathlib import Path

from consumer.adapters.postgres.migrate import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    run_file(Path(__file__).with_suffix(".sql"))
