"""The machine under a benchmark: a stretch of time in; the CPU each process took in it, what others
took, and how late naps ended, out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped]

Json = dict[str, Any]

NAP = 0.01


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share is not above; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _role(process: psutil.Process, consumers: list[int]) -> str | None:
    name, words = process.name(), " ".join(process.cmdline())
    if name == "java":
        return "Kafka"
    if name.startswith("postgres"):
        return "Postgres"
    if "keeper.py" in words:
        return None
    if "consumer.sandbox.xero" in words:
        return "simulated Xero"
    if words.endswith("lago-xero run"):
        consumers.append(process.pid)
        return f"consumer {len(consumers)}"
    return None


def cpu() -> dict[str, float]:
    """CPU seconds so far of each process that we started, of us, and of the whole machine.

    Services in containers or elsewhere are not ours to see; theirs is in the machine's.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    me = psutil.Process()
    own = me.cpu_times()
    seconds["load and measuring"] = own.user + own.system
    consumers: list[int] = []
    for process in sorted(me.children(recursive=True), key=lambda process: process.pid):
        with contextlib.suppress(psutil.Error):
            role = _role(process, consumers)
            if role is None:
                continue
            spent = process.cpu_times()
            # Also of children that have ended: Postgres' connections are processes.
            seconds[role] += sum(spent[:4])
    machine = psutil.cpu_times()
    seconds["steal"] = float(getattr(machine, "steal", 0))
    seconds["machine"] = sum(machine[:3]) + sum(machine[5:8])
    return dict(seconds)


@dataclass
class Watched:
    """A stretch of time: its length and the CPU seconds that each process took in it."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    """By how many seconds this process woke too late from naps: the machine's noise."""

    def ours(self) -> dict[str, float]:
        """CPU seconds of this process and of those that it started."""
        return {k: v for k, v in self.cpu.items() if k not in ("machine", "steal")}

    def others(self) -> float:
        """CPU seconds of everything else on the machine, stolen ones included."""
        return max(0.0, self.cpu.get("machine", 0.0) - sum(self.ours().values()))

    def rows(self) -> list[tuple[str, float, float]]:
        """Process, CPU seconds, share of one core in per cent."""
        stolen = self.cpu.get("steal", 0.0)
        named = {**self.ours(), "everything else": self.others(), "of which stolen": stolen}
        return [(k, round(v, 2), round(100 * v / self.seconds, 1)) for k, v in named.items()]

    def figures(self) -> Json:
        """For machines."""
        return {
            "seconds": round(self.seconds, 2),
            "cores": psutil.cpu_count(),
            "cpu_percent_of_a_core": {name: share for name, _, share in self.rows()},
            "woke_late_ms": {
                name: round(1000 * quantile(self.late, share), 2)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
        }


@asynccontextmanager
async def watching(naps: bool = True) -> AsyncIterator[Watched]:
    """Fill in the value when the block ends."""
    watched = Watched()

    async def doze() -> None:
        while True:
            due = time.perf_counter() + NAP
            await asyncio.sleep(NAP)
            watched.late.append(time.perf_counter() - due)

    before, started = cpu(), time.perf_counter()
    dozing = asyncio.create_task(doze()) if naps else None
    try:
        yield watched
    finally:
        if dozing is not None:
            dozing.cancel()
        watched.seconds = time.perf_counter() - started
        watched.cpu = {name: spent - before.get(name, 0.0) for name, spent in cpu().items()}


@contextmanager
def left_alone() -> Iterator[None]:
    """What exists now is the benchmark's: the garbage collector does not look through it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
