"""Connections as they stand and as they shall stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from consumer.domain.chart import Chart
from consumer.domain.mapping import Connection
from consumer.ports.identity import Authorisation, TokenSet


@dataclass(frozen=True, slots=True)
class Stored:
    """A connection as it stands; ``secret`` in clear: never log this.

    ``authorisation`` is that of a consent, None of a custom connection.
    """

    connection: Connection
    client_id: str
    secret: str
    parked: bool
    chart: Chart | None
    authorisation: Authorisation | None = None

    def __repr__(self) -> str:
        return f"Stored({self.connection.code})"


@dataclass(frozen=True, slots=True)
class Wish:
    """A connection as it shall stand; ``secret`` in clear: never log this.

    Without a chart its tenant is parked: nobody has let us into it. ``consent`` tells that the client
    is let in by persons, ``authorised`` that one has.
    """

    connection: Connection
    client_id: str
    secret: str
    chart: Chart | None
    consent: bool = False
    authorised: bool = True

    def __repr__(self) -> str:
        return f"Wish({self.connection.code})"


class Connections(Protocol):
    """Where connections are kept."""

    async def stored(self) -> Mapping[str, Stored]:
        """All of them by code."""

    async def rates(self, codes: Sequence[str]) -> Mapping[str, Mapping[str, Decimal]]:
        """Of those that there are, Lago's newest tax rates in percent by tax code."""

    async def store(
        self,
        wishes: Sequence[Wish],
        who: str,
        changes: Sequence[str],
        tokens: TokenSet | None = None,
    ) -> None:
        """All or nothing; what failed or waits for want of them is released.

        ``tokens`` are those of a consent to the wishes' client, which is one then.
        """

    async def park(self, code: str, who: str) -> None:
        """Nothing more is sent to the connection's tenant: somebody disconnects it."""

    async def forget_tokens(self, code: str) -> bool:
        """Forget the tokens behind the connection, unless they serve a tenant that is not
        disconnected; tells whether they are gone."""
