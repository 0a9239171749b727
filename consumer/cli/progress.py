"""Progress of a reading: pages as they are read in; bars on stderr out, or lines where that is a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from consumer.domain.reconciling import ListedKind, MirrorKind


class Bars:
    """A bar for each kind while it is watched on a terminal."""

    def __init__(self, kinds: Iterable[MirrorKind]) -> None:
        self._live = sys.stderr.isatty()
        self._waited = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("pages {task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {
            kind: self._progress.add_task(kind.replace("_", " "), total=None, note="")
            for kind in kinds
        }

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def read(self, kind: MirrorKind, page: int, pages: int) -> None:
        """A page was read."""
        self._waited = False
        total = max(pages, page)
        self._progress.update(self._tasks[kind], completed=page, total=total, note="")
        if not self._live and pages > 1:
            typer.echo(f"{kind}: page {page} of {total}", err=True)

    def lists(self, kind: ListedKind, page: int, pages: int) -> None:
        """A page of Lago's was read."""
        self._waited = False
        name, total = f"Lago's {kind.replace('_', ' ')}s", max(pages, page)
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, note="")
        self._progress.update(self._tasks[name], completed=page, total=total, note="")
        if not self._live and pages > 1:
            typer.echo(f"{name}: page {page} of {total}", err=True)

    def waits(self, seconds: float) -> None:
        """Xero's limits leave no room for so long."""
        self._waits(f"waiting for Xero's limits, {seconds:.0f} s")

    def waits_for_lago(self, seconds: float) -> None:
        """Lago asks to wait so long."""
        self._waits(f"waiting for Lago's limit, {seconds:.0f} s")

    def _waits(self, said: str) -> None:
        for task in self._tasks.values():
            self._progress.update(task, note=f"({said})")
        if not self._live and not self._waited:
            typer.echo(f"{said} …", err=True)
        self._waited = True
