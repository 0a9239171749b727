"""The composition root: settings in, the running service, or the parts of a command, out."""

from consumer.app.parts import (
    authorisations_of,
    inbox_of,
    lago_api_of,
    limits_of,
    must_be_migrated,
    open_database,
    planner_of,
    sinks_of,
    webhook_of,
    xero_tokens,
)
from consumer.app.running import run

__all__ = [
    "authorisations_of",
    "inbox_of",
    "lago_api_of",
    "limits_of",
    "must_be_migrated",
    "open_database",
    "planner_of",
    "run",
    "sinks_of",
    "webhook_of",
    "xero_tokens",
]
