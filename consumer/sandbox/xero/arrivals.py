"""The arrival log: every call as it came in and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from consumer.sandbox.xero.answers import Json


@dataclass(slots=True)
class Arrival:
    """One call. ``wall`` in seconds since 1970, ``monotonic`` and ``answered`` on one clock.

    ``status`` is what Xero decided, also if the reply was lost; None while it is undecided or if
    the caller left before its body was complete. ``in_flight`` counts this call too if let in.
    """

    seq: int
    wall: float
    monotonic: float
    method: str
    path: str
    query: str
    tenant_id: str | None = None
    client_id: str | None = None
    idempotency_key: str | None = None
    elements: int = 0
    status: int | None = None
    problem: str | None = None
    fault: str | None = None
    replay: bool = False
    in_flight: int = 0
    answered: float | None = None


class Arrivals:
    """The log; sequence numbers go on after it was cleared."""

    def __init__(self) -> None:
        self._log: list[Arrival] = []
        self._last = 0

    def add(self, wall: float, monotonic: float, method: str, path: str, query: str) -> Arrival:
        """A call came in."""
        self._last += 1
        arrival = Arrival(self._last, wall, monotonic, method, path, query)
        self._log.append(arrival)
        return arrival

    def shown(
        self, after: int = 0, tenant_id: str | None = None, path_prefix: str = ""
    ) -> list[Json]:
        """Those after a sequence number, of one tenant or all."""
        first = self._log[0].seq if self._log else 0
        return [
            asdict(one)
            for one in self._log[max(0, after - first + 1) :]
            if tenant_id in (None, one.tenant_id) and one.path.startswith(path_prefix)
        ]

    def clear(self) -> None:
        """Forget all of them."""
        self._log.clear()
