"""Errors: an exception in; one sentence and a hint on stderr and an exit code out."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import traceback
from dataclasses import replace

UNEXPECTED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND = 1, 2, 3, 4, 5
INTERRUPTED = 128 + signal.SIGINT

AWAY = frozenset(
    {
        "budget_spent",
        "identity_unavailable",
        "kafka_unusable",
        "xero_unavailable",
        "xero_unreachable",
    }
)
"""Codes of a Halt that only says that something does not answer now."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What an OSError says of a file that takes no more; no service says so."""


class Failure(Exception):
    """A command's own bad end."""

    def __init__(self, exit_code: int, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.sentence = sentence
        self.hint = hint


def report(error: Exception) -> int:
    """Tell ``error`` on stderr, without its traceback unless LAGO_XERO_DEBUG is set."""
    from consumer.adapters.logs import mask
    from schemas.mistakes import Mistakes

    if os.environ.get("LAGO_XERO_DEBUG"):
        traceback.print_exception(error)
    failure = _failure(error)
    if isinstance(error, Mistakes):  # a place ends in "client_secret:", and no secret follows it
        for one in error.mistakes:
            sys.stderr.write(f"{replace(one, said=mask(one.said), hint=mask(one.hint))}\n")
    else:
        sys.stderr.write(f"{mask(failure.sentence)}\n")
    if failure.hint:
        sys.stderr.write(f"hint: {mask(failure.hint)}\n")
    return failure.exit_code


def _failure(error: Exception) -> Failure:
    import asyncpg

    from consumer.domain.errors import ConsumerError
    from consumer.ports import Unavailable
    from schemas.mistakes import Mistakes

    if isinstance(error, Failure):
        return error
    if isinstance(error, Mistakes):
        return Failure(REFUSED, str(error), "nothing was stored; correct the file and apply again")
    if isinstance(error, ConsumerError):
        code = UNREACHABLE if error.code in AWAY else REFUSED
        code = NOT_FOUND if error.code == "not_found" else code
        return Failure(code, error.sentence, error.hint)
    database = "LAGO_XERO_DATABASE_URL says which database is used"
    if isinstance(error.__cause__, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        return Failure(REFUSED, "The database has not been migrated.", "run: lago-xero migrate")
    if isinstance(error, asyncpg.ClientConfigurationError):
        return Failure(REFUSED, f"LAGO_XERO_DATABASE_URL cannot be used: {error}")
    if isinstance(error, Unavailable | asyncpg.PostgresError | asyncpg.InterfaceError):
        return Failure(UNREACHABLE, f"The database cannot be used: {error}", database)
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(REFUSED, f"{error.filename}: {error.strerror}.")
    if isinstance(error, OSError) and error.errno in FULL:
        return Failure(UNEXPECTED, f"What was to be told cannot be written: {error.strerror}.")
    if isinstance(error, OSError | asyncio.TimeoutError):
        why = str(error) or "no answer in time"
        return Failure(UNREACHABLE, f"A service does not answer: {why}", database)
    return Failure(
        UNEXPECTED,
        f"Unexpected {type(error).__name__}: {error}",
        "LAGO_XERO_DEBUG=1 shows where it happened",
    )
