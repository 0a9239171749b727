"""Charts as they are kept, and what reading one anew has shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from consumer.domain.chart import Chart


@dataclass(frozen=True, slots=True)
class Alarm:
    """A mapping that no longer fits, as it is announced."""

    code: str
    sentence: str
    hint: str


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What reading a chart has shown: a line for each change, and what does not fit since."""

    changes: tuple[str, ...]
    alarms: tuple[Alarm, ...] = ()


@dataclass(frozen=True, slots=True)
class Whose:
    """A connection, and the tenant whose chart it uses; ``parked``: nobody may ask for that now."""

    code: str
    tenant_id: UUID
    authorisation_id: int
    parked: bool


class Charts(Protocol):
    """Where charts are kept."""

    async def claim(self, every: float, lease: float) -> tuple[UUID, int] | None:
        """A tenant, with its authorisation, whose chart was last read ``every`` seconds ago or
        before; no other pod gets it for ``lease`` seconds."""

    async def postpone(self, tenant_id: UUID, seconds: float) -> None:
        """It could not be read now."""

    async def whose(self, codes: Sequence[str] | None) -> Sequence[Whose]:
        """The connections of these codes, or all."""

    async def keep(self, tenant_id: UUID, chart: Chart, who: str) -> Redrawn:
        """Store it as it is now: what it breaks is announced once, what it mends is released."""
