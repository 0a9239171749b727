"""What the database brings about that a use case must tell apart."""

from __future__ import annotations


class Unavailable(Exception):
    """The database is away, or lost patience with us: nothing of the transaction happened, or, if
    the answer to its commit was lost, all of it; both are safe to repeat."""


class Unstorable(Exception):
    """The database refuses a value of the batch."""
