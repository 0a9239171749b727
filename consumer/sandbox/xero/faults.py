"""Faults on demand: a test orders them, the next matching calls suffer them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from consumer.sandbox.xero.answers import Json, guid

FaultKind = Literal[
    "reply_lost",
    "500_before",
    "500_after",
    "503",
    "slow",
    "slow_after",
    "drip",
    "401",
    "403",
    "412",
    "429",
    "close_before",
    "garbage",
    "whole_400",
]
KINDS = frozenset(get_args(FaultKind))


@dataclass(slots=True)
class Fault:
    """``times`` is how many more calls it strikes, None for all; ``seconds`` are real seconds."""

    kind: FaultKind
    times: int | None = 1
    seconds: float = 1.0
    tenant_id: str | None = None
    method: str | None = None
    path_prefix: str | None = None
    fault_id: str = field(default_factory=guid)

    def matches(self, tenant_id: str | None, method: str, path: str) -> bool:
        """Whether it strikes such a call."""
        return (
            self.times != 0
            and self.tenant_id in (None, tenant_id)
            and self.method in (None, method)
            and path.startswith(self.path_prefix or "")
        )


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def order(self, request: Json) -> Fault:
        """Add one. ValueError: no such kind, or a wrong figure."""
        kind = str(request.get("kind"))
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}")
        match = request.get("match") or {}
        unknown = match.keys() - {"tenant_id", "method", "path_prefix"}
        if unknown:
            raise ValueError(f"match does not know {', '.join(sorted(unknown))}")
        times = request.get("times", 1)
        fault = Fault(
            kind,  # type: ignore[arg-type]
            None if times is None or times < 0 else int(times),
            float(request.get("seconds", 1.0)),
            **match,
        )
        self._waiting.append(fault)
        return fault

    def take(self, tenant_id: str | None, method: str, path: str) -> Fault | None:
        """The fault that strikes a call, used up by one."""
        for fault in self._waiting:
            if fault.matches(tenant_id, method, path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._waiting.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """No more faults."""
        self._waiting.clear()

    def shown(self) -> list[Json]:
        """What is still to come."""
        return [asdict(fault) for fault in self._waiting]
