"""Findings: a check in; what it found, or that it was cut off or broke, out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from consumer.domain.errors import ConsumerError

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on what a check saw and, where it is not well, what to do."""

    check: str
    level: Level
    said: str
    fix: str = ""


Check = Callable[[], Awaitable[Sequence[Finding]]]


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", said)


def warning(check: str, said: str, fix: str) -> Finding:
    """It works, but not for long or not for everything."""
    return Finding(check, "warning", said, fix)


def problem(check: str, said: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(check, "problem", said, fix)


async def examine(name: str, check: Check, patience: float) -> Sequence[Finding]:
    """What it finds within ``patience`` seconds; however it ends, the other checks go on."""
    try:
        async with asyncio.timeout(patience):
            return await check()
    except TimeoutError:
        said = f"No answer within {patience:g} s; the check was cut off."
        return [problem(name, said, "See whether it answers others; --timeout waits longer.")]
    except ConsumerError as error:
        return [problem(name, error.sentence, error.hint)]
    except Exception as error:  # noqa: BLE001 - one check must not end the others
        return [problem(name, f"The check failed ({type(error).__name__}).", "LAGO_XERO_DEBUG=1")]
