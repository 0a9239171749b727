"""Reading Lago: what its API is asked for in, the answer out, as fast as Lago's limit lets us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

from pydantic import ValidationError

from consumer.domain.clocks import Clocks
from consumer.domain.reconciling import Listed, ListedKind, listed
from consumer.ports import Unanswered
from consumer.ports.reconciling import LagoLists
from consumer.reconcile.reading import PATIENCE, PAUSE

P = ParamSpec("P")
T = TypeVar("T")


class Progress(Protocol):
    """Who watches."""

    def lists(self, kind: ListedKind, page: int, pages: int) -> None:
        """A page of Lago's was read."""

    def waits_for_lago(self, seconds: float) -> None:
        """Lago asks to wait so long."""


class LagoReader:
    """Asks one thing after another; ``calls`` counts what was asked."""

    def __init__(
        self,
        api: LagoLists,
        clocks: Clocks,
        progress: Progress,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.api = api
        self.clocks = clocks
        self.progress = progress
        self.sleep = sleep
        self.calls = 0

    async def asked(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What is asked for; Lago's limit is obeyed, in patience.

        Raises:
            Unanswered: Lago does not answer.
        """
        waited = 0.0
        while True:
            self.calls += 1
            try:
                return await call(*args, **kwargs)
            except Unanswered as error:
                seconds = max(
                    1.0, self.clocks.stretched(PAUSE) if error.wait is None else error.wait
                )
                if error.why != "throttled" or waited + seconds > self.clocks.stretched(PATIENCE):
                    raise
                self.progress.waits_for_lago(seconds)
                await self.sleep(seconds)
                waited += seconds


def read(kind: ListedKind, shown: Mapping[str, Any]) -> Listed:
    """One of the objects on a page, or of an answer.

    Raises:
        Unanswered: it cannot be read.
    """
    try:
        return listed(kind, shown)
    except ValueError as error:
        named = f"{kind.replace('_', ' ')} {lago_id_of(shown) or 'without a lago_id'}"
        where = field_of(error)
        raise Unanswered("unreadable", f"Lago's {named} cannot be read{where}.") from None


def lago_id_of(shown: Mapping[str, Any]) -> str | None:
    """By which it is named; None if that is none."""
    try:
        return str(UUID(str(shown.get("lago_id"))))
    except ValueError:
        return None


def field_of(error: ValueError) -> str:
    """The path of the first field that is at fault, with what is wrong but not with what it holds."""
    if not isinstance(error, ValidationError):
        return ""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f" ({'.'.join(map(str, first['loc']))}: {first['type']})"
