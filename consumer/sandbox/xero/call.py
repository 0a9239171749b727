"""One authorised call to the Accounting API, as the endpoints see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qsl

from consumer.sandbox.xero.answers import Json
from consumer.sandbox.xero.arithmetic import Rules
from consumer.sandbox.xero.books import Books
from consumer.sandbox.xero.settings import SimulatorSettings


def parse_query(raw: str) -> dict[str, str]:
    """Query parameters by their names in lower case, for Xero does not mind the case."""
    return {name.lower(): value for name, value in parse_qsl(raw, keep_blank_values=True)}


@dataclass(frozen=True, slots=True)
class Call:
    """``path`` is what follows ``/api.xro/2.0/``, in parts; ``at`` is now in milliseconds."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    books: Books
    settings: SimulatorSettings
    at: int
    document: Json = field(default_factory=dict)
    if_modified_since: str | None = None

    @property
    def summarize_errors(self) -> bool:
        """Observed default: true."""
        return self.query.get("summarizeerrors", "true").lower() != "false"

    @property
    def rules(self) -> Rules:
        """The arithmetic for this call."""
        return Rules(
            unit_places=4 if self.query.get("unitdp") == "4" else 2,
            tolerance=Decimal(str(self.settings.line_total_tolerance)),
            discounted_rounding=self.settings.discounted_line_rounding,
            zero_discounted_refused=self.settings.zero_discounted_line_refused,
        )
