"""Connect: a person's consent in; its tokens, the tenants it reaches and their charts stored out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from consumer.apply.charts import ChartReader, Closed
from consumer.domain.chart import Chart
from consumer.domain.consent import Request, stand_in
from consumer.domain.errors import Halt, Throttled
from consumer.domain.fitting import check
from consumer.domain.mapping import Connection
from consumer.ports import Connections, Consenting, Stored, TenantRef, TokenSet, Wish

Choose = Callable[[Sequence[TenantRef]], UUID]
"""Which of several tenants a connection is for; raises where nobody can be asked."""


@dataclass(frozen=True, slots=True)
class Connected:
    """What is used now, a line each; and the mappings that Xero would refuse."""

    lines: tuple[str, ...]
    mistakes: tuple[str, ...] = ()


class Connect:
    """The consent for one connection, which is one for all connections of its client."""

    def __init__(
        self, connections: Connections, consenting: Consenting, charts: ChartReader
    ) -> None:
        self.connections = connections
        self.consenting = consenting
        self.charts = charts

    async def begin(
        self, code: str, tenant_id: UUID | None, redirect_uri: str, state: str, verifier: str
    ) -> Request:
        """What to ask a person for; ``tenant_id`` if it is known which one it is for.

        Raises:
            Halt: there is no such connection, its client needs no consent, or it has another tenant.
        """
        all_stored = await self.connections.stored()
        stored = known(all_stored, code)
        if stored.authorisation is None:
            raise Halt(
                "no_consent_needed",
                f"The client of {code} is a custom connection: it needs no consent.",
                "Say consent: true in the connections file if it is not, and apply.",
            )
        had = stored.connection.tenant_id
        if tenant_id is not None and had not in (tenant_id, stand_in(code)):
            raise Halt(
                "tenant_differs",
                f"{code} belongs to tenant {had}.",
                "Its documents are there: give the new connection another code.",
            )
        siblings = (one for one in all_stored.values() if one.client_id == stored.client_id)
        overpays = any(one.connection.overpays for one in siblings)
        return Request(stored.client_id, redirect_uri, state, verifier, overpays)

    async def finish(
        self,
        code: str,
        tenant_id: UUID | None,
        request: Request,
        answer: str,
        choose: Choose,
        who: str,
    ) -> Connected:
        """Redeem the code, choose the tenant, read the charts, store it all, release what waited.

        Raises:
            Halt: nothing was stored.
        """
        stored = await self.connections.stored()
        asked = known(stored, code)
        try:
            tokens = await self.consenting.redeem(request, asked.secret, answer)
            reached = {ref.id: ref for ref in await self.consenting.reached(tokens)}
        except Throttled as error:
            raise Halt(error.code, error.sentence, "Run connect again later.") from None
        if not tokens.refresh_token:
            raise Halt("no_refresh_token", "Xero gave no refresh token.", "Allow offline access.")
        tenant_id = _tenant(asked, tenant_id, stored, reached, choose)
        wishes: list[Wish] = []
        lines: list[str] = []
        mistakes: list[str] = []
        charts: dict[UUID, Chart] = {}
        for one in stored.values():
            if one.client_id != asked.client_id:
                continue
            connection = one.connection
            if connection.code == code:
                connection = replace(connection, tenant_id=tenant_id)
            if connection.tenant_id in reached and connection.tenant_id not in charts:
                charts[connection.tenant_id] = await self._chart(connection, tokens)
            chart = charts.get(connection.tenant_id)
            if chart is None and not one.parked:
                raise _too_small(connection.code)
            wish = Wish(connection, one.client_id, one.secret, chart, consent=True)
            wishes.append(wish)
            lines.append(_line(wish, reached))
            if chart is not None:
                mistakes += map(str, check(connection, chart, connection.code))
        await self.connections.store(wishes, who, lines, tokens)
        return Connected(tuple(lines), tuple(mistakes))

    async def _chart(self, connection: Connection, tokens: TokenSet) -> Chart:
        async def token() -> str:
            return tokens.access_token

        try:
            return await self.charts.read(connection.tenant_id, token)
        except Closed as closed:
            raise Halt("chart_closed", f"{connection.code}: {closed.said}.", closed.hint) from None


def known(stored: Mapping[str, Stored], code: str) -> Stored:
    """The connection of that code. Halt: not_found."""
    if code not in stored:
        raise Halt(
            "not_found", f"There is no connection {code}.", "lago-xero connections lists them."
        )
    return stored[code]


def _tenant(
    asked: Stored,
    named: UUID | None,
    stored: Mapping[str, Stored],
    reached: Mapping[UUID, TenantRef],
    choose: Choose,
) -> UUID:
    """The connection's own if it has one already, else the named, the only or the chosen one."""
    code, tenant_id = asked.connection.code, asked.connection.tenant_id
    if tenant_id == stand_in(code):
        refs = list(reached.values())
        if not refs:
            raise Halt("no_tenant", "The consent reaches no organisation.", "Choose one at Xero.")
        tenant_id = named or (refs[0].id if len(refs) == 1 else choose(refs))
    if tenant_id not in reached:
        names = ", ".join(f"{ref.name} ({ref.id})" for ref in reached.values()) or "none"
        raise Halt(
            "tenant_not_reached",
            f"The consent does not reach tenant {tenant_id} of {code}; it reaches: {names}.",
            "Run connect again and choose that organisation at Xero.",
        )
    for other in stored.values():
        if other.connection.tenant_id == tenant_id and other.client_id != asked.client_id:
            raise Halt(
                "tenant_taken",
                f"{other.connection.code} uses the same tenant through another client.",
                "Xero counts calls by client: use one for both.",
            )
    return tenant_id


def _line(wish: Wish, reached: Mapping[UUID, TenantRef]) -> str:
    code, tenant_id = wish.connection.code, wish.connection.tenant_id
    if wish.chart is None:
        return f"  {code}: not reached by this consent, stays parked"
    return f"~ {code}: connected to {reached[tenant_id].name or 'tenant'} ({tenant_id})"


def _too_small(code: str) -> Halt:
    return Halt(
        "consent_too_small",
        f"The consent does not reach the organisation of {code}, which the same client reaches now.",
        "Let somebody consent who may use both, or give one of them another client.",
    )
